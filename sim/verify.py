"""Verifying many designs: cache, grouping into models, parallel runs, verdicts one by one."""

import math
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..formats.errors import DataError, SimulationError
from .child import Run
from .design import Design, verification_key
from .model import run_model
from .result import VerifyResult
from .runtime import SimulationWarning, prepare_runtime
from .simulators import Simulator, find_simulator
from .stimulus import DEFAULT_SEED, make_vectors

if TYPE_CHECKING:
    from ..formats.mac import MacSpec
    from .vectors import Vectors

DEFAULT_TIMEOUT = 900.0

# Icarus builds in no time, so small groups run side by side. Verilator takes seconds a build, and
# then some for each 100,000 characters of Verilog.
ICARUS_GROUP = 8
WORTH_A_BUILD = 200_000
LARGEST_BUILD = 5_000_000
USUAL_STEPS = 5000
# Two lone designs that fail, and nothing that ran: the simulator is at fault, not the designs.
HOPELESS = 2


class VerificationCache(Protocol):
    """Where passes are kept: JSON records by key."""

    def get(self, key: str) -> object | None:
        """Return the record, or None."""

    def put(self, key: str, record: Mapping[str, object]) -> None:
        """Keep the record."""


def verify(
    designs: Iterable[Design],
    *,
    workdir: Path,
    simulator: Simulator | None = None,
    jobs: int | None = None,
    waves: Path | None = None,
    progress: Callable[[VerifyResult], None] | None = None,
    cache: VerificationCache | None = None,
    seed: int = DEFAULT_SEED,
    timeout: float = DEFAULT_TIMEOUT,
    keep_going: bool = False,
) -> list[VerifyResult]:
    """Compare every design with the reference, and return a verdict for each, in their order.

    ``workdir`` takes the models (removed on success) and Verilator's compiled runtime, which later
    calls with the same folder use again. ``jobs`` models (default: the cores) run at once.
    ``progress`` is called with each result as it comes. Passes are taken from ``cache`` and put
    there. With ``waves``, a folder, each design is simulated alone and its waveform kept: FST from
    Icarus, VCD from Verilator. ``timeout`` is in seconds, for building and running one model.

    Designs that differ are verdicts, not exceptions. A design that cannot be simulated does not
    keep others from their verdicts: its model is taken apart. With ``keep_going`` its own verdict
    is then one with ``error``; without it, :class:`SimulationError` is raised when all others are
    done. Raises :class:`ToolError` where no simulator is found.
    """
    run = Run(
        simulator=simulator or find_simulator(),
        workdir=workdir,
        waves=waves,
        seed=seed,
        timeout=timeout,
        jobs=max(1, jobs or _cores()),
        cancel=threading.Event(),
    )
    batch = _Batch(list(designs), run, cache=None if waves else cache, progress=progress)
    groups = _split({index: batch.weight(index) for index in batch.start()}, run)
    if groups:
        prepare_runtime(run)
    errors: list[SimulationError] = []
    with ThreadPoolExecutor(max_workers=run.jobs) as pool:
        try:
            futures = [pool.submit(batch.simulate, group) for group in groups]
            for future in as_completed(futures):
                errors += batch.finish(future.result())
        except BaseException:
            # Ctrl-C included: children live in groups of their own and would go on.
            run.cancel.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    if errors and not keep_going:
        raise errors[0]
    return batch.results()


_Outcomes = list[tuple[int, VerifyResult | SimulationError]]


class _Batch:
    """The designs of one verification with their vectors."""

    def __init__(
        self,
        designs: Sequence[Design],
        run: Run,
        *,
        cache: VerificationCache | None,
        progress: Callable[[VerifyResult], None] | None,
    ) -> None:
        self._designs = designs
        self._run = run
        self._cache = cache
        self._progress = progress
        self._results: dict[int, VerifyResult] = {}
        self._cache_keys: dict[int, str] = {}
        self._spec_keys: dict[MacSpec, str] = {}
        self._vectors: dict[str, Vectors] = {}
        self._vector_keys: dict[int, str] = {}
        self._lock = threading.Lock()
        self._succeeded = False
        self._failed_alone: list[SimulationError] = []

    def start(self) -> list[int]:
        """Settle what needs no simulation; return the indices of the other designs."""
        left = []
        for index, design in enumerate(self._designs):
            known = None
            if self._cache is not None:
                key = verification_key(design, self._run.simulator, self._run.seed)
                known = _known(self._cache.get(key))
                self._cache_keys[index] = key
            fault = "" if known else design.port_fault()
            if known is not None:
                self._add(index, known)
            elif fault:
                self._add(index, _unverified(design, fault, self._run))
            else:
                left.append(index)
        return left

    def weight(self, index: int) -> float:
        """Make the design's vectors; return its characters of Verilog, more for long vectors."""
        design = self._designs[index]
        if design.spec not in self._spec_keys:
            vectors = make_vectors(design.spec, self._run.seed)
            self._spec_keys[design.spec] = vectors.digest[:16]
            self._vectors[self._spec_keys[design.spec]] = vectors
        key = self._spec_keys[design.spec]
        self._vector_keys[index] = key
        characters = max(len(text) for text in design.texts())
        return characters * max(1.0, len(self._vectors[key]) / USUAL_STEPS)

    def finish(self, outcomes: _Outcomes) -> list[SimulationError]:
        """Take the outcomes of a group; return its errors."""
        errors = []
        for index, outcome in outcomes:
            if isinstance(outcome, VerifyResult):
                if self._cache is not None and outcome.passed:
                    self._cache.put(self._cache_keys[index], outcome.to_json())
                self._add(index, outcome)
            else:
                errors.append(outcome)
                self._add(index, _unverified(self._designs[index], str(outcome), self._run))
        return errors

    def results(self) -> list[VerifyResult]:
        """Return all results in the designs' order."""
        return [self._results[index] for index in range(len(self._designs))]

    def _add(self, index: int, result: VerifyResult) -> None:
        self._results[index] = result
        if self._progress is not None:
            self._progress(result)

    def simulate(self, group: Sequence[int]) -> _Outcomes:
        """Simulate a group; where that fails, its halves, down to the designs at fault."""
        with self._lock:
            if not self._succeeded and len(self._failed_alone) >= HOPELESS:
                return [(index, self._failed_alone[0]) for index in group]
        try:
            found = run_model(
                [self._designs[index] for index in group],
                self._vectors,
                [self._vector_keys[index] for index in group],
                self._run,
            )
        except SimulationError as error:
            if len(group) == 1:
                with self._lock:
                    self._failed_alone.append(error)
                return [(group[0], error)]
            middle = len(group) // 2
            return self.simulate(group[:middle]) + self.simulate(group[middle:])
        with self._lock:
            self._succeeded = True
        return list(zip(group, found, strict=True))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _split(weights: Mapping[int, float], run: Run) -> list[list[int]]:
    """Distribute designs (weight by index) over models of about equal weight."""
    total = sum(weights.values())
    if run.waves is not None:
        count = len(weights)
    elif run.simulator.kind == "icarus":
        count = max(run.jobs, math.ceil(len(weights) / ICARUS_GROUP))
    else:
        count = max(min(run.jobs, int(total / WORTH_A_BUILD)), math.ceil(total / LARGEST_BUILD))
    groups: list[list[int]] = [[] for _ in range(max(1, min(count, len(weights))))]
    loads = [0.0] * len(groups)
    for index in sorted(weights, key=lambda index: (-weights[index], index)):
        lightest = loads.index(min(loads))
        groups[lightest].append(index)
        loads[lightest] += weights[index]
    heaviest_first = sorted(range(len(groups)), key=lambda group: -loads[group])
    return [groups[group] for group in heaviest_first if groups[group]]


def _known(record: object | None) -> VerifyResult | None:
    if record is None:
        return None
    try:
        result = VerifyResult.from_json(record)
    except DataError as error:
        said = f"A kept verdict is damaged: {error} The design is simulated again."
        warnings.warn(SimulationWarning(said), stacklevel=2)
        return None
    return result if result.passed else None


def _unverified(design: Design, error: str, run: Run) -> VerifyResult:
    return VerifyResult(
        format=design.spec.weight.name,
        activation=design.spec.activation.name,
        terms=design.spec.terms,
        architecture=design.architecture,
        level=design.level,
        cases=0,
        wrong=0,
        failures=(),
        error=error,
        full_length=False,
        seconds=0.0,
        simulator=run.simulator.name,
        cocotb="",
        seed=run.seed,
        waves="",
    )
