"""What pictures of a distribution need of a sample: a histogram and quantiles, few enough to keep.

Six significant digits of each figure are kept.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from .errors import DataError
from .exact import shown

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

BINS = 101
QUANTILES = 129
_TAIL = 1e-3


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """A sample's root mean square (the best zero-mean normal's deviation), histogram and quantiles.

    ``counts`` are of equal bins from −``reach`` to ``reach``, outside of which lies about a
    thousandth of the sample. ``quantiles`` ascend; each is the sample's value at a place of
    :func:`quantile_places`, the extremes first and last.
    """

    rms: float
    reach: float
    counts: tuple[int, ...]
    quantiles: tuple[float, ...]

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types; :meth:`from_json` is the inverse."""
        return {
            "rms": self.rms,
            "reach": self.reach,
            "counts": list(self.counts),
            "quantiles": list(self.quantiles),
        }

    @classmethod
    def from_json(cls, record: object, where: str) -> "Outline":
        """Rebuild an outline; raises :class:`DataError` for what is none, naming ``where``."""
        if not isinstance(record, dict):
            raise DataError(f"{where} is {shown(record)}; it must be a JSON object.")
        counts, quantiles = record.get("counts"), record.get("quantiles")
        for key in ("rms", "reach"):
            value = record.get(key)
            if not _is_number(value) or value <= 0:
                raise DataError(f"{where}: {key} is {shown(value)}; it must be a positive number.")
        if not isinstance(counts, list) or not all(type(n) is int and n >= 0 for n in counts):
            raise DataError(f"{where}: counts must be a list of integers, none negative.")
        if not isinstance(quantiles, list) or not all(_is_number(value) for value in quantiles):
            raise DataError(f"{where}: quantiles must be a list of numbers.")
        if len(counts) != BINS or len(quantiles) != QUANTILES or sorted(quantiles) != quantiles:
            raise DataError(
                f"{where}: it takes {BINS} counts and {QUANTILES} ascending quantiles, not "
                f"{len(counts)} and {len(quantiles)}."
            )
        return cls(
            rms=float(record["rms"]),
            reach=float(record["reach"]),
            counts=tuple(counts),
            quantiles=tuple(map(float, quantiles)),
        )


def outline_of(sample: "Tensor") -> Outline:
    """Return the outline of a sample, shape (samples,), of at least one value, not all 0."""
    import numpy as np  # noqa: PLC0415 - not needed to read an outline

    ordered = np.sort(sample.detach().cpu().double().numpy())
    magnitudes = np.sort(np.abs(ordered))
    inside = magnitudes[math.ceil((1 - _TAIL) * (len(magnitudes) - 1))]
    reach = _rounded(inside if inside > 0 else magnitudes[-1])
    with np.errstate(over="ignore"):  # what is so far outside is in no bin
        counts, _ = np.histogram(ordered / reach, bins=BINS, range=(-1, 1))
    return Outline(
        rms=_rounded(math.sqrt(np.square(ordered / magnitudes[-1]).mean()) * magnitudes[-1]),
        reach=reach,
        counts=tuple(int(count) for count in counts),
        quantiles=tuple(_rounded(value) for value in ordered[quantile_places(len(ordered))]),
    )


def quantile_places(samples: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return the ranks, from 0, of an outline's quantiles in a sample of that many values.

    They lie evenly on a normal's scale, so that tails are as dense as the middle. The rank i is the
    quantile of the probability (i + ½) ÷ ``samples``.
    """
    import numpy as np  # noqa: PLC0415
    from scipy.special import ndtr, ndtri  # noqa: PLC0415 - half a second to import

    outermost = float(ndtri(1 - 0.5 / samples)) if samples > 1 else 0.0
    probabilities = ndtr(np.linspace(-outermost, outermost, QUANTILES))
    ranks = np.rint(probabilities * samples - 0.5).astype(np.int64)
    return np.clip(ranks, 0, samples - 1)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _is_number(value: object) -> TypeGuard[float]:
    return type(value) in {int, float} and math.isfinite(value)  # type: ignore[arg-type]
