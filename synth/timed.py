"""MACs that meet a clock period: the smallest of many mappings, sized until it is fast enough.

Every design is mapped by every timed recipe, once for all periods; each mapping is then sped up or
trimmed for the period (:mod:`.sizing`), and the smallest that meets it wins, or the fastest if
none does. What counts in the end is :func:`.delay.measure_delay`'s figure; where its engine is
slower than the tables that sizing works on, the sizing aims so much lower.
"""

import functools
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

from ..formats.errors import SynthesisError, UsageError
from ..formats.scratch import make_scratch
from .cache import Cache, Record, cache_key
from .cells import CellLibrary
from .delay import Delay, engine_name, measure_delay
from .delay_conditions import Conditions, Resolved
from .flow import FLOW_VERSION, Mapped, synthesise
from .netlist import Netlist
from .netlist_verilog import to_verilog
from .sizing import SIZING_VERSION, Sized, Sizer, resized
from .sweep import Design, Flow
from .timed_recipes import TIMED_RECIPES, TimedRecipe
from .yosys import prepare

#: A mapping that is slower than the period by more than this is not worth speeding up.
_REACH = 1.5
#: Trimming after a speed-up takes back at most about this share of the area.
_TRIM = 1.1
_ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """A mapped netlist to size: ``recipe`` says how it came about."""

    design: Design
    recipe: str
    mapped: Mapped

    @property
    def graph(self) -> Netlist:
        """The netlist's graph."""
        if self.mapped.graph is None:
            raise UsageError(f"The mapping of {self.mapped.top} has kept its hierarchy.")
        return self.mapped.graph


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedResult:
    """A MAC for a clock period. ``slack_ps`` is negative by how much it misses the period.

    ``mapped`` is the netlist that was measured, after sizing.
    """

    design: Design
    recipe: str
    period_ps: float
    area_um2: float
    delay: Delay
    mapped: Mapped

    @property
    def slack_ps(self) -> float:
        """The period less the delay."""
        return round(self.period_ps - self.delay.ps, 3)

    @property
    def met(self) -> bool:
        """Whether the MAC works at the period."""
        return self.delay.ps <= self.period_ps


def map_for_speed(
    flow: Flow,
    designs: Sequence[Design],
    recipes: Sequence[TimedRecipe] = TIMED_RECIPES,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[list[Start], list[SynthesisError]]:
    """Map every design by every recipe, from the cache where known; return also what failed."""
    jobs = [(design, recipe) for design in designs for recipe in recipes]
    prepared = {recipe: recipe.prepare(flow.library) for recipe in recipes}
    starts: list[Start] = []
    failures: list[SynthesisError] = []
    folder = make_scratch()

    def work(job: tuple[Design, TimedRecipe]) -> Mapped | SynthesisError:
        design, recipe = job
        key = mapping_key(flow, design, recipe)
        known = _known(flow.cache, key)
        if known is not None:
            return known
        try:
            mapped = synthesise(
                design.rtlil,
                design.top,
                prepared[recipe],
                recipe.recipe,
                flow.yosys,
                workdir=folder,
                timeout=flow.timeout,
            )
        except SynthesisError as error:
            return error
        flow.cache.put(key, mapped.to_json())
        return mapped

    pool = ThreadPoolExecutor(max_workers=flow.jobs)
    try:
        if any(_known(flow.cache, mapping_key(flow, *job)) is None for job in jobs):
            prepare(flow.yosys, folder)
        for number, (job, found) in enumerate(zip(jobs, pool.map(work, jobs), strict=True), 1):
            if isinstance(found, SynthesisError):
                failures.append(found)
            else:
                starts.append(Start(design=job[0], recipe=job[1].name, mapped=found))
            if progress is not None:
                progress(number, len(jobs), f"{job[0].top}, {job[1].name}")
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        if not failures:
            shutil.rmtree(folder, ignore_errors=True)
    return starts, failures


def meet_period(
    flow: Flow,
    starts: Sequence[Start],
    period_ps: float,
    *,
    conditions: Conditions | None = None,
    engine: str | None = None,
) -> TimedResult:
    """Return the smallest MAC that meets a period, or the fastest where none does.

    ``starts`` are mappings of one MAC, in any architectures, such as :func:`map_for_speed`'s and
    the smallest known. Raises :class:`UsageError` for a period that is no positive number or
    without any mapping, and as :func:`.delay.measure_delay` does.
    """
    if not 0 < period_ps < 1e9:
        raise UsageError(f"The clock period is {period_ps!r} ps; it must be a positive number.")
    if not starts:
        raise UsageError("No mapping was given, so none can meet a clock period.")
    resolved = (conditions or Conditions()).resolve(flow.library)
    name = engine_name(engine)
    target = period_ps
    best: TimedResult | None = None
    for _ in range(_ATTEMPTS):
        start, sized = _choose(flow, starts, resolved, target)
        found = _result(flow, start, sized, period_ps=period_ps, conditions=conditions, engine=name)
        if best is None or _rank(found) < _rank(best):
            best = found
        if found.met or sized.ps > target:
            break
        target = min(target, target * period_ps / found.delay.ps * 0.999)
    assert best is not None  # noqa: S101 - _ATTEMPTS is positive
    return best


def area_delay_curve(
    flow: Flow,
    starts: Sequence[Start],
    periods_ps: Iterable[float],
    *,
    conditions: Conditions | None = None,
    engine: str | None = None,
    executor: Executor | None = None,
) -> list[TimedResult]:
    """Return the non-dominated MACs for some periods, fastest first.

    ``executor`` may be any of :mod:`concurrent.futures`; by default one period comes after another.
    """
    periods = sorted(set(periods_ps))
    count = len(periods)
    run = map if executor is None else executor.map
    found = run(
        _meet, [flow] * count, [starts] * count, periods, [conditions] * count, [engine] * count
    )
    return non_dominated(list(found))


def _meet(
    flow: Flow,
    starts: Sequence[Start],
    period: float,
    conditions: Conditions | None,
    engine: str | None,
) -> TimedResult:
    return meet_period(flow, starts, period, conditions=conditions, engine=engine)


def non_dominated(results: Iterable[TimedResult]) -> list[TimedResult]:
    """Return the results that no other beats in both delay and area, fastest first."""
    kept: list[TimedResult] = []
    for one in sorted(results, key=lambda result: (result.delay.ps, result.area_um2)):
        if not kept or one.area_um2 < kept[-1].area_um2:
            kept.append(one)
    return kept


def _rank(result: TimedResult) -> tuple[bool, float]:
    return not result.met, result.area_um2 if result.met else result.delay.ps


def _choose(
    flow: Flow, starts: Sequence[Start], conditions: Resolved, target: float
) -> tuple[Start, Sized]:
    """Return the smallest start that sizing brings to the target, or the fastest."""
    library = flow.library
    timed = []
    for number, start in enumerate(starts):
        ps = Sizer(start.graph, library, conditions).ps
        # Whatever meets the target as it is bounds the area of what must be sped up first.
        timed.append((ps > target, start.mapped.area_um2 if ps <= target else ps, number))
    best: tuple[bool, float, int] | None = None
    chosen: tuple[Start, Sized] | None = None
    for late, ps, number in sorted(timed):
        if late and best is not None and ps > target * _REACH:
            break
        bound = best[1] * _TRIM if best is not None and not best[0] else float("inf")
        sized = size(
            starts[number].graph, library, conditions, target, cache=flow.cache, bound=bound
        )
        if sized is None:
            continue
        rank = sized.ps > target, sized.ps if sized.ps > target else sized.area, number
        if best is None or rank < best:
            best, chosen = rank, (starts[number], sized)
    assert chosen is not None  # noqa: S101 - the first start has no bound
    return chosen


def size(
    netlist: Netlist,
    library: CellLibrary,
    conditions: Resolved,
    target: float,
    *,
    cache: Cache | None = None,
    bound: float = float("inf"),
) -> Sized | None:
    """Return a netlist's cells for a target (ps), as small as sizing gets them.

    None where the area exceeds ``bound`` (µm²) on the way. Results are kept in ``cache``.
    """
    key = cache_key(
        {
            "what": "sizing",
            "version": SIZING_VERSION,
            "netlist": netlist.to_json(),
            "library": library.digest,
            "conditions": conditions.to_json(),
            "target": target,
        }
    )
    known = None if cache is None else cache.read(key, functools.partial(_sized, netlist))
    if known is not None:
        return known
    sizer = Sizer(netlist, library, conditions)
    for state in sizer.speed_up(target):
        if state.area > bound:
            return None
    sized = sizer.recover(target)
    if cache is not None:
        cache.put(key, asdict(sized))
    return sized


def _sized(netlist: Netlist, record: Record) -> Sized:
    """Return a cached choice of cells for a netlist; raises KeyError, TypeError or ValueError."""
    cells, area, ps = record["cells"], record["area"], record["ps"]
    if not isinstance(cells, list) or len(cells) != len(netlist.instances):
        raise ValueError("its cells are not the netlist's")
    if not all(isinstance(cell, str) for cell in cells):
        raise TypeError("a cell has no name")
    if type(area) is not float or type(ps) is not float:
        raise TypeError("its figures are no numbers")
    return Sized(cells=tuple(cells), area=area, ps=ps)


def _result(
    flow: Flow,
    start: Start,
    sized: Sized,
    *,
    period_ps: float,
    conditions: Conditions | None,
    engine: str,
) -> TimedResult:
    graph = resized(start.graph, sized.cells)
    delay = measure_delay(graph, flow.library, conditions, engine)
    mapped = with_cells(start.mapped, graph, flow.library)
    return TimedResult(
        design=start.design,
        recipe=start.recipe,
        period_ps=period_ps,
        area_um2=mapped.area_um2,
        delay=delay,
        mapped=mapped,
    )


def with_cells(mapped: Mapped, graph: Netlist, library: CellLibrary) -> Mapped:
    """Return a mapping whose netlist was changed after Yosys: Verilog, counts and areas anew."""
    cells = Counter(one.cell for one in graph.instances)
    area = sum(n * library.cell(name).area for name, n in sorted(cells.items()))
    sequential = sum(library.cell(one.cell).area for one in graph.flip_flops(library))
    return replace(
        mapped,
        area_um2=round(area, 6),
        sequential_um2=round(sequential, 6),
        modules={mapped.top: round(area, 6)},
        cells=dict(sorted(cells.items())),
        netlist=to_verilog(graph),
        graph=graph,
    )


def mapping_key(flow: Flow, design: Design, recipe: TimedRecipe) -> str:
    """Return the cache key of a design's mapping by a timed recipe."""
    return cache_key(
        {
            "what": "timed mapping",
            "flow": FLOW_VERSION,
            "design": design.digest,
            "top": design.top,
            "library": flow.library.digest,
            "recipe": recipe.digest(flow.library),
            "tools": flow.yosys.tools,
        }
    )


def _known(cache: Cache, key: str) -> Mapped | None:
    return cache.read(key, Mapped.from_json)
