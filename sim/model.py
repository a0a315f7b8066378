"""One simulation model with several designs: its files, its build, its run, and what came out."""

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..formats.errors import OutputError, SimulationError
from .design import Design, describe_designs
from .modules import assemble
from .process import run_process
from .result import Failure, VerifyResult
from .simulators import Simulator
from .vectors import CLEAR, ENABLE, Vectors
from .worker import BUILD_FAILED
from .wrapper import TOP, plan_bundles, wrapper_verilog

KEPT_FAILURES = 5
LOG_TAIL = 2000

# The C++ is compiled without optimisation: models live for seconds. Registers start with random
# values, since Verilator knows no X. Delays in cell models are of no interest.
VERILATOR_FLAGS = (
    "--no-public-flat-rw",
    "--no-timing",
    "--x-assign", "unique",
    "--x-initial", "unique",
    "--output-split", "10000",
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


def run_model(
    designs: Sequence[Design], vectors: Mapping[str, Vectors], keys: Sequence[str], run: Run
) -> list[VerifyResult]:
    """Simulate ``designs``, whose vectors are ``vectors[keys[i]]``, in one model.

    Its folder is removed on success. Raises :class:`SimulationError`, with the end of the log and
    the path of all of it, where the model cannot be built or run to its end, takes longer than the
    time limit, or leaves results that do not add up.
    """
    started = time.monotonic()
    try:
        run.workdir.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="model-", dir=run.workdir)).absolute()
        job = _write_files(folder, designs, dict(vectors), keys, run)
    except OSError as error:
        raise OutputError(
            f"The simulation's files cannot be written to {run.workdir}: {error}."
        ) from error
    status = _execute(folder, designs, run)
    report = _read_report(folder, designs, status)
    seconds = (time.monotonic() - started) / len(designs)
    results = [
        VerifyResult(
            format=design.spec.weight.name,
            activation=design.spec.activation.name,
            terms=design.spec.terms,
            architecture=design.architecture,
            level=design.level,
            cases=verdict["steps"],
            wrong=verdict["failures"],
            failures=tuple(_failure(vectors[key], step, bits) for step, bits in verdict["first"]),
            error="",
            full_length=vectors[key].full_length,
            seconds=round(seconds, 3),
            simulator=run.simulator.name,
            cocotb=report["cocotb"],
            seed=run.seed,
            waves=job["wave_file"],
        )
        for design, key, verdict in zip(designs, keys, report["verdicts"], strict=True)
    ]
    shutil.rmtree(folder, ignore_errors=True)
    return results


def _write_files(
    folder: Path,
    designs: Sequence[Design],
    vectors: dict[str, Vectors],
    keys: Sequence[str],
    run: Run,
) -> dict[str, Any]:
    assembly = assemble([(design.top, design.texts()) for design in designs])
    bundles = plan_bundles(keys, vectors)
    modules = [
        (top, design.spec.enable) for top, design in zip(assembly.tops, designs, strict=True)
    ]
    sources = []
    for unit, text in assembly.units.items():
        sources.append(folder / f"{unit}.v")
        sources[-1].write_text(text, encoding="utf-8")
    sources.append(folder / f"{TOP}.v")
    sources[-1].write_text(f"`resetall\n{wrapper_verilog(bundles, vectors, modules)}")
    for key in set(keys):
        vectors[key].write(folder / f"{key}.vectors")
    bench = {
        "report": str(folder / "report.json"),
        "keep": KEPT_FAILURES,
        "bundles": [
            [
                {"vectors": str(folder / f"{lane.key}.vectors"), "designs": lane.designs}
                for lane in bundle
            ]
            for bundle in bundles
        ],
    }
    (folder / "bench.json").write_text(json.dumps(bench))
    is_icarus = run.simulator.kind == "icarus"
    wave_file = ""
    if run.waves is not None:
        run.waves.mkdir(parents=True, exist_ok=True)
        first = designs[0]
        name = f"{first.top}-{first.architecture}-{first.level}"
        wave_file = str((run.waves / name).absolute()) + (".fst" if is_icarus else ".vcd")
    flags = [] if is_icarus else list(VERILATOR_FLAGS)
    run_flags = [f"+verilator+seed+{run.seed % 2**31 or 1}", "+verilator+rand+reset+2"]
    job = {
        "kind": run.simulator.kind,
        "sources": [str(source) for source in sources],
        "toplevel": TOP,
        "build_dir": str(folder / "build"),
        "test_dir": str(folder),
        "build_args": flags,
        "test_args": ["--trace-file", wave_file] if wave_file and not is_icarus else [],
        "plusargs": [f"+dumpfile_path={wave_file}"] * bool(wave_file) if is_icarus else run_flags,
        "bench": str(folder / "bench.json"),
        "results": str(folder / "results.xml"),
        "seed": run.seed,
        "waves": bool(wave_file),
        "wave_file": wave_file,
        "make_jobs": run.jobs,
        "runtime": "" if is_icarus else str(_runtime_folder(run, flags)),
    }
    (folder / "job.json").write_text(json.dumps(job))
    return job


def _runtime_folder(run: Run, flags: Sequence[str]) -> Path:
    simulator = run.simulator
    facts = [simulator.path, simulator.version, flags, run.waves is not None]
    facts += [metadata.version("cocotb"), sys.executable]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
    return run.workdir.absolute() / f"runtime-{digest}"


def _execute(folder: Path, designs: Sequence[Design], run: Run) -> int:
    environment = run.simulator.child_environment()
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "nibblemac.sim.worker", str(folder / "job.json")]
    log = folder / "log.txt"
    try:
        with log.open("wb") as stream:
            return run_process(
                command,
                environment=environment,
                log=stream,
                timeout=run.timeout,
                cwd=folder,
                cancel=run.cancel,
            )
    except TimeoutError as error:
        raise _failed(
            folder, designs, f"did not end within {run.timeout:g} s and was stopped"
        ) from error


def _read_report(folder: Path, designs: Sequence[Design], status: int) -> Any:
    if status == BUILD_FAILED:
        raise _failed(folder, designs, "could not be built")
    report = None
    with contextlib.suppress(OSError, ValueError):
        report = json.loads((folder / "report.json").read_text())
    tests = _count_tests(folder / "results.xml")
    if status != 0:
        raise _failed(folder, designs, f"broke off with exit status {status}")
    if report is None or tests is None:
        raise _failed(folder, designs, "ended without results")
    try:
        report["verdicts"].sort(key=lambda verdict: verdict["design"])
        indices = [verdict["design"] for verdict in report["verdicts"]]
        is_clean = all(verdict["failures"] == 0 for verdict in report["verdicts"])
    except (KeyError, TypeError, AttributeError) as error:
        raise _failed(folder, designs, "left malformed results") from error
    # The bench's own verdicts and cocotb's must agree, and there must be one for each design.
    if indices != list(range(len(designs))) or tests != (1, 0 if is_clean else 1):
        raise _failed(folder, designs, "left results that contradict each other")
    return report


def _count_tests(path: Path) -> tuple[int, int] | None:
    """Return the number of tests and of failed ones in cocotb's results file."""
    try:
        suites = ElementTree.parse(path).getroot().iter("testsuite")  # noqa: S314 - our own file
        cases = [case for suite in suites for case in suite.iter("testcase")]
    except (OSError, ElementTree.ParseError):
        return None
    bad = sum(any(case.find(tag) is not None for tag in ("failure", "error")) for case in cases)
    return len(cases), bad


def _failed(folder: Path, designs: Sequence[Design], what: str) -> SimulationError:
    log = folder / "log.txt"
    with contextlib.suppress(OSError), log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - LOG_TAIL))
        tail = stream.read().decode(errors="replace").strip()
        return SimulationError(
            f"The simulation of {describe_designs(designs)} {what}. All of its log is in {log}; "
            f"it ends with:\n{tail or '(nothing)'}"
        )
    return SimulationError(f"The simulation of {describe_designs(designs)} {what}.")


def _failure(vectors: Vectors, step: int, bits: str) -> Failure:
    source = vectors.source(step)
    got = bits
    if set(bits) <= {"0", "1"}:
        value = int(bits, 2)
        got = str(value - (1 << len(bits)) if bits[0] == "1" else value)
    return Failure(
        step=step,
        phase=vectors.phase(source),
        weight=vectors.weight[source],
        activation=vectors.activation[source],
        clear=bool(vectors.control[source] & CLEAR),
        enable=bool(vectors.control[step] & ENABLE),
        expected=vectors.expected[step],
        got=got,
    )
