"""How far a sample is from a fitted distribution.

The Kolmogorov-Smirnov distance D is the largest difference between the sample's distribution
function and a fitted one. KS-Δ = D(normal) − D(t) is positive where the t fits better, as in
Table 1 of the paper (Dotzel et al., ICML 2024, arXiv 2405.03103).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .student_fit import wide

_PIECES = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class FitDistance:
    """Kolmogorov-Smirnov distances of a sample to its best t and its best zero-mean normal."""

    ks_t: float
    ks_normal: float

    @property
    def ks_delta(self) -> float:
        """D(normal) − D(t), positive where the t fits better."""
        return self.ks_normal - self.ks_t


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
