"""Pure pieces of work, run on any ``concurrent.futures`` executor and remembered in the cache.

A job is a function and arguments that can be pickled, and a key of everything that its result
depends on. Results are JSON types. So a search can be interrupted and goes on where it was, and
gives the same result on one core, on many, and on many machines.
"""

import functools
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event

from ..formats.errors import NibblemacError, ToolError
from .cache import Cache, Record, cache_key

#: How long an interrupted worker has to end by itself.
_GRACE_SECONDS = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """``function(*arguments)``; ``facts`` (JSON types) say all that its result depends on.

    ``check`` refuses a record from the cache that is none of this job's, by KeyError, TypeError or
    ValueError.
    """

    function: Callable[..., Record]
    arguments: tuple[object, ...]
    facts: Record
    check: Callable[[Record], object] | None = None

    @property
    def key(self) -> str:
        """The cache key."""
        return cache_key(self.facts)


_cancelled: Event | None = None


def cancelled() -> bool:
    """Return whether the run that this worker process belongs to was interrupted."""
    return _cancelled is not None and _cancelled.is_set()


def _start_worker(event: Event) -> None:
    global _cancelled  # noqa: PLW0603 - a worker process has one run
    _cancelled = event
    # Ctrl-C reaches the whole process group; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when its parent is gone; what it runs ends with it (:mod:`..rtl.process`)."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


@contextmanager
def processes(count: int) -> Iterator[Executor]:
    """Give a pool of so many processes; on the way out by an error, their work is abandoned."""
    context = multiprocessing.get_context("spawn")
    event = context.Event()
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        max_workers=count, mp_context=context, initializer=_start_worker, initargs=(event,)
    )
    try:
        yield pool
    except BaseException:
        event.set()
        # Work that does not ask whether it is cancelled is ended with its process.
        for worker in set(multiprocessing.active_children()) - others:
            worker.join(_GRACE_SECONDS)
            worker.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """A job that raised one of the project's errors."""

    error: NibblemacError


def run_jobs(
    jobs: Sequence[Job],
    executor: Executor,
    cache: Cache,
    progress: Callable[[int], None] | None = None,
    late: threading.Event | None = None,
) -> list[Record | Failed | None]:
    """Return each job's result, in order: the record, why there is none, or None.

    ``progress`` is called with the index of each job as it is finished. Once ``late`` is set, jobs
    that are neither known nor running are left out: their result is None. Raises
    :class:`ToolError` where a worker process is killed from outside; what was finished is kept.
    """
    results: list[Record | Failed | None] = [None] * len(jobs)
    waiting: dict[str, list[int]] = {}

    def settle(indices: Sequence[int], outcome: Record | Failed | None) -> None:
        for index in indices:
            results[index] = outcome
            if progress is not None:
                progress(index)

    for index, job in enumerate(jobs):
        record = cache.read(job.key, functools.partial(_checked, job))
        if record is not None:
            settle([index], record)
        else:
            waiting.setdefault(job.key, []).append(index)
    futures: dict[Future[Record], str] = {}
    for key, indices in waiting.items():
        if late is None or not late.is_set():
            job = jobs[indices[0]]
            futures[executor.submit(job.function, *job.arguments)] = key
    for future in as_completed(futures):
        outcome = _outcome(future)
        if isinstance(outcome, dict):
            cache.put(futures[future], outcome)
        settle(waiting[futures[future]], outcome)
        if late is not None and late.is_set():
            for other in futures:
                other.cancel()
    return results


def _checked(job: Job, record: Record) -> Record:
    if job.check is not None:
        job.check(record)
    return record


def _outcome(future: Future[Record]) -> Record | Failed | None:
    if future.cancelled():
        return None
    try:
        return future.result()
    except NibblemacError as error:
        return Failed(error=error)
    except BrokenExecutor as error:
        raise ToolError(
            "A worker process was ended from outside, perhaps for want of memory; finished results "
            "are kept. Run the same again, with fewer --jobs where memory is short."
        ) from error
