"""The quantizer's compiled kernel: two passes over large float32 rows, bit-exact with torch's.

Torch has no search and no largest magnitude that use a CPU's vectors well, and shares each small
step out among threads that then wait for each other. Without a compiler torch does it all.
"""

import ctypes
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .cells import Cells
from .compiled import Kernel

#: For fewer elements a kernel is not worth the compiler's two seconds.
WORTHWHILE = 2**18
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
        at, long, integer = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32
        found.nibblemac_largest.argtypes = [at, long, long, at, integer]
        found.nibblemac_encode.argtypes = [
            *(at, at, long, long, at, at, integer, integer, at, integer)
        ]
        found.nibblemac_largest.restype = found.nibblemac_encode.restype = None
    return found


def kernel_for(
    shape: Sequence[int], dtype: torch.dtype, device: torch.device
) -> ctypes.CDLL | None:
    """Return the kernel where it is there and worthwhile for a matrix, else None."""
    if dtype != torch.float32 or device.type != "cpu" or math.prod(shape) < WORTHWHILE:
        return None
    return kernel()


def largest_natively(library: ctypes.CDLL, rows: Tensor) -> Tensor:
    """Return each row's largest magnitude, shape (rows, 1); NaN where a row has one."""
    rows = rows.contiguous()
    largest = torch.empty(rows.shape[0], 1)
    library.nibblemac_largest(
        rows.data_ptr(), *rows.shape, largest.data_ptr(), torch.get_num_threads()
    )
    return largest


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NativeEncoder:
    """The kernel with a format's tables."""

    library: ctypes.CDLL
    cells: Cells

    def __call__(self, values: Tensor, scales: Tensor, codes: Tensor) -> None:
        """Write the codes of values (rows, length) ÷ scales (rows, 1) to contiguous uint8."""
        values, scales = values.contiguous(), scales.contiguous()
        if not codes.is_contiguous() or codes.shape != values.shape:
            raise AssertionError("codes must be as the values are")
        if scales.numel() != len(values):
            raise AssertionError("a row has one scale")
        self.library.nibblemac_encode(
            values.data_ptr(),
            scales.data_ptr(),
            *values.shape,
            self.cells.bounds.data_ptr(),
            self.cells.codes.data_ptr(),
            self.cells.shift,
            self.cells.offset,
            codes.data_ptr(),
            torch.get_num_threads(),
        )
