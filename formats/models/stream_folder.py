"""The folder that streaming quantization writes: new, or left unfinished by the same run before."""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ..errors import DataError, OutputError
from ..files import read_text, reason, write_text
from .checkpoint import INDEX_SUFFIX, Checkpoint
from .stream_tasks import StreamSetup, Task, entries_of, file_contents
from .tensor_file import Entry, header_of

_UNFINISHED = "unfinished.json"
_MOST_JSON = 64 * 2**20


class OutputFolder:
    """The output folder: new, or left unfinished by the same run before."""

    def __init__(
        self, path: Path, checkpoint: Checkpoint, setup: StreamSetup, tasks: Sequence[Task]
    ) -> None:
        self._path = path
        self._note = path / _UNFINISHED
        identity = json.dumps(
            {
                "sources": [_identity(file) for file in checkpoint.files],
                "tensors": [
                    [one.name, one.dtype, one.shape]
                    for task in tasks
                    for one in entries_of(task, setup)
                ],
                "settings": file_contents([], setup)[1].to_text(),
            }
        )
        try:
            path.mkdir(parents=True, exist_ok=True)
            held = {one.name for one in path.iterdir() if not one.name.startswith(".")}
        except (OSError, ValueError) as error:
            raise OutputError(f"{path} cannot be written: {reason(error)}.") from error
        known = _UNFINISHED in held and _text_of(self._note) == identity
        if held and not known:
            what = (
                "an unfinished run with another model or other settings"
                if (_UNFINISHED in held)
                else "files"
            )
            raise OutputError(
                f"The folder {path} exists and holds {what}; give another, or remove it first."
            )
        write_text(self._note, identity)

    def has(self, path: Path, entries: Sequence[Entry], metadata: Mapping[str, str]) -> bool:
        """Return whether a file is there and whole; it was written by a run that was ended."""
        header, _ = header_of(entries, metadata)
        size = len(header) + sum(one.size for one in entries)
        try:
            with path.open("rb") as stream:
                return os.fstat(stream.fileno()).st_size == size and (
                    stream.read(len(header)) == header
                )
        except OSError:
            return False

    def finish(self, files: Mapping[Path, Collection[Task]], setup: StreamSetup) -> None:
        """Write the index, where there are several files, and say that all is done."""
        if len(files) > 1:
            weight_map = {
                one.name: path.name
                for path, held in files.items()
                for task in held
                for one in entries_of(task, setup)
            }
            total = sum(
                one.size
                for held in files.values()
                for task in held
                for one in entries_of(task, setup)
            )
            record = {"metadata": {"total_size": total}, "weight_map": weight_map}
            write_text(self._path / f"model{INDEX_SUFFIX}", json.dumps(record, indent=2) + "\n")
        try:
            self._note.unlink()
        except OSError as error:
            raise OutputError(f"{self._note} cannot be removed: {reason(error)}.") from error


def _identity(path: Path) -> list[object]:
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason(error)}.") from error
    return [str(path.resolve()), found.st_size, found.st_mtime_ns]


def _text_of(path: Path) -> str | None:
    try:
        return read_text(path, DataError, limit=_MOST_JSON)
    except DataError:
        return None


def exists(path: Path) -> bool:
    """Return whether anything has a path, a broken link too; raises OutputError for no path."""
    try:
        return path.exists() or path.is_symlink()
    except (OSError, ValueError) as error:
        raise OutputError(f"{os.fspath(path)!r} cannot be written: {reason(error)}.") from error
