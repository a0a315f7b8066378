"""Nearest level and back, exactly, for torch tensors: code = encode(value), level = decode(code).

The midpoint of two neighbouring levels is a rational number that a float may miss. Comparing with
a rounded midpoint would send values beside it to the wrong side, so each midpoint becomes a
threshold in the values' own dtype: the largest float ≤ midpoint where a tie goes to the lower
level, the largest float < midpoint where it goes to the upper. ``value > threshold`` is then the
exact decision, ties included.
"""

import functools
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from .errors import TensorError
from .record import Format, Rounding


def midpoints(format: Format) -> tuple[tuple[Fraction, bool], ...]:  # noqa: A002 - the field's word
    """Return each midpoint of neighbouring levels, ascending, and whether a tie goes up."""
    codes = format.canonical_codes
    grid = format.sorted_grid
    return tuple(
        (
            Fraction(lower + upper, 2) * format.unit,
            format.rounding is Rounding.TIES_TO_EVEN
            and upper_code % 2 == 0
            and lower_code % 2 == 1,
        )
        for lower, upper, lower_code, upper_code in zip(
            grid[:-1], grid[1:], codes[:-1], codes[1:], strict=True
        )
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Codec:
    """A format's tables as tensors on one device, in one compute dtype.

    ``thresholds`` and ``ranked_codes`` belong to the distinct levels in ascending order;
    ``levels`` holds the level of each code. ``largest`` is the largest magnitude, rank 0.
    """

    thresholds: Tensor
    ranked_codes: Tensor
    levels: Tensor
    largest: Tensor

    def encode(self, values: Tensor) -> Tensor:
        """Return the uint8 code of the level nearest to each value, saturating; no NaN allowed."""
        ranks = torch.bucketize(values.contiguous(), self.thresholds, out_int32=True)
        return self.ranked_codes.index_select(0, ranks.flatten()).view(values.shape)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the level of each code."""
        return self.levels.index_select(0, codes.flatten().int()).view(codes.shape)


@functools.lru_cache(maxsize=128)
def codec(format: Format, dtype: torch.dtype, device: torch.device) -> Codec:  # noqa: A002
    """Return a format's tables for values of ``dtype``, float32 or float64, on ``device``."""
    levels = [_nearest(level, dtype) for level in format.levels]
    thresholds = [_threshold(midpoint, goes_up, dtype) for midpoint, goes_up in midpoints(format)]
    return Codec(
        thresholds=torch.tensor(thresholds, dtype=dtype, device=device),
        ranked_codes=torch.tensor(format.canonical_codes, dtype=torch.uint8, device=device),
        levels=torch.tensor(levels, dtype=dtype, device=device),
        largest=torch.tensor(_nearest(format.largest_level, dtype), dtype=dtype, device=device),
    )


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype that values are scaled and compared in: float64, or float32 for all else."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def encode(values: Tensor, format: Format) -> Tensor:  # noqa: A002 - the field's word
    """Return the code (uint8, same shape) of the level nearest to each value, without a scale.

    Values beyond the largest level saturate. Raises :class:`TensorError` for what is no dense
    floating-point tensor, and for NaN and infinities.
    """
    check_tensor(values, "The tensor")
    values = values.detach().to(compute_dtype(values.dtype))
    if not bool(torch.isfinite(values).all()):
        raise TensorError("The tensor holds NaN or infinite values, which have no nearest level.")
    return codec(format, values.dtype, values.device).encode(values)


def decode(
    codes: Tensor,
    format: Format,  # noqa: A002 - the field's word
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return the level of each code in ``dtype``; raises :class:`TensorError` for no valid code."""
    check_codes(codes, format, "The tensor")
    return codec(format, compute_dtype(dtype), codes.device).decode(codes).to(dtype)


def check_tensor(tensor: object, where: str) -> None:
    """Raise :class:`TensorError`, naming ``where``, for what is no dense floating-point tensor."""
    if not isinstance(tensor, Tensor):
        raise TensorError(f"{where} is of type {type(tensor).__name__}; it must be a torch.Tensor.")
    if tensor.layout != torch.strided or not tensor.is_floating_point():
        raise TensorError(
            f"{where} is {str(tensor.dtype).removeprefix('torch.')} with layout "
            f"{str(tensor.layout).removeprefix('torch.')}; it must be a dense floating-point "
            "tensor. Convert it first, for example with .float() or .to_dense()."
        )


def check_codes(codes: object, format: Format, where: str) -> None:  # noqa: A002
    """Raise :class:`TensorError`, naming ``where``, unless all codes are integers of the format."""
    if not isinstance(codes, Tensor):
        raise TensorError(f"{where} is of type {type(codes).__name__}; it must be a torch.Tensor.")
    if codes.dtype == torch.bool or codes.is_floating_point() or codes.is_complex():
        raise TensorError(
            f"{where} is {str(codes.dtype).removeprefix('torch.')}; codes are integers."
        )
    limit = 2**format.bits
    if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < limit:
        raise TensorError(
            f"{where} holds values from {int(codes.min())} to {int(codes.max())}; the codes of "
            f"{format.name} are 0 to {limit - 1}."
        )


def _nearest(value: Fraction, dtype: torch.dtype) -> float:
    return float(torch.tensor(float(value), dtype=dtype).item())


def _threshold(midpoint: Fraction, goes_up: bool, dtype: torch.dtype) -> float:
    near = torch.tensor(float(midpoint), dtype=dtype)
    exact = Fraction(near.item())
    if exact > midpoint or (exact == midpoint and goes_up):
        near = torch.nextafter(near, torch.tensor(-torch.inf, dtype=dtype))
    return float(near.item())
