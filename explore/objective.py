"""What an exploration minimises, and the designs that nothing beats in it."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..formats.errors import UsageError
from .explored import Explored

Figure = Callable[[Explored], float | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """Figures of a design, all of them better when smaller."""

    name: str
    description: str
    figures: Mapping[str, Figure]


_AREA: Mapping[str, Figure] = {"area": lambda one: one.area_um2}
_DELAY: Mapping[str, Figure] = {"delay": lambda one: one.delay_ps}
_ENERGY: Mapping[str, Figure] = {"energy": lambda one: one.energy_fj}

OBJECTIVES = (
    Objective(name="area", description="area", figures=_AREA),
    Objective(name="delay", description="area and delay", figures={**_AREA, **_DELAY}),
    Objective(name="power", description="area and energy", figures={**_AREA, **_ENERGY}),
    Objective(
        name="all",
        description="area, delay and energy",
        figures={**_AREA, **_DELAY, **_ENERGY},
    ),
)


def find_objective(name: str) -> Objective:
    """Return an objective by name; raises :class:`UsageError`, with the names, for another."""
    for objective in OBJECTIVES:
        if objective.name == name.lower():
            return objective
    names = ", ".join(objective.name for objective in OBJECTIVES)
    raise UsageError(f"There is no objective {name[:60]!r}; there are {names}.")


def non_dominated(points: Sequence[Sequence[float]]) -> list[bool]:
    """Return for each point whether no other is as good in every figure and better in one.

    Smaller is better; equal points do not dominate each other. The points have equal lengths.
    """
    order = sorted(range(len(points)), key=lambda index: tuple(points[index]))
    kept: list[int] = []
    found = [False] * len(points)
    # A point can be dominated only by one before it in this order, and if by any, by a kept one.
    for index in order:
        point = tuple(points[index])
        if not any(_dominates(tuple(points[other]), point) for other in kept):
            kept.append(index)
            found[index] = True
    return found


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def mark(designs: Sequence[Explored], objective: Objective) -> tuple[Explored, ...]:
    """Return the designs with ``non_dominated`` set, each among those of the format asked for.

    The errors of a lookup format on normal and on t(5) data count as figures beside the
    objective's. A design that lacks a figure is not marked; of designs of one format with the same
    area, delay and energy the first is.
    """
    marked = {}
    numbered = sorted(enumerate(designs), key=lambda item: item[1].asked)
    for _, group in itertools.groupby(numbered, key=lambda item: item[1].asked):
        members = []
        seen = set()
        for index, one in group:
            alike = one.format, one.area_um2, one.delay_ps, one.energy_fj
            if alike in seen:
                continue
            seen.add(alike)
            figures = [figure(one) for figure in objective.figures.values()]
            figures += [-(one.sqnr_normal_db or 0.0), -(one.sqnr_t5_db or 0.0)]
            numbers = [value for value in figures if value is not None]
            if len(numbers) == len(figures):
                members.append((index, numbers))
        flags = non_dominated([numbers for _, numbers in members])
        marked.update({index: flag for (index, _), flag in zip(members, flags, strict=True)})
    return tuple(
        replace(one, non_dominated=marked.get(index, False)) for index, one in enumerate(designs)
    )
