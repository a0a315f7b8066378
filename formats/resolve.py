"""From the words that a user writes to formats: names, TOML files, ``all`` or ``blocks``."""

import os
from collections.abc import Sequence

from .block_catalog import BLOCK_CATALOG
from .errors import FormatError, UsageError
from .lookup import all_formats, find_format
from .record import Format
from .user import load_format

ALL = "all"
BLOCKS = "blocks"


def resolve_formats(arguments: Sequence[str]) -> tuple[Format, ...]:
    """Return the formats that the arguments name, in their order.

    Each is a name that :func:`.find_format` knows, the path of a TOML file (it ends with ``.toml``
    or contains a path separator), ``all`` for the catalogue of number formats, or ``blocks`` for
    the block formats. Raises :class:`UsageError` for no argument at all, and :class:`FormatError`
    for an unknown name, a malformed file, or two arguments whose names, without regard to case, or
    identifiers are the same.
    """
    if not arguments:
        raise UsageError("No format is given; name one, a TOML file, all or blocks.")
    origin: dict[str, tuple[str, str]] = {}
    found: list[Format] = []
    for argument in arguments:
        for item in resolve_argument(argument):
            first = origin.get(item.identifier)
            if first is not None:
                raise FormatError(
                    f"{item.name} (given by {argument!r}) and {first[0]} (given by "
                    f"{first[1]!r}) are the same name in files and identifiers, where case "
                    f"and punctuation do not count ({item.identifier}); give each format once, "
                    "under a name of its own."
                )
            origin[item.identifier] = (item.name, argument)
            found.append(item)
    return tuple(found)


def resolve_argument(argument: str) -> tuple[Format, ...]:
    """Return what one argument names; see :func:`resolve_formats`."""
    if argument.strip().casefold() == ALL:
        return all_formats()
    if argument.strip().casefold() == BLOCKS:
        return tuple(item.format for item in BLOCK_CATALOG)
    separators = {os.sep, os.altsep} - {None}
    if argument.casefold().endswith(".toml") or any(s in argument for s in separators if s):
        return (load_format(argument),)
    return (find_format(argument),)
