"""Mapping and timing on any executor, kept in the same places as :class:`.sweep.Flow` keeps them.

Results are those of :meth:`.sweep.Flow.run`, :func:`.timed.map_for_speed` and
:func:`.timed.meet_period`; only who runs them differs.
"""

import functools
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from ..formats.errors import NibblemacError
from ..formats.scratch import make_scratch
from .cache import Cache, Record, cache_key
from .cells import CellLibrary
from .delay import Delay, engine_name
from .delay_conditions import Conditions
from .flow import FlowLibrary, Mapped, synthesise
from .jobs import Failed, Job, run_jobs
from .opensta import find_opensta
from .recipes import Recipe
from .sizing import SIZING_VERSION
from .static_timing import TABLES
from .sweep import Design, Flow, Task
from .timed import Start, TimedResult, mapping_key, meet_period
from .timed_recipes import TimedRecipe
from .yosys import Yosys

Progress = Callable[[int], None]
_PREPARED: dict[str, FlowLibrary] = {}


@dataclass(frozen=True, kw_only=True)
class _KnownJob(Job):
    """A job whose result has a place in the cache already."""

    place: str

    @property
    def key(self) -> str:
        """The cache key."""
        return self.place


def map_tasks(
    flow: Flow,
    tasks: Sequence[Task],
    executor: Executor,
    progress: Progress | None = None,
    late: threading.Event | None = None,
) -> list[Mapped | NibblemacError | None]:
    """Return each task's mapping, why there is none, or None where ``late`` came first."""
    jobs = [
        _KnownJob(
            function=_map,
            arguments=(
                one.design.rtlil,
                one.design.top,
                flow.library,
                one.recipe,
                flow.yosys,
                one.split,
            ),
            facts={},
            check=Mapped.from_json,
            place=flow.key(one),
        )
        for one in tasks
    ]
    return [_mapped(one) for one in run_jobs(jobs, executor, flow.cache, progress, late)]


def map_starts(
    flow: Flow,
    designs: Sequence[Design],
    recipes: Sequence[TimedRecipe],
    executor: Executor,
    *,
    progress: Progress | None = None,
    late: threading.Event | None = None,
) -> tuple[list[Start], list[NibblemacError]]:
    """Map every design by every timed recipe; return also what failed."""
    pairs = [(design, recipe) for design in designs for recipe in recipes]
    jobs = [
        _KnownJob(
            function=_map_timed,
            arguments=(design.rtlil, design.top, flow.library, recipe, flow.yosys),
            facts={},
            check=Mapped.from_json,
            place=mapping_key(flow, design, recipe),
        )
        for design, recipe in pairs
    ]
    starts: list[Start] = []
    failures: list[NibblemacError] = []
    for (design, recipe), found in zip(
        pairs, run_jobs(jobs, executor, flow.cache, progress, late), strict=True
    ):
        mapped = _mapped(found)
        if isinstance(mapped, Mapped):
            starts.append(Start(design=design, recipe=recipe.name, mapped=mapped))
        elif mapped is not None:
            failures.append(mapped)
    return starts, failures


def meet_periods(
    flow: Flow,
    cases: Sequence[tuple[Sequence[Start], float]],
    executor: Executor,
    *,
    conditions: Conditions,
    engine: str | None = None,
    progress: Progress | None = None,
    late: threading.Event | None = None,
) -> list[TimedResult | NibblemacError | None]:
    """Return for each case, starts and a period (ps), the smallest MAC that meets the period.

    Or the fastest; or why there is none; or None where ``late`` came first.
    """
    name = engine_name(engine)
    tool = find_opensta() if name == "opensta" else None
    method = TABLES if tool is None else tool.method
    jobs = [
        Job(
            function=_meet,
            arguments=(flow.library, flow.yosys, tuple(starts), period, conditions, name),
            facts={
                "what": "clock period",
                "version": SIZING_VERSION,
                "starts": [[start.recipe, start.graph.to_json()] for start in starts],
                "library": flow.library.digest,
                "conditions": conditions.resolve(flow.library).to_json(),
                "method": method,
                "period": period,
            },
            check=functools.partial(_timed, starts, period),
        )
        for starts, period in cases
    ]
    found: list[TimedResult | NibblemacError | None] = []
    outcomes = run_jobs(jobs, executor, flow.cache, progress, late)
    for (starts, period), outcome in zip(cases, outcomes, strict=True):
        if isinstance(outcome, Failed):
            found.append(outcome.error)
        elif outcome is None:
            found.append(None)
        else:
            found.append(_timed(starts, period, outcome))
    return found


def _timed(starts: Sequence[Start], period: float, record: Record) -> TimedResult:
    """Return a result's record as such; raises KeyError, TypeError or ValueError."""
    number, mapped = record["start"], record["mapped"]
    if type(number) is not int or not 0 <= number < len(starts) or not isinstance(mapped, dict):
        raise TypeError("it is no result")
    start, found = starts[number], Mapped.from_json(mapped)
    return TimedResult(
        design=start.design,
        recipe=start.recipe,
        period_ps=period,
        area_um2=found.area_um2,
        delay=Delay.from_json(record["delay"]),
        mapped=found,
    )


def _mapped(outcome: Record | Failed | None) -> Mapped | NibblemacError | None:
    if isinstance(outcome, Failed):
        return outcome.error
    return None if outcome is None else Mapped.from_json(outcome)


def _run(
    rtlil: str, top: str, prepared: FlowLibrary, recipe: Recipe, yosys: Yosys, *, split: bool
) -> Record:
    folder = make_scratch()
    record = synthesise(rtlil, top, prepared, recipe, yosys, workdir=folder, split=split).to_json()
    # Where it fails, the error names what it leaves here.
    shutil.rmtree(folder, ignore_errors=True)
    return record


def _map(  # noqa: PLR0917 - a job's arguments
    rtlil: str, top: str, library: CellLibrary, recipe: Recipe, yosys: Yosys, split: bool
) -> Record:
    key = library.digest
    if key not in _PREPARED:
        _PREPARED[key] = FlowLibrary.of(library)
    return _run(rtlil, top, _PREPARED[key], recipe, yosys, split=split)


def _map_timed(
    rtlil: str, top: str, library: CellLibrary, recipe: TimedRecipe, yosys: Yosys
) -> Record:
    key = cache_key([library.digest, recipe.name])
    if key not in _PREPARED:
        _PREPARED[key] = recipe.prepare(library)
    return _run(rtlil, top, _PREPARED[key], recipe.recipe, yosys, split=False)


def _meet(  # noqa: PLR0917 - a job's arguments
    library: CellLibrary,
    yosys: Yosys,
    starts: tuple[Start, ...],
    period: float,
    conditions: Conditions,
    engine: str,
) -> Record:
    # The worker's own cache, which on another machine is another one, keeps sized netlists.
    flow = Flow(library=library, yosys=yosys, cache=Cache())
    found = meet_period(flow, starts, period, conditions=conditions, engine=engine)
    numbers = [
        index
        for index, one in enumerate(starts)
        if one.recipe == found.recipe and one.design == found.design
    ]
    return {
        "start": numbers[0],
        "mapped": found.mapped.to_json(),
        "delay": found.delay.to_json(),
    }
