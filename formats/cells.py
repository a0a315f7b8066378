"""The code of the nearest level by two look-ups in place of a search, exactly.

The leading bits of a float (sign, exponent and the first bits of the mantissa) name a cell, an
interval of floats of one sign. With enough mantissa bits no cell holds more than one threshold, so
that one comparison inside the cell settles the code: 2048 cells serve NF4. The tables are made by
the search that they replace, at both ends of every cell; the search is monotone, so they agree
with it on every float between.

Torch has no search that uses a CPU's vectors, but its look-ups, shifts and subtractions do. The
comparison is the sign of value − bound, which no rounding changes (subnormals are kept).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

#: More cells than these no longer stay close to the processor.
MOST_CELLS = 2**16
#: Rows that a look-up is shared out in: torch runs a look-up of one row on one thread.
_ROW = 4096


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Cells:
    """Tables for one dtype. The cell of a float is (its bits >> ``shift``) + ``offset``.

    ``bounds`` has for each cell the first float that belongs to the cell's upper code (0 where
    both are the same), and ``codes`` the lower code at 2 × cell − 1, the upper one at 2 × cell.
    Cell 0 does not occur.
    """

    shift: int
    offset: int
    bounds: Tensor
    codes: Tensor

    @classmethod
    def of(cls, thresholds: Tensor, ranked_codes: Tensor) -> "Cells | None":
        """Return the smallest tables for ascending thresholds, or None where they are too large.

        A value's rank is the number of thresholds below it, and its code is ``ranked_codes[rank]``.
        """
        dtype = thresholds.dtype
        width = torch.finfo(dtype).bits
        integers = torch.int64 if width == 64 else torch.int32
        mantissa = -round(torch.tensor(torch.finfo(dtype).eps, dtype=torch.float64).log2().item())
        above = torch.nextafter(thresholds, torch.full_like(thresholds, torch.inf))
        for shift in range(mantissa, 0, -1):
            count = 2 ** (width - shift)
            if count > MOST_CELLS:
                break
            keys = thresholds.view(integers) >> shift
            inside = keys[keys == above.view(integers) >> shift].tolist()
            if len(set(inside)) == len(inside):
                low, high = _ranks_at_ends(thresholds, shift, count)
                split = above[low.clamp(max=len(above) - 1)]
                bounds = torch.where(high > low, split, split.new_zeros(()))
                pairs = torch.stack([ranked_codes[low], ranked_codes[high]], dim=1).flatten()
                return cls(
                    shift=shift,
                    offset=count // 2 + 1,
                    bounds=torch.cat([bounds[:1], bounds]),
                    codes=torch.cat([pairs[:1], pairs]),
                )
        return None


def _ranks_at_ends(thresholds: Tensor, shift: int, count: int) -> tuple[Tensor, Tensor]:
    """Return the ranks of the least and the greatest float of every cell, the negative first."""
    integers = torch.int64 if thresholds.dtype == torch.float64 else torch.int32
    first = (torch.arange(count, dtype=integers) - count // 2) << shift
    ends = torch.stack([first, first | (2**shift - 1)]).view(thresholds.dtype)
    # The cells of infinity end in patterns of NaN, which never come.
    ends = torch.where(ends.isnan(), torch.copysign(torch.full_like(ends, torch.inf), ends), ends)
    low, high = torch.bucketize(ends.sort(dim=0).values, thresholds)
    return low, high


class CellEncoder:
    """Encodes parts of at most ``size`` values by :class:`Cells`, with the same buffers for all."""

    def __init__(self, cells: Cells, size: int) -> None:
        dtype = cells.bounds.dtype
        self._cells = cells
        self._bounds = torch.empty(size, dtype=dtype)
        self._index = torch.empty(size, dtype=torch.int64)
        # 64-bit keys serve as indices as they are.
        wide = dtype == torch.float64
        self._keys = self._index if wide else torch.empty(size, dtype=torch.int32)
        self._sign_bit = 63 if wide else 31
        self._below = torch.empty(size, dtype=torch.int64) if wide else self._index

    def encode(self, values: Tensor, out: Tensor) -> None:
        """Write the codes of a contiguous vector of values to ``out``, contiguous uint8."""
        cells, count = self._cells, values.numel()
        keys, index, below, bounds = (
            part[:count] for part in (self._keys, self._index, self._below, self._bounds)
        )
        torch.bitwise_right_shift(values.view(keys.dtype), cells.shift, out=keys)
        keys.add_(cells.offset)
        if keys.dtype != index.dtype:
            index.copy_(keys)
        look_up(cells.bounds, index, bounds)
        torch.sub(values, bounds, out=bounds)
        # −1 below the bound, else 0; −0 is no value − bound, since both have the cell's sign.
        sign = bounds.view(keys.dtype).bitwise_right_shift_(self._sign_bit)
        torch.add(sign, keys, alpha=2, out=sign)
        below.copy_(sign)
        look_up(cells.codes, below, out)


def look_up(table: Tensor, index: Tensor, out: Tensor) -> None:
    """Write ``table[index]`` to ``out``; all are contiguous vectors, the index of int64."""
    whole = index.numel() // _ROW * _ROW
    for part, rows in ((slice(0, whole), whole // _ROW), (slice(whole, None), 1)):
        found = out[part]
        if found.numel():
            torch.gather(
                table.expand(rows, -1), 1, index[part].view(rows, -1), out=found.view(rows, -1)
            )
