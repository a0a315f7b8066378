"""The designs that the package ships, one file for each embedded library.

``nibblemac area all --publish FILE`` writes such a file; each design's provenance says how to
find it again.
"""

import functools
import importlib.resources
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..formats.files import write_bytes
from .cells import CellLibrary
from .library import library_names
from .record_file import parse_record, record_text
from .stored import Stored


class ShippedWarning(UserWarning):
    """A file of shipped designs that is damaged."""


def shipped_designs(library: CellLibrary) -> Mapping[str, Sequence[Stored]]:
    """Return the shipped designs for a library by key; none where the package has no file."""
    if library.name not in library_names():
        return {}
    return _read(library.name, library.digest)


@functools.lru_cache(maxsize=8)
def _read(name: str, digest: str) -> Mapping[str, Sequence[Stored]]:
    entry = importlib.resources.files(__package__) / "designs" / f"{name}.json"
    try:
        return read_shipped(entry.read_text(encoding="utf-8"), digest)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(
            ShippedWarning(f"The shipped designs for {name} are left alone: {error}."), stacklevel=2
        )
        return {}


def read_shipped(text: str, library_digest: str) -> Mapping[str, Sequence[Stored]]:
    """Return the designs of :func:`write_shipped`'s text, by key.

    There are none where the library has changed since. Raises ValueError, KeyError or TypeError
    for other text.
    """
    record = parse_record(text)
    if not isinstance(record, dict) or not isinstance(record["designs"], list):
        raise TypeError("it is no list of designs")
    if record["library"] != library_digest:
        return {}
    found: dict[str, list[Stored]] = {}
    for one in record["designs"]:
        found.setdefault(str(one["key"]), []).append(Stored.from_json(one))
    return found


def write_shipped(path: Path, library: CellLibrary, designs: Iterable[tuple[str, Stored]]) -> None:
    """Write designs with their keys as a file to ship; raises :class:`OutputError`."""
    entries = [{"key": key, **stored.to_json()} for key, stored in sorted(designs, key=_order)]
    text = record_text({"library": library.digest, "name": library.name, "designs": entries})
    write_bytes(path, text.encode())


def _order(design: tuple[str, Stored]) -> tuple[str, float, str]:
    key, stored = design
    return key, stored.figure, stored.digest
