"""Measure the smallest MACs on a library, effort by effort, and simulate every netlist."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace

from ..formats.mac import MacSpec
from ..rtl.architectures import ARCHITECTURES
from ..sim.result import VerifyResult
from ..sim.simulators import Simulator
from ..synth.area import Candidate, SearchSetup, Survey, survey
from ..synth.effort import Effort
from ..synth.kernel import engine
from ..synth.recipes import BEST, find_recipe, find_recipes
from ..synth.result import AreaResult
from ..synth.sweep import Flow
from .sizes import BASELINE, Size
from .verification import netlist_designs, verify_designs

Progress = Callable[[str, int, int, str], None]
Bars = Callable[[], AbstractContextManager[Progress]]


@dataclass(frozen=True, kw_only=True, slots=True)
class SizeSurvey:
    """The sizes on one library, and in sentences what failed; ``verdicts`` are in their order.

    Without a simulator there are no verdicts. ``missing`` names what has no size at all.
    """

    sizes: Sequence[Size]
    verdicts: Sequence[VerifyResult] = ()
    missing: Sequence[str] = ()
    failures: Sequence[str] = ()


@contextmanager
def _no_bars() -> Iterator[Progress]:
    yield lambda _step, _done, _total, _item: None


@dataclass(kw_only=True, slots=True)
class _Gathered:
    sizes: list[Size] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def survey_sizes(
    flow: Flow,
    specs: Sequence[MacSpec],
    efforts: Sequence[Effort],
    search_for: Callable[[Effort], AbstractContextManager[SearchSetup]],
    *,
    simulator: Simulator | None,
    bars: Bars = _no_bars,
) -> SizeSurvey:
    """Return the smallest MAC of each format by Yosys's default script and by each effort.

    ``search_for`` gives each effort's search while it runs; an effort that searches takes nothing
    from the recipes, as no effort does from another. Without a ``simulator`` nothing is verified.
    ``bars`` gives, for each effort and for the simulation while it runs, what is called with the
    step's name, what is done, of how much, and the last one's name.
    What fails, and what the testbench finds wrong, is reported in the result and stops nothing.
    """
    gathered = _Gathered()
    recipe = find_recipe(BASELINE)
    with bars() as progress:
        named = _step(progress, flow, "default Yosys")
        found = survey(flow, specs, tuple(ARCHITECTURES), (recipe,), progress=named)
    _gather(gathered, flow, specs, found, BASELINE, seed=0)
    for effort in efforts:
        recipes = () if effort.searched else find_recipes(BEST)
        with search_for(effort) as search, bars() as progress:
            named = _step(progress, flow, effort.name)
            found = survey(
                flow, specs, tuple(ARCHITECTURES), recipes, search=search, progress=named
            )
        _gather(gathered, flow, specs, found, effort.name, seed=search.seed)
    sizes, verdicts = gathered.sizes, list[VerifyResult]()
    if simulator is not None:
        verdicts = _simulated(gathered.candidates, flow, simulator, bars)
        sizes = [
            replace(size, verified=verdict.passed, cases=verdict.cases)
            for size, verdict in zip(sizes, verdicts, strict=True)
        ]
    return SizeSurvey(
        sizes=sizes, verdicts=verdicts, missing=gathered.missing, failures=gathered.failures
    )


def _step(progress: Progress, flow: Flow, name: str) -> Progress:
    return lambda step, done, total, item: progress(
        f"{flow.library.name}, {name}: {step}", done, total, item
    )


def _gather(
    gathered: _Gathered,
    flow: Flow,
    specs: Sequence[MacSpec],
    found: Survey,
    effort: str,
    *,
    seed: int,
) -> None:
    seconds: dict[MacSpec, float] = {}
    for one in found.candidates:
        spec = one.task.design.spec
        seconds[spec] = seconds.get(spec, 0.0) + (one.seconds or one.mapped.seconds)
    for one, result in zip(found.chosen, found.results, strict=True):
        gathered.candidates.append(one)
        gathered.sizes.append(_size(result, effort, seed, seconds[one.task.design.spec]))
    chosen = {one.task.design.spec for one in found.chosen}
    gathered.missing += [
        f"{spec.weight.name} ({flow.library.name}, {effort})"
        for spec in specs
        if spec not in chosen
    ]
    gathered.failures += [str(failure.error) for failure in found.failures]


def _size(result: AreaResult, effort: str, seed: int, seconds: float) -> Size:
    return Size(
        format=result.format,
        library=result.library,
        effort=effort,
        terms=result.terms,
        accumulator_bits=result.accumulator_bits,
        area_um2=result.area_um2,
        area_ge=result.area_ge,
        architecture=result.architecture,
        recipe=result.recipe,
        seed=seed,
        seconds=round(seconds, 3),
        tools=", ".join(f"{name} {version}" for name, version in sorted(result.tools.items())),
        engine=engine(),
        library_digest=result.library_digest,
        netlist=result.netlist,
        verified=None,
        cases=0,
    )


def _simulated(
    candidates: Sequence[Candidate], flow: Flow, simulator: Simulator, bars: Bars
) -> list[VerifyResult]:
    designs = netlist_designs(candidates, flow.library)
    done = 0
    with bars() as progress:

        def count(result: VerifyResult) -> None:
            nonlocal done
            done += 1
            progress(f"{flow.library.name}: simulation", done, len(designs), result.name)

        return verify_designs(
            designs, flow.cache, simulator=simulator, jobs=flow.jobs, progress=count
        )
