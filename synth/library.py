"""Find and load cell libraries: embedded, from Liberty files, from an installed PDK."""

import functools
import importlib.resources
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..formats.errors import LibraryError
from ..formats.files import read_text
from .cell_json import from_text
from .cells import CellLibrary
from .pdk import find_pdk

__all__ = ["DEFAULT_LIBRARY", "find_pdk", "library_names", "load_liberty", "load_library"]

DEFAULT_LIBRARY = "sky130hd"
#: Of a distilled library; the embedded ones have half a megabyte.
MAX_BYTES = 2**23


def library_names() -> tuple[str, ...]:
    """Return the names of the embedded libraries, the default first."""
    folder = importlib.resources.files(__package__) / "libraries"
    names = [
        entry.name.removesuffix(".json")
        for entry in folder.iterdir()
        if entry.name.endswith(".json")
    ]
    return tuple(sorted(names, key=lambda name: (name != DEFAULT_LIBRARY, name)))


@functools.lru_cache(maxsize=8)
def load_library(name: str = DEFAULT_LIBRARY) -> CellLibrary:
    """Return an embedded library.

    Raises :class:`LibraryError`, with the names that there are, for an unknown name.
    """
    names = library_names()
    if name not in names:
        raise LibraryError(
            f"There is no embedded library {str(name)[:60]!r}; there are {', '.join(names)}. "
            "Give other libraries as Liberty files."
        )
    entry = importlib.resources.files(__package__) / "libraries" / f"{name}.json"
    return from_text(entry.read_text(encoding="utf-8"), f"{name}.json")


def load_liberty(
    paths: Sequence[Path | str], dont_use: Sequence[str] = (), name: str | None = None
) -> CellLibrary:
    """Return the library that the given Liberty files (.lib, .lib.gz) hold together.

    One ``.json`` file that :mod:`.distill` wrote may be given instead. ``dont_use`` holds
    patterns of cells to leave out. Nothing is cached. Raises :class:`LibraryError`, as
    :func:`.liberty.read_liberty` and :func:`.distill.distill` do.
    """
    from .distill import distill  # noqa: PLC0415 - an embedded library needs no Liberty reader
    from .liberty import read_liberty  # noqa: PLC0415

    files = [Path(path) for path in paths]
    if any(path.suffix == ".json" for path in files):
        if len(files) > 1 or dont_use:
            raise LibraryError(
                "A distilled library (.json) is complete: give it alone, and cells to leave out "
                "when distilling it."
            )
        return from_text(read_text(files[0], LibraryError, limit=MAX_BYTES), files[0].name)
    return distill([read_liberty(path) for path in files], name=name, dont_use=dont_use)


def load_pdk(
    name: str, dont_use: Sequence[str] = (), environment: Mapping[str, str] = os.environ
) -> CellLibrary:
    """Return the library of an installed PDK (see :func:`find_pdk`)."""
    return load_liberty(find_pdk(name, environment), dont_use)
