"""The area of formats' MACs: of several architectures and recipes the smallest, split in two."""

import hashlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from ..formats.errors import ArchitectureError, SynthesisError, VerificationError
from ..formats.mac import MacSpec
from ..rtl.architectures import refusal
from .effort import QUICK, Effort, reaches
from .flow import Mapped
from .jobs import processes
from .kernel import engine
from .measure import MeasureSetup, measure
from .recipes import Recipe
from .result import AreaResult
from .search import Found, Search
from .split import split_areas
from .store import Store
from .stored import Provenance, Stored, area_of, plain
from .sweep import Flow, Task, make_design

#: The recipe's name of a design that a search found.
SEARCHED = Recipe(
    name="search",
    description="annealed product block, full adders and toggle chain, annealed windows",
    passes=(),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One architecture and recipe of a MAC, mapped, or found by a search of some effort."""

    task: Task
    mapped: Mapped
    effort: str = QUICK.name
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """One architecture and recipe of a MAC that could not be mapped, and why."""

    task: Task
    error: SynthesisError


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What came of measuring MACs.

    ``chosen`` holds the smallest candidate of each MAC that has one, in the order asked for, and
    ``results`` their records in the same order; ``candidates`` holds every mapped architecture and
    recipe, and ``failures`` what went wrong, if anything did.
    """

    chosen: Sequence[Candidate]
    results: Sequence[AreaResult]
    candidates: Sequence[Candidate]
    failures: Sequence[Failure]


def serving_architectures(spec: MacSpec, architectures: Sequence[str]) -> list[str]:
    """Return those of the architectures that can serve a MAC.

    Raises ArchitectureError, with each one's reason, where none can.
    """
    found = [name for name in architectures if refusal(spec, name) is None]
    if not found:
        raise ArchitectureError(
            " ".join(reason for name in architectures if (reason := refusal(spec, name)))
        )
    return found


def plan(
    specs: Sequence[MacSpec], architectures: Sequence[str], recipes: Sequence[Recipe]
) -> list[Task]:
    """Return a task for each MAC, architecture that can serve it, and recipe.

    Raises ArchitectureError, with the reason, for a MAC that none of the architectures can serve.
    """
    tasks = []
    for spec in specs:
        names = serving_architectures(spec, architectures)
        designs = [make_design(spec, name) for name in names]
        tasks += [Task(design=design, recipe=recipe) for design in designs for recipe in recipes]
    return tasks


def map_candidates(
    flow: Flow,
    tasks: Sequence[Task],
    progress: Callable[[Task, Mapped | SynthesisError], None] | None = None,
) -> tuple[list[Candidate], list[Failure]]:
    """Map every task; return what was mapped and what failed, which does not stop the others."""
    candidates, failures = [], []
    for task, outcome in zip(tasks, flow.run(tasks, progress), strict=True):
        if isinstance(outcome, SynthesisError):
            failures.append(Failure(task=task, error=outcome))
        else:
            candidates.append(Candidate(task=task, mapped=outcome))
    return candidates, failures


def smallest(
    candidates: Sequence[Candidate], *, each_architecture: bool = False
) -> list[Candidate]:
    """Return the smallest candidate of each MAC, or of each MAC and architecture.

    Of equals it is the first in the order of architectures and recipes.
    """
    best: dict[tuple[MacSpec, str], Candidate] = {}
    for one in candidates:
        design = one.task.design
        group = design.spec, design.architecture if each_architecture else ""
        if group not in best or one.mapped.area_um2 < best[group].mapped.area_um2:
            best[group] = one
    return list(best.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSetup:
    """A search beside the recipes: its effort and seed, where it runs, and when it has to end.

    ``executor`` is any of ``concurrent.futures``; without one the search starts processes. Designs
    that a ``store`` has of this effort or a higher one are taken from it, whatever their seed;
    others go into it.
    """

    effort: Effort = QUICK
    seed: int = 1
    executor: Executor | None = None
    late: threading.Event = field(default_factory=threading.Event)
    store: Store | None = None


def survey(
    flow: Flow,
    specs: Sequence[MacSpec],
    architectures: Sequence[str],
    recipes: Sequence[Recipe],
    *,
    search: SearchSetup | None = None,
    setup: MeasureSetup | None = None,
    progress: Callable[[str, int, int, str], None] | None = None,
) -> Survey:
    """Map every candidate of each MAC; split the smallest in two, measure its delay and power.

    With a ``search`` whose effort searches, its designs are candidates too. ``setup`` is what they
    are measured under. ``progress`` is called with what is being done, how much of it is done, how
    much there is, and the last one's name. A failed synthesis, and a netlist whose sums are wrong,
    are reported in the survey and do not stop the others.
    """
    tasks = plan(specs, architectures, recipes)
    total = len(tasks) + (len(specs) if tasks else 0)
    done = 0

    def count(task: Task, _result: Mapped | SynthesisError) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress("synthesis", done, total, f"{task.design.top}, {task.recipe.name}")

    candidates, failures = map_candidates(flow, tasks, count)
    if search is not None and search.effort.searched:
        searched, failed = search_candidates(flow, specs, architectures, search, progress)
        candidates += searched
        failures += failed
    best = smallest(candidates)
    splits = {
        index: Task(design=one.task.design, recipe=one.task.recipe, split=True)
        for index, one in enumerate(best)
        if one.task.recipe is not SEARCHED
    }
    total = len(tasks) + len(splits)
    mapped = dict(zip(splits, flow.run(list(splits.values()), count), strict=True))
    chosen, results = [], []
    for index, one in enumerate(best):
        split = mapped.get(index)
        if isinstance(split, SynthesisError):
            failures.append(Failure(task=one.task, error=split))
            continue
        try:
            results.append(area_result(flow, one, split, setup))
        except VerificationError as error:
            failures.append(Failure(task=one.task, error=SynthesisError(str(error))))
        else:
            chosen.append(one)
        if progress is not None:
            progress("delay and power", index + 1, len(best), one.task.design.top)
    order = {spec: index for index, spec in enumerate(specs)}
    ranks = [order[one.task.design.spec] for one in chosen]
    ranked = sorted(zip(ranks, chosen, results, strict=True), key=lambda item: item[0])
    return Survey(
        chosen=[one for _, one, _ in ranked],
        results=[result for _, _, result in ranked],
        candidates=candidates,
        failures=failures,
    )


def search_candidates(
    flow: Flow,
    specs: Sequence[MacSpec],
    architectures: Sequence[str],
    setup: SearchSetup,
    progress: Callable[[str, int, int, str], None] | None = None,
) -> tuple[list[Candidate], list[Failure]]:
    """Search the smallest design of each MAC, or take it from the store; return what failed too.

    ``progress`` is as in :func:`survey`.
    """
    stored = _stored(flow, specs, setup)
    specs = [spec for spec in specs if spec not in stored]
    if not specs:
        return list(stored.values()), []
    search = Search(
        library=flow.library,
        yosys=flow.yosys,
        cache=flow.cache,
        effort=setup.effort,
        seed=setup.seed,
        late=setup.late,
    )

    def count(stage: str, done: int, total: int) -> None:
        if progress is not None:
            progress(stage, done, total, "")

    if setup.executor is not None:
        found, failed = search.run(specs, architectures, setup.executor, count)
    else:
        with processes(flow.jobs) as executor:
            found, failed = search.run(specs, architectures, executor, count)
    failures = [
        Failure(
            task=Task(
                design=make_design(spec, serving_architectures(spec, architectures)[0]),
                recipe=SEARCHED,
            ),
            error=error if isinstance(error, SynthesisError) else SynthesisError(str(error)),
        )
        for spec, error in failed
    ]
    candidates = [candidate_of(one) for one in found]
    if setup.store is not None:
        for candidate in candidates:
            spec, design = candidate.task.design.spec, stored_of(flow, candidate, setup.seed)
            setup.store.offer(spec, flow.library, design.netlist, design.provenance)
    return [*stored.values(), *candidates], failures


def _stored(flow: Flow, specs: Sequence[MacSpec], setup: SearchSetup) -> dict[MacSpec, Candidate]:
    """Return the designs that the store has, of the effort or a higher one."""
    found: dict[MacSpec, Candidate] = {}
    if setup.store is None:
        return found
    for spec in specs:
        stored = setup.store.best(spec, flow.library)
        if stored is None or not reaches(stored.provenance.effort, setup.effort):
            continue
        design = make_design(spec, stored.provenance.architecture)
        found[spec] = Candidate(
            task=Task(design=design, recipe=SEARCHED),
            mapped=stored.mapped(spec, flow.library),
            effort=stored.provenance.effort,
            seconds=stored.provenance.seconds,
        )
    return found


def stored_of(flow: Flow, candidate: Candidate, seed: int) -> Stored:
    """Return a candidate as a design for the store.

    Raises :class:`SynthesisError` for one without a netlist.
    """
    design, graph = candidate.task.design, candidate.mapped.graph
    if graph is None:
        raise SynthesisError(f"{design.top} has no netlist to store.")
    netlist = plain(graph)
    provenance = Provenance(
        format=design.spec.weight.name,
        activation=design.spec.activation.name,
        library=flow.library.name,
        architecture=design.architecture,
        recipe=candidate.task.recipe.name,
        effort=candidate.effort,
        seed=seed,
        seconds=candidate.seconds,
        tools={**flow.yosys.tools, "annealing": engine()},
    )
    return Stored(netlist=netlist, figure=area_of(netlist, flow.library), provenance=provenance)


def candidate_of(found: Found) -> Candidate:
    """Return a search's result as a candidate."""
    return Candidate(
        task=Task(design=found.design, recipe=SEARCHED),
        mapped=found.mapped,
        effort=found.effort,
        seconds=found.seconds,
    )


def area_result(
    flow: Flow, candidate: Candidate, split: Mapped | None, setup: MeasureSetup | None = None
) -> AreaResult:
    """Return the record of a candidate and its run with the hierarchy kept, where there is one.

    A searched netlist has none: its multiplier is then what depends on the codes alone.

    Raises VerificationError where the candidate's netlist computes other sums than the reference.
    """
    design, mapped = candidate.task.design, candidate.mapped
    spec = design.spec
    if split is not None:
        multiplier = split.modules[f"{design.top}_multiplier"]
        accumulator = split.modules[f"{design.top}_accumulator"]
    elif mapped.graph is not None:
        multiplier, accumulator = split_areas(mapped.graph, flow.library)
    else:
        raise SynthesisError(f"{design.top} was searched, and has no netlist.")
    measured = measure(mapped.graph, flow.library, spec, flow.cache, setup)
    return AreaResult(
        format=spec.weight.name,
        activation=spec.activation.name,
        bits=spec.weight.stored_bits,
        terms=spec.terms,
        architecture=design.architecture,
        library=flow.library.name,
        recipe=candidate.task.recipe.name,
        area_um2=round(mapped.area_um2, 6),
        area_ge=round(mapped.area_um2 / flow.library.nand2.area, 4),
        sequential_um2=round(mapped.sequential_um2, 6),
        multiplier_um2=round(multiplier, 6),
        accumulator_um2=round(accumulator, 6),
        accumulator_bits=spec.accumulator_bits,
        cells=mapped.cells,
        tools=flow.yosys.tools,
        design=design.digest,
        library_digest=flow.library.digest,
        netlist=hashlib.sha256(mapped.netlist.encode()).hexdigest(),
        seconds=mapped.seconds,
        delay_ps=measured.delay_ps,
        delay_method=measured.delay_method,
        energy_fj=measured.energy_fj,
        energy_zero_delay_fj=measured.energy_zero_delay_fj,
        power_uw=measured.power_uw,
        megahertz=measured.megahertz,
        leakage_nw=measured.leakage_nw,
        conditions=measured.conditions,
        unmeasured=measured.unmeasured,
        effort=candidate.effort,
        search_seconds=round(candidate.seconds or mapped.seconds, 3),
    )
