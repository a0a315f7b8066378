"""``nibblemac explore`` from the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nibblemac.explore.explored import designs_from_csv
from nibblemac.scripts import main as command

SMALL = ("--terms", "4", "--architecture", "table", "--recipe", "adders")


def call(*arguments: object) -> int:
    try:
        return command.main([str(one) for one in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def test_explore_writes_everything(tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    options = ("--top", "3", "7", "--encoding", "2", "--objective", "all", "--jobs", "1")
    assert call("explore", "NF2", *options, *SMALL, "--store", tmp_path / "s", "-o", out) == 0
    captured = capsys.readouterr()
    assert str(out / "index.md") in captured.out
    assert "NF2-top3" in captured.out
    designs = designs_from_csv((out / "exploration.csv").read_text())
    assert {one.top for one in designs} == {3, 7}
    assert sum(bool(one.encoding) for one in designs) >= 2
    about = json.loads((out / "exploration.json").read_text())
    assert about["tops"] == [3, 7]
    assert about["effort"] == "quick"
    assert about["tools"]
    assert about["conditions"]
    names = {path.name for path in out.iterdir()}
    assert {"frontier.csv", "area-delay.png", "area-delay.svg", "area-error-NF2.png"} <= names
    assert list((tmp_path / "s").rglob("*.json"))
    # Again: all from the cache, into the same folder, the same bytes.
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert call("explore", "NF2", *options, *SMALL, "--store", tmp_path / "s", "-o", out) == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


WRONG = {
    "objective": (("INT3", "--objective", "beauty"), "no objective 'beauty'"),
    "effort": (("INT3", "--effort", "heroic"), "no effort 'heroic'"),
    "top": (("INT3", "--top", "7"), "INT3 has no top"),
    "top range": (("NF2", "--top", "0"), "top"),
    "period": (("INT3", "--clock-period", "1", "0"), "clock period is 0 ns"),
    "negative period": (("INT3", "--clock-period", "-2"), "clock period is -2 ns"),
    "no period": (("INT3", "--clock-period", "nan"), "clock period is nan ns"),
    "orders": (("INT3", "--encoding"), "ties to even"),
    "negative orders": (("NF2", "--encoding", "-1"), "orders of codes"),
    "stores": (("INT3", "--store", "x", "--no-store"), "exclude each other"),
    "format": (("INT33",), "'INT33' is unknown"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_arguments_are_told_at_once(kind: str, tmp_path: Path, capsys) -> None:
    arguments, words = WRONG[kind]
    assert call("explore", *arguments, "-o", tmp_path / "out") != 0
    errors = capsys.readouterr().err
    assert errors.startswith("nibblemac: ")
    assert words in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "out").exists()


def test_cluster_that_is_not_there(tmp_path: Path, capsys, monkeypatch) -> None:
    pytest.importorskip("distributed", reason="the extra nibblemac[cluster] is not installed")
    from nibblemac.synth import cluster

    monkeypatch.setattr(cluster.cluster.__wrapped__, "__kwdefaults__", {"timeout": 0.5})
    arguments = ("INT3", "--cluster", "tcp://127.0.0.1:9", "-o", tmp_path / "out")
    assert call("explore", *arguments) != 0
    errors = capsys.readouterr().err
    assert "'tcp://127.0.0.1:9' did not answer" in errors
    assert "Traceback" not in errors


def test_cluster_without_the_package(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert call("explore", "INT3", "--cluster", "tcp://x:1", "-o", tmp_path / "out") != 0
    assert "install nibblemac[cluster]" in capsys.readouterr().err


def test_output_that_cannot_be_written(tmp_path: Path, capsys) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    assert call("explore", "INT3", "-o", blocker / "out") != 0
    assert "cannot be written" in capsys.readouterr().err


def test_interrupt_keeps_what_is_finished(tmp_path: Path) -> None:
    environment = {**os.environ, "NIBBLEMAC_CACHE": str(tmp_path / "cache")}
    environment.pop("NIBBLEMAC_STORE", None)
    program = [sys.executable, "-m", "nibblemac.scripts", "explore"]
    arguments = [*program, "INT3", "INT4", "E2M1", "--jobs", "1", "-o", str(tmp_path / "out")]
    process = subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    records = tmp_path / "cache" / "records"
    deadline = time.monotonic() + 300
    while not list(records.rglob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == command.EXIT_INTERRUPTED
    assert "interrupted; finished results are kept" in errors
    assert "Traceback" not in errors
    assert list(records.rglob("*.json"))
    assert not list((tmp_path / "cache").rglob("*.tmp"))
    assert not (tmp_path / "out").exists()
