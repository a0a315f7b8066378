"""Weighted moments of cells of the real line: what the error of any set of levels follows from.

A cell is an interval of values y. With weights w it has the moments Σw, Σwy and Σwy² (sums, or
integrals over a density). All of a cell going to the level l errs Σw(y − l)² = Σwy² − 2·l·Σwy +
l²·Σw, least where l is the mean Σwy ÷ Σw, and then Σwy² − (Σwy)² ÷ Σw.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CellMoments:
    """Σw, Σwy and Σwy² of neighbouring cells, in ascending order; each of shape (cells,)."""

    weight: Array
    first: Array
    second: Array

    def errors(self, levels: Array) -> Array:
        """Return each cell's squared error to its own level, shape (cells,)."""
        errors: Array = self.second - 2 * levels * self.first + levels**2 * self.weight
        return errors

    def merged(self, starts: npt.NDArray[np.intp]) -> "CellMoments":
        """Return the moments of runs of cells that begin at each of ``starts``, the first at 0."""
        return CellMoments(
            weight=np.add.reduceat(self.weight, starts),
            first=np.add.reduceat(self.first, starts),
            second=np.add.reduceat(self.second, starts),
        )

    def joined(self, low: tuple[float, float], high: tuple[float, float]) -> "CellMoments":
        """Return the cells between two more, of single values, each given as (place, weight)."""
        (a, below), (b, above) = low, high
        return CellMoments(
            weight=np.concatenate([[below], self.weight, [above]]),
            first=np.concatenate([[below * a], self.first, [above * b]]),
            second=np.concatenate([[below * a * a], self.second, [above * b * b]]),
        )


def middles(levels: Array) -> Array:
    """Return the values half-way between neighbouring levels."""
    between: Array = (levels[1:] + levels[:-1]) / 2
    return between
