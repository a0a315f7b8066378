"""Verilator's runtime: compiled objects that all its models share, which take most of a build."""

import contextlib
import hashlib
import json
import re
import shutil
import sys
import tempfile
import warnings
from importlib import metadata
from pathlib import Path

from ..formats.errors import OutputError, UsageError
from ..formats.scratch import PREFIX, mark, sweep
from .child import VERILATOR_FLAGS, Job, Run

# Not verilator.o, the main program: it depends on the model's ports.
OBJECTS = "verilated*.o"
SUMS = "sums.json"
_EMPTY = """module nibblemac_runtime(input wire clk /* verilator public_flat_rw */);
endmodule
"""


class SimulationWarning(UserWarning):
    """Kept results of simulations that are damaged; they are made again."""


def runtime_folder(run: Run) -> str:
    """Return the folder of the run's objects, below its workdir, or nothing for Icarus."""
    if run.simulator.kind != "verilator":
        return ""
    facts = [run.simulator.path, run.simulator.version, VERILATOR_FLAGS, run.waves is not None]
    facts += [metadata.version("cocotb"), sys.executable, OBJECTS, SUMS]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
    return str(run.workdir.absolute() / f"runtime-{digest}")


def prepare_runtime(run: Run) -> None:
    """Compile the objects where they are missing, so that models built side by side need not.

    Damaged ones are told by a :class:`SimulationWarning` and compiled again. What killed processes
    left in the workdir is removed.

    Raises :class:`SimulationError` where Verilator or the C++ compiler fails on an empty module,
    :class:`OutputError` where the workdir cannot be written, and :class:`UsageError` where its
    path has white space.
    """
    sweep(run.workdir.glob(f"*{PREFIX}*"))
    folder = runtime_folder(run)
    if not folder:
        return
    if re.search(r"\s", folder):
        raise UsageError(
            f"The folder {run.workdir.absolute()} contains white space, which Verilator's "
            "makefiles cannot handle; choose another folder for the models."
        )
    if Path(folder).is_dir():
        fault = _fault(Path(folder))
        if not fault:
            return
        warnings.warn(
            SimulationWarning(
                f"Verilator's runtime in {folder} is damaged ({fault}); it is made again."
            ),
            stacklevel=2,
        )
    try:
        run.workdir.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f"runtime-{mark()}", dir=run.workdir)).absolute()
        source = work / "empty.v"
        source.write_text(_EMPTY)
        job = Job(
            folder=work,
            sources=[source],
            toplevel="nibblemac_runtime",
            bench="",
            wave_file="",
            runtime="",
        )
        job.write(run)
        if job.execute(run, "an empty module") != 0:
            raise job.failed("an empty module", "could not be built")
        ready = work / "objects"
        ready.mkdir()
        for item in (work / "build").glob(OBJECTS):
            item.rename(ready / item.name)
        (ready / SUMS).write_text(json.dumps(_sums(ready)))
        if Path(folder).is_dir() and _fault(Path(folder)):
            # Moved away in one step: another process may be at the same.
            Path(folder).rename(work / "damaged")
        with contextlib.suppress(OSError):
            # Another process may have been first; its objects are the same.
            ready.rename(folder)
    except OSError as error:
        raise OutputError(
            f"Verilator's runtime cannot be written to {run.workdir}: {error}."
        ) from error
    shutil.rmtree(work, ignore_errors=True)


def _sums(folder: Path) -> dict[str, str]:
    return {
        item.name: hashlib.sha256(item.read_bytes()).hexdigest()
        for item in sorted(folder.glob(OBJECTS))
    }


def _fault(folder: Path) -> str:
    """Return what is wrong with a folder of objects, or nothing."""
    try:
        wanted, found = json.loads((folder / SUMS).read_text()), _sums(folder)
    except (OSError, ValueError) as error:
        return str(error)
    if not isinstance(wanted, dict) or not wanted:
        return f"{SUMS} has no sums"
    wrong = [name for name in sorted({*wanted, *found}) if wanted.get(name) != found.get(name)]
    return f"{', '.join(wrong)} changed" if wrong else ""
