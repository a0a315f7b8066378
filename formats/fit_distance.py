"""How far a sample is from a fitted distribution, and how far from normal its moments are.

The Kolmogorov-Smirnov distance D is the largest difference between the sample's distribution
function and a fitted one. KS-Δ = D(normal) − D(t) is positive where the t fits better, as in
Table 1 of the paper (Dotzel et al., ICML 2024, arXiv 2405.03103).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import TensorError
from .exact import shown
from .student_fit import wide

_PIECES = 16
_CHUNK_ELEMENTS = 2**22


@dataclass(frozen=True, kw_only=True, slots=True)
class FitDistance:
    """Kolmogorov-Smirnov distances of a sample to its best t and its best zero-mean normal."""

    ks_t: float
    ks_normal: float

    @property
    def ks_delta(self) -> float:
        """D(normal) − D(t), positive where the t fits better."""
        return self.ks_normal - self.ks_t


@dataclass(frozen=True, kw_only=True, slots=True)
class Moments:
    """A tensor's extremes, and its excess kurtosis m4/m2² − 3 about the mean (a normal's is 0)."""

    minimum: float
    maximum: float
    kurtosis: float


def fit_distance(sample: Tensor, nu: float, scale: float) -> FitDistance:
    """Return the distances of a sample to the zero-mean t given and to the likeliest normal.

    That normal's standard deviation is the root mean square. ``sample`` has shape (samples,) with
    at least one element, not all 0.
    """
    ordered = wide(sample).sort().values
    largest = ordered.abs().amax()
    sigma = (ordered / largest).square().mean().sqrt() * largest
    return FitDistance(
        ks_t=ks_distance(ordered, lambda x: student_cdf(x / scale, nu)),
        ks_normal=ks_distance(ordered, lambda x: torch.special.ndtr(x / sigma)),
    )


def student_cdf(values: Tensor, nu: float) -> Tensor:
    """Return the distribution function of Student's t, float64, by SciPy on the CPU."""
    from scipy.special import stdtr  # noqa: PLC0415 - half a second to import

    found = stdtr(nu, wide(values).cpu().numpy())
    return torch.from_numpy(found).to(values.device)


def ks_distance(ordered: Tensor, cdf: Callable[[Tensor], Tensor]) -> float:
    """Return the Kolmogorov-Smirnov distance of ascending values, shape (samples,), to ``cdf``.

    Between two values whose ``cdf`` is known, both functions ascend, which bounds their difference
    there. Only where the bound is above the largest difference found are values looked at, so that
    ``cdf`` is evaluated at few of them; the result is that of all.
    """
    count = len(ordered)
    first = torch.tensor([0, count - 1], device=ordered.device)
    known = cdf(ordered[first])
    best = _largest_difference(first, known, count)
    left, right, below, above = first[:1], first[1:], known[:1], known[1:]
    steps = torch.arange(_PIECES + 1, device=ordered.device)
    while len(left):
        places = left[:, None] + (right - left)[:, None] * steps // _PIECES
        inner = cdf(ordered[places[:, 1:-1]].flatten()).reshape(len(left), _PIECES - 1)
        known = torch.cat([below[:, None], inner, above[:, None]], dim=1)
        best = max(best, _largest_difference(places, known, count))
        left, right = places[:, :-1].flatten(), places[:, 1:].flatten()
        below, above = known[:, :-1].flatten(), known[:, 1:].flatten()
        most = torch.maximum(right.double() / count - below, above - (left.double() + 1) / count)
        open_ = (right - left > 1) & (most > best)
        left, right, below, above = left[open_], right[open_], below[open_], above[open_]
    return best


def _largest_difference(places: Tensor, known: Tensor, count: int) -> float:
    """Return the largest difference at some values, just before or just after each."""
    # A quotient of integers would be a float32.
    ranks = places.double()
    return float(torch.maximum((ranks + 1) / count - known, known - ranks / count).max())


def moments(tensor: Tensor, name: str) -> Moments:
    """Return extremes and excess kurtosis over all elements, in chunks, in float64.

    Raises :class:`TensorError`, naming the tensor, for NaN and infinities (with the place of the
    first), for an empty tensor, and for one with a single value, whose kurtosis is undefined.
    """
    where = f"The tensor {shown(name)}"
    flat = tensor.detach().reshape(-1)
    if not len(flat):
        raise TensorError(f"{where} is empty; no distribution can be fitted to it.")
    minimum, maximum = torch.inf, -torch.inf
    done = 0
    for part in _chunks(flat):
        if not bool(part.isfinite().all()):
            first = done + int((~part.isfinite()).int().argmax())
            index = [int(i) for i in torch.unravel_index(torch.tensor(first), tensor.shape)]
            raise TensorError(
                f"{where} holds NaN or infinite values, the first at index {index}; no "
                "distribution fits them."
            )
        low, high = (float(extreme) for extreme in part.aminmax())
        minimum, maximum = min(minimum, low), max(maximum, high)
        done += len(part)
    if minimum == maximum:
        raise TensorError(
            f"{where} holds {minimum:g} in all of its {len(flat)} elements; no distribution can "
            "be fitted to a single value."
        )
    largest = max(-minimum, maximum)
    mean = sum(float((part / largest).sum()) for part in _chunks(flat)) / len(flat)
    second = fourth = 0.0
    for part in _chunks(flat):
        squares = part.div_(largest).sub_(mean).square_()
        second += float(squares.sum()) / len(flat)
        fourth += float(squares.square_().sum()) / len(flat)
    return Moments(minimum=minimum, maximum=maximum, kurtosis=fourth / second**2 - 3)


def _chunks(flat: Tensor) -> Iterator[Tensor]:
    """Yield float64 copies of a flat tensor's runs, which the caller may overwrite."""
    for part in torch.split(flat, _CHUNK_ELEMENTS):
        copied = wide(part)
        yield copied.clone() if copied.data_ptr() == part.data_ptr() else copied
