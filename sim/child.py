"""The child process that builds and runs one model: its settings, its start, its log."""

import contextlib
import json
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..formats.errors import SimulationError
from ..rtl.process import run_process
from .simulators import Simulator

LOG_TAIL = 2000

# The C++ is compiled without optimisation, since models live for seconds, and as one file: not
# every Verilator's makefile can compile several, and models are built side by side anyway.
# Registers start with random values, since Verilator knows no X. Delays in cell models are of no
# interest. With no warnings of style, those that are left are errors.
VERILATOR_FLAGS = (
    "--no-public-flat-rw",
    "--no-timing",
    "--x-assign", "unique",
    "--x-initial", "unique",
    "--output-split", "0",
    "-CFLAGS", "-O0",
    "-Wno-lint",
    "-Wno-style",
    "-Wno-TIMESCALEMOD",
    "-Wno-STMTDLY",
    "-Wno-UNOPTFLAT",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What every model of one verification has in common; ``waves`` is a folder or None."""

    simulator: Simulator
    workdir: Path
    waves: Path | None
    seed: int
    timeout: float
    jobs: int
    cancel: threading.Event


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One model: where, from what, and what to run in it.

    An empty ``bench`` only builds; otherwise it is the file that ``test_module`` reads.
    ``wave_file`` may be empty. ``runtime`` is the folder of objects that Verilator's builds share,
    or empty.
    """

    folder: Path
    sources: Sequence[Path]
    toplevel: str
    bench: str
    wave_file: str
    runtime: str
    test_module: str = "nibblemac.sim.bench_mac"

    def write(self, run: Run) -> None:
        """Write the file that the worker reads."""
        is_icarus = run.simulator.kind == "icarus"
        waves = self.wave_file
        plusargs = [f"+verilator+seed+{run.seed % 2**31 or 1}", "+verilator+rand+reset+2"]
        if is_icarus:
            plusargs = [f"+dumpfile_path={waves}"] if waves else []
        settings = {
            "kind": run.simulator.kind,
            "sources": [str(source) for source in self.sources],
            "toplevel": self.toplevel,
            "build_dir": str(self.folder / "build"),
            "test_dir": str(self.folder),
            "build_args": [] if is_icarus else VERILATOR_FLAGS,
            "test_args": ["--trace-file", waves] if waves and not is_icarus else [],
            "plusargs": plusargs,
            "bench": self.bench,
            "test_module": self.test_module,
            "results": str(self.folder / "results.xml"),
            "seed": run.seed,
            "waves": bool(run.waves),
            "make_jobs": run.jobs,
            "runtime": self.runtime,
        }
        (self.folder / "job.json").write_text(json.dumps(settings))

    def execute(self, run: Run, what: str) -> int:
        """Run the worker; return its exit status. ``what`` names the designs in errors.

        Raises :class:`SimulationError` where the time limit has passed.
        """
        environment = run.simulator.child_environment()
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        command = [sys.executable, "-m", "nibblemac.sim.worker", str(self.folder / "job.json")]
        try:
            with (self.folder / "log.txt").open("wb") as log:
                return run_process(
                    command,
                    environment=environment,
                    log=log,
                    timeout=run.timeout,
                    cwd=self.folder,
                    cancel=run.cancel,
                )
        except TimeoutError as error:
            raise self.failed(
                what, f"did not end within {run.timeout:g} s and was stopped"
            ) from error

    def failed(self, what: str, how: str) -> SimulationError:
        """Return the error with the end of the log."""
        log = self.folder / "log.txt"
        with contextlib.suppress(OSError), log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - LOG_TAIL))
            tail = stream.read().decode(errors="replace").strip()
            return SimulationError(
                f"The simulation of {what} {how}. All of its log is in {log}; it ends with:\n"
                f"{tail or '(nothing)'}"
            )
        return SimulationError(f"The simulation of {what} {how}.")
