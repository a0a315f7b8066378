"""Many syntheses: from the cache where they are known, else side by side on the cores."""

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from ..formats.errors import SynthesisError
from ..formats.mac import MacSpec
from ..formats.scratch import make_scratch
from ..rtl.verilog import design_digest, to_rtlil, top_name
from .cache import Cache, cache_key
from .cells import CellLibrary
from .flow import FLOW_VERSION, FlowLibrary, Mapped, synthesise
from .recipes import Recipe
from .yosys import DEFAULT_TIMEOUT, Yosys, prepare


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """A MAC in one architecture, as the RTLIL that is synthesised."""

    spec: MacSpec
    architecture: str
    top: str
    rtlil: str

    @property
    def digest(self) -> str:
        """SHA-256 of the RTLIL."""
        return design_digest(self.rtlil)


def make_design(spec: MacSpec, architecture: str) -> Design:
    """Elaborate a MAC; raises ArchitectureError where the architecture cannot serve it."""
    return Design(
        spec=spec,
        architecture=architecture,
        top=top_name(spec, architecture),
        rtlil=to_rtlil(spec, architecture),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One synthesis to be done: a design and a recipe; ``split`` keeps the hierarchy."""

    design: Design
    recipe: Recipe
    split: bool = False


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A library, a Yosys and a cache, with ``jobs`` syntheses at once (default: the cores)."""

    library: CellLibrary
    yosys: Yosys
    cache: Cache
    jobs: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    timeout: float = DEFAULT_TIMEOUT

    def key(self, task: Task) -> str:
        """Return the cache key: design, library, recipe and tool identity."""
        return cache_key(
            {
                "what": "synthesis",
                "flow": FLOW_VERSION,
                "design": task.design.digest,
                "top": task.design.top,
                "library": self.library.digest,
                "recipe": task.recipe.digest,
                "split": task.split,
                "tools": self.yosys.tools,
            }
        )

    def known(self, task: Task) -> Mapped | None:
        """Return a cached result, or None; a damaged one is told by a CacheWarning."""
        return self.cache.read(self.key(task), Mapped.from_json)

    def run(
        self,
        tasks: Sequence[Task],
        progress: Callable[[Task, Mapped | SynthesisError], None] | None = None,
    ) -> list[Mapped | SynthesisError]:
        """Return each task's result, or why it has none, in the tasks' order.

        ``progress`` is called with each as it comes. Every finished result is in the cache at
        once, so that an interrupted sweep goes on where it was. On Ctrl-C the running processes
        are ended and KeyboardInterrupt is raised.
        """
        results: dict[int, Mapped | SynthesisError] = {}
        waiting = []
        for index, task in enumerate(tasks):
            mapped = self.known(task)
            if mapped is None:
                waiting.append(index)
            else:
                results[index] = mapped
                if progress is not None:
                    progress(task, mapped)
        if waiting:
            for index, result in self._compute(tasks, waiting):
                results[index] = result
                if progress is not None:
                    progress(tasks[index], result)
        return [results[index] for index in range(len(tasks))]

    def _compute(
        self, tasks: Sequence[Task], waiting: Sequence[int]
    ) -> Iterator[tuple[int, Mapped | SynthesisError]]:
        cancel = threading.Event()
        prepared = FlowLibrary.of(self.library)

        def work(index: int) -> Mapped | SynthesisError:
            task = tasks[index]
            try:
                mapped = synthesise(
                    task.design.rtlil,
                    task.design.top,
                    prepared,
                    task.recipe,
                    self.yosys,
                    workdir=workdir,
                    split=task.split,
                    timeout=self.timeout,
                    cancel=cancel,
                )
            except SynthesisError as error:
                return error
            self.cache.put(self.key(task), mapped.to_json())
            return mapped

        with _workdir() as workdir:
            pool = ThreadPoolExecutor(max_workers=self.jobs)
            try:
                prepare(self.yosys, workdir)
                futures = {pool.submit(work, index): index for index in waiting}
                for future in as_completed(futures):
                    yield futures[future], future.result()
            except BaseException:
                # Ctrl-C included: the processes live in groups of their own and would go on.
                cancel.set()
                raise
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _workdir() -> Iterator[Path]:
    """Give a new folder; it is kept where a failed run has left its files in it."""
    folder = make_scratch()
    try:
        yield folder
    finally:
        failed = [path for path in folder.iterdir() if path.is_dir()]
        if not failed:
            shutil.rmtree(folder, ignore_errors=True)
