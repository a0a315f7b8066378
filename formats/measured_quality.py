"""The error of formats on tensors, part by part, with the reference quantizer.

A part is a matrix whose rows are cut into blocks. Everything that is kept are sums, so that memory
does not grow with the data. For the Lloyd-Max limit the elements, divided by what their block's
scale maps to the largest level, and weighted by its square, are gathered in fine cells.
"""

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

    def add(self, part: Tensor, name: str) -> None:
        """Quantize a matrix and count its errors; ``name`` is the tensor's, for errors."""
        done = quantize(part, self.format, self.spec, name=name)
        self._counts += torch.bincount(done.codes.flatten(), minlength=len(self._counts)).cpu()
        back = done.dequantize(done.scales.dtype)
        layout = done.layout
        for rows, backs, scales in zip(
            layout.split(part.detach()),
            layout.split(back),
            layout.split_scales(done.scales),
            strict=True,
        ):
            self._add_rows(rows.to(torch.float64), backs.to(torch.float64), scales)
        self.elements += part.numel()

    def _add_rows(self, rows: Tensor, backs: Tensor, scales: Tensor) -> None:
        errors = rows - backs
        largest = rows.abs().amax(dim=1, keepdim=True)
        shares = errors.abs() / torch.where(largest > 0, largest, 1)
        self.max_error = max(self.max_error, float(shares.max()))
        if self._histogram is not None:
            level = float(self.format.largest_level)
            self._histogram.add(rows, scales.to(torch.float64) * level)
        signal, noise = rows.square().sum(dim=1), errors.square_().sum(dim=1)
        self.signal += float(signal.sum())
        self.noise += float(noise.sum())
        if self._independent:
            per_group = -(-len(signal) // _MOST_GROUPS)
            self._groups.append((_grouped(signal, per_group), _grouped(noise, per_group)))

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


def gather_absmax(histogram: BlockHistogram, part: Tensor, spec: ScaleSpec) -> None:
    """Add a matrix's blocks in units of their largest magnitudes, with ``spec``'s block and sign.

    With signed scales, a block is turned so that its extreme is positive.
    """
    layout = BlockLayout.of(part.shape, spec)
    for rows in layout.split(part.detach()):
        low, high = rows.to(torch.float64).aminmax(dim=1, keepdim=True)
        units = torch.maximum(high, -low)
        if spec.signed:
            units = torch.where(high < -low, -units, units)
        histogram.add(rows, units)


def own_limit(histogram: BlockHistogram, bits: int) -> float:
    """Return the least Σ(x − q(x))² of 2**bits levels with the scales of the histogram's units."""
    gathered = histogram.result()
    return levels_error(gathered, optimal_levels(gathered, 2**bits))


def _grouped(values: Tensor, length: int) -> Tensor:
    """Return the sums of runs of ``length`` values."""
    missing = -len(values) % length
    return torch.cat([values, values.new_zeros(missing)]).reshape(-1, length).sum(dim=1)
