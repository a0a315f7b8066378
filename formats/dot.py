"""The integer reference of the MAC: products, every partial sum, the dot product, and its value.

Codes are integer tensors whose last axis is time, one pair of codes a clock; the other axes
broadcast. The value of an accumulator is accumulator × unit_w × unit_a × scale_w × scale_a.
"""

import torch
from torch import Tensor

from .codec import check_codes
from .errors import TensorError, UsageError
from .mac import MacSpec
from .record import Format

_REFERENCE_BITS = 64


def products(spec: MacSpec, weight_codes: Tensor, activation_codes: Tensor) -> Tensor:
    """Return grid_w × grid_a of each pair as int64, the codes broadcast against each other.

    Raises :class:`TensorError` for what is no integer tensor, for a code beyond its format, and
    for shapes that do not broadcast.
    """
    weights = _grid_values(weight_codes, spec.weight, "The weight's codes")
    activations = _grid_values(activation_codes, spec.activation, "The activation's codes")
    try:
        return weights * activations
    except RuntimeError as error:
        raise TensorError(
            f"Weight codes of shape {list(weight_codes.shape)} and activation codes of shape "
            f"{list(activation_codes.shape)} do not fit each other."
        ) from error


def partial_sums(
    spec: MacSpec,
    weight_codes: Tensor,
    activation_codes: Tensor,
    clear: Tensor | None = None,
    enable: Tensor | None = None,
) -> Tensor:
    """Return the accumulator after each step, int64, as the MAC's contract defines it.

    Where ``clear`` is set, the accumulator starts again from this step's product; elsewhere the
    product is added. Where ``enable`` is not set, it holds, whatever ``clear`` says. Both are bool
    tensors of the last axis's length, the same for all other axes. Without ``clear``, the first
    step clears. Latency is not modelled: step t's value contains step t's product.

    Raises :class:`UsageError` where the first step does not clear (the MAC has no reset, so its
    value would be undefined), where more than ``spec.terms`` products meet without a clear, for
    ``enable`` with a MAC that has none, and for accumulators of more than 64 bits.
    """
    if spec.accumulator_bits > _REFERENCE_BITS:
        raise UsageError(
            f"{spec.name} needs an accumulator of {spec.accumulator_bits} bits; the reference "
            f"holds {_REFERENCE_BITS}. Choose fewer terms or a coarser grid."
        )
    if enable is not None and not spec.enable:
        raise UsageError(f"{spec.name} has no enable input.")
    terms = products(spec, weight_codes, activation_codes)
    if terms.dim() == 0:
        raise TensorError("Partial sums need codes with at least one axis, the time.")
    steps = terms.shape[-1]
    if steps == 0:
        return terms
    where = torch.arange(steps, device=terms.device)
    active = _flags(enable, steps, terms, "enable", torch.ones_like(where, dtype=torch.bool))
    starts = _flags(clear, steps, terms, "clear", where == 0) & active
    if not bool(starts[0]):
        raise UsageError(
            "The first step does not clear the accumulator; the MAC has no reset, so its value "
            "would be undefined."
        )
    terms = terms * active
    start = torch.where(starts, where, 0).cummax(dim=0).values
    _refuse_overlong(spec, active, start)
    # Running totals may wrap around int64; the differences below are exact all the same.
    totals = terms.cumsum(dim=-1)
    return totals - totals[..., start] + terms[..., start]


def dot(spec: MacSpec, weight_codes: Tensor, activation_codes: Tensor) -> Tensor:
    """Return the sum of all products along the last axis, int64; no steps give 0.

    Raises :class:`UsageError` for more than ``spec.terms`` steps, and as :func:`partial_sums`.
    """
    sums = partial_sums(spec, weight_codes, activation_codes)
    return sums[..., -1] if sums.shape[-1] else sums.sum(dim=-1)


def dequantized_dot(
    spec: MacSpec,
    weight_codes: Tensor,
    activation_codes: Tensor,
    *,
    weight_scale: Tensor | float = 1.0,
    activation_scale: Tensor | float = 1.0,
) -> Tensor:
    """Return accumulator × unit_w × unit_a × scale_w × scale_a as float64.

    The scales broadcast against the codes' shape without its last axis: one a dot product. For
    longer sums with a scale a block, give the blocks an axis of their own and add the results.
    """
    accumulator = dot(spec, weight_codes, activation_codes)
    unit = spec.unit
    # One rounding for the unit, one for each scale: integers up to 2**53 convert exactly.
    value = accumulator.double() * unit.numerator / unit.denominator
    for scale in (weight_scale, activation_scale):
        value = value * (scale.double() if isinstance(scale, Tensor) else scale)
    return value


def _grid_values(codes: Tensor, format: Format, where: str) -> Tensor:  # noqa: A002
    check_codes(codes, format, where)
    grid = torch.tensor(format.grid, dtype=torch.int64, device=codes.device)
    return grid[codes.long()]


def _flags(given: Tensor | None, steps: int, like: Tensor, name: str, default: Tensor) -> Tensor:
    if given is None:
        return default
    if not isinstance(given, Tensor) or given.dtype != torch.bool or given.shape != (steps,):
        kind = list(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise UsageError(f"{name} must be a bool tensor of {steps} steps, not {kind}.")
    return given.to(like.device)


def _refuse_overlong(spec: MacSpec, active: Tensor, start: Tensor) -> None:
    counts = active.long().cumsum(dim=0)
    length = counts - counts[start] + 1
    if int(length.max()) > spec.terms:
        step = int((length > spec.terms).nonzero()[0])
        raise UsageError(
            f"Step {step} adds product number {spec.terms + 1} since the last clear; {spec.name} "
            f"holds {spec.terms} without loss."
        )
