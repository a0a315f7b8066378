"""The scale of each block: largest magnitude to largest level, or the least squared error.

Scales are finite and never 0: a block of zeros has scale 1 (for a format without a zero level the
smallest normal number, so that it comes back as good as zero), a scale that underflows becomes
the smallest float above 0, one that overflows the largest.
"""

from fractions import Fraction

import torch
from torch import Tensor

from .codec import codec, midpoints
from .native_kernel import kernel_for, largest_natively
from .record import Format
from .scale_format import ScaleFormat

STEPS_PER_OCTAVE = 32
CLIP_OCTAVES = 10
_STEPS_PER_CHECK = 8
MAX_EXPANSION = 2.0
# A stored scale is below twice what was needed, or it is the smallest that can be stored.
_STORED_EXPANSION = 2.0


def wider_ratios(format: Format) -> tuple[float, ...]:  # noqa: A002 - the field's word
    """Return the scales above the absmax scale that :func:`mse_scales` tries, as multiples of it.

    A block's extreme may point to the smaller side of an asymmetric format (INT4's 7, against −8).
    To reach it takes a larger scale: 2**(k/32) up to the ratio of the two magnitudes, that ratio
    included, and at most 2. Empty for a symmetric format.
    """
    smaller, larger = sorted((max(format.grid), -min(format.grid)))
    limit = min(larger / smaller, MAX_EXPANSION) if smaller > 0 else MAX_EXPANSION
    if limit == 1:
        return ()
    ratios = [2 ** (step / STEPS_PER_OCTAVE) for step in range(1, STEPS_PER_OCTAVE)]
    return (*(ratio for ratio in ratios if ratio < limit), limit)


def absmax_scales(rows: Tensor, format: Format, *, signed: bool) -> Tensor:  # noqa: A002
    """Return the scale of each row, largest magnitude ÷ largest level, as shape (rows, 1).

    ``rows`` is a matrix of float32 or float64. With ``signed``, a row whose extreme points to the
    side of the format's smaller magnitude gets a negative scale. Not finite where the row is not.
    """
    largest, sign = _extreme(rows, format, signed=signed)
    return _scales(largest, sign, format)


def stored_scales(
    rows: Tensor,
    format: Format,  # noqa: A002
    store: ScaleFormat,
    *,
    signed: bool,
    parents: Tensor | None = None,
    target: Fraction | None = None,
) -> Tensor:
    """Return :func:`absmax_scales` as ``store`` keeps them, shape (rows, 1).

    The largest magnitude is mapped to ``target``, the format's largest level unless given.
    ``parents`` has shape (rows, 1), where ``store`` has a parent (:func:`.parent_scales`).
    """
    level = format.largest_level if target is None else target
    largest, sign = _extreme(rows, format, signed=signed)
    if store.power_rule is not None:
        return store.powers(largest, float(level)) * sign
    return store.stored(largest / largest.new_tensor(float(level)), parents) * sign


def mse_scales(
    rows: Tensor,
    format: Format,  # noqa: A002
    *,
    signed: bool,
    store: ScaleFormat | None = None,
    parents: Tensor | None = None,
) -> Tensor:
    """Return the scale of each row with the least squared error among the candidates.

    Candidates are multiples of the absmax scale: 1, then :func:`wider_ratios`, then 2**(−k/32) for
    k = 1 to 320 (down to 1/1024); with ``store``, what that keeps of them. With ``signed``, each
    is tried with both signs. The first is the absmax scale itself, and only a smaller error
    replaces it. A row's search ends early where the values beyond the outermost levels alone err
    more than the best candidate: that part of the error only grows from there, so no smaller scale
    can win.
    """
    largest, sign = _extreme(rows, format, signed=signed)
    # MPS has no float64; its searches are as fine as float32 sums.
    wide = torch.float32 if rows.device.type == "mps" else torch.float64
    ordered = (rows * sign / torch.where(largest > 0, largest, 1)).to(wide).sort(dim=1).values
    table = _SortedRows(ordered)
    sides = [_side(format, table, sign) for sign in ((1, -1) if signed else (1,))]
    needed = largest / codec(format, largest.dtype, largest.device).largest

    def candidate(ratio: float) -> tuple[float | Tensor, Tensor]:
        """Return a candidate as a multiple of the absmax scale, and as a scale."""
        if store is None:
            return ratio, needed * ratio
        if ratio == 1.0 and store.power_rule is not None:
            kept = store.powers(largest, float(format.largest_level))
        else:
            kept = store.stored(needed * ratio, parents)
        return kept.to(wide) / torch.where(needed > 0, needed, 1).to(wide), kept

    best = table.error(*sides[0][1:], candidate(1.0)[0])
    chosen = candidate(1.0)[1].clone()
    factor = torch.ones_like(best)
    searching = torch.ones_like(best, dtype=torch.bool)

    def improve(ratio: float, rows: Tensor) -> None:
        """Enter a candidate into the rows where it errs less."""
        multiple, kept = candidate(ratio)
        for side, bounds, levels in sides:
            error = table.error(bounds, levels, multiple)
            better = (error < best) & rows
            torch.where(better, error, best, out=best)
            factor.masked_fill_(better, side if store is not None else ratio * side)
            if store is not None:
                torch.where(better, kept, chosen, out=chosen)

    slack = 1.0 if store is None else _STORED_EXPANSION
    larger = wider_ratios(format)
    if store is not None and store.power_rule is not None:
        # The rule may take the smaller power of two, beyond which the largest values saturate.
        larger = (*larger, 2.0)
    for ratio in (1.0, *larger):
        improve(ratio, searching)
    for step in range(1, CLIP_OCTAVES * STEPS_PER_OCTAVE + 1):
        ratio = 2 ** (-step / STEPS_PER_OCTAVE)
        if step % _STEPS_PER_CHECK == 1:
            clipped = [table.clipped_error(levels, ratio * slack) for _, _, levels in sides]
            searching = torch.stack(clipped).amin(dim=0) < best
            if not bool(searching.any()):
                break
        improve(ratio, searching)
    if store is not None:
        return chosen * sign * factor.to(sign.dtype)
    return _scales(largest, sign * factor.to(sign.dtype), format)


def largest_magnitudes(rows: Tensor) -> Tensor:
    """Return each row's largest magnitude, shape (rows, 1), NaN where it has one.

    ``rows`` is a matrix of float32 or float64.
    """
    library = kernel_for(rows.shape, rows.dtype, rows.device)
    if library is not None:
        return largest_natively(library, rows)
    # Two reductions: torch has no vectors for the one that finds both.
    return torch.maximum(rows.amax(dim=1, keepdim=True), -rows.amin(dim=1, keepdim=True))


def _extreme(
    rows: Tensor,
    format: Format,  # noqa: A002
    *,
    signed: bool,
) -> tuple[Tensor, Tensor]:
    """Return each row's largest magnitude, and ±1 for the sign of its absmax scale."""
    if not signed:
        largest = largest_magnitudes(rows)
        return largest, torch.ones_like(largest)
    low, high = rows.amin(dim=1, keepdim=True), rows.amax(dim=1, keepdim=True)
    sign = torch.ones_like(high)
    if signed:
        upward = max(format.grid) > -min(format.grid)
        sign = torch.where(-low > high if upward else high > -low, -sign, sign)
    return torch.maximum(high, -low), sign


def _scales(largest: Tensor, factor: Tensor, format: Format) -> Tensor:  # noqa: A002
    """Return largest ÷ largest level × factor, finite and never 0 for a finite ``largest``."""
    info = torch.finfo(largest.dtype)
    # The divisor is a tensor, since some devices multiply by a rounded reciprocal of a number.
    divisor = codec(format, largest.dtype, largest.device).largest
    scale = largest / divisor * factor.abs()
    scale = torch.where((scale == 0) & (largest > 0), info.tiny * info.eps, scale)
    scale = torch.where(largest.isfinite(), scale.clamp(max=info.max), scale)
    idle = 1.0 if 0 in format.grid else info.tiny
    return torch.where(scale == 0, idle, scale) * factor.sign()


def _side(
    format: Format,  # noqa: A002
    table: "_SortedRows",
    sign: int,
) -> tuple[int, Tensor, Tensor]:
    """Return ``sign``, and midpoints and levels × sign ÷ largest level, ascending."""
    top = sign * format.largest_level
    bounds = sorted(float(point / top) for point, _ in midpoints(format))
    levels = sorted(float(value * format.unit / top) for value in format.sorted_grid)
    return sign, table.ordered.new_tensor(bounds), table.ordered.new_tensor(levels)


class _SortedRows:
    """Squared error of many rows for a scale: a binary search a level and not one an element.

    ``ordered`` holds ascending rows whose largest magnitude is 1.
    """

    def __init__(self, ordered: Tensor) -> None:
        self.ordered = ordered = ordered.contiguous()
        zero = ordered.new_zeros(ordered.shape[0], 1)
        self._sums = torch.cat([zero, ordered.cumsum(dim=1)], dim=1)
        self._energy = ordered.square().sum(dim=1, keepdim=True)

    def error(self, bounds: Tensor, levels: Tensor, ratio: float | Tensor) -> Tensor:
        """Return Σ(x − q(x))² of each row, q(x) being the nearest of levels × ratio.

        ``ratio`` is a number, or one for each row, shape (rows, 1).

        A cell with n elements of sum s and level l contributes n·l² − 2·s·l; Σx² is added once.
        """
        rows, length = self.ordered.shape
        inner = torch.searchsorted(self.ordered, (bounds * ratio).expand(rows, -1).contiguous())
        first, last = inner.new_zeros(rows, 1), inner.new_full((rows, 1), length)
        edges = torch.cat([first, inner, last], dim=1)
        counts = edges.diff(dim=1).to(self._sums.dtype)
        sums = self._sums.gather(1, edges).diff(dim=1)
        if isinstance(ratio, Tensor):
            squares, products = torch.mv(counts, levels.square()), torch.mv(sums, 2 * levels)
            return self._energy + ratio.square() * squares[:, None] - ratio * products[:, None]
        cells = torch.mv(counts, (levels * ratio).square()) - torch.mv(sums, 2 * ratio * levels)
        return self._energy + cells[:, None]

    def clipped_error(self, levels: Tensor, ratio: float) -> Tensor:
        """Return Σ over values beyond the outermost levels: at most :meth:`error` for this ratio.

        Where all levels have one sign, values of the other sign count with their distance to 0, so
        that the result never falls as the ratio falls.
        """
        low, high = levels[0].clamp(max=0) * ratio, levels[-1].clamp(min=0) * ratio
        inside = self.ordered.clamp(low, high)
        return (self.ordered - inside).square_().sum(dim=1, keepdim=True)
