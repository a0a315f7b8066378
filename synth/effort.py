"""How long a search for a small design takes: counted in steps, so that it repeats."""

from dataclasses import dataclass

from ..formats.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """A search's budget.

    From ``starts`` mapped product blocks (the smallest ones) ``seeds`` annealings of
    ``first_steps`` steps begin; the ``finalists`` smallest go on for ``second_steps``, and become
    MACs: with each of the ``accumulators`` first accumulators, ``low_steps`` steps over product
    block and bit 0 together, then ``windows`` windows of ``window_steps`` steps a gate, and so on
    for ``passes`` passes. ``searched`` is false for the effort that maps once and searches nothing.
    """

    name: str
    description: str
    searched: bool = True
    starts: int = 0
    seeds: int = 0
    first_steps: int = 0
    finalists: int = 0
    second_steps: int = 0
    accumulators: int = 0
    low_steps: int = 0
    windows: int = 0
    window_steps: int = 0
    passes: int = 1


QUICK = Effort(
    name="quick",
    description="every architecture and recipe mapped once",
    searched=False,
)
STANDARD = Effort(
    name="standard",
    description="half a minute for a format: annealed product blocks and windows",
    starts=4,
    seeds=2,
    first_steps=8_000,
    finalists=2,
    second_steps=16_000,
    accumulators=1,
    low_steps=8_000,
    windows=60,
    window_steps=30,
)
MAX = Effort(
    name="max",
    description="minutes for a format: more starts, more seeds, longer annealing",
    starts=5,
    seeds=4,
    first_steps=15_000,
    finalists=3,
    second_steps=40_000,
    accumulators=2,
    low_steps=15_000,
    windows=120,
    window_steps=40,
    passes=2,
)
EFFORTS = (QUICK, STANDARD, MAX)


def reaches(found: str, wanted: Effort) -> bool:
    """Return whether a design that an effort of this name found serves for another effort."""
    names = [effort.name for effort in EFFORTS]
    return found in names and names.index(found) >= names.index(wanted.name)


def find_effort(name: str) -> Effort:
    """Return an effort by name; raises :class:`UsageError`, with the names, for another."""
    for effort in EFFORTS:
        if effort.name == name.lower():
            return effort
    names = ", ".join(effort.name for effort in EFFORTS)
    raise UsageError(f"There is no effort {name[:60]!r}; there are {names}.")
