"""Writing several files into a folder, all of them or none."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .errors import OutputError
from .files import reason
from .scratch import PREFIX, mark, sweep


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
        sweep(directory.glob(f".{PREFIX}*"))
        staging = Path(tempfile.mkdtemp(dir=directory, prefix=f".{mark()}"))
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


def check_folder(directory: Path) -> None:
    """Raise :class:`OutputError` where :func:`write_folder` would; leave nothing behind."""
    made: list[Path] = []
    try:
        made = _make_folder(directory)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except (OSError, ValueError) as error:
        raise OutputError(_sentence(directory, error)) from error
    finally:
        for folder in made:
            folder.rmdir()


def _sentence(path: Path, error: Exception) -> str:
    return f"{str(path)!r} cannot be written: {reason(error)}. Give a folder that you may write to."
