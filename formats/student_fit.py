"""Maximum-likelihood fit of a zero-mean Student's t to many samples at once.

With a = log ν, b = log s² and w = x² ÷ (ν s² + x²), the mean log-likelihood of a sample is

    ℓ = log Γ((ν+1)/2) − log Γ(ν/2) − ½ log(πν) − ½ b − ½(ν+1) · mean log(1 + x²/(ν s²)),

with ∂ℓ/∂b = ½(ν+1)·mean w − ½, which falls with b: each ν has one best scale. Along ν there can be
several maxima, so the search begins with a grid of ν on a histogram of eight bins an octave, and
ends with Newton's method on the elements themselves, whose steps are shortened where ℓ would fall.

Source: Lange, Little and Taylor, JASA 84 (1989) 881, for the likelihood and its weights.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import TensorError, UsageError
from .exact import shown

NU_BOUNDS = (0.5, 200.0)
_GRID = 9
_BISECTIONS = 14
_NEWTON_STEPS = 60
_SETTLED = 1e-6
_LEFT_OUT_BITS = 20  # of a float32's 31: what remains is the exponent and three bits of the value
_CHUNK_ELEMENTS = 2**22
_CHUNK_ROWS = 128


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StudentFit:
    """The best ν and scale s of each row, float64, of the rows' leading shape.

    ``nu`` at its upper bound means that no t with a smaller ν is likelier: to a sample, a normal.
    ``log_likelihood`` is the mean over a row's elements, in nats.
    """

    nu: Tensor
    scale: Tensor
    log_likelihood: Tensor


def fit_student(
    rows: Tensor,
    *,
    bounds: tuple[float, float] = NU_BOUNDS,
    cap: int | None = None,
    seed: int = 0,
    name: str = "tensor",
) -> StudentFit:
    """Return the maximum-likelihood ν, within ``bounds``, and scale of each row's elements.

    ``rows`` has shape (…, samples) and any floating-point dtype, on any device, where the result
    is too; for a device without float64 the CPU computes. Of rows longer than ``cap`` a sample of
    ``cap`` places counts, the same places in all rows (see :func:`sample_elements`).

    Raises :class:`TensorError`, naming ``name``, for rows without elements, NaN or infinities, and
    rows of which the share ν/(ν+1), at the lower bound, or more is exactly 0: their likelihood
    grows without limit as the scale falls. Raises :class:`UsageError` for bounds out of order.
    """
    low, high = bounds
    if not 0 < low <= high < math.inf:
        raise UsageError(
            f"The bounds for nu are {shown(low)} and {shown(high)}; they must be positive, finite "
            "and in ascending order."
        )
    if cap is not None and cap < 1:
        raise UsageError(f"The sample's cap is {shown(cap)}; it must be at least 1.")
    where = f"The tensor {shown(name)}"
    if rows.ndim == 0 or rows.shape[-1] == 0:
        raise TensorError(f"{where} has no elements to fit a distribution to.")
    if cap is not None and rows.shape[-1] > cap:
        rows = rows.index_select(-1, sample_places(rows.shape[-1], cap, seed).to(rows.device))
    leading, length = rows.shape[:-1], rows.shape[-1]
    flat = rows.detach().reshape(-1, length)
    step = max(1, min(_CHUNK_ELEMENTS // length, _CHUNK_ROWS))
    fits = [_fit(wide(part), low, high, where) for part in torch.split(flat, step)]
    nu, scale, likelihood = (
        torch.cat([fit[item] for fit in fits]).reshape(leading) for item in range(3)
    )
    return StudentFit(nu=nu, scale=scale, log_likelihood=likelihood)


def student_log_likelihood(rows: Tensor, nu: Tensor, scale: Tensor) -> Tensor:
    """Return each row's mean log-density under a zero-mean t, in nats, float64.

    ``rows`` has shape (…, samples); ``nu`` and ``scale`` have the leading shape.
    """
    values = wide(rows)
    nu, square = wide(nu), wide(scale).square()
    mean_log = torch.log1p(values.square() / (nu * square).unsqueeze(-1)).mean(dim=-1)
    return _log_peak(nu) - square.log() / 2 - (nu + 1) / 2 * mean_log


def sample_elements(tensor: Tensor, cap: int, seed: int = 0) -> Tensor:
    """Return at most ``cap`` of a tensor's elements, shape (samples,), in their order and dtype.

    The elements are cut into ``cap`` runs of nearly equal length, and one of each is drawn. The
    same seed draws the same places on any device; only the drawn places are read.
    """
    flat = tensor.detach().reshape(-1)
    if len(flat) <= cap:
        return flat
    return flat[sample_places(len(flat), cap, seed).to(flat.device)]


def wide(tensor: Tensor) -> Tensor:
    """Return a tensor as float64, on the CPU where its device has none."""
    tensor = tensor.detach()
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).to(torch.float64)


def sample_places(elements: int, cap: int, seed: int) -> Tensor:
    """Return ascending places, int64 of shape (cap,), one in each of ``cap`` runs of elements.

    There must be at least ``cap`` elements.
    """
    generator = torch.Generator().manual_seed(seed)
    edges = torch.arange(cap + 1, dtype=torch.int64) * elements // cap
    first, runs = edges[:-1], edges.diff()
    drawn = torch.rand(cap, generator=generator, dtype=torch.float64)
    return first + torch.minimum((drawn * runs).long(), runs - 1)


def _fit(rows: Tensor, low: float, high: float, where: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return ν, the scale and ℓ of float64 rows of shape (rows, samples)."""
    magnitudes = rows.abs()
    largest = magnitudes.amax(dim=1)
    if not bool(largest.isfinite().all()):
        raise TensorError(f"{where} holds NaN or infinite values; no distribution fits them.")
    zeros = (magnitudes == 0).sum(dim=1)
    most = low / (low + 1) * rows.shape[1]
    if bool((zeros >= most).any()):
        raise TensorError(
            f"{where}: {int(zeros.max())} of {rows.shape[1]} elements are exactly 0; from a share "
            f"of {low / (low + 1):.3g} on, no Student's t with nu of {low:g} or more is the "
            "likeliest. Fit the other elements alone."
        )
    # Squares of what is near 1 neither overflow nor vanish.
    unit = (magnitudes / largest[:, None]).mean(dim=1) * largest
    squares = (magnitudes / unit[:, None]).square()
    start = _start(squares, low, high)
    nu, log_square, likelihood = _climb(squares, *start, low=low, high=high)
    return nu, (log_square / 2).exp() * unit, likelihood - unit.log()


def _start(squares: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Return log ν and log s² of each row, near the highest maximum, from a coarse histogram."""
    values, shares = _histogram(squares)
    grid = torch.linspace(
        math.log(low), math.log(high), _GRID, dtype=torch.float64, device=squares.device
    )
    nu = grid.exp()[:, None]
    positive = values[values > 0].log()
    reach = 10 + math.log(high + 1)
    floor = torch.full(
        (len(squares), _GRID), float(positive.min()) - reach, dtype=grid.dtype, device=grid.device
    )
    ceiling = torch.full_like(floor, float(positive.max()) + reach)
    for _ in range(_BISECTIONS):
        middle = (floor + ceiling) / 2
        weights = values / (nu * middle.exp()[..., None] + values)
        too_small = torch.einsum("rgv,rv->rg", weights, shares) > 1 / (nu[:, 0] + 1)
        floor, ceiling = (
            torch.where(too_small, middle, floor),
            torch.where(too_small, ceiling, middle),
        )
    middle = (floor + ceiling) / 2
    logs = torch.log1p(values / (nu * middle.exp()[..., None]))
    mean_log = torch.einsum("rgv,rv->rg", logs, shares)
    best = (_log_peak(nu[:, 0]) - middle / 2 - (nu[:, 0] + 1) / 2 * mean_log).argmax(dim=1)
    return grid[best], middle.gather(1, best[:, None])[:, 0]


def _histogram(squares: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bins' values, shape (bins,), and each row's share of them, shape (rows, bins)."""
    codes = squares.float().view(torch.int32) >> _LEFT_OUT_BITS
    occupied = codes > 0
    lowest = int(torch.where(occupied, codes, torch.iinfo(codes.dtype).max).min())
    bins = int(codes.max()) - lowest + 2
    # Bin 0 is for what is 0: its value adds nothing to any sum.
    slots = torch.where(occupied, codes - (lowest - 1), 0).long()
    slots += torch.arange(len(squares), device=slots.device)[:, None] * bins
    counts = torch.bincount(slots.flatten(), minlength=len(squares) * bins)
    middles = torch.arange(lowest, lowest + bins - 1, device=slots.device, dtype=torch.int32)
    middles = (middles << _LEFT_OUT_BITS) + (1 << (_LEFT_OUT_BITS - 1))
    values = torch.cat([middles.new_zeros(1).double(), middles.view(torch.float32).double()])
    return values, counts.reshape(len(squares), bins).double() / squares.shape[1]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Point:
    """ℓ at a point, and Newton's step from it, for each row."""

    likelihood: Tensor
    step: Tensor
    log_square_step: Tensor


def _climb(
    squares: Tensor, log_nu: Tensor, log_square: Tensor, *, low: float, high: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-likelihood's maximum near a start as ν, log s² and ℓ, by damped Newton steps."""
    floor, ceiling = math.log(low), math.log(high)
    here = _newton(squares, log_nu, log_square, floor, ceiling)
    step, square_step = here.step, here.log_square_step
    for _ in range(_NEWTON_STEPS):
        if float(torch.maximum(step.abs(), square_step.abs()).max()) < _SETTLED:
            break
        there = _newton(squares, log_nu + step, log_square + square_step, floor, ceiling)
        ascends = there.likelihood >= here.likelihood - 1e-12
        log_nu = torch.where(ascends, log_nu + step, log_nu)
        log_square = torch.where(ascends, log_square + square_step, log_square)
        here = _Point(
            likelihood=torch.where(ascends, there.likelihood, here.likelihood),
            step=there.step,
            log_square_step=there.log_square_step,
        )
        step = torch.where(ascends, there.step, step / 4)
        square_step = torch.where(ascends, there.log_square_step, square_step / 4)
    # The last step is so short that its own error, of second order, is below 1e-11.
    log_nu = (log_nu + step).clamp(floor, ceiling)
    # exp(log ν) can miss a bound by a rounding.
    nu = torch.where(log_nu >= ceiling, high, torch.where(log_nu <= floor, low, log_nu.exp()))
    return nu, log_square + square_step, here.likelihood


def _newton(
    squares: Tensor, log_nu: Tensor, log_square: Tensor, floor: float, ceiling: float
) -> _Point:
    nu = log_nu.exp()
    ratios = squares / (nu * log_square.exp())[:, None]
    mean_log = torch.log1p(ratios).mean(dim=1)
    weights = ratios.div_(1 + ratios)
    mean = weights.mean(dim=1)
    spread = mean - weights.square_().mean(dim=1)
    upper, lower = (nu + 1) / 2, nu / 2
    digammas = torch.digamma(upper) - torch.digamma(lower)
    trigammas = torch.special.polygamma(1, upper) - torch.special.polygamma(1, lower)
    slope = lower * (digammas - mean_log) + upper * mean - 0.5
    square_slope = upper * mean - 0.5
    bend = lower * (digammas - mean_log + lower * trigammas) + nu * mean - upper * spread
    cross = lower * mean - upper * spread
    square_bend = -upper * spread
    # Along the ridge of best scales: the slope, and the curvature, of the profile likelihood.
    ridge_slope = slope - cross * square_slope / square_bend
    ridge_bend = bend - cross.square() / square_bend
    step = torch.where(ridge_bend < 0, -ridge_slope / ridge_bend, ridge_slope.sign())
    step = (log_nu + step.nan_to_num().clamp(-1, 1)).clamp(floor, ceiling) - log_nu
    square_step = -(square_slope + cross * step) / square_bend
    return _Point(
        likelihood=_log_peak(nu) - log_square / 2 - upper * mean_log,
        step=step,
        log_square_step=square_step.nan_to_num().clamp(-4, 4),
    )


def _log_peak(nu: Tensor) -> Tensor:
    """Return the logarithm of the density at 0 of a t with scale 1."""
    return torch.lgamma((nu + 1) / 2) - torch.lgamma(nu / 2) - (nu * math.pi).log() / 2
