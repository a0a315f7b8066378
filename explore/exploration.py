"""Explore architecture × recipe × effort × code order × grid × clock period for some formats.

All work runs as jobs on one executor and is kept in the cache, so that an exploration that was
interrupted goes on where it was, and gives the same designs wherever it runs. Only what an earlier
one left in the store can be added to them.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..formats.errors import SynthesisError, VerificationError
from ..synth.area import SearchSetup
from ..synth.cells import CellLibrary
from ..synth.finish import check_sums
from ..synth.flow import Mapped
from ..synth.measure import MeasureSetup, measure
from ..synth.measured import Measured
from ..synth.store import Store
from ..synth.sweep import Flow
from .design import Design
from .explored import Explored
from .lookup_error import version_errors
from .objective import mark
from .request import Request
from .sources import Progress, Sources
from .space import is_lookup, places, start_of_orders
from .storing import offer_best

if TYPE_CHECKING:
    from ..formats.mac import MacSpec


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """What came of it: records and netlists in the same order, and what went wrong or is missing.

    ``conditions`` say under what was measured. ``late`` says that the time limit ended it.
    """

    request: Request
    library: CellLibrary
    tools: Mapping[str, str]
    effort: str
    seed: int
    designs: Sequence[Explored]
    mapped: Sequence[Mapped]
    conditions: Mapping[str, str]
    failures: Sequence[str]
    late: bool


def explore(
    request: Request,
    *,
    flow: Flow,
    search: SearchSetup,
    executor: Executor,
    store: Store | None = None,
    setup: MeasureSetup | None = None,
    progress: Progress | None = None,
) -> Exploration:
    """Explore with a library, tools, an executor, an effort, and what a store knows already.

    ``progress`` is called with what is being done, how much of it is done, how much there is, and
    a name. What cannot be mapped, found or measured is told in the result. Raises
    :class:`UsageError` and :class:`FormatError` for tops and orders that a format does not have,
    :class:`ArchitectureError` for a format that no architecture serves, :class:`LibraryError`
    where periods are asked of a library without timing, and :class:`SynthesisError` where nothing
    at all could be made.
    """
    setup = setup or MeasureSetup()
    if request.periods_ps:
        setup.conditions.resolve(flow.library)
    wanted = list(places(request.specs, request.tops))
    if request.orders:
        for place in wanted:
            start_of_orders(place)
    sources = Sources(flow=flow, search=search, executor=executor, setup=setup, progress=progress)
    designs = sources.mapped(request, wanted)
    if request.orders:
        more, orders = sources.ordered(request, wanted, designs)
        designs += [*orders, *sources.mapped(request, more)]
        wanted += more
    known = [] if store is None else sources.stored(store, wanted)
    designs += [*sources.searched(request, wanted, known), *known]
    if request.periods_ps:
        designs += sources.timed(request, wanted, designs)
    measured = _measured(_distinct(designs), sources)
    if not measured:
        raise SynthesisError(" ".join(sources.failures) or "No design could be made.")
    if store is not None:
        offer_best(store, flow.library, measured)
    return Exploration(
        request=request,
        library=flow.library,
        tools=flow.yosys.tools,
        effort=search.effort.name,
        seed=search.seed,
        designs=mark(_records(measured, flow), request.objective),
        mapped=[one.mapped for one, _ in measured],
        conditions=next((m.conditions for _, m in measured if m.conditions), {}),
        failures=tuple(dict.fromkeys(sources.failures)),
        late=search.late.is_set(),
    )


def _measured(designs: Sequence[Design], sources: Sources) -> list[tuple[Design, Measured]]:
    """Measure, and leave out what computes other sums than the reference."""
    tell = sources.tell("delay and power", len(designs))
    library, cache = sources.flow.library, sources.flow.cache
    found = []
    for one in designs:
        try:
            check_sums(one.graph, library, one.spec)
            found.append((one, measure(one.graph, library, one.spec, cache, sources.setup)))
        except (SynthesisError, VerificationError) as error:
            sources.failures.append(str(error))
        tell(one)
    return found


def _records(measured: Sequence[tuple[Design, Measured]], flow: Flow) -> list[Explored]:
    lookups = {one.place for one, _ in measured if is_lookup(one.place.asked)}
    ordered = sorted(lookups, key=lambda place: place.format.name)
    found = version_errors([(one.format, one.real) for one in ordered], flow.cache)
    errors = dict(zip(ordered, found, strict=True))
    return [one.explored(flow.library, each, errors.get(one.place)) for one, each in measured]


def _distinct(designs: Sequence[Design]) -> list[Design]:
    """Return the designs without those that came about twice."""
    found: dict[tuple[MacSpec, str, float | None], Design] = {}
    for one in designs:
        found.setdefault((one.spec, one.digest, one.period_ps), one)
    return list(found.values())
