"""Tensors where they lie in a safetensors file: read by windows of memory map, never as a whole.

A window is mapped privately, and unmapped with its last tensor: memory does not grow with the file.
"""

import json
import math
import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import DataError
from .safetensors_file import opened

if TYPE_CHECKING:
    from torch import Tensor

WINDOW_ELEMENTS = 2**20
_LENGTH = struct.Struct("<Q")
# The names that torch has for safetensors' dtypes; others, integers too, hold no weights as such.
_FLOATS = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E5M2": ("float8_e5m2", 1),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredTensor:
    """A tensor in a file: its dtype in safetensors' words, and the bytes where it begins and ends.

    ``begin`` and ``end`` count from the file's start.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    begin: int
    end: int

    @property
    def elements(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether it is of a floating-point dtype that torch has."""
        return self.dtype in _FLOATS

    def windows(self, elements: int = WINDOW_ELEMENTS) -> Iterator["Tensor"]:
        """Yield the elements in order, in their dtype, as tensors of shape (at most ``elements``,).

        Only the windows that the caller keeps are in memory. Raises :class:`DataError` for a dtype
        that is not floating-point and where the file can no longer be read.
        """
        for first in range(0, self.elements, elements):
            yield self._mapped(first, min(elements, self.elements - first))

    def tensor(self) -> "Tensor":
        """Return the whole tensor, mapped; raises as :meth:`windows`."""
        import torch  # noqa: PLC0415 - slow to import

        if not self.elements:
            return torch.empty(self.shape, dtype=getattr(torch, self._float()[0]))
        return self._mapped(0, self.elements).reshape(self.shape)

    def _float(self) -> tuple[str, int]:
        if self.dtype not in _FLOATS:
            raise DataError(
                f"{self.path}: the tensor {self.name!r:.80} is {self.dtype:.20}; only "
                f"floating-point tensors are read: {', '.join(_FLOATS)}."
            )
        return _FLOATS[self.dtype]

    def _mapped(self, first: int, count: int) -> "Tensor":
        import torch  # noqa: PLC0415 - slow to import

        name, width = self._float()
        begin = self.begin + first * width
        start = begin - begin % mmap.ALLOCATIONGRANULARITY
        length = begin + count * width - start
        try:
            with self.path.open("rb") as stream:
                # Past a file's end there is no error but a signal that ends the process.
                if os.fstat(stream.fileno()).st_size < start + length:
                    raise DataError(f"{self.path} was cut short while it was being read.")
                # A private copy counts as writable, which torch wants of what it shares.
                window = mmap.mmap(stream.fileno(), length, access=mmap.ACCESS_COPY, offset=start)
        except OSError as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self.path} cannot be read: {error.strerror or error}.") from error
        data = torch.frombuffer(
            window, dtype=torch.uint8, count=count * width, offset=begin - start
        )
        # Files need not align what they hold.
        data = data if begin % width == 0 else data.clone()
        return data.view(getattr(torch, name))


def stored_tensors(path: str | os.PathLike[str]) -> tuple[StoredTensor, ...]:
    """Return where a safetensors file's tensors lie, in the order of their bytes.

    Raises :class:`DataError`, naming the file, where it cannot be read or is damaged.
    """
    # The library checks that header and file agree, byte by byte of what is claimed.
    with opened(path):
        pass
    try:
        with Path(path).open("rb") as stream:
            (length,) = _LENGTH.unpack(stream.read(_LENGTH.size))
            header = json.loads(stream.read(length))
        start = _LENGTH.size + length
        found = [
            StoredTensor(
                name=name,
                dtype=entry["dtype"],
                shape=tuple(entry["shape"]),
                path=Path(path),
                begin=start + entry["data_offsets"][0],
                end=start + entry["data_offsets"][1],
            )
            for name, entry in header.items()
            if name != "__metadata__"
        ]
    except (OSError, ValueError, LookupError, TypeError, struct.error, RecursionError) as error:
        raise DataError(f"{os.fspath(path)} is no readable safetensors file: {error}.") from error
    return tuple(sorted(found, key=lambda one: (one.begin, one.end, one.name)))
