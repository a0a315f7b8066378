"""A safetensors file that is written in parts: the header first, then tensors in any order.

Layout: eight bytes with the header's length, the header as JSON padded with blanks to a multiple
of eight, then the tensors without gaps. Wider dtypes come first, so that all are aligned.
"""

import contextlib
import json
import os
import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ..errors import OutputError
from ..files import replacement

if TYPE_CHECKING:
    from torch import Tensor

_LENGTH = struct.Struct("<Q")
#: The safetensors library reads no larger header.
_MOST_HEADER = 100_000_000
#: Bytes an element by dtype, for those of more than one.
_WIDTHS = {"F64": 8, "I64": 8, "U64": 8, "C64": 8, "F32": 4, "I32": 4, "U32": 4}
_WIDTHS |= {"F16": 2, "BF16": 2, "I16": 2, "U16": 2}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A tensor of a file to be: its dtype in safetensors' words, and its bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int


class TensorFile:
    """A file under construction; :meth:`append` adds bytes to one of its tensors."""

    def __init__(self, stream: IO[bytes], header: bytes, places: Mapping[str, range]) -> None:
        self._stream = stream
        self._places = dict(places)
        self._stream.write(header)

    def append(self, name: str, data: "Tensor | bytes | memoryview") -> None:
        """Write the next bytes of a tensor: those of a contiguous tensor, or as they are."""
        if not isinstance(data, (bytes, memoryview)):
            import torch  # noqa: PLC0415 - slow to import

            flat = data.reshape(-1)
            if flat.stride(0) != 1:  # one element may have any stride
                flat = flat.clone(memory_format=torch.contiguous_format)
            data = flat.view(torch.uint8).numpy().data
        place = self._places[name]
        if len(data) > len(place):
            raise AssertionError(f"{name!r} gets more than its bytes")
        self._stream.seek(place.start)
        self._stream.write(data)
        self._places[name] = place[len(data) :]

    def check_complete(self) -> None:
        """Raise where bytes of a tensor were never written."""
        missing = [name for name, place in self._places.items() if place]
        if missing:
            raise AssertionError(f"{missing[0]!r} lacks bytes")


def header_of(
    entries: Sequence[Entry], metadata: Mapping[str, str]
) -> tuple[bytes, dict[str, range]]:
    """Return a file's bytes before the data, and where in the file each tensor's bytes go."""
    ordered = sorted(entries, key=lambda one: (-_WIDTHS.get(one.dtype, 1), one.name))
    record: dict[str, object] = {"__metadata__": dict(metadata)}
    offsets: dict[str, range] = {}
    end = 0
    for one in ordered:
        offsets[one.name] = range(end, end + one.size)
        record[one.name] = {
            "dtype": one.dtype,
            "shape": list(one.shape),
            "data_offsets": [end, end + one.size],
        }
        end += one.size
    text = json.dumps(record, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH.size)
    if len(text) > _MOST_HEADER:
        raise OutputError(
            f"The header would have {len(text)} bytes; safetensors files hold at most "
            f"{_MOST_HEADER}. Write to a folder, which has one file for each of the model's."
        )
    start = _LENGTH.size + len(text)
    places = {name: range(start + at.start, start + at.stop) for name, at in offsets.items()}
    return _LENGTH.pack(len(text)) + text, places


@contextlib.contextmanager
def new_tensor_file(
    path: Path, entries: Sequence[Entry], metadata: Mapping[str, str]
) -> Iterator[TensorFile]:
    """Give a file that takes its place at ``path`` when the block ends with all tensors written.

    Raises :class:`OutputError` where it cannot be written, before anything is, where the disk
    lacks the room.
    """
    header, places = header_of(entries, metadata)
    size = len(header) + sum(one.size for one in entries)
    check_room(path, size)
    with replacement(path) as stream:
        file = TensorFile(stream, header, places)
        yield file
        file.check_complete()


def check_room(path: Path, size: int) -> None:
    """Raise :class:`OutputError` where the disk has no room for a file of ``size`` bytes."""
    try:
        free = shutil.disk_usage(path.resolve().parent).free
    except (OSError, ValueError):
        return  # Writing tells.
    if free < size:
        raise OutputError(
            f"{os.fspath(path)} cannot be written: it takes {size / 1e9:.1f} GB, and the disk has "
            f"{free / 1e9:.1f} GB free."
        )
