"""A user's tensors from a safetensors file: a format without code in it, unlike pickles."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

_SHOWN = 5
_MOST_SAID = 300


def tensor_names(path: str | os.PathLike[str]) -> list[str]:
    """Return the names of the tensors in a file, in order.

    Raises :class:`DataError`, naming the file, where it cannot be read or is damaged.
    """
    with opened(path) as handle:
        return sorted(handle.keys())


def read_tensor(path: str | os.PathLike[str], name: str | None = None) -> "Tensor":
    """Return one tensor, in its own dtype; without ``name``, the file's only one.

    Nothing else of the file is read. Raises :class:`DataError`, with the names that there are,
    for another name, and as :func:`tensor_names`.
    """
    with opened(path) as handle:
        names = sorted(handle.keys())
        wanted = names[0] if name is None and len(names) == 1 else name
        if wanted not in names:
            shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
            what = "no tensors"
            if names:
                what = f"{len(names)} tensors, {shown}"
            asked = "name one of them" if name is None else f"none is {name!r:.80}"
            raise DataError(f"{os.fspath(path)} holds {what}; {asked}.")
        tensor: Tensor = handle.get_tensor(wanted)
        return tensor


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Give the safetensors library's handle of a file that it found to be whole.

    Raises :class:`DataError`, naming the file, where it cannot be read or is damaged.
    """
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - imports torch when it opens

    name = os.fspath(path)
    try:
        # A pipe would block, so the kind is checked before opening.
        if not stat.S_ISREG(Path(name).stat().st_mode):
            raise DataError(f"{name} is not a regular file.")
        with safe_open(name, framework="pt", device="cpu") as handle:
            yield handle
    except SafetensorError as error:
        # The message quotes the file's own header, at any length.
        said = " ".join(str(error).split()).rstrip(".")
        said = said if len(said) <= _MOST_SAID else said[:_MOST_SAID] + "…"
        raise DataError(f"{name} is no readable safetensors file: {said}.") from error
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"The file {name!r} cannot be read: {reason}.") from error
