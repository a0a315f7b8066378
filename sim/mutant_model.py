"""One simulation model with all mutants of a design: its files, its run, each mutant's fate."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..formats.errors import OutputError, VerificationError
from ..formats.scratch import mark
from .child import Job, Run
from .model import count_tests
from .modules import assemble, escaped
from .mutants import SELECT, MutatedDesign
from .runtime import runtime_folder
from .vectors import Vectors
from .worker import BUILD_FAILED
from .wrapper import TOP

_PUBLIC = "/* verilator public_flat_rw */"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fates:
    """What the testbench saw: by mutant, from 1 on, the step of its first difference or None.

    ``steps`` accumulator values are compared where there is none.
    """

    killed_at: tuple[int | None, ...]
    steps: int
    cocotb: str


def run_mutants(design: MutatedDesign, vectors: Vectors, run: Run) -> Fates:
    """Simulate every mutant with ``vectors``, the test vectors of the design's MAC.

    Raises :class:`VerificationError` where the design differs without a fault, and
    :class:`SimulationError` where the model cannot be built or run to its end, takes longer than
    the time limit, or leaves results that do not add up.
    """
    try:
        run.workdir.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"mutant-model-{mark()}", dir=run.workdir)).absolute()
        job = _write_files(folder, design, vectors, run)
    except OSError as error:
        raise OutputError(
            f"The simulation's files cannot be written to {run.workdir}: {error}."
        ) from error
    what = f"the mutants of {design.name}"
    status = job.execute(run, what)
    fates = _read_report(job, design, vectors, status, what)
    shutil.rmtree(folder, ignore_errors=True)
    return fates


def mutants_wrapper(module: str, design: MutatedDesign, vectors: Vectors) -> str:
    """Return the top module, with the ports and the timing of :func:`.wrapper.wrapper_verilog`.

    ``stimulus`` has, above a step's inputs, the number of the mutant.
    """
    activation = vectors.weight_bits
    clear = vectors.stimulus_bits - 1
    top = vectors.stimulus_bits + design.select_bits - 1
    pins = [
        ".clk(clk)",
        f".weight(held[{activation - 1}:0])",
        f".activation(held[{clear - 2}:{activation}])",
        f".clear(held[{clear}])",
        *([f".enable(held[{clear - 1}])"] if design.spec.enable else []),
        f".{SELECT}(held[{top}:{clear + 1}])",
        ".accumulator(response)",
    ]
    return "\n".join(
        [
            "`resetall",
            f"module {TOP} (",
            f"    input wire clk {_PUBLIC},",
            f"    input wire [{top}:0] stimulus {_PUBLIC},",
            f"    output wire [{vectors.accumulator_bits - 1}:0] response {_PUBLIC});",
            f"    reg [{top}:0] held;",
            "    always @(negedge clk) held <= stimulus;",
            f"    {escaped(module)} mutants ({', '.join(pins)});",
            "endmodule",
            "",
        ]
    )


def _write_files(folder: Path, design: MutatedDesign, vectors: Vectors, run: Run) -> Job:
    assembly = assemble([(design.top, (design.verilog,))])
    texts = {**assembly.units, TOP: mutants_wrapper(assembly.tops[0], design, vectors)}
    sources = []
    for unit, text in texts.items():
        sources.append(folder / f"{unit}.v")
        sources[-1].write_text(text, encoding="utf-8")
    vectors.write(folder / "mutants.vectors")
    bench = {
        "report": str(folder / "report.json"),
        "vectors": str(folder / "mutants.vectors"),
        "mutants": len(design.mutants),
    }
    (folder / "bench.json").write_text(json.dumps(bench))
    job = Job(
        folder=folder,
        sources=sources,
        toplevel=TOP,
        bench=str(folder / "bench.json"),
        wave_file="",
        runtime=runtime_folder(run),
        test_module="nibblemac.sim.bench_mutants",
    )
    job.write(run)
    return job


def _read_report(
    job: Job, design: MutatedDesign, vectors: Vectors, status: int, what: str
) -> Fates:
    if status == BUILD_FAILED:
        raise job.failed(what, "could not be built")
    if status != 0:
        raise job.failed(what, f"broke off with exit status {status}")
    try:
        report = json.loads((job.folder / "report.json").read_text())
    except (OSError, ValueError) as error:
        raise job.failed(what, "ended without results") from error
    try:
        numbers = [int(number) for number, _, _ in report["verdicts"]]
        steps = [step if step is None else int(step) for _, step, _ in report["verdicts"]]
        compared, cocotb = int(report["steps"]), str(report["cocotb"])
    except (KeyError, TypeError, ValueError) as error:
        raise job.failed(what, "left malformed results") from error
    tests = count_tests(job.folder / "results.xml")
    if numbers[:1] == [0] and steps[0] is not None and tests == (1, 1):
        raise VerificationError(
            f"{design.name} differs from the reference without any fault, at step {steps[0]} of "
            "the test vectors; its mutants say nothing. See what is wrong with nibblemac verify."
        )
    # The bench's own verdicts and cocotb's must agree, and there must be one for each mutant.
    if (
        numbers != list(range(len(design.mutants) + 1))
        or tests != (1, 0)
        or any(step is not None and not 0 <= step < len(vectors) for step in steps)
    ):
        raise job.failed(what, "left results that contradict each other")
    return Fates(killed_at=tuple(steps[1:]), steps=compared, cocotb=cocotb)
