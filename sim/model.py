"""One simulation model with several designs: its files, its build, its run, and what came out."""

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..formats.errors import OutputError
from ..formats.scratch import mark
from .child import Job, Run
from .design import Design, describe_designs
from .modules import assemble
from .result import Failure, VerifyResult
from .runtime import runtime_folder
from .vectors import CLEAR, ENABLE, Vectors
from .worker import BUILD_FAILED
from .wrapper import TOP, plan_bundles, wrapper_verilog

KEPT_FAILURES = 5


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
        folder = Path(tempfile.mkdtemp(prefix=f"model-{mark()}", dir=run.workdir)).absolute()
        job = _write_files(folder, designs, dict(vectors), keys, run)
    except OSError as error:
        raise OutputError(
            f"The simulation's files cannot be written to {run.workdir}: {error}."
        ) from error
    what = describe_designs(designs)
    status = job.execute(run, what)
    report = _read_report(job, len(designs), status, what)
    seconds = (time.monotonic() - started) / len(designs)
    try:
        failures = [
            tuple(_failure(vectors[key], step, bits) for step, bits in verdict["first"])
            for key, verdict in zip(keys, report["verdicts"], strict=True)
        ]
        compared = [verdict["steps"] for verdict in report["verdicts"]]
        cocotb = str(report["cocotb"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise job.failed(what, "left malformed results") from error
    # Each accumulator value is compared, or it is no verdict.
    if compared != [len(vectors[key]) - vectors[key].latency + 1 for key in keys]:
        raise job.failed(what, "left results of other steps than it was given")
    results = [
        VerifyResult(
            format=design.spec.weight.name,
            activation=design.spec.activation.name,
            terms=design.spec.terms,
            architecture=design.architecture,
            level=design.level,
            cases=verdict["steps"],
            wrong=verdict["failures"],
            failures=first,
            error="",
            full_length=vectors[key].full_length,
            seconds=round(seconds, 3),
            simulator=run.simulator.name,
            cocotb=cocotb,
            seed=run.seed,
            waves=job.wave_file,
        )
        for design, key, verdict, first in zip(
            designs, keys, report["verdicts"], failures, strict=True
        )
    ]
    shutil.rmtree(folder, ignore_errors=True)
    return results


def _write_files(
    folder: Path,
    designs: Sequence[Design],
    vectors: dict[str, Vectors],
    keys: Sequence[str],
    run: Run,
) -> Job:
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
    wave_file = ""
    if run.waves is not None:
        run.waves.mkdir(parents=True, exist_ok=True)
        first = designs[0]
        suffix = "fst" if run.simulator.kind == "icarus" else "vcd"
        name = f"{first.top}-{first.architecture}-{first.level}.{suffix}"
        wave_file = str((run.waves / name).absolute())
    job = Job(
        folder=folder,
        sources=sources,
        toplevel=TOP,
        bench=str(folder / "bench.json"),
        wave_file=wave_file,
        runtime=runtime_folder(run),
    )
    job.write(run)
    return job


def _read_report(job: Job, count: int, status: int, what: str) -> Any:
    if status == BUILD_FAILED:
        raise job.failed(what, "could not be built")
    report = None
    with contextlib.suppress(OSError, ValueError, RecursionError):
        report = json.loads((job.folder / "report.json").read_text())
    tests = count_tests(job.folder / "results.xml")
    if status != 0:
        raise job.failed(what, f"broke off with exit status {status}")
    if report is None or tests is None:
        raise job.failed(what, "ended without results")
    try:
        report["verdicts"].sort(key=lambda verdict: verdict["design"])
        indices = [verdict["design"] for verdict in report["verdicts"]]
        is_clean = all(verdict["failures"] == 0 for verdict in report["verdicts"])
        if not all(type(verdict["failures"]) is int for verdict in report["verdicts"]):
            raise TypeError("failures are counted")  # noqa: TRY301 - said once, below
    except (KeyError, TypeError, AttributeError) as error:
        raise job.failed(what, "left malformed results") from error
    # The bench's own verdicts and cocotb's must agree, and there must be one for each design.
    if indices != list(range(count)) or tests != (1, 0 if is_clean else 1):
        raise job.failed(what, "left results that contradict each other")
    return report


def count_tests(path: Path) -> tuple[int, int] | None:
    """Return the number of tests and of failed ones in cocotb's results file."""
    try:
        suites = ElementTree.parse(path).getroot().iter("testsuite")  # noqa: S314 - our own file
        cases = [case for suite in suites for case in suite.iter("testcase")]
    except (OSError, ElementTree.ParseError):
        return None
    bad = sum(any(case.find(tag) is not None for tag in ("failure", "error")) for case in cases)
    return len(cases), bad


def _failure(vectors: Vectors, step: int, bits: str) -> Failure:
    if type(step) is not int or not 0 <= step < len(vectors) or not bits:
        raise ValueError(f"there is no step {step!r:.40}")
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
