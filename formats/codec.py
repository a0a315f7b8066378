"""Nearest level and back, exactly, for torch tensors: code = encode(value), level = decode(code).

The midpoint of two neighbouring levels is a rational number that a float may miss. Comparing with
a rounded midpoint would send values beside it to the wrong side, so each midpoint becomes a
threshold in the values' own dtype: the largest float ≤ midpoint where a tie goes to the lower
level, the largest float < midpoint where it goes to the upper. ``value > threshold`` is then the
exact decision, ties included. On a CPU the decisions are looked up (:mod:`.cells`); elsewhere, and
for formats of too many thresholds, they are searched.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from .cells import CellEncoder, Cells, look_up
from .errors import TensorError
from .record import Format, Rounding

_PART = 2**17


def part_size() -> int:
    """Return how many elements are best worked on at once: temporaries then stay in the cache."""
    return _PART * max(2, torch.get_num_threads())


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
    ``cells`` are tables for a faster search, where there are any.
    """

    thresholds: Tensor
    ranked_codes: Tensor
    levels: Tensor
    largest: Tensor
    cells: Cells | None = None

    def encode(self, values: Tensor) -> Tensor:
        """Return the uint8 code of the level nearest to each value, saturating; no NaN allowed."""
        codes = torch.empty(values.shape, dtype=torch.uint8, device=values.device)
        self.encoder(values.numel())(values, codes)
        return codes

    def encoder(self, size: int) -> Callable[[Tensor, Tensor], None]:
        """Return a function of values and a contiguous tensor to write codes to, to call often.

        ``size`` is about how many values come at once, at most; more are worked on in parts.
        """
        if self.cells is None:
            return self._search
        size = max(1, min(size, part_size()))
        cell_encoder = CellEncoder(self.cells, size)

        def encode(values: Tensor, codes: Tensor) -> None:
            values, codes = values.detach().reshape(-1), codes.view(-1)
            for start in range(0, values.numel(), size):
                part = slice(start, start + size)
                cell_encoder.encode(values[part], codes[part])

        return encode

    def _search(self, values: Tensor, codes: Tensor) -> None:
        ranks = torch.bucketize(values.contiguous(), self.thresholds, out_int32=True)
        codes.view(-1).copy_(self.ranked_codes.index_select(0, ranks.flatten()))

    def decode(self, codes: Tensor) -> Tensor:
        """Return the level of each code."""
        if codes.device.type != "cpu":
            return self.levels.index_select(0, codes.flatten().int()).view(codes.shape)
        levels = torch.empty(codes.shape, dtype=self.levels.dtype)
        flat, found = codes.reshape(-1), levels.view(-1)
        size = max(1, min(flat.numel(), part_size()))
        index = torch.empty(size, dtype=torch.int64)
        for start in range(0, flat.numel(), size):
            part = flat[start : start + size]
            look_up(self.levels, index[: part.numel()].copy_(part), found[start : start + size])
        return levels


@functools.lru_cache(maxsize=128)
def codec(format: Format, dtype: torch.dtype, device: torch.device) -> Codec:  # noqa: A002
    """Return a format's tables for values of ``dtype``, float32 or float64, on ``device``."""
    levels = [_nearest(level, dtype) for level in format.levels]
    thresholds = [_threshold(midpoint, goes_up, dtype) for midpoint, goes_up in midpoints(format)]
    ordered = torch.tensor(thresholds, dtype=dtype, device=device)
    ranked_codes = torch.tensor(format.canonical_codes, dtype=torch.uint8, device=device)
    return Codec(
        thresholds=ordered,
        ranked_codes=ranked_codes,
        levels=torch.tensor(levels, dtype=dtype, device=device),
        largest=torch.tensor(_nearest(format.largest_level, dtype), dtype=dtype, device=device),
        cells=Cells.of(ordered, ranked_codes) if device.type == "cpu" else None,
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
    if not is_finite(values):
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


def is_finite(values: Tensor) -> bool:
    """Return whether no value is NaN or infinite; faster than to ask each."""
    if not values.numel():
        return True
    return bool(values.amin().isfinite() & values.amax().isfinite())


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
