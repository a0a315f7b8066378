"""Running a child in a process group of its own, so that nothing of it outlives us."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

POLL_SECONDS = 0.05

# The leader of the child's group. Its standard input is a pipe that only we hold open: when it
# ends, we are gone, however that came about, and the group goes too.
_WATCHDOG = ("/bin/sh", "-c", "read -r _; kill -9 0")


def run_process(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: IO[bytes],
    timeout: float,
    cwd: Path | None = None,
    cancel: threading.Event | None = None,
) -> int:
    """Run ``command`` with both outputs in ``log``; return its exit status (−N: signal N).

    The child is in a process group that ends with us, even where we are killed. When ``timeout``
    seconds have passed, when ``cancel`` is set, or on any exception here (Ctrl-C), the whole group
    is killed. Raises :class:`TimeoutError`, :class:`InterruptedError` for ``cancel``, and
    :class:`OSError` where the command cannot be started.
    """
    deadline = time.monotonic() + timeout
    with _group() as group:
        process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env=dict(environment),
            # A child may read its end to know that we are gone.
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=group,
        )
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(POLL_SECONDS)
                if cancel is not None and cancel.is_set():
                    raise InterruptedError(f"{command[0]} was cancelled.")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{command[0]} ran longer than {timeout:g} s.")
        finally:
            # The child may be gone while what it started still runs.
            _kill(group)
            process.wait()
            if process.stdin is not None:
                process.stdin.close()


@contextlib.contextmanager
def _group() -> Iterator[int]:
    """Give a new process group, which is killed on the way out and when we are killed."""
    watchdog = subprocess.Popen(
        _WATCHDOG,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        yield watchdog.pid
    finally:
        _kill(watchdog.pid)
        if watchdog.stdin is not None:
            watchdog.stdin.close()
        watchdog.wait()


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
