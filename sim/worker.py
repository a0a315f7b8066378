"""The child process of a verification: builds one model and runs the bench in it.

Run as ``python -m nibblemac.sim.worker JOB.json``. A job without a bench is only built. Its process
group has nothing else in it, and it ends that group when its standard input closes, which happens
when the parent is gone. Exit status 3 means that the model could not be built, 4 that the run
failed; what a test found is in the results file, not in the exit status.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import threading
import traceback
from pathlib import Path

BUILD_FAILED = 3
RUN_FAILED = 4

OTHERS = {"WAVES", "GUI", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
FAR_FUTURE = 4102444800  # the year 2100, in seconds


def main(arguments: list[str]) -> int:
    """Build and run the job; return the exit status."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = json.loads(Path(arguments[0]).read_text())
    for name in list(os.environ):
        # Nobody's settings for another cocotb, pytest or make must change what runs here.
        if name.startswith(("COCOTB_", "GPI_", "PYTEST_", "SIM_CMD_")) or name in OTHERS:
            del os.environ[name]
    from cocotb_tools import runner as runners  # noqa: PLC0415 - slow to import

    runners.MAX_PARALLEL_BUILD_JOBS = job["make_jobs"]
    runner = runners.get_runner(job["kind"])
    build_dir = Path(job["build_dir"])
    runtime = Path(job["runtime"]) if job["runtime"] else None
    try:
        if runtime is not None:
            _take_runtime(runtime, build_dir)
        runner.build(
            sources=job["sources"],
            hdl_toplevel=job["toplevel"],
            build_dir=build_dir,
            build_args=job["build_args"],
            timescale=("1ns", "1ps"),
            always=True,
            waves=job["waves"],
        )
    except (Exception, SystemExit):
        # The log is the report.
        traceback.print_exc()
        return BUILD_FAILED
    if not job["bench"]:
        return 0
    try:
        runner.test(
            test_module=job["test_module"],
            hdl_toplevel=job["toplevel"],
            build_dir=build_dir,
            test_dir=job["test_dir"],
            test_args=job["test_args"],
            plusargs=job["plusargs"],
            extra_env={"NIBBLEMAC_BENCH": job["bench"], "COCOTB_ANSI_OUTPUT": "0"},
            seed=job["seed"],
            results_xml=job["results"],
            waves=job["waves"],
            timescale=("1ns", "1ps"),
        )
    except (Exception, SystemExit):
        traceback.print_exc()
        return RUN_FAILED
    return 0


def _end_with_parent() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    os.killpg(0, signal.SIGKILL)


def _take_runtime(runtime: Path, build_dir: Path) -> None:
    build_dir.mkdir(parents=True, exist_ok=True)
    taken = []
    try:
        for item in sorted(runtime.glob("*.o")):
            taken.append(build_dir / item.name)
            shutil.copyfile(item, taken[-1])
            # Newer than any source, even where an installer has kept times from another clock.
            os.utime(taken[-1], (FAR_FUTURE, FAR_FUTURE))
    except OSError:
        # Another process has just taken them away, damaged: they are compiled anew.
        for path in taken:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
