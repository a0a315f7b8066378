"""Finished results on disk, by the digest of everything that they depend on.

An entry is a file of its own (:mod:`.record_file`), so that several processes may share a cache.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from ..formats.cache_folder import ENVIRONMENT, CacheWarning, cache_folder
from ..formats.scratch import PREFIX, sweep
from .record_file import read_record, write_record

__all__ = ["ENVIRONMENT", "Cache", "CacheWarning", "cache_folder", "cache_key"]

T = TypeVar("T")
Record = dict[str, object]


def cache_key(facts: object) -> str:
    """Return the SHA-256 of facts (JSON types) as a key."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class Cache:
    """A folder of JSON records by key. A cache that cannot be written is one that forgets."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else cache_folder()
        self._warned = False
        self._swept = False

    def _path(self, key: str) -> Path:
        return self.folder / "records" / key[:2] / f"{key}.json"

    def get(self, key: str) -> Record | None:
        """Return the record of a key, or None; warns where the entry is damaged."""
        return self.read(key, lambda record: record)

    def read(self, key: str, parse: Callable[[Record], T]) -> T | None:
        """Return what ``parse`` makes of the record of a key, or None where there is none.

        Warns where the entry is damaged, or ``parse`` refuses it by ValueError (which DataError
        is), KeyError, TypeError, AttributeError or OverflowError.
        """
        path = self._path(key)
        try:
            record = read_record(path)
            if not isinstance(record, dict):
                raise TypeError("it is no object")  # noqa: TRY301 - said once, below
            return parse(record)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            said = f"The cache entry {path} cannot be read ({error})"
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            said = f"The cache entry {path} is damaged ({error!r:.200})"
        warnings.warn(CacheWarning(f"{said}; computing again."), stacklevel=3)
        return None

    def put(self, key: str, record: Mapping[str, object]) -> None:
        """Keep a record; warns once where the folder cannot be written.

        What killed processes left in the folder is removed once.
        """
        if not self._swept:
            self._swept = True
            sweep((self.folder / "records").glob(f"*/.{PREFIX}*"))
        try:
            write_record(self._path(key), record)
        except OSError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(
                    CacheWarning(
                        f"The cache folder {self.folder} cannot be written ({error}); "
                        "results are not kept."
                    ),
                    stacklevel=2,
                )
