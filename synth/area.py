"""The area of formats' MACs: of several architectures and recipes the smallest, split in two."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..formats.errors import ArchitectureError, SynthesisError, VerificationError
from ..formats.mac import MacSpec
from ..rtl.architectures import refusal
from .flow import Mapped
from .measure import MeasureSetup, measure
from .recipes import Recipe
from .result import AreaResult
from .sweep import Flow, Task, make_design

#: One pass over architectures and recipes, without a search.
EFFORT = "quick"


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One architecture and recipe of a MAC, mapped."""

    task: Task
    mapped: Mapped


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


def survey(
    flow: Flow,
    specs: Sequence[MacSpec],
    architectures: Sequence[str],
    recipes: Sequence[Recipe],
    *,
    setup: MeasureSetup | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Survey:
    """Map every candidate of each MAC; split the smallest in two, measure its delay and power.

    ``setup`` is what they are measured under. ``progress`` is called with how many syntheses are
    done, how many there are, and the last one's name. A failed synthesis, and a netlist whose sums
    are wrong, are reported in the survey and do not stop the others.
    """
    tasks = plan(specs, architectures, recipes)
    total = len(tasks) + len(specs)
    done = 0

    def count(task: Task, _result: Mapped | SynthesisError) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total, f"{task.design.top}, {task.recipe.name}")

    candidates, failures = map_candidates(flow, tasks, count)
    best = smallest(candidates)
    splits = [Task(design=c.task.design, recipe=c.task.recipe, split=True) for c in best]
    chosen, results = [], []
    for one, split in zip(best, flow.run(splits, count), strict=True):
        if isinstance(split, SynthesisError):
            failures.append(Failure(task=one.task, error=split))
            continue
        try:
            results.append(area_result(flow, one, split, setup))
        except VerificationError as error:
            failures.append(Failure(task=one.task, error=SynthesisError(str(error))))
        else:
            chosen.append(one)
    return Survey(chosen=chosen, results=results, candidates=candidates, failures=failures)


def area_result(
    flow: Flow, candidate: Candidate, split: Mapped, setup: MeasureSetup | None = None
) -> AreaResult:
    """Return the record of a candidate and its run with the hierarchy kept.

    Raises VerificationError where the candidate's netlist computes other sums than the reference.
    """
    design, mapped = candidate.task.design, candidate.mapped
    spec = design.spec
    measured = measure(mapped.graph, flow.library, spec, flow.cache, setup)
    return AreaResult(
        format=spec.weight.name,
        activation=spec.activation.name,
        bits=spec.weight.bits,
        terms=spec.terms,
        architecture=design.architecture,
        library=flow.library.name,
        recipe=candidate.task.recipe.name,
        area_um2=round(mapped.area_um2, 6),
        area_ge=round(mapped.area_um2 / flow.library.nand2.area, 4),
        sequential_um2=round(mapped.sequential_um2, 6),
        multiplier_um2=round(split.modules[f"{design.top}_multiplier"], 6),
        accumulator_um2=round(split.modules[f"{design.top}_accumulator"], 6),
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
        effort=EFFORT,
        search_seconds=mapped.seconds,
    )
