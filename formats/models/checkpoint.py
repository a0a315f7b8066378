"""A model's weights on disk: a safetensors file, a folder of shards with its index, a model folder.

Only headers are read; the tensors stay in the files (:mod:`..stored_tensor`). Files, names and the
index are untrusted: nothing outside the folder is opened, and no pickle ever.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..errors import DataError
from ..exact import shown
from ..files import read_text, reason
from ..stored_tensor import StoredTensor, stored_tensors

SUFFIX = ".safetensors"
INDEX_SUFFIX = ".safetensors.index.json"
_SINGLE = f"model{SUFFIX}"
_CONFIG = "config.json"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".msgpack", ".h5")
_MAX_JSON = 64 * 2**20
_SHOWN = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """Where the tensors lie, in the order of their names, numbers in them as numbers.

    ``config`` is the folder's ``config.json``, empty where there is none.
    """

    path: Path
    files: tuple[Path, ...]
    tensors: tuple[StoredTensor, ...]
    config: Mapping[str, object]

    @property
    def elements(self) -> int:
        """How many elements all tensors have together."""
        return sum(one.elements for one in self.tensors)


def open_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint of a safetensors file, an index, or a folder with either.

    Raises :class:`DataError` for a path that is none of these, files that are missing, damaged or
    pickles, an index that names files outside its folder or tensors that its shards lack, and a
    tensor that two files of a folder hold.
    """
    try:
        is_folder = path.is_dir()
        exists = path.exists()
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} cannot be read: {reason(error)}.") from error
    if not exists:
        raise DataError(
            f"{path} does not exist; give a safetensors file, a folder of them or a GGUF file."
        )
    if is_folder:
        return _folder(path)
    if path.name.endswith(".json"):
        return _sharded(path, path, {})
    if path.suffix.lower() in _PICKLES:
        raise DataError(f"{path} is {_REFUSED}")
    return _checkpoint(path, [path], {})


_REFUSED = (
    "no safetensors file. Only safetensors and GGUF files are read: pickles, such as .bin, .pt and "
    ".ckpt files, can run code when they are opened. Convert the model, for example with "
    "transformers' save_pretrained."
)


def _folder(path: Path) -> Checkpoint:
    try:
        names = sorted(one.name for one in path.iterdir() if one.is_file())
    except OSError as error:
        raise DataError(f"The folder {path} cannot be read: {reason(error)}.") from error
    config: Mapping[str, object] = {}
    if _CONFIG in names:
        config = _json_object(path / _CONFIG)
    indices = [name for name in names if name.endswith(INDEX_SUFFIX)]
    files = [name for name in names if name.lower().endswith(SUFFIX)]
    chosen = next((name for name in (f"model{INDEX_SUFFIX}", _SINGLE) if name in names), None)
    if chosen == _SINGLE:
        return _checkpoint(path, [path / _SINGLE], config)
    if chosen is not None or len(indices) == 1:
        return _sharded(path, path / (chosen or indices[0]), config)
    if indices:
        raise DataError(f"The folder {path} has several indices, {_list(indices)}; give one.")
    if files:
        return _checkpoint(path, [path / name for name in files], config)
    ggufs = [name for name in names if name.lower().endswith(".gguf")]
    if ggufs:
        raise DataError(f"The folder {path} holds {_list(ggufs)}; give the GGUF file itself.")
    pickles = [name for name in names if Path(name).suffix.lower() in _PICKLES]
    if pickles:
        raise DataError(f"The folder {path} holds {_list(pickles)} and {_REFUSED}")
    raise DataError(
        f"The folder {path} holds no model weights: there is no .safetensors file, and no index of "
        "one, in it."
    )


def _sharded(path: Path, index: Path, config: Mapping[str, object]) -> Checkpoint:
    record = _json_object(index)
    shards = record.get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise DataError(f"{index} has no object 'weight_map' that says which file holds a tensor.")
    for name, file in shards.items():
        if not isinstance(file, str) or not _is_inside(file):
            raise DataError(
                f"{index} has the tensor {name!r:.80} in {shown(file)}; it must be a file in the "
                "index's own folder."
            )
    folder = index.parent
    for file in dict.fromkeys(shards.values()):
        if not (folder / file).is_file():
            raise DataError(
                f"{index} names the shard {shown(file)}, which is missing; download the model's "
                "folder again."
            )
    files = [folder / file for file in dict.fromkeys(shards.values())]
    held = {one.name: one for one in _checkpoint(path, files, config).tensors}
    for name, file in shards.items():
        if name not in held or held[name].path != folder / file:
            raise DataError(f"{index} has the tensor {name!r:.80} in {file}, which does not.")
    tensors = tuple(one for one in held.values() if one.name in shards)
    return Checkpoint(path=path, files=tuple(files), tensors=tensors, config=config)


def _is_inside(file: str) -> bool:
    """Return whether a name from an index is that of a file in the folder or below it."""
    posix, windows = PurePosixPath(file), PureWindowsPath(file)
    if not file or "\0" in file or "\\" in file or windows.drive or posix.is_absolute():
        return False
    return ".." not in posix.parts and posix.suffix.lower() == SUFFIX


def _checkpoint(path: Path, files: Sequence[Path], config: Mapping[str, object]) -> Checkpoint:
    held: dict[str, StoredTensor] = {}
    for file in files:
        for one in stored_tensors(file):
            if one.name in held:
                raise DataError(
                    f"{held[one.name].path} and {file} both hold the tensor {one.name!r:.80}; give "
                    "one of the files, or add the index that says which counts."
                )
            held[one.name] = one
    tensors = tuple(sorted(held.values(), key=lambda one: natural(one.name)))
    return Checkpoint(path=path, files=tuple(files), tensors=tensors, config=config)


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Return a key that sorts names as people do: layer 2 before layer 10."""
    return tuple(
        (0, int(part)) if part.isdecimal() and part.isascii() and len(part) < 20 else (1, part)
        for part in re.split(r"(\d+)", name)
        if part
    )


def _json_object(path: Path) -> dict[str, object]:
    try:
        record = json.loads(read_text(path, DataError, limit=_MAX_JSON))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is no JSON: {error}.") from error
    if not isinstance(record, dict):
        raise DataError(f"{path} is {shown(record)}; it must be a JSON object.")
    return record


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
