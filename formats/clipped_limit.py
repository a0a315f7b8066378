"""The Lloyd-Max limit where scales are clipped for the least squared error: the best that is found.

Codebook and scales depend on each other. From the best codebook for absmax scales, two steps in
turn: each block's scale that errs least with the codebook (:func:`.mse_scales`), and the best
codebook for those scales (:func:`.optimal_levels`). Each step lowers the error, as far as the
scales that are tried allow; where they end need not be the best pair.
"""

from fractions import Fraction

from torch import Tensor

from .clipping import mse_scales
from .codec import codec
from .lloyd_max import optimal_levels
from .measured_quality import OWN_REACH, BlockHistogram
from .record import Format
from .weighted_cells import Array

_ROUNDS = 12
_SETTLED = 1e-4
_TOP = 2**23 - 1


def best_found_levels(rows: Tensor, start: Array, *, bits: int, signed: bool) -> Format:
    """Return the best codebook that is found for blocks as rows, with clipped scales, as a format.

    ``start`` holds at most 2**bits ascending levels. The result's levels have 24 bits.
    """
    best = codebook(start, bits)
    least = float("inf")
    levels = start
    for _ in range(_ROUNDS):
        candidate = codebook(levels, bits)
        turned = signed and candidate.is_asymmetric
        scales = mse_scales(rows, candidate, signed=turned)
        units = scales * float(candidate.largest_level)
        error = _error(rows, candidate, scales)
        if error < least:
            best = candidate
        if error > least * (1 - _SETTLED):
            break
        least = error
        histogram = BlockHistogram(reach=OWN_REACH)
        histogram.add(rows, units)
        levels = optimal_levels(histogram.result(), 2**bits)
    return best


def codebook(levels: Array, bits: int) -> Format:
    """Return levels as a format of ``bits`` bits, the largest repeated where there are too few."""
    largest = float(abs(levels).max())
    grid = [round(float(level) / largest * _TOP) for level in levels]
    grid += [grid[-1]] * (2**bits - len(grid))
    return Format(name="Lloyd-Max", bits=bits, grid=tuple(grid), unit=Fraction(1, _TOP))


def _error(rows: Tensor, known: Format, scales: Tensor) -> float:
    tables = codec(known, rows.dtype, rows.device)
    back = tables.decode(tables.encode(rows / scales)) * scales
    return float((rows - back).double().square_().sum())
