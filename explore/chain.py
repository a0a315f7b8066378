"""The whole chain: formats to Verilog, to area, to bit-exact simulation, to the report's data."""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ..formats.block_format import own_mac
from ..formats.record import Format
from ..rtl.architectures import ARCHITECTURES
from ..rtl.package import write_package
from ..sim.result import VerifyResult
from ..sim.simulators import Simulator
from ..synth.area import Candidate, SearchSetup, smallest, survey
from ..synth.measure import MeasureSetup
from ..synth.recipes import Recipe
from ..synth.sweep import Flow
from .candidates import CandidateArea
from .netlists import write_netlists
from .proving import proofs_of, prove_candidates, with_proofs
from .report import DesignFailure, ReportData, write_report
from .verification import netlist_designs, rtl_designs, verify_designs

Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """What came of the chain: the report's data, and the designs whose areas it shows."""

    data: ReportData
    smallest: Sequence[Candidate]

    @property
    def succeeded(self) -> bool:
        """Whether every design was synthesised, verified and proven."""
        checked = all(one.passed for one in self.data.verifications)
        return not self.data.failures and checked and all(p.proven for p in self.data.proofs)


def run_chain(
    formats: Sequence[Format],
    flow: Flow,
    recipes: Sequence[Recipe],
    *,
    search: SearchSetup | None = None,
    simulator: Simulator | None,
    setup: MeasureSetup | None = None,
    prove: bool = True,
    progress: Progress | None = None,
) -> Chain:
    """Synthesise each format in every architecture that serves it, and verify both levels.

    With a ``search`` its designs are candidates beside the recipes'.
    Without a ``simulator`` nothing is verified, without ``prove`` nothing is proven, and the report
    says so. ``setup`` is what delay and
    power are measured under. ``progress`` is called
    with the step's name, how much is done, of how much, and the last item's name.
    """

    def step(name: str) -> Callable[[int, int, str], None]:
        def update(done: int, total: int, item: str) -> None:
            if progress is not None:
                progress(name, done, total, item)

        return update

    specs = [own_mac(item) for item in formats]
    found = survey(
        flow,
        specs,
        tuple(ARCHITECTURES),
        recipes,
        search=search,
        setup=setup,
        progress=progress,
    )
    best = smallest(found.candidates, each_architecture=True)
    verifications: list[VerifyResult] = []
    results, proofs = list(found.results), []
    if prove:
        proved = prove_candidates(best, flow, progress=step("proof"))
        proofs = proofs_of(proved)
        by_candidate = {id(one.candidate): one for one in proved}
        results = with_proofs(results, [by_candidate[id(one)] for one in found.chosen])
    if simulator is not None:
        verifications = _verified(best, flow, simulator, step("simulation"))
    data = ReportData(
        areas=tuple(results),
        candidates=tuple(CandidateArea.of(one) for one in found.candidates),
        formats=tuple(formats),
        verifications=tuple(verifications),
        proofs=tuple(proofs),
        failures=tuple(
            DesignFailure(
                format=failure.task.design.spec.weight.name,
                architecture=failure.task.design.architecture,
                recipe=failure.task.recipe.name,
                message=str(failure.error),
            )
            for failure in found.failures
        ),
        machine=describe_machine(),
        version=version("nibblemac"),
    )
    return Chain(data=data, smallest=found.chosen)


def _verified(
    chosen: Sequence[Candidate],
    flow: Flow,
    simulator: Simulator,
    progress: Callable[[int, int, str], None],
) -> list[VerifyResult]:
    pairs = [(one.task.design.spec, one.task.design.architecture) for one in chosen]
    designs = [*rtl_designs(pairs, flow.cache), *netlist_designs(chosen, flow.library)]
    done = 0

    def count(result: VerifyResult) -> None:
        nonlocal done
        done += 1
        progress(done, len(designs), result.name)

    return verify_designs(designs, flow.cache, simulator=simulator, jobs=flow.jobs, progress=count)


def write_chain(chain: Chain, flow: Flow, directory: Path) -> Path:
    """Write the report, and the smallest designs' Verilog and netlists; return the page's path.

    Raises :class:`OutputError` where the folder cannot be written.
    """
    designs = [(c.task.design.spec, c.task.design.architecture) for c in chain.smallest]
    page = write_report(chain.data, directory)
    write_package(designs, directory / "verilog")
    write_netlists(chain.smallest, flow.library, directory / "netlists")
    return page


def describe_machine() -> dict[str, str]:
    """Return what the machine is: processor, cores, system, Python."""
    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return {
        "processor": processor,
        "cores": str(len(os.sched_getaffinity(0))),
        "system": platform.platform(terse=True),
        "Python": platform.python_version(),
    }
