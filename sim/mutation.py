"""Mutation coverage: mutants are simulated, and what the testbench passes is given to a prover."""

import hashlib
import json
import os
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ..formats.errors import DataError, NibblemacError, ToolError
from .child import Run
from .design import Design, verification_key
from .modules import escaped, rename_modules
from .mutant_equality import equal_mutants
from .mutant_model import Fates, run_mutants
from .mutants import (
    DEFAULT_COUNT,
    MUTANTS_VERSION,
    SELECT,
    Mutant,
    MutatedDesign,
    Subject,
    YosysTool,
    check_choice,
    make_mutants,
)
from .mutation_result import EQUIVALENT, KILLED, LIVE, UNPROVEN, MutantVerdict, MutationResult
from .proof import Proof, Verdict
from .runtime import SimulationWarning, prepare_runtime
from .simulators import Simulator
from .stimulus import DEFAULT_SEED, make_vectors

DEFAULT_PROOF_SECONDS = 120.0
DEFAULT_TIMEOUT = 3600.0
_MUTATED = "_mutants"


class Prover(Protocol):
    """Proves that a design computes what its specification says."""

    def __call__(
        self,
        design: Design,
        yosys: YosysTool,
        *,
        workdir: Path,
        timeout: float,
        cancel: threading.Event | None = None,
    ) -> Proof:
        """Prove the design in ``timeout`` seconds."""


class MutationCache(Protocol):
    """Where results are kept: JSON records by key."""

    def get(self, key: str) -> object | None:
        """Return the record, or None."""

    def put(self, key: str, record: Mapping[str, object]) -> None:
        """Keep the record."""


@dataclass(frozen=True, kw_only=True)
class MutationSetup:
    """What the mutants of every design are made, simulated and proven with.

    ``count`` mutants of each design are chosen by ``seed``. ``workdir`` takes the models, removed
    on success, and Verilator's compiled runtime, which later calls with the same folder use again.
    A proof may take ``proof_seconds``, Yosys and a simulation ``timeout`` seconds. ``jobs`` designs
    (default: the cores) are worked on at once. Settled results are taken from ``cache``, if there
    is one, and put there. Raises :class:`UsageError` for a count or a seed out of range.
    """

    yosys: YosysTool
    prover: Prover
    workdir: Path
    simulator: Simulator
    cache: MutationCache | None = None
    count: int = DEFAULT_COUNT
    seed: int = 1
    jobs: int | None = None
    proof_seconds: float = DEFAULT_PROOF_SECONDS
    timeout: float = DEFAULT_TIMEOUT

    def __post_init__(self) -> None:
        check_choice(self.count, self.seed)

    def key(self, subject: Subject) -> str:
        """Return SHA-256 of all that a settled result depends on."""
        design = Design(
            spec=subject.spec,
            architecture=subject.architecture,
            level="rtl",
            top=subject.top,
            sources=(subject.rtlil,),
        )
        facts = [
            "mutation",
            MUTANTS_VERSION,
            verification_key(design, self.simulator, DEFAULT_SEED),
            self.yosys.tools,
            self.count,
            self.seed,
        ]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def mutate(
    subjects: Sequence[Subject],
    setup: MutationSetup,
    progress: Callable[[Subject, int], None] | None = None,
) -> list[MutationResult]:
    """Return what became of the mutants of each design, in the designs' order.

    The testbench is the one of :func:`.verify.verify`: the same vectors, and a mutant is killed
    where one accumulator value differs from the reference's. Those that live are given to the
    prover. ``progress`` is called with a design and how many more of its ``count`` mutants are
    settled. A design that fails has a result with ``error`` and keeps no other from its own. On
    Ctrl-C what runs is ended and KeyboardInterrupt is raised; what had finished is in the cache.
    """
    work = _Work(setup, progress)
    known = [work.known(subject) for subject in subjects]
    results = {index: result for index, result in enumerate(known) if result is not None}
    waiting = [index for index in range(len(subjects)) if index not in results]
    # The longest simulations first, so that no core waits for them in the end.
    waiting.sort(key=lambda index: (-_weight(subjects[index]), index))
    if waiting:
        prepare_runtime(work.run)
    with ThreadPoolExecutor(max_workers=work.run.jobs) as pool:
        try:
            futures = {pool.submit(work.examine, subjects[index]): index for index in waiting}
            for future in as_completed(futures):
                results[futures[future]] = future.result()
        except BaseException:
            # Ctrl-C included: children live in groups of their own and would go on.
            work.run.cancel.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [results[index] for index in range(len(subjects))]


def mutant_design(design: MutatedDesign, mutant: Mutant) -> Design:
    """Return one mutant as a design of its own, with the ports of the MAC's contract."""
    inner = design.top + _MUTATED
    spec = design.spec
    ports = [
        "input clk",
        f"input [{spec.weight.bits - 1}:0] weight",
        f"input [{spec.activation.bits - 1}:0] activation",
        "input clear",
        *(["input enable"] if spec.enable else []),
        f"output [{spec.accumulator_bits - 1}:0] accumulator",
    ]
    names = [port.split()[-1] for port in ports]
    pins = [f".{name}({name})" for name in names]
    pins.append(f".{SELECT}({design.select_bits}'d{mutant.number})")
    wrapper = (
        f"module {escaped(design.top)} ({', '.join(ports)});\n"
        f"  {escaped(inner)} mutant ({', '.join(pins)});\n"
        "endmodule\n"
    )
    return Design(
        spec=spec,
        architecture=design.architecture,
        level="rtl",
        top=design.top,
        sources=(rename_modules(design.verilog, {design.top: inner}) + wrapper,),
    )


class _Work:
    """One call's designs, examined in several threads."""

    def __init__(
        self, setup: MutationSetup, progress: Callable[[Subject, int], None] | None
    ) -> None:
        self._setup = setup
        self._progress = progress
        self._lock = threading.Lock()
        self.run = Run(
            simulator=setup.simulator,
            workdir=setup.workdir,
            waves=None,
            seed=DEFAULT_SEED,
            timeout=setup.timeout,
            jobs=max(1, setup.jobs or _cores()),
            cancel=threading.Event(),
        )

    def known(self, subject: Subject) -> MutationResult | None:
        """Return the cached result."""
        if self._setup.cache is None:
            return None
        record = self._setup.cache.get(self._setup.key(subject))
        try:
            result = MutationResult.from_json(record) if record is not None else None
        except DataError as error:
            said = f"A kept result is damaged: {error} The mutants are examined again."
            warnings.warn(SimulationWarning(said), stacklevel=2)
            return None
        if result is None or not result.is_settled:
            return None
        self._settle(subject, self._setup.count)
        return result

    def examine(self, subject: Subject) -> MutationResult:
        """Make, simulate and prove a design's mutants."""
        started = time.monotonic()
        settled = _Count()
        try:
            result = self._examine(subject, settled)
        except NibblemacError as error:
            result = self._result(subject, None, (), error=str(error))
        result = replace(result, seconds=round(time.monotonic() - started, 3))
        if self._setup.cache is not None and result.is_settled:
            self._setup.cache.put(self._setup.key(subject), result.to_json())
        self._settle(subject, self._setup.count - settled.value)
        return result

    def _examine(self, subject: Subject, settled: "_Count") -> MutationResult:
        setup, run = self._setup, self.run
        with self._lock:
            # The reference is torch's, which has threads of its own.
            vectors = make_vectors(subject.spec, run.seed)
        design = make_mutants(
            subject,
            setup.yosys,
            workdir=setup.workdir,
            count=setup.count,
            seed=setup.seed,
            timeout=setup.timeout,
            cancel=run.cancel,
        )
        fates = run_mutants(design, vectors, run)
        settled.value = sum(step is not None for step in fates.killed_at)
        self._settle(subject, settled.value)
        passed = [
            mutant.number
            for mutant, step in zip(design.mutants, fates.killed_at, strict=True)
            if step is None
        ]
        equal = self._equal(design, passed)
        settled.value += len(equal)
        self._settle(subject, len(equal))
        verdicts = []
        for mutant, step in zip(design.mutants, fates.killed_at, strict=True):
            if step is not None:
                phase = vectors.phase(vectors.source(step))
                verdicts.append(
                    MutantVerdict(mutant=mutant, verdict=KILLED, step=step, phase=phase)
                )
            elif mutant.number in equal:
                verdicts.append(MutantVerdict(mutant=mutant, verdict=EQUIVALENT))
            else:
                verdicts.append(self._proven(design, mutant))
                settled.value += 1
                self._settle(subject, 1)
        return self._result(subject, fates, tuple(verdicts))

    def _equal(self, design: MutatedDesign, numbers: Sequence[int]) -> frozenset[int]:
        """Return what is proven in one go; where that fails, each is left to the prover."""
        try:
            return equal_mutants(
                design,
                numbers,
                self._setup.yosys,
                workdir=self._setup.workdir,
                timeout=self._setup.proof_seconds,
                cancel=self.run.cancel,
            )
        except ToolError:
            return frozenset()

    def _proven(self, design: MutatedDesign, mutant: Mutant) -> MutantVerdict:
        try:
            proof = self._setup.prover(
                mutant_design(design, mutant),
                self._setup.yosys,
                workdir=self._setup.workdir,
                timeout=self._setup.proof_seconds,
                cancel=self.run.cancel,
            )
        except ToolError as error:
            return MutantVerdict(mutant=mutant, verdict=UNPROVEN, counterexample=str(error))
        verdict = {Verdict.PROVEN: EQUIVALENT, Verdict.REFUTED: LIVE}.get(proof.verdict, UNPROVEN)
        said = str(proof.counterexample) if verdict == LIVE else proof.detail
        return MutantVerdict(mutant=mutant, verdict=verdict, counterexample=said)

    def _result(
        self,
        subject: Subject,
        fates: Fates | None,
        verdicts: tuple[MutantVerdict, ...],
        error: str = "",
    ) -> MutationResult:
        return MutationResult(
            format=subject.spec.weight.name,
            activation=subject.spec.activation.name,
            terms=subject.spec.terms,
            architecture=subject.architecture,
            count=self._setup.count,
            seed=self._setup.seed,
            steps=fates.steps if fates else 0,
            verdicts=verdicts,
            error=error,
            simulator=self._setup.simulator.name,
            cocotb=fates.cocotb if fates else "",
            yosys=", ".join(
                f"{name} {version}" for name, version in self._setup.yosys.tools.items()
            ),
            seconds=0.0,
        )

    def _settle(self, subject: Subject, mutants: int) -> None:
        if self._progress is not None and mutants:
            with self._lock:
                self._progress(subject, mutants)


@dataclass(slots=True)
class _Count:
    value: int = 0


def _weight(subject: Subject) -> int:
    spec = subject.spec
    return (1 << (spec.weight.bits + spec.activation.bits)) + spec.terms


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
