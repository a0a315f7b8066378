"""The area of formats' MACs: of several architectures and recipes the smallest, split in two."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..formats.errors import ArchitectureError, SynthesisError
from ..formats.mac import MacSpec
from ..rtl.architectures import refusal
from .flow import Mapped
from .recipes import Recipe
from .result import AreaResult
from .sweep import Flow, Task, make_designs


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One architecture and recipe of a MAC, mapped."""

    task: Task
    mapped: Mapped


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What came of measuring MACs.

    ``results`` holds the smallest of each MAC that has one, in the order asked for, and
    ``netlists`` their flattened netlists by the SHA-256 in ``AreaResult.netlist``; ``candidates``
    holds every mapped architecture and recipe, and ``failures`` what went wrong, if anything did.
    """

    results: Sequence[AreaResult]
    candidates: Sequence[Candidate]
    netlists: Mapping[str, str]
    failures: Sequence[SynthesisError]


def plan(
    specs: Sequence[MacSpec], architectures: Sequence[str], recipes: Sequence[Recipe]
) -> list[Task]:
    """Return a task for each MAC, architecture that can serve it, and recipe.

    Raises ArchitectureError, with the reason, for a MAC that none of the architectures can serve.
    """
    tasks = []
    for spec in specs:
        designs = make_designs(spec, architectures)
        if not designs:
            raise ArchitectureError(
                " ".join(reason for name in architectures if (reason := refusal(spec, name)))
            )
        tasks += [Task(design=design, recipe=recipe) for design in designs for recipe in recipes]
    return tasks


def survey(
    flow: Flow,
    specs: Sequence[MacSpec],
    architectures: Sequence[str],
    recipes: Sequence[Recipe],
    progress: Callable[[int, int, str], None] | None = None,
) -> Survey:
    """Measure every candidate of each MAC, and split the smallest of each.

    ``progress`` is called with how many syntheses are done, how many there are, and the last one's
    name. A failed synthesis is reported in the survey and does not stop the others.
    """
    tasks = plan(specs, architectures, recipes)
    total = len(tasks) + len(specs)
    done = 0

    def count(task: Task, _result: Mapped | SynthesisError) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total, f"{task.design.top}, {task.recipe.name}")

    outcomes = flow.run(tasks, count)
    candidates = [
        Candidate(task=task, mapped=outcome)
        for task, outcome in zip(tasks, outcomes, strict=True)
        if isinstance(outcome, Mapped)
    ]
    failures = [outcome for outcome in outcomes if isinstance(outcome, SynthesisError)]
    best = [found for spec in specs if (found := _smallest(candidates, spec)) is not None]
    splits = [Task(design=one.task.design, recipe=one.task.recipe, split=True) for one in best]
    results, netlists = [], {}
    for one, split in zip(best, flow.run(splits, count), strict=True):
        if isinstance(split, SynthesisError):
            failures.append(split)
            continue
        result = area_result(flow, one, split)
        results.append(result)
        netlists[result.netlist] = one.mapped.netlist
    return Survey(results=results, candidates=candidates, netlists=netlists, failures=failures)


def _smallest(candidates: Sequence[Candidate], spec: MacSpec) -> Candidate | None:
    """Return the smallest; of equals the first in the order of architectures and recipes."""
    found = [one for one in candidates if one.task.design.spec == spec]
    return min(found, key=lambda one: one.mapped.area_um2, default=None)


def area_result(flow: Flow, candidate: Candidate, split: Mapped) -> AreaResult:
    """Return the record of a candidate and its run with the hierarchy kept."""
    design, mapped = candidate.task.design, candidate.mapped
    spec = design.spec
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
    )
