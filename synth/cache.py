"""Finished results on disk, by the digest of everything that they depend on.

An entry is one JSON file that holds its own checksum; it is written beside its place and renamed,
so that a killed run leaves no half of one, and several processes may share a cache.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import platformdirs

ENVIRONMENT = "NIBBLEMAC_CACHE"


class CacheWarning(UserWarning):
    """A cache that cannot be used, or an entry that is damaged; the work is done again."""


def cache_folder() -> Path:
    """Return the folder of the user's cache: ``NIBBLEMAC_CACHE``, or the system's place for it."""
    given = os.environ.get(ENVIRONMENT)
    if given:
        return Path(given).absolute()
    return Path(platformdirs.user_cache_dir("nibblemac", appauthor=False))


def cache_key(facts: object) -> str:
    """Return the SHA-256 of facts (JSON types) as a key."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class Cache:
    """A folder of JSON records by key. A cache that cannot be written is one that forgets."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else cache_folder()
        self._warned = False

    def _path(self, key: str) -> Path:
        return self.folder / "records" / key[:2] / f"{key}.json"

    def get(self, key: str) -> object | None:
        """Return the record of a key, or None; warns where the entry is damaged."""
        path = self._path(key)
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            warnings.warn(
                CacheWarning(f"The cache entry {path} cannot be read ({error}); computing again."),
                stacklevel=2,
            )
            return None
        checksum, _, body = text.partition("\n")
        try:
            if hashlib.sha256(body.encode()).hexdigest() == checksum:
                record: object = json.loads(body)
                return record
        except (ValueError, RecursionError):
            pass
        warnings.warn(
            CacheWarning(f"The cache entry {path} is damaged; computing again."), stacklevel=2
        )
        return None

    def put(self, key: str, record: Mapping[str, object]) -> None:
        """Keep a record; warns once where the folder cannot be written."""
        path = self._path(key)
        body = json.dumps(record, sort_keys=True)
        checksum = hashlib.sha256(body.encode()).hexdigest()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as stream:
                    stream.write(f"{checksum}\n{body}")
                Path(name).replace(path)
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(name).unlink()
                raise
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
