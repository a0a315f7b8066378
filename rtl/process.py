"""Running a child in a process group of its own, so that nothing of it outlives us."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

POLL_SECONDS = 0.05


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

    The child's standard input is a pipe that we hold open and never write: a child that reads its
    end knows that we are gone, even where we were killed. When ``timeout`` seconds have passed,
    when ``cancel`` is set, or on any exception here (Ctrl-C), the whole group is killed. Raises
    :class:`TimeoutError`, :class:`InterruptedError` for ``cancel``, and :class:`OSError` where the
    command cannot be started.
    """
    deadline = time.monotonic() + timeout
    process = subprocess.Popen(
        list(command),
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
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
        # The leader may be gone while what it started still runs.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
