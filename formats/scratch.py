"""Temporary files and folders that say whose they are, so that a killed process's can be swept.

A name is ``nibblemac-HOST-PID-`` and random letters, where HOST is a digest of the host's name:
folders may be shared by machines.
"""

import hashlib
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from .errors import OutputError

#: What begins the name of everything temporary.
PREFIX = "nibblemac-"
#: A dead process's leavings stay for a look; another machine's may be alive after all.
OWN_SECONDS = 24 * 3600.0
FOREIGN_SECONDS = 7 * OWN_SECONDS
_NAME = re.compile(re.escape(PREFIX) + r"(?P<host>[0-9a-f]{8})-(?P<pid>\d{1,9})-")


@cache
def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def mark() -> str:
    """Return what the names of this process's temporary files and folders begin with."""
    return f"{PREFIX}{_host()}-{os.getpid()}-"


def make_scratch(parent: Path | None = None) -> Path:
    """Make a working folder, in the system's place for such or in another.

    In the system's place, folders that killed processes left are removed first. Raises
    :class:`OutputError` where none can be made.
    """
    try:
        if parent is None:
            sweep(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))
        return Path(tempfile.mkdtemp(prefix=mark(), dir=parent))
    except OSError as error:
        raise OutputError(f"No working folder can be made: {error}.") from error


def sweep(paths: Iterable[Path]) -> None:
    """Remove those files and folders that are temporary, old and nobody's any more."""
    now = time.time()
    for path in paths:
        with suppress(OSError):
            if is_abandoned(path, now):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()


def is_abandoned(path: Path, now: float) -> bool:
    """Return whether a path has the name of something temporary that nobody needs; raises OSError.

    That is: this machine's, a day old, and its process is gone; or another's, and a week old.
    """
    match = _NAME.search(path.name)
    if match is None:
        return False
    age = now - path.lstat().st_mtime
    if match["host"] != _host():
        return age > FOREIGN_SECONDS
    return age > OWN_SECONDS and not _runs(int(match["pid"]))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
