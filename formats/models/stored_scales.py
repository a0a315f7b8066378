"""Scales as bytes: what the scale format stores, in a dtype that safetensors files have.

- FP16: float16. E8M0: uint8, the power of two plus 127. E4M3 and E3M3: float8 (E4M3). UINT: uint8
  or uint16. All exactly.
- Below a parent scale (a tensor's or a channel's) the parents are stored beside, in the dtype that
  the scales are computed in; a block's scale is the stored number times its parent.
- Other scales are stored as they are computed.
"""

from typing import TYPE_CHECKING

from ..scale_format import Parent, ScaleFormat

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_E8M0_BIAS = 127
_AT_ONCE = 2**20


def scale_dtype(store: ScaleFormat | None, dtype: str) -> str:
    """Return the dtype of the stored scales of a tensor of ``dtype``, in safetensors' words."""
    computed = parent_dtype(dtype)
    if store is None:
        return computed
    if store.power_rule is not None:
        return "U8"
    if store.parent is Parent.NONE:
        fits = store.mantissa_bits <= 10 and store.min_exponent >= -14 and store.largest <= 65504
        return "F16" if fits else computed
    if _is_integer(store):
        return "U8" if store.largest < 2**8 else "U16"
    return "F8_E4M3"


def parent_dtype(dtype: str) -> str:
    """Return the dtype that the scales of a tensor of ``dtype`` are computed in."""
    return "F64" if dtype == "F64" else "F32"


def stored_scales(
    scales: "Tensor", parents: "Tensor | None", store: ScaleFormat | None, dtype: "torch.dtype"
) -> "Tensor":
    """Return what is stored of a matrix of scales, in ``dtype``.

    ``parents`` are as many as the scales, or one for all rows or columns.
    """
    import torch  # noqa: PLC0415 - slow to import

    kept = torch.empty(scales.shape, dtype=dtype)
    step = max(1, _AT_ONCE // max(1, scales.shape[1]))
    for start in range(0, scales.shape[0], step):
        part = slice(start, start + step)
        if store is not None and store.power_rule is not None:
            kept[part] = torch.frexp(scales[part].double()).exponent - 1 + _E8M0_BIAS
        elif parents is None or store is None:
            kept[part] = scales[part]
        else:
            above = parents if len(parents) == 1 else parents[part]
            ratios = scales[part].double() / above.double()
            # Integers of 16 bits come by way of wider ones, floats of 8 by way of float32.
            kept[part] = ratios.round().int().to(dtype) if _is_integer(store) else ratios.float()
    return kept


def restored_scales(
    stored: "Tensor", parents: "Tensor | None", store: ScaleFormat | None, dtype: "torch.dtype"
) -> "Tensor":
    """Undo :func:`stored_scales`; ``dtype`` is what the scales were computed in."""
    import torch  # noqa: PLC0415

    if store is not None and store.power_rule is not None:
        exact = (stored.long() - _E8M0_BIAS + 1023 << 52).view(torch.float64)
        return exact.to(dtype)
    kept = stored.to(dtype)
    if parents is None:
        return kept
    info = torch.finfo(dtype)
    return torch.clamp(kept.abs() * parents, min=info.tiny * info.eps) * kept.sign()


def _is_integer(store: ScaleFormat) -> bool:
    return store.min_exponent >= store.mantissa_bits > 0
