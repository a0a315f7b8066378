"""Reading a user's small text file, and writing one so that no half of it is ever seen."""

import contextlib
import errno
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .errors import NibblemacError, OutputError
from .scratch import PREFIX, mark, sweep

MAX_BYTES = 2**20
_UMASK = threading.Lock()


def read_text(
    path: str | os.PathLike[str], error: type[NibblemacError], limit: int = MAX_BYTES
) -> str:
    """Return a UTF-8 file's text; raise ``error`` with a sentence that names the file otherwise.

    Refused are what is missing, unreadable, no regular file, larger than ``limit`` bytes, or not
    UTF-8.
    """
    name = os.fspath(path)
    try:
        # A pipe or a device would block or never end, so the kind is checked before opening.
        if not stat.S_ISREG(Path(name).stat().st_mode):
            raise error(f"{name} is not a regular file.")
        with Path(name).open("rb") as stream:
            data = stream.read(limit + 1)
    except FileNotFoundError as cause:
        raise error(f"The file {name} does not exist.") from cause
    except OSError as cause:
        raise error(f"The file {name} cannot be read: {cause.strerror}.") from cause
    except ValueError as cause:
        raise error(f"{name!r} is not a file name: {cause}.") from cause
    if len(data) > limit:
        raise error(f"The file {name} is larger than {limit} bytes, the most that is read.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = data.count(b"\n", 0, cause.start) + 1
        raise error(
            f"{name}, line {line}: byte {cause.start} is not UTF-8; save the file as UTF-8."
        ) from cause


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text as :func:`write_bytes` does."""
    try:
        data = text.encode()
    except UnicodeEncodeError as cause:
        raise OutputError(f"{os.fspath(path)} cannot be written: {cause}.") from cause
    write_bytes(path, data)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file through a temporary one beside it that then takes its place.

    A link stays, and the file that it names is written; a device or a pipe is written as it is.
    Raises :class:`OutputError` naming the path where that fails; nothing is left behind then.
    What killed processes left in the folder is removed.
    """
    try:
        if _is_special(Path(path)):
            with Path(path).open("wb") as device:
                device.write(data)
            return
    except (OSError, ValueError) as cause:
        raise OutputError(f"{os.fspath(path)} cannot be written: {reason(cause)}.") from cause
    with replacement(path) as stream:
        stream.write(data)


@contextlib.contextmanager
def replacement(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Give a temporary file beside ``path`` that takes its place when the block ends well.

    A link stays, and the file that it names is replaced. Raises :class:`OutputError` naming the
    path for every :class:`OSError`, the block's own too; nothing is left behind then. What killed
    processes left in the folder is removed.
    """
    temporary: str | None = None
    try:
        target = Path(path).resolve()
        sweep(target.parent.glob(f".{PREFIX}*"))
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{mark()}", suffix=".tmp")
        with os.fdopen(handle, "w+b") as stream:
            yield stream
        # mkstemp makes private files; an output gets what the user's umask gives any other file.
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(target)
        temporary = None
    except (OSError, ValueError) as cause:
        if isinstance(cause, NibblemacError):
            raise
        raise OutputError(f"{os.fspath(path)} cannot be written: {reason(cause)}.") from cause
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def _is_special(path: Path) -> bool:
    """Return whether a path is a device, a pipe or an open file, and must not be replaced."""
    if path.is_relative_to("/proc") or path.is_relative_to("/dev/fd"):
        return True
    if path in {Path("/dev/stdout"), Path("/dev/stderr")}:
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


def _umask() -> int:
    """Return the umask, which can only be read by setting it: one thread at a time."""
    with _UMASK:
        mask = os.umask(0o077)
        os.umask(mask)
    return mask


def check_file(path: str | os.PathLike[str]) -> None:
    """Raise :class:`OutputError` where :func:`write_bytes` to ``path`` would; write nothing."""
    try:
        target = Path(path).resolve()
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if _is_special(Path(path)):
            return
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except (OSError, ValueError) as cause:
        raise OutputError(f"{os.fspath(path)} cannot be written: {reason(cause)}.") from cause


def reason(error: Exception) -> str:
    """Return why a file operation failed, without numbers and paths."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
