"""Simulators that crash, hang, babble or leave no results: an error with the log, and no orphan."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from nibblemac.formats.errors import OutputError, SimulationError
from nibblemac.formats.mac import MacSpec
from nibblemac.rtl.process import run_process
from nibblemac.sim.simulators import Simulator
from nibblemac.sim.verify import verify

REPORT = '{"cocotb": "2", "simulator": "x", "verdicts": [%s]}'
PASSED = '{"design": 0, "steps": 9, "failures": 0, "first": []}'
XML = "<testsuites><testsuite><testcase/></testsuite></testsuites>"


def fake(folder: Path, run: str, build: str = "exit 0") -> Simulator:
    """An Icarus whose build and run are shell scripts."""
    for name, text in (("iverilog", build), ("vvp", run)):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return Simulator(kind="icarus", version="11.0", path=str(folder / "iverilog"))


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        # A zombie that nobody waits for any more is gone as well.
        if Path(f"/proc/{pid}/stat").exists():
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "Z":
                return True
        time.sleep(0.05)
    return False


@pytest.fixture
def spec(t4) -> MacSpec:
    return MacSpec(weight=t4, activation=t4)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("echo last words; kill -SEGV $$", "broke off with exit status 4"),
        ("echo last words; exit 7", "broke off with exit status 4"),
        ("echo last words; exit 0", "ended without results"),
        ("echo last words; echo garbage > $COCOTB_RESULTS_FILE", "ended without results"),
        (f"echo last words; echo '{XML}' > $COCOTB_RESULTS_FILE", "ended without results"),
        (
            f"echo last words; echo '{XML}' > $COCOTB_RESULTS_FILE; echo '[1' > report.json",
            "ended without results",
        ),
        (
            f"echo last words; echo '{XML}' > $COCOTB_RESULTS_FILE; echo '[1]' > report.json",
            "left malformed results",
        ),
        (
            f"echo last words; echo '{XML}' > $COCOTB_RESULTS_FILE\n"
            f"echo '{REPORT % ''}' > report.json",
            "left results that contradict each other",
        ),
        (
            "echo last words; echo '<testsuites/>' > $COCOTB_RESULTS_FILE\n"
            f"echo '{REPORT % PASSED}' > report.json",
            "left results that contradict each other",
        ),
    ],
)
def test_a_run_that_fails_is_an_error_with_its_log(
    tmp_path: Path, spec: MacSpec, design_of, run: str, message: str
):
    simulator = fake(tmp_path, run)
    with pytest.raises(SimulationError) as caught:
        verify([design_of(spec)], simulator=simulator, workdir=tmp_path / "work")
    text = str(caught.value)
    assert f"The simulation of T4, right, rtl {message}" in text
    assert "last words" in text
    log = Path(next(word for word in text.split() if word.endswith("log.txt;"))[:-1])
    assert "last words" in log.read_text()


def test_a_build_that_fails_is_an_error_with_its_log(tmp_path: Path, spec, design_of):
    simulator = fake(tmp_path, "exit 0", build="echo syntax error in line 7; exit 1")
    with pytest.raises(SimulationError, match=r"could not be built.*(?s:.*)syntax error in line 7"):
        verify([design_of(spec)], simulator=simulator, workdir=tmp_path / "work")


def test_a_simulator_that_hangs_is_stopped_with_all_its_children(tmp_path: Path, spec, design_of):
    pid = tmp_path / "pid"
    simulator = fake(tmp_path, f"sleep 300 & echo $! > {pid}; wait")
    started = time.monotonic()
    with pytest.raises(SimulationError, match="did not end within 4 s and was stopped"):
        verify([design_of(spec)], simulator=simulator, workdir=tmp_path / "work", timeout=4)
    assert time.monotonic() - started < 60
    assert gone(int(pid.read_text()))


def test_a_hopeless_simulator_is_not_tried_for_every_design(tmp_path: Path, spec, design_of):
    count = tmp_path / "count"
    simulator = fake(tmp_path, f"echo run >> {count}; exit 3")
    designs = [design_of(spec, top=f"mac{index}") for index in range(40)]
    results = verify(
        designs, simulator=simulator, workdir=tmp_path / "work", jobs=1, keep_going=True
    )
    assert not any(result.passed for result in results)
    assert all("broke off" in result.error for result in results)
    assert len(count.read_text().split()) < 10


@pytest.mark.parametrize("send", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_an_interrupted_verification(tmp_path: Path, send: signal.Signals):
    pid = tmp_path / "pid"
    fake(tmp_path, f"sleep 300 & echo $! > {pid}; wait")
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from nibblemac.formats.lookup import find_format
        from nibblemac.formats.mac import MacSpec
        from nibblemac.sim.design import Design
        from nibblemac.sim.simulators import Simulator
        from nibblemac.sim.verify import verify
        spec = MacSpec(weight=find_format("INT3"), activation=find_format("INT3"))
        text = '''module mac(input clk, input [2:0] weight, activation, input clear,
                  output [{{}}:0] accumulator); endmodule'''.format(spec.accumulator_bits - 1)
        design = Design(spec=spec, architecture="a", level="rtl", top="mac", sources=(text,))
        simulator = Simulator(kind="icarus", version="11.0", path={str(tmp_path / "iverilog")!r})
        verify([design], simulator=simulator, workdir=Path({str(tmp_path / "work")!r}))
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
    try:
        for _ in range(1200):
            if pid.exists() and pid.read_text().strip():
                break
            time.sleep(0.05)
        process.send_signal(send)
        _, output = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode != 0
    if send is signal.SIGINT:
        assert b"KeyboardInterrupt" in output
    assert gone(int(pid.read_text()))


def test_a_workdir_that_cannot_be_written_is_an_output_error(tmp_path: Path, spec, design_of):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        verify([design_of(spec)], simulator=fake(tmp_path, "exit 0"), workdir=tmp_path / "file")


def test_a_cancelled_process_ends_at_once(tmp_path: Path):
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    with (tmp_path / "log").open("wb") as log, pytest.raises(InterruptedError):
        run_process(["sleep", "60"], environment=os.environ, log=log, timeout=60, cancel=cancel)


def test_the_exit_status_and_both_outputs_are_kept(tmp_path: Path):
    with (tmp_path / "log").open("wb") as log:
        status = run_process(
            ["sh", "-c", "echo one; echo two >&2; exit 5"],
            environment=os.environ,
            log=log,
            timeout=60,
        )
    assert status == 5
    assert (tmp_path / "log").read_text() == "one\ntwo\n"
