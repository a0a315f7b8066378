"""The Lloyd-Max limit: the least squared error that any ``count`` levels leave on weighted data.

1. On at most about a thousand cells, the best division into ``count`` runs of cells, each with its
   own mean as its level, by dynamic programming: D(k, j) = min over i of D(k − 1, i) + cost(i, j).
   That is the global optimum among all thresholds on the cells' edges.
2. From there Lloyd's two steps in turn, thresholds half-way between levels and levels at the means,
   with the moments below a threshold interpolated between the edges of all cells, until they
   settle: the local optimum in the best division's neighbourhood.

Sources: Lloyd, "Least squares quantization in PCM", IEEE Trans. Information Theory 28 (1982); Max,
"Quantizing for minimum distortion", IRE Trans. Information Theory 6 (1960); Bruce, "Optimum
quantization", MIT RLE report 429 (1965), for the dynamic programming.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .block_theory import BlockTheory
from .density import density_of
from .distribution import Distribution
from .errors import UsageError
from .exact import shown
from .weighted_cells import Array, CellMoments, middles

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LEVELS = 256
_PROGRAM_CELLS = 1024
_ROWS = 128
_CYCLES = 200
_SETTLED = 1e-12
_HALF_GRID = 1024
_TAIL = 1e-13


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Histogram:
    """Weighted data on a line: cells between ascending ``edges``, and single values at both ends.

    ``edges`` has shape (cells + 1,). ``low`` and ``high`` are (place, weight) of values that stand
    on their own, such as the blocks' extremes at −1 and 1, at or beyond the outer edges. Between
    the edges the sums are interpolated: by a cubic spline for a density, in straight lines for
    counted data.
    """

    edges: Array
    cells: CellMoments
    low: tuple[float, float] = (-1.0, 0.0)
    high: tuple[float, float] = (1.0, 0.0)
    smooth: bool = True


def optimal_levels(histogram: Histogram, count: int) -> Array:
    """Return the ``count`` ascending levels with the least Σw(y − q(y))², q(y) being the nearest.

    Fewer where the data hold fewer different values. Raises :class:`UsageError` for a count
    outside 1 to 256, and for data without weight.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_LEVELS:
        raise UsageError(f"{shown(count)} levels were asked for; it must be 1 to {MAX_LEVELS}.")
    whole = histogram.cells.joined(histogram.low, histogram.high)
    if not float(whole.weight.sum()) > 0:
        raise UsageError("There is no weight to find the best levels for.")
    return _polished(histogram, best_division(whole, count))


def block_histogram(theory: BlockTheory) -> Histogram:
    """Return a distribution in blocks, in units of each block's largest magnitude.

    :meth:`.BlockTheory.noise` of its :func:`optimal_levels` is the Lloyd-Max limit. With signed
    scales the extreme is at +1.
    """
    # Squares: the weight is densest at zero, where heavy tails leave all but the extreme.
    half = np.linspace(0, 1, _HALF_GRID + 1) ** 2
    edges = np.concatenate([-half[:0:-1], half])
    square = theory.square_of_largest.value / theory.block
    low, high = (0.0, square) if theory.signed else (square / 2, square / 2)
    inner = theory.cells(edges[1:-1], extremes=False).moments[0]
    return Histogram(edges=edges, cells=inner, low=(-1.0, low), high=(1.0, high))


def levels_error(histogram: Histogram, levels: Array) -> float:
    """Return Σw(y − q(y))² of ascending levels, cells that a threshold cuts shared out."""
    below = _below(histogram)
    inner = below(middles(levels).clip(histogram.edges[0], histogram.edges[-1]))
    total = np.array([[float(part.sum())] for part in _fields(histogram.cells)])
    weight, first, second = np.diff(np.concatenate([0 * total, inner, total], axis=1), axis=1)
    cells = CellMoments(weight=weight, first=first, second=second)
    ends = 0.0
    for place, part in (histogram.low, histogram.high):
        ends += part * float(np.abs(levels - place).min()) ** 2
    return max(0.0, float(cells.errors(levels).sum()) + ends)


def lloyd_max_levels_unscaled(distribution: Distribution, count: int) -> Array:
    """Return the best levels for a distribution of scale 1 by itself, without blocks and scales."""
    density = density_of(distribution)
    end = float(density.magnitude(np.array([_TAIL]))[0])
    half = end * np.linspace(0, 1, _HALF_GRID + 1) ** 2
    half[-1] = np.inf
    tails = density.tails(half)
    upper = [part[:-1] - part[1:] for part in tails]
    cells = CellMoments(
        weight=np.concatenate([upper[0][::-1], upper[0]]),
        first=np.concatenate([-upper[1][::-1], upper[1]]),
        second=np.concatenate([upper[2][::-1], upper[2]]),
    )
    half[-1] = end
    return optimal_levels(Histogram(edges=np.concatenate([-half[:0:-1], half]), cells=cells), count)


def best_division(cells: CellMoments, count: int) -> Array:
    """Return the means of the best division into at most ``count`` runs of cells.

    Of more than about a thousand cells, neighbours are first put together.
    """
    cells = _coarsened(cells)
    sums = [
        np.concatenate([[0.0], np.cumsum(part)])
        for part in (cells.weight, cells.first, cells.second)
    ]
    weight, first, second = (part[None, :] - part[:, None] for part in sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        cost = np.where(weight > 0, second - first * first / weight, 0.0).clip(min=0)
    size = len(cost)
    cost[np.tril_indices(size, -1)] = np.inf
    # By end, then start: each end's candidates are next to each other in memory.
    cost = np.ascontiguousarray(cost.T)
    best = cost[:, 0].copy()
    origins = np.zeros((count, size), dtype=np.intp)
    for step in range(1, count):
        before, best = best, best.copy()
        for low in range(0, size, _ROWS):
            rows = slice(low, low + _ROWS)
            # No run ends before it starts.
            candidates = before[None, : low + _ROWS] + cost[rows, : low + _ROWS]
            least = candidates.argmin(axis=1)
            origins[step, rows] = least
            best[rows] = np.take_along_axis(candidates, least[:, None], axis=1)[:, 0]
    end = size - 1
    starts = []
    for step in range(count - 1, -1, -1):
        start = int(origins[step][end])
        if start < end:
            starts.append(start)
        end = start
    runs = cells.merged(np.array(starts[::-1], dtype=np.intp))
    kept = runs.weight > 0
    return np.unique(runs.first[kept] / runs.weight[kept])


def _coarsened(cells: CellMoments) -> CellMoments:
    """Return at most about a thousand cells, finest where the best levels are densest.

    Many levels stand as densely as the cube root of the density (Panter and Dite, Proc. IRE 39,
    1951), so that the cells' cube roots, with their widths, share out the edges.
    """
    kept = cells.weight > 0
    cells = CellMoments(
        weight=cells.weight[kept], first=cells.first[kept], second=cells.second[kept]
    )
    number = len(cells.weight)
    if number <= _PROGRAM_CELLS:
        return cells
    places = cells.first / cells.weight
    gaps = np.gradient(places).clip(min=0)
    density = np.cbrt(cells.weight * gaps * gaps)
    passed = np.cumsum(density) / density.sum()
    bins = (passed * (_PROGRAM_CELLS - 2)).astype(np.intp)
    # The extremes keep a cell of their own.
    bins[0], bins[-1] = -1, _PROGRAM_CELLS
    starts = np.flatnonzero(np.concatenate([[True], np.diff(bins) > 0]))
    return cells.merged(starts)


def _polished(histogram: Histogram, levels: Array) -> Array:
    """Return the levels after Lloyd's steps until they settle.

    Two steps in a row tell how the change shrinks from one to the next, and the extrapolated levels
    are tried (Varadhan and Roland, Scandinavian J. Statistics 35, 2008, scheme S3): many times
    fewer steps where neighbours pull at each other.
    """
    step = _lloyd_step(histogram)
    span = float(histogram.edges[-1] - histogram.edges[0])
    for _ in range(_CYCLES):
        once = step(levels)
        twice = step(once)
        change, bend = once - levels, twice - 2 * once + levels
        if float(np.abs(change).max()) < _SETTLED * span or not float(np.abs(bend).max()) > 0:
            return np.unique(twice)
        reach = max(1.0, float(np.linalg.norm(change) / np.linalg.norm(bend)))
        further = levels + 2 * reach * change + reach**2 * bend
        # Levels that have crossed, or left the data, were extrapolated too far.
        inside = histogram.edges[0] <= further[0] and further[-1] <= histogram.edges[-1]
        levels = step(further) if inside and bool((np.diff(further) > 0).all()) else step(twice)
    return np.unique(levels)


def _lloyd_step(histogram: Histogram) -> "Callable[[Array], Array]":
    """Return the function from levels to the means of their cells."""
    below = _below(histogram)
    (low_place, low), (high_place, high) = histogram.low, histogram.high
    total = np.array([[float(part.sum())] for part in _fields(histogram.cells)[:2]])
    bottom = low * np.array([1.0, low_place])
    top = high * np.array([1.0, high_place])

    def step(levels: Array) -> Array:
        inner = below(middles(levels).clip(histogram.edges[0], histogram.edges[-1]))[:2]
        parts = np.diff(np.concatenate([0 * total, inner, total], axis=1), axis=1)
        parts[:, 0] += bottom
        parts[:, -1] += top
        weight, first = parts
        # A cell that holds nothing keeps its level.
        return np.sort(np.where(weight > 0, first / np.where(weight > 0, weight, 1), levels))

    return step


def _fields(cells: CellMoments) -> tuple[Array, Array, Array]:
    return cells.weight, cells.first, cells.second


def _below(histogram: Histogram) -> "Callable[[Array], Array]":
    """Return a function from places to Σw, Σwy, Σwy² of what is below, shape (3, places)."""
    zero = np.zeros(1)
    sums = np.stack([np.concatenate([zero, np.cumsum(part)]) for part in _fields(histogram.cells)])
    if not histogram.smooth:
        edges = histogram.edges
        return lambda places: np.stack([np.interp(places, edges, part) for part in sums])
    from scipy.interpolate import CubicSpline  # noqa: PLC0415 - slow to import

    middle = int(np.searchsorted(histogram.edges, 0.0))
    halves = [
        CubicSpline(histogram.edges[part], sums[:, part], axis=1)
        for part in (slice(None, middle + 1), slice(middle, None))
        if len(histogram.edges[part]) > 1
    ]
    lower, upper = halves[0], halves[-1]
    return lambda places: np.where(places < 0, lower(places), upper(places))
