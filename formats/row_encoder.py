"""Codes of rows ÷ their scales: by torch, or for large float32 rows on a CPU by a compiled kernel.

Both give the same codes (:mod:`.native_kernel`).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .codec import Codec, part_size
from .native_kernel import NativeEncoder, kernel_for

#: Encodes values (rows, length) ÷ scales (rows, 1) into codes, contiguous uint8 of values' shape.
RowEncoder = Callable[[Tensor, Tensor, Tensor], None]

#: Scales of so many elements, in blocks of 128, are few enough for torch not to share them out.
_NATIVE_PART = 2**21


def row_encoder(tables: Codec, rows: Tensor, dtype: torch.dtype) -> tuple[RowEncoder, int]:
    """Return what encodes a matrix in ``dtype``, and how many elements to give it at once, about.

    ``rows`` tells the matrix's size, device and own dtype.
    """
    library = kernel_for(rows.shape, dtype, rows.device)
    if library is not None and tables.cells is not None:
        encode = NativeEncoder(library=library, cells=tables.cells)
        return encode, _NATIVE_PART
    size = part_size()
    return _torch_encoder(tables, min(size, rows.numel()), rows.device, dtype), size


def _torch_encoder(
    tables: Codec, size: int, device: torch.device, dtype: torch.dtype
) -> RowEncoder:
    quotients = torch.empty(size, dtype=dtype, device=device)
    encode = tables.encoder(size)

    def encode_rows(values: Tensor, scales: Tensor, codes: Tensor) -> None:
        # Whole rows, or where rows are long one row in parts.
        height = max(1, size // max(1, values.shape[1]))
        for top in range(0, values.shape[0], height):
            for left in range(0, values.shape[1], size):
                here = (slice(top, top + height), slice(left, left + size))
                piece = values[here]
                scaled = quotients[: piece.numel()].view(piece.shape)
                torch.div(piece, scales[here[0]], out=scaled)
                encode(scaled, codes[here])

    return encode_rows
