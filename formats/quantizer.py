"""The reference quantizer: a tensor to codes and scales, and back.

1. scale: one a block, by :class:`.ScaleSpec`; finite and never 0 (:mod:`.clipping`), as the scale
   format stores it (:mod:`.scale_format`).
2. code: of the level nearest to x ÷ scale, saturating, ties by the format (:mod:`.codec`). Where a
   block has a choice, the variant and target that err least (:mod:`.block_choice`).
3. back: level × scale.

Scales and quotients are float64 for float64 tensors and float32 for all others; the decision on
the quotient is exact.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .block_choice import chosen_rows, first_target, has_choice, row_scales
from .blocks import BlockLayout
from .clipping import largest_magnitudes
from .codec import Codec, check_tensor, codec, compute_dtype, part_size
from .errors import FormatError, TensorError, UsageError
from .packing import pack_codes
from .record import Format
from .row_encoder import row_encoder
from .scale import Clipping, ScaleSpec
from .scale_format import Parent, parent_scales

# Rows are processed in groups of about this many elements, which bounds temporary memory. Where
# scales are searched, larger groups than fit the cache share the cost of many small steps.
_GROUP = 2**20


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Quantized:
    """A quantized tensor.

    ``codes`` is uint8 in the tensor's shape. ``scales`` is float32 or float64 in
    :attr:`BlockLayout.scale_shape`: the number of blocks stands in the reduction axis's place, and
    for one scale the rank is 0. ``dtype`` is the original tensor's.
    """

    codes: Tensor
    scales: Tensor
    format: Format
    spec: ScaleSpec
    dtype: torch.dtype

    @property
    def layout(self) -> BlockLayout:
        """How the codes fall into blocks."""
        return BlockLayout.of(self.codes.shape, self.spec)

    def levels(self) -> Tensor:
        """Return each code's level, before the scale, in the scales' dtype and the codes' shape."""
        return codec(self.format, self.scales.dtype, self.codes.device).decode(self.codes)

    def dequantize(self, dtype: torch.dtype | None = None) -> Tensor:
        """Return level × scale in ``dtype``, or in the original tensor's dtype.

        The product is computed in the scales' dtype and never overflows ``dtype``.
        """
        dtype = self.dtype if dtype is None else dtype
        if not dtype.is_floating_point:
            raise UsageError(f"dtype is {dtype}; levels need a floating-point dtype.")
        if not self.codes.numel():
            return torch.empty(self.codes.shape, dtype=dtype, device=self.codes.device)
        layout = self.layout
        tables = codec(self.format, self.scales.dtype, self.codes.device)
        return layout.join(
            [
                _dequantize_rows(codes, scales, tables, dtype)
                for codes, scales in zip(
                    layout.split(self.codes), layout.split_scales(self.scales), strict=True
                )
            ]
        )

    def packed(self) -> Tensor:
        """Return the codes two to a byte along the last axis, see :func:`.pack_codes`.

        Raises :class:`FormatError` for a format of more than 4 bits.
        """
        if self.format.bits > 4:
            raise FormatError(
                f"{self.format.name} has {self.format.bits} bits; only codes of 4 bits or fewer "
                "fit two to a byte."
            )
        return pack_codes(self.codes)


def quantize(
    tensor: Tensor,
    format: Format,  # noqa: A002 - the field's word
    spec: ScaleSpec | None = None,
    *,
    name: str = "",
) -> Quantized:
    """Quantize a floating-point tensor of any shape, dtype and device, with one scale a block.

    ``spec`` is one absmax scale for the whole tensor unless given; ``name`` is the tensor's, for
    errors. Raises :class:`TensorError` for NaN and infinities, naming the block, and for what is
    no dense floating-point tensor; :class:`UsageError` for an axis that the tensor does not have,
    and for a signed scale with a format whose largest magnitudes agree.
    """
    spec = ScaleSpec() if spec is None else spec
    where = f"The tensor {name!r}" if name else "The tensor"
    check_tensor(tensor, where)
    if spec.signed and not format.is_asymmetric:
        raise UsageError(
            f"A signed scale was asked for, but {format.name}'s largest levels are equal in "
            "magnitude, so that the sign changes nothing; use signed=False."
        )
    tensor = tensor.detach()
    layout = BlockLayout.of(tensor.shape, spec)
    dtype = compute_dtype(tensor.dtype)
    if tensor.numel():
        parts = layout.split(tensor)
        parents = _parents(parts, layout, format, spec, dtype)
        coded = [
            _quantize_rows(rows, format, spec, dtype, above)
            for rows, above in zip(parts, parents, strict=True)
        ]
        codes = layout.join([part[0] for part in coded])
        scales = layout.join_scales([part[1] for part in coded])
    else:
        codes = torch.empty(tensor.shape, dtype=torch.uint8, device=tensor.device)
        scales = torch.ones(layout.scale_shape, dtype=dtype, device=tensor.device)
    if not bool(scales.isfinite().all()):
        raise _not_finite(tensor, layout, where)
    return Quantized(codes=codes, scales=scales, format=format, spec=spec, dtype=tensor.dtype)


def parents_of(tensor: Tensor, format: Format, spec: ScaleSpec) -> Tensor | None:  # noqa: A002
    """Return the scale that each block's scale is stored below, in the shape of the scales.

    None where block scales have no parent. ``tensor`` has at least one element.
    """
    layout = BlockLayout.of(tensor.shape, spec)
    parts = layout.split(tensor.detach())
    parents = _parents(parts, layout, format, spec, compute_dtype(tensor.dtype))
    found = [part for part in parents if part is not None]
    return layout.join_scales(found) if found else None


def _quantize_rows(
    rows: Tensor,
    format: Format,  # noqa: A002
    spec: ScaleSpec,
    dtype: torch.dtype,
    parents: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return codes (rows, length) and scales (rows, 1); a row with NaN has a scale that is not."""
    tables = codec(format, dtype, rows.device)
    choice = has_choice(format, spec)
    codes = torch.empty(rows.shape, dtype=torch.uint8, device=rows.device)
    scales = torch.empty((rows.shape[0], 1), dtype=dtype, device=rows.device)
    encode, size = row_encoder(tables, rows, dtype)
    if choice or spec.clipping is Clipping.MSE:
        size = min(size, _GROUP)
    group = max(1, size // rows.shape[1])
    for start in range(0, rows.shape[0], group):
        part = slice(start, start + group)
        values = rows[part].to(dtype)
        above = None if parents is None else parents[part]
        if choice:
            codes[part], scales[part] = chosen_rows(values, format, spec, above)
            continue
        target = spec.targets[0] if spec.targets else None
        scales[part] = row_scales(values, format, spec, above, target)
        encode(values, scales[part], codes[part])
    return codes, scales


def _dequantize_rows(codes: Tensor, scales: Tensor, tables: Codec, dtype: torch.dtype) -> Tensor:
    """Return level × scale, at most the largest number that both dtypes have."""
    limit = min(torch.finfo(dtype).max, torch.finfo(scales.dtype).max)
    values = torch.empty(codes.shape, dtype=dtype, device=codes.device)
    group = max(1, part_size() // codes.shape[1])
    for start in range(0, codes.shape[0], group):
        part = slice(start, start + group)
        values[part] = tables.decode(codes[part]).mul_(scales[part]).clamp_(-limit, limit)
    return values


def _parents(
    parts: list[Tensor],
    layout: BlockLayout,
    format: Format,  # noqa: A002
    spec: ScaleSpec,
    dtype: torch.dtype,
) -> list[Tensor | None]:
    """Return each part's parent scales, (rows, 1), or None where block scales have no parent."""
    store = spec.scale_format
    if store is None or store.parent is Parent.NONE:
        return [None] * len(parts)
    level = float(first_target(format, spec))
    needed = []
    for rows in parts:
        group = max(1, _GROUP // rows.shape[1])
        # Into one piece of memory: many small pieces would scatter over the large ones between.
        largest = torch.empty((rows.shape[0], 1), dtype=dtype, device=rows.device)
        for start in range(0, rows.shape[0], group):
            part = slice(start, start + group)
            largest[part] = largest_magnitudes(rows[part].to(dtype))
        needed.append(largest / level)
    return [*parent_scales(needed, store, layout)]


def _not_finite(tensor: Tensor, layout: BlockLayout, where: str) -> TensorError:
    bad = (~tensor.to(compute_dtype(tensor.dtype)).isfinite()).nonzero()
    index = tuple(int(i) for i in bad[0])
    value = float(tensor[index])
    return TensorError(
        f"{where} holds {value} at index {index}, in block {layout.block_of(index)}, and "
        f"{len(bad)} such values in all; only finite values can be quantized."
    )
