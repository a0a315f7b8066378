"""Codes of rows ÷ their scales: by torch, or for large float32 rows on a CPU by a compiled kernel.

Both give the same codes. The kernel is :mod:`.compiled`; without a compiler torch does it.
"""

import ctypes
import functools
from collections.abc import Callable

import torch
from torch import Tensor

from .cells import Cells
from .codec import Codec, part_size
from .compiled import Kernel

#: Encodes values (rows, length) ÷ scales (rows, 1) into codes, contiguous uint8 of values' shape.
RowEncoder = Callable[[Tensor, Tensor, Tensor], None]

#: For fewer elements a kernel is not worth the compiler's second.
_WORTHWHILE = 2**18
#: Elements that a kernel is given at once, about: twice what torch has the cache for.
_NATIVE_PART = 2**20
_KERNEL = Kernel(
    package=__package__,
    name="quantize",
    folder="quantizer",
    title="The quantizer's kernel",
    instead="the slower one of torch's operations",
    options=("-O3", "-std=c++17", "-shared", "-fPIC", "-pthread", "-ffp-contract=off"),
)


@functools.cache
def kernel() -> ctypes.CDLL | None:
    """Return the compiled kernel, or None where it cannot be had; a failure warns once."""
    found = _KERNEL.load()
    if found is not None:
        found.nibblemac_encode.restype = None
        pointer, long, integer = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32
        found.nibblemac_encode.argtypes = [
            *(pointer, pointer, long, long, pointer, pointer, integer, integer, pointer, integer)
        ]
    return found


def row_encoder(tables: Codec, rows: Tensor, dtype: torch.dtype) -> tuple[RowEncoder, int]:
    """Return what encodes a matrix of ``dtype``, and how many elements to give it at once, about.

    ``rows`` tells the matrix's size and device.
    """
    if tables.cells is not None and dtype == torch.float32 and rows.numel() >= _WORTHWHILE:
        library = kernel()
        if library is not None:
            return functools.partial(_encode_natively, library, tables.cells), _NATIVE_PART
    size = part_size()
    return _torch_encoder(tables, min(size, rows.numel()), rows.device, dtype), size


def _encode_natively(
    library: ctypes.CDLL, cells: Cells, values: Tensor, scales: Tensor, codes: Tensor
) -> None:
    values, scales = values.contiguous(), scales.contiguous()
    if not codes.is_contiguous() or codes.shape != values.shape or scales.numel() != len(values):
        raise AssertionError("codes and scales must fit the values")
    library.nibblemac_encode(
        values.data_ptr(),
        scales.data_ptr(),
        *values.shape,
        cells.bounds.data_ptr(),
        cells.codes.data_ptr(),
        cells.shift,
        cells.offset,
        codes.data_ptr(),
        torch.get_num_threads(),
    )


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
