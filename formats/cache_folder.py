"""Where this project keeps what it need not do twice."""

import os
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
