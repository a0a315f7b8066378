"""The search for an order of codes that decodes in few gates: map many, follow the smallest."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from ..formats.encoding_moves import neighbours
from ..synth.flow import Mapped
from ..synth.mapping_jobs import map_tasks
from ..synth.recipes import Recipe
from ..synth.sweep import Flow, Task, make_design
from .space import Place, in_order, start_of_orders

#: Orders that go on to the asked effort, beside the first.
FINALISTS = 3
_ROUNDS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Ordered:
    """An order of codes, mapped once."""

    place: Place
    task: Task
    mapped: Mapped


def search_orders(
    flow: Flow,
    place: Place,
    architecture: str,
    recipe: Recipe,
    *,
    executor: Executor,
    count: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
    late: threading.Event | None = None,
) -> list[Ordered]:
    """Map the sign-magnitude-like order and ``count`` others; return all, the smallest first.

    The first half are neighbours of that order, the others of the smallest found. Orders that
    cannot be mapped are left out. Raises :class:`UsageError` as :func:`.start_of_orders`.
    """
    start = start_of_orders(place)
    found: list[Ordered] = []
    seen = {start.format.grid}
    waiting: list[Place] = [start]
    done, total = 0, count + 1

    def tell(_index: int) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    for number in range(_ROUNDS + 1):
        if number:
            base = min(found, key=_area).place if found else start
            wanted = count // _ROUNDS + (count % _ROUNDS if number == 1 else 0)
            waiting = []
            for order in neighbours(base.format, seed + number, wanted + len(seen)):
                other = in_order(base, order)
                if len(waiting) < wanted and other.format.grid not in seen:
                    seen.add(other.format.grid)
                    waiting.append(other)
        tasks = [Task(design=make_design(one.spec, architecture), recipe=recipe) for one in waiting]
        outcomes = map_tasks(flow, tasks, executor, tell, late)
        found += [
            Ordered(place=one, task=task, mapped=mapped)
            for one, task, mapped in zip(waiting, tasks, outcomes, strict=True)
            if isinstance(mapped, Mapped)
        ]
    return sorted(found, key=_area)


def _area(one: Ordered) -> float:
    return one.mapped.area_um2
