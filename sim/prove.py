"""Proving designs: that every sum from the first clear on is the specification's, without bound.

A proof is of one transition from any state, so it holds for sums of any length. What the solver
offers against it may start in a state that no sum reaches; it counts as a refutation only after
it has been replayed from a clear on and the accumulator is wrong there too.
"""

import hashlib
import json
import re
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Protocol

from ..formats.errors import DataError, OutputError, SimulationError, ToolError
from ..formats.mac import MacSpec
from .counterexample import read_trace, signed, steps_to, sum_of
from .design import Design
from .proof import Counterexample, Proof, Step, Verdict
from .proof_script import (
    ABC_FILE,
    DESIGN_FILE,
    HARNESS_FILE,
    PROVEN_FILE,
    REGISTERS_FILE,
    SWEEP,
    TRACE_FILE,
    Attempt,
    evert_registers,
    hold_script,
    proof_script,
    registers_script,
    replay_script,
    search_script,
)
from .runtime import SimulationWarning
from .specification import harness_verilog, product_forms
from .verify import VerificationCache

#: Part of every cache key: raise it when scripts or checks change.
PROOF_VERSION = 1
DEFAULT_TIMEOUT = 120.0
FIRST_LOOK = 10.0
WIDE_BITS = 12
_REFUTED = "proof did fail"
_TIMEOUT = ("proof did time out", "ran longer than")


class Yosys(Protocol):
    """A Yosys that runs script files; its errors are :class:`ToolError`."""

    @property
    def tools(self) -> dict[str, str]:
        """Tool and version."""

    def run(
        self,
        script: str,
        folder: Path,
        *,
        timeout: float,
        cancel: threading.Event | None = None,
    ) -> None:
        """Run the script file ``script`` of ``folder`` there."""


def prove(
    design: Design,
    yosys: Yosys,
    *,
    workdir: Path,
    timeout: float = DEFAULT_TIMEOUT,
    waves: Path | None = None,
    cancel: threading.Event | None = None,
) -> Proof:
    """Prove that a design computes what its formats say, or refute it by a counterexample.

    ``workdir`` takes the run's folder, which is removed. ``timeout`` is in seconds, for all
    attempts together; when it has passed the design is unproven. ``waves`` is a folder for the
    waveform (VCD) of a counterexample. Raises :class:`ToolError` where Yosys cannot be run or fails
    on the design, and :class:`OutputError` where the folder cannot be written.
    """
    started = time.monotonic()
    fault = design.port_fault()
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="proof-", dir=workdir)).absolute()
    except OSError as error:
        raise OutputError(f"A proof's files cannot be written to {workdir}: {error}.") from error
    run = _Run(design, yosys, folder, deadline=started + timeout, waves=waves, cancel=cancel)
    try:
        verdict, method, example, detail = (
            (Verdict.UNPROVEN, "ports", None, fault) if fault else run.decide()
        )
    except OSError as error:
        if isinstance(error, InterruptedError | OutputError):
            raise
        raise OutputError(f"A proof's files in {folder} cannot be used: {error}.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Proof(
        format=design.spec.weight.name,
        activation=design.spec.activation.name,
        architecture=design.architecture,
        level=design.level,
        verdict=verdict,
        method=method,
        seconds=round(time.monotonic() - started, 3),
        counterexample=example,
        detail=detail,
    )


def prove_all(
    designs: Sequence[Design],
    yosys: Yosys,
    *,
    workdir: Path,
    jobs: int = 1,
    timeout: float = DEFAULT_TIMEOUT,
    waves: Path | None = None,
    cache: VerificationCache | None = None,
    progress: Callable[[Proof], None] | None = None,
) -> list[Proof]:
    """Prove designs, ``jobs`` at once; return a proof for each, in their order.

    Proofs are taken from ``cache`` and put there; what is refuted or unproven is tried again. A
    design that Yosys fails on is unproven, with the reason.
    """
    cancel = threading.Event()
    found: dict[int, Proof] = {}
    keys = [proof_key(design, yosys) for design in designs]

    def one(index: int) -> Proof:
        design = designs[index]
        try:
            return prove(
                design, yosys, workdir=workdir, timeout=timeout, waves=waves, cancel=cancel
            )
        except (ToolError, DataError) as error:
            return unproven(design, str(error))

    def take(index: int, proof: Proof) -> None:
        found[index] = proof
        if progress is not None:
            progress(proof)

    left = []
    for index, design in enumerate(designs):
        known = None if cache is None else _known(cache.get(keys[index]), design)
        if known is None:
            left.append(index)
        else:
            take(index, known)
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        try:
            futures = {pool.submit(one, index): index for index in left}
            for future in as_completed(futures):
                index, proof = futures[future], future.result()
                if cache is not None and proof.proven:
                    cache.put(keys[index], proof.to_json())
                take(index, proof)
        except BaseException:
            cancel.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [found[index] for index in range(len(designs))]


def unproven(design: Design, why: str, method: str = "none") -> Proof:
    """Return the record of a design that could not be decided."""
    return Proof(
        format=design.spec.weight.name,
        activation=design.spec.activation.name,
        architecture=design.architecture,
        level=design.level,
        verdict=Verdict.UNPROVEN,
        method=method,
        seconds=0.0,
        detail=why,
    )


def proof_key(design: Design, yosys: Yosys) -> str:
    """Return SHA-256 of all that a proof depends on: Verilog, contract, scripts, tools."""
    spec = design.spec
    attempts = _attempts(spec)
    facts = [
        "proof",
        PROOF_VERSION,
        design.top,
        [harness_verilog(spec, design.top, attempt.form) for attempt in attempts],
        [proof_script(attempt, latency=spec.latency, seconds=1) for attempt in attempts],
        SWEEP,
        sorted(yosys.tools.items()),
        [hashlib.sha256(text.encode()).hexdigest() for text in design.texts()],
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _known(record: object | None, design: Design) -> Proof | None:
    if record is None:
        return None
    try:
        proof = Proof.from_json(record)
    except DataError as error:
        warnings.warn(SimulationWarning(f"A kept proof is damaged: {error}"), stacklevel=2)
        return None
    same = (proof.format, proof.architecture) == (design.spec.weight.name, design.architecture)
    return proof if proof.proven and same and proof.level == design.level else None


def _attempts(spec: MacSpec) -> list[Attempt]:
    """Return the ways to try, the most promising first.

    Products of many code bits take the solver minutes unless ABC has merged what is the same;
    whether that succeeds depends on the design's number representation.
    """
    forms = product_forms(spec)
    swept = [Attempt(form=form, sweep=True) for form in forms]
    plain = [Attempt(form=form, sweep=False) for form in forms]
    return [*swept, *swept, *plain] if _is_wide(spec) else [*plain, *swept]


def _is_wide(spec: MacSpec) -> bool:
    return spec.weight.bits + spec.activation.bits > WIDE_BITS


_Decision = tuple[Verdict, str, Counterexample | None, str]


class _Run:
    """One design's proof in a folder of its own."""

    def __init__(
        self,
        design: Design,
        yosys: Yosys,
        folder: Path,
        *,
        deadline: float,
        waves: Path | None,
        cancel: threading.Event | None,
    ) -> None:
        self._design = design
        self._yosys = yosys
        self._folder = folder
        self._deadline = deadline
        self._waves = waves
        self._cancel = cancel
        self._tools = ", ".join(f"{name} {version}" for name, version in yosys.tools.items())

    def decide(self) -> _Decision:
        """Try each way until one decides."""
        self._write(DESIGN_FILE, "\n".join(self._design.texts()))
        self._write(ABC_FILE, SWEEP)
        attempts = _attempts(self._design.spec)
        why = ""
        for number, attempt in enumerate(attempts):
            left = self._deadline - time.monotonic()
            if left <= 1:
                break
            share = left / (len(attempts) - number)
            # A form that suits the design is settled soon; one that does not would take it all.
            look = _is_wide(self._design.spec) and number < len(attempts) // 3
            seconds = min(share, FIRST_LOOK) if look else share
            decision = self._attempt(attempt, seconds)
            if decision[0] is not Verdict.UNPROVEN:
                return decision
            why = decision[3]
            if "reached" in why:
                break
        return Verdict.UNPROVEN, self._method(attempts[-1]), None, why or "the time ran out"

    def _method(self, attempt: Attempt) -> str:
        sweep = ", after SAT sweeping by ABC" if attempt.sweep else ""
        return f"sat -tempinduct from any state{sweep}, product as {attempt.form}; {self._tools}"

    def _attempt(self, attempt: Attempt, seconds: float) -> _Decision:
        spec = self._design.spec
        self._write(HARNESS_FILE, harness_verilog(spec, self._design.top, attempt.form))
        limit = max(1, int(seconds))
        script = proof_script(attempt, latency=spec.latency, seconds=limit)
        method = self._method(attempt)
        answer = self._solve("proof.ys", script, seconds)
        if answer == "yes":
            if spec.enable and spec.registered_product:
                return self._holds(method, seconds)
            return Verdict.PROVEN, method, None, ""
        if answer == "time":
            return Verdict.UNPROVEN, method, None, "the time ran out"
        # A wrong sum right behind a clear is the plainest; else one from where sums can be.
        taken = {"enable": 1} if spec.enable and not spec.registered_product else {}
        for where in ({"clear": 1, **taken}, {"inside": 1, "clear": 0}, {"inside": 1}):
            text = search_script(
                attempt, where, latency=spec.latency, enable=spec.enable, seconds=limit
            )
            (self._folder / TRACE_FILE).unlink(missing_ok=True)
            self._write("search.ys", text)
            self._run_script("search.ys", seconds)
            if not (self._folder / TRACE_FILE).is_file():
                continue
            example = self._replayed(read_trace(self._folder / TRACE_FILE))
            if example is not None:
                method = f"{method}; replayed from a clear on"
                return Verdict.REFUTED, method, example, ""
        why = (
            "from a state that no sum of the format's products was found to have reached, the "
            "next sum is wrong"
        )
        return Verdict.UNPROVEN, method, None, why

    def _run_script(self, name: str, seconds: float) -> None:
        limit = max(5.0, seconds * 1.5)
        self._yosys.run(name, self._folder, timeout=limit, cancel=self._cancel)

    def _solve(self, name: str, script: str, seconds: float) -> str:
        """Run a script; return ``yes``, ``no`` or ``time``."""
        self._write(name, script)
        for leftover in (PROVEN_FILE, TRACE_FILE):
            (self._folder / leftover).unlink(missing_ok=True)
        try:
            self._run_script(name, seconds)
        except ToolError as error:
            said = str(error)
            if any(text in said for text in _TIMEOUT):
                return "time"
            if _REFUTED in said:
                return "no"
            raise
        if (self._folder / PROVEN_FILE).is_file():
            return "yes"
        raise SimulationError(f"Yosys ended without an answer on the proof of {self._design.name}.")

    def _replayed(self, trace: Mapping[str, list[int]]) -> Counterexample | None:
        """Return the solver's model as real inputs from a clear on, if they are wrong there."""
        spec = self._design.spec
        bits, latency = spec.accumulator_bits, spec.latency
        wrong = [
            index
            for index, (got, expected) in enumerate(
                zip(trace["accumulator"], trace["expected"], strict=True)
            )
            if got != expected and index >= latency
        ]
        if not wrong:
            return None
        at = wrong[0] - latency
        enabled = trace.get("enable", [1] * len(trace["clear"]))
        last = Step(
            weight=trace["weight"][at],
            activation=trace["activation"][at],
            clear=bool(trace["clear"][at]),
            enable=bool(enabled[at]),
        )
        before = signed(trace["accumulator"][wrong[0] - 1], bits)
        path: Sequence[Step] | None = []
        if not (last.clear and last.enable):
            path = steps_to(spec, before)
        if path is None:
            return None
        steps = [*path, last]
        idle = [last] * (latency - 1)
        inputs = [self._inputs(step) for step in [*steps, *idle]]
        waves = ""
        if self._waves is not None:
            self._waves.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"[^\w+.-]", "_", self._design.name)
            waves = str(self._waves / f"{name}.vcd")
        (self._folder / TRACE_FILE).unlink()
        self._write("replay.ys", replay_script(inputs, latency=latency, waves="trace.vcd"))
        limit = max(30.0, self._deadline - time.monotonic())
        self._yosys.run("replay.ys", self._folder, timeout=limit, cancel=self._cancel)
        trace_file = self._folder / TRACE_FILE
        if not trace_file.is_file():
            return None
        values = read_trace(trace_file)["accumulator"]
        for count in range(1, len(steps) + 1):
            got = signed(values[count + latency - 1], bits)
            expected = sum_of(spec, steps[:count])
            if got != expected:
                break
        else:
            return None
        if waves:
            partial = Path(f"{waves}.part")
            shutil.copyfile(self._folder / "trace.vcd", partial)
            partial.replace(waves)
        return Counterexample(steps=tuple(steps[:count]), expected=expected, got=got, waves=waves)

    def _inputs(self, step: Step) -> dict[str, int]:
        inputs = {
            "weight": step.weight,
            "activation": step.activation,
            "clear": int(step.clear),
        }
        return {**inputs, "enable": int(step.enable)} if self._design.spec.enable else inputs

    def _holds(self, method: str, seconds: float) -> _Decision:
        """Prove that with ``enable`` low every register holds.

        The transition was proven with ``enable`` high at each edge; with this it holds for any
        ``enable``, since edges without it change nothing.
        """
        top = self._design.top
        self._write("registers.ys", registers_script(top))
        self._yosys.run("registers.ys", self._folder, timeout=seconds + 5, cancel=self._cancel)
        try:
            text = (self._folder / REGISTERS_FILE).read_text(encoding="utf-8")
            self._write(REGISTERS_FILE, evert_registers(text, top))
        except (ValueError, KeyError, TypeError) as error:
            raise SimulationError(f"The registers of {top} are not found ({error!r}).") from error
        answer = self._solve("hold.ys", hold_script(top, int(seconds) + 1), seconds)
        if answer == "yes":
            return Verdict.PROVEN, f"{method}; registers hold without enable", None, ""
        why = "with enable low a register may change" if answer == "no" else "the time ran out"
        return Verdict.UNPROVEN, method, None, why

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text, encoding="utf-8")
