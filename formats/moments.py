"""Extremes and kurtosis of values that come in parts, in one pass and constant memory.

Each part's central moments are computed in float64 and merged with those before it, on a scale that
is the power of two below the largest magnitude so far: no power overflows, and none vanishes.

Source: Pébay, Sandia report SAND2008-6212 (2008), equations 1.5 and 2.1, for the merging.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import TensorError
from .exact import shown
from .student_fit import wide

_PART_ELEMENTS = 2**18  # float64 copies of this many stay in a processor's cache


@dataclass(frozen=True, kw_only=True, slots=True)
class Moments:
    """A tensor's extremes, and its excess kurtosis m4/m2² − 3 about the mean (a normal's is 0)."""

    minimum: float
    maximum: float
    kurtosis: float


class RunningMoments:
    """Gathers the moments of all values that are added, in any number of parts.

    ``where`` begins the sentences of errors. ``shape``, where it is known, is that of the whole
    tensor, so that a value that is not finite is told by its index.
    """

    __slots__ = ("_central", "_shape", "_unit", "_where", "count", "maximum", "minimum")

    def __init__(self, where: str, shape: Sequence[int] | None = None) -> None:
        self._where = where
        self._shape = shape
        self._unit = 0.0
        self._central = (0.0, 0.0, 0.0, 0.0)  # the mean, and the sums of its deviations' powers
        self.count = 0
        self.minimum, self.maximum = math.inf, -math.inf

    def add(self, values: Tensor) -> None:
        """Add values of any shape, floating-point dtype and device; none is changed.

        Raises :class:`TensorError` for NaN and infinities, with the place of the first.
        """
        if values.numel():
            for part in torch.split(values.detach().reshape(-1), _PART_ELEMENTS):
                self._add(part)

    def result(self) -> Moments:
        """Return the moments of what was added.

        Raises :class:`TensorError` where that is nothing, or a single value, whose kurtosis is
        undefined.
        """
        if not self.count:
            raise TensorError(f"{self._where} is empty; no distribution can be fitted to it.")
        if self.minimum == self.maximum:
            raise TensorError(
                f"{self._where} holds {self.minimum:g} in all of its {self.count} elements; no "
                "distribution can be fitted to a single value."
            )
        _, second, _, fourth = self._central
        return Moments(
            minimum=self.minimum,
            maximum=self.maximum,
            kurtosis=fourth * self.count / second**2 - 3,
        )

    def _add(self, part: Tensor) -> None:
        values = wide(part)
        low, high = (float(extreme) for extreme in values.aminmax())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise TensorError(
                f"{self._where} holds NaN or infinite values, the first at index "
                f"{self._place(int((~values.isfinite()).int().argmax()))}; no distribution fits "
                "them."
            )
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
        largest = max(-self.minimum, self.maximum)
        unit = math.ldexp(1.0, math.frexp(largest)[1] - 1) if largest else 0.0
        if unit != self._unit:
            self._central = _rescaled(self._central, self._unit / unit)
            self._unit = unit
        # Zeros alone have no scale, and need none.
        scaled = values / unit if unit else values
        mean = scaled.mean()
        away = scaled - mean
        squares = away.square()
        sums = torch.stack([mean, squares.sum(), squares @ away, squares @ squares]).tolist()
        one, two, three, four = sums
        self._central = _merged(self.count, self._central, len(part), (one, two, three, four))
        self.count += len(part)

    def _place(self, inside: int) -> list[int]:
        place = torch.tensor(self.count + inside)
        if self._shape is None:
            return [int(place)]
        return [int(i) for i in torch.unravel_index(place, tuple(self._shape))]


_Central = tuple[float, float, float, float]


def moments(tensor: Tensor, name: str) -> Moments:
    """Return extremes and excess kurtosis over all elements of a tensor that ``name`` names.

    Raises :class:`TensorError`, naming the tensor, for NaN and infinities (with the place of the
    first), for an empty tensor, and for one with a single value, whose kurtosis is undefined.
    """
    running = RunningMoments(f"The tensor {shown(name)}", tensor.shape)
    running.add(tensor)
    return running.result()


def moments_of(parts: Iterable[Tensor], name: str, shape: Sequence[int]) -> Moments:
    """Return what :func:`moments` does of a tensor of that shape that comes in parts, in order."""
    running = RunningMoments(f"The tensor {shown(name)}", shape)
    for part in parts:
        running.add(part)
    return running.result()


def _rescaled(central: _Central, factor: float) -> _Central:
    mean, two, three, four = central
    return mean * factor, two * factor**2, three * factor**3, four * factor**4


def _merged(before: int, first: _Central, added: int, second: _Central) -> _Central:
    if not before:
        return second
    mean_a, two_a, three_a, four_a = first
    mean_b, two_b, three_b, four_b = second
    count = before + added
    a, b = before / count, added / count
    apart = mean_b - mean_a
    return (
        mean_a + apart * b,
        two_a + two_b + apart**2 * a * added,
        three_a + three_b + apart**3 * a * added * (a - b) + 3 * apart * (a * two_b - b * two_a),
        four_a
        + four_b
        + apart**4 * a * added * (a * a - a * b + b * b)
        + 6 * apart**2 * (a * a * two_b + b * b * two_a)
        + 4 * apart * (a * three_b - b * three_a),
    )
