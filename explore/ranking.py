"""Orders of formats by a figure: how alike two are, and the pairs that stand in another order."""

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Pairs that swap by less than this are as good as equal.
WITHIN = 0.02
_FEWEST = 3


def ranks(figures: Sequence[float]) -> list[float]:
    """Return each figure's rank from 1 for the smallest; equals share the mean of their ranks."""
    places: dict[float, list[int]] = {}
    for place, figure in enumerate(sorted(figures), 1):
        places.setdefault(figure, []).append(place)
    return [statistics.mean(map(float, places[figure])) for figure in figures]


def rank_correlation(one: Mapping[str, float], other: Mapping[str, float]) -> float | None:
    """Return Spearman's coefficient over the formats that both have.

    None where these are fewer than three, or all equal in one of the two.
    """
    names = [name for name in one if name in other]
    here, there = ranks([one[name] for name in names]), ranks([other[name] for name in names])
    if len(names) < _FEWEST or len(set(here)) == 1 or len(set(there)) == 1:
        return None
    return statistics.correlation(here, there)


@dataclass(frozen=True, kw_only=True, slots=True)
class Swap:
    """Two formats whose order is not the same: ``first`` ÷ ``second``, here and there.

    ``here`` is at most 1 and ``there`` at least 1, and not both are 1.
    """

    first: str
    second: str
    here: float
    there: float

    @property
    def swing(self) -> float:
        """By how much the quotient there is above the one here: 0.02 for 2 %."""
        return self.there / self.here - 1


def swaps(one: Mapping[str, float], other: Mapping[str, float]) -> list[Swap]:
    """Return the pairs whose order differs, the largest swing first; figures are positive.

    Equal in one place and unequal in the other is another order.
    """
    found = []
    for pair in itertools.combinations([name for name in one if name in other], 2):
        for first, second in (pair, pair[::-1]):
            here, there = one[first] / one[second], other[first] / other[second]
            if here <= 1 <= there and here != there:
                found.append(Swap(first=first, second=second, here=here, there=there))
    return sorted(found, key=lambda swap: -swap.swing)
