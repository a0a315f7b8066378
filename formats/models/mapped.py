"""Tensors kept in files that are mapped into memory, so that the machine may drop them from it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OutputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def mapped_tensor(path: Path, shape: tuple[int, ...], dtype: "torch.dtype") -> "Tensor":
    """Return a tensor of zeros whose memory is a new file.

    Raises :class:`OutputError` where there is no room for it.
    """
    import torch  # noqa: PLC0415 - slow

    count = torch.Size(shape).numel()
    if count == 0:
        return torch.zeros(shape, dtype=dtype)
    try:
        with path.open("xb") as stream:
            # Room is taken at once: a disk that fills up later would kill the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(stream.fileno(), 0, count * dtype.itemsize)
            else:
                stream.truncate(count * dtype.itemsize)
    except OSError as error:
        raise OutputError(
            f"{path} cannot hold {count * dtype.itemsize / 2**20:.0f} MiB of working data: "
            f"{error.strerror}. Set TMPDIR to a folder with more room."
        ) from error
    flat = torch.from_file(str(path), shared=True, size=count, dtype=dtype)
    return flat.view(shape)


class KeptWeights:
    """Copies of layers' weights as (outputs, inputs), to quantize from and to restore."""

    def __init__(self, folder: Path, matrices: "dict[str, Tensor]") -> None:
        self._copies: dict[str, Tensor] = {}
        for index, (name, matrix) in enumerate(matrices.items()):
            path = folder / f"weight{index}"
            copy = mapped_tensor(path, tuple(matrix.shape), matrix.dtype)
            copy.copy_(matrix)
            self._copies[name] = copy
            path.unlink(missing_ok=True)  # the mapping keeps the data until the process ends

    def __getitem__(self, name: str) -> "Tensor":
        """Return the copy of a layer's weight, on the processor; it must not be written to."""
        return self._copies[name]
