"""Writing results so that no reader ever meets a half-written file."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..formats.errors import OutputError


def write_file(path: Path, data: bytes) -> None:
    """Write one file by way of a temporary one in the same folder.

    Raises :class:`OutputError` where the folder does not exist or cannot be written.
    """
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name[:40]}.", delete=False
        ) as stream:
            temporary = Path(stream.name)
            stream.write(data)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise OutputError(_sentence(path, error)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_folder(directory: Path, contents: Mapping[str, bytes]) -> None:
    """Write files into a folder (made where it is missing), all of them or none.

    Everything is written to a temporary folder inside and moved only when complete, in the
    mapping's order; other files of the folder stay. Raises :class:`OutputError` where the folder
    cannot be made or written.
    """
    staging: Path | None = None
    made: list[Path] = []
    try:
        made = _make_folder(directory)
        staging = Path(tempfile.mkdtemp(dir=directory, prefix=".nibblemac-"))
        for name, data in contents.items():
            (staging / name).write_bytes(data)
        for name in contents:
            if (directory / name).is_dir():
                raise OutputError(f"{directory / name} is a folder; a file of that name is due.")
        for name in contents:
            (staging / name).replace(directory / name)
        made = []
    except (OSError, ValueError) as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(_sentence(directory, error)) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        for folder in made:
            folder.rmdir()


def _make_folder(directory: Path) -> list[Path]:
    """Make a folder and its parents; return the ones that were missing, the innermost first."""
    missing = [directory] if not directory.exists() else []
    for parent in directory.parents:
        if missing and not parent.exists():
            missing.append(parent)
    directory.mkdir(parents=True, exist_ok=True)
    return missing


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sentence(path: Path, error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{str(path)!r} cannot be written: {reason}. Give a folder that you may write to."


def check_writable(directory: Path) -> None:
    """Raise :class:`OutputError` where a folder could not be written; leave nothing behind."""
    write_folder(directory, {})
