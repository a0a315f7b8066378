"""Quantized weights read back from what :mod:`.stream` wrote, tensor by tensor."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, NibblemacError
from ..safetensors_file import opened, read_tensor
from .checkpoint import open_checkpoint
from .quantized_layout import KEY, LayoutRecord, StoredShape, restored

if TYPE_CHECKING:
    from torch import Tensor

    from ..quantizer import Quantized


@dataclass(frozen=True, kw_only=True, slots=True)
class _Held:
    """Where a quantized tensor is, and what the file's header tells of it."""

    path: Path
    record: LayoutRecord
    stored: StoredShape


class QuantizedModel:
    """The tensors of a model before it was quantized, opened by :func:`open_quantized`."""

    def __init__(self, held: dict[str, _Held], copied: dict[str, Path]) -> None:
        self._held = held
        self._copied = copied

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all tensors."""
        return tuple(sorted([*self._held, *self._copied]))

    @property
    def quantized_names(self) -> tuple[str, ...]:
        """The names of the quantized tensors."""
        return tuple(sorted(self._held))

    def quantized(self, name: str) -> "Quantized":
        """Return a weight's matrix as it was quantized: codes, scales and format.

        Raises :class:`DataError` where there is no such tensor, or it is damaged.
        """
        held = self._held.get(name)
        if held is None:
            raise DataError(f"There is no quantized tensor {name!r:.80}.")
        parts = {
            suffix: read_tensor(held.path, name + suffix) for suffix in held.record.suffixes(name)
        }
        try:
            return restored(held.record, held.stored, parts)
        except NibblemacError as error:
            raise DataError(f"{held.path}, {name!r:.80}: {error}") from error

    def tensor(self, name: str) -> "Tensor":
        """Return a tensor in its original shape and dtype: dequantized, or as it was copied.

        Raises as :meth:`quantized`.
        """
        if name in self._copied:
            return read_tensor(self._copied[name], name)
        return self.quantized(name).dequantize().reshape(self._held[name].stored.shape)


def open_quantized(path: str | os.PathLike[str]) -> QuantizedModel:
    """Open a file or folder that :func:`.quantize_checkpoint` wrote.

    Raises :class:`DataError` for anything else, and where a file is damaged.
    """
    checkpoint = open_checkpoint(Path(path))
    where = {one.name: one.path for one in checkpoint.tensors}
    held: dict[str, _Held] = {}
    for file in checkpoint.files:
        with opened(file) as handle:
            text = (handle.metadata() or {}).get(KEY)
        if text is None:
            continue
        record = LayoutRecord.from_text(text, os.fspath(file))
        for name, stored in record.tensors.items():
            for suffix in record.suffixes(name):
                if where.pop(name + suffix, None) != file:
                    raise DataError(f"{file} lacks the tensor {name + suffix!r:.80}.")
            held[name] = _Held(path=file, record=record, stored=stored)
    if not held:
        raise DataError(f"{checkpoint.path} holds no quantized weights of `nibblemac quantize`.")
    return QuantizedModel(held, where)


def dequantized_tensors(path: str | os.PathLike[str]) -> Iterator[tuple[str, "Tensor"]]:
    """Yield each tensor's name and the tensor as :meth:`QuantizedModel.tensor` returns it.

    One tensor is in memory at a time. Raises as :func:`open_quantized`.
    """
    model = open_quantized(path)
    for name in model.names:
        yield name, model.tensor(name)
