"""The error of formats on tensors, part by part, with the reference quantizer.

A part is a matrix whose rows are cut into blocks. Everything that is kept are sums, so that memory
does not grow with the data. For the Lloyd-Max limit the elements, divided by what their block's
scale maps to the largest level, and weighted by its square, are gathered in fine cells.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .blocks import BlockLayout
from .code_use import CodeUse
from .lloyd_max import Histogram, levels_error, optimal_levels
from .quantization_error import ratio_db
from .quantizer import quantize
from .record import Format
from .scale import ScaleSpec
from .weighted_cells import Array, CellMoments

_CELLS = 2**15
OWN_REACH = 4.0
_MOST_GROUPS = 4096
_SAFE = (1e-12, 1e12)


class BlockHistogram:
    """Values in units of their blocks' scales, with the units' squares as weights.

    With ``reach`` 1, units are the blocks' largest magnitudes and the extremes at ±1 are kept
    apart; with a larger one values beyond ±``reach`` are in the outer cells.
    """

    def __init__(self, *, reach: float = 1.0) -> None:
        self.edges = np.linspace(-reach, reach, _CELLS + 1)
        self._extremes = reach == 1
        self._sums = np.zeros((4, _CELLS))
        self._ends = np.zeros((2, 2))

    def add(self, values: Tensor, units: Tensor) -> None:
        """Add blocks as rows of a matrix, and their units, not 0, of shape (rows, 1).

        Blocks of zeros are left out: any levels with a zero, or close to it, do for them.
        """
        filled = (values != 0).any(dim=1)
        wide, units = values[filled].to(torch.float64), units[filled].to(torch.float64)
        places = (wide / units).flatten().numpy()
        weights = units.square().expand_as(wide).flatten().numpy()
        if self._extremes:
            for index, end in enumerate((-1.0, 1.0)):
                at_end = places == end
                self._ends[index] += weights[at_end].sum(), np.count_nonzero(at_end)
            inside = np.abs(places) < 1
            places, weights = places[inside], weights[inside]
        reach = self.edges[-1]
        cells = ((places + reach) * (_CELLS / (2 * reach))).astype(np.intp).clip(0, _CELLS - 1)
        for row, part in enumerate((weights, weights * places, weights * places**2, None)):
            self._sums[row] += np.bincount(cells, weights=part, minlength=_CELLS)

    def result(self) -> Histogram:
        """Return the weighted histogram."""
        cells = CellMoments(weight=self._sums[0], first=self._sums[1], second=self._sums[2])
        low, high = float(self._ends[0, 0]), float(self._ends[1, 0])
        return Histogram(
            edges=self.edges, cells=cells, low=(-1.0, low), high=(1.0, high), smooth=False
        )

    @property
    def counts(self) -> Array:
        """How many values each cell holds, the extremes at ±1 left out."""
        counts: Array = self._sums[3]
        return counts

    @property
    def ends(self) -> tuple[int, int]:
        """How many values are exactly −1 and 1."""
        return int(self._ends[0, 1]), int(self._ends[1, 1])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BlockedPart:
    """A matrix and its blocks as rows, with what does not depend on a format.

    ``rows`` are the full blocks and the shorter ones; ``largest`` their largest magnitudes, of
    shape (rows, 1), 1 for blocks of zeros; ``signal`` their Σx², float64 of shape (rows,). Rows are
    float32 where squares of such numbers neither overflow nor vanish, and float64 otherwise.
    """

    matrix: Tensor
    spec: ScaleSpec
    rows: tuple[Tensor, ...]
    largest: tuple[Tensor, ...]
    signal: tuple[Tensor, ...]

    @classmethod
    def of(cls, matrix: Tensor, spec: ScaleSpec) -> "BlockedPart":
        """Return a finite matrix in blocks along the last axis, of ``spec``'s length."""
        matrix = matrix.detach()
        peak = float(matrix.abs().max())
        narrow = matrix.dtype != torch.float64 and _SAFE[0] < peak < _SAFE[1]
        values = matrix.to(torch.float32 if narrow else torch.float64)
        rows = tuple(BlockLayout.of(matrix.shape, spec).split(values))
        largest = []
        for part in rows:
            low, high = part.aminmax(dim=1, keepdim=True)
            magnitude = torch.maximum(high, -low)
            largest.append(torch.where(magnitude > 0, magnitude, 1))
        signal = tuple(part.square().sum(dim=1).double() for part in rows)
        return cls(matrix=matrix, spec=spec, rows=rows, largest=tuple(largest), signal=signal)

    def gather(self, histogram: BlockHistogram, *, signed: bool) -> None:
        """Add the blocks in units of their largest magnitudes.

        With ``signed`` scales, a block is turned so that its extreme is positive.
        """
        for rows, largest in zip(self.rows, self.largest, strict=True):
            units = largest
            if signed:
                low, high = rows.aminmax(dim=1, keepdim=True)
                units = torch.where(high < -low, -largest, largest)
            histogram.add(rows, units)


class MeasuredError:
    """What a format did to all parts that :meth:`add` was given.

    Blocks run along the last axis. With ``histogram``, the parts are gathered in units of the
    scales that the format itself chose. ``independent`` blocks have a standard error.
    """

    def __init__(
        self,
        format: Format,  # noqa: A002 - the field's word
        spec: ScaleSpec,
        *,
        histogram: BlockHistogram | None = None,
        independent: bool = False,
    ) -> None:
        self.format = format
        self.spec = spec
        self.elements = 0
        self.signal = 0.0
        self.noise = 0.0
        self.max_error = 0.0
        self._counts = torch.zeros(2**format.bits, dtype=torch.int64)
        self._histogram = histogram
        self._independent = independent
        self._groups: list[tuple[Tensor, Tensor]] = []

    def add(self, part: BlockedPart, name: str) -> None:
        """Quantize a matrix and count its errors; ``name`` is the tensor's, for errors."""
        done = quantize(part.matrix, self.format, self.spec, name=name)
        self._counts += torch.bincount(done.codes.flatten(), minlength=len(self._counts))
        layout = done.layout
        backs = layout.split(done.dequantize(done.scales.dtype))
        columns = layout.split_scales(done.scales)
        for index, rows in enumerate(part.rows):
            errors = rows - backs[index]
            low, high = errors.aminmax(dim=1, keepdim=True)
            share = (torch.maximum(high, -low) / part.largest[index]).max()
            self.max_error = max(self.max_error, float(share))
            noise = errors.square_().sum(dim=1).double()
            self.signal += float(part.signal[index].sum())
            self.noise += float(noise.sum())
            if self._histogram is not None:
                level = float(self.format.largest_level)
                self._histogram.add(rows, columns[index].double() * level)
            if self._independent:
                self._groups.append((_grouped(part.signal[index]), _grouped(noise)))
        self.elements += part.matrix.numel()

    def merge(self, other: "MeasuredError") -> None:
        """Add what another one counted for the same format and scales."""
        self.elements += other.elements
        self.signal += other.signal
        self.noise += other.noise
        self.max_error = max(self.max_error, other.max_error)
        self._counts += other._counts
        self._groups += other._groups

    @property
    def use(self) -> CodeUse:
        """The use of the codes as they are stored with the elements, selectors left out."""
        stored = self._counts.reshape(-1, 2**self.format.stored_bits).sum(dim=0)
        return CodeUse.of_counts(stored.tolist())

    @property
    def standard_error_db(self) -> float | None:
        """SQNR's standard error; None unless the blocks are independent."""
        if not self._groups:
            return None
        signal, noise = (torch.cat(parts) for parts in zip(*self._groups, strict=True))
        return ratio_db(signal, noise).standard_error


def own_limit(histogram: BlockHistogram, bits: int) -> float:
    """Return the least Σ(x − q(x))² of 2**bits levels with the scales of the histogram's units."""
    gathered = histogram.result()
    return levels_error(gathered, optimal_levels(gathered, 2**bits))


def _grouped(values: Tensor) -> Tensor:
    """Return the sums of runs of values, of which there are not too many."""
    length = -(-len(values) // _MOST_GROUPS)
    missing = -len(values) % length
    return torch.cat([values, values.new_zeros(missing)]).reshape(-1, length).sum(dim=1)
