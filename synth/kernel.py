"""The annealing kernel: compiled once by the C++ compiler that is there, and called by ctypes.

It does what :class:`.anneal.Annealer` does, some twenty times as fast, and tries more candidates
a step; the Python one stands in where no compiler is. Which of the two ran is part of every key.
"""

import array
import contextlib
import ctypes
import functools
import hashlib
import importlib.resources
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

from ..formats.errors import SynthesisError
from ..formats.scratch import PREFIX, mark, sweep
from ..rtl.process import run_process
from .anneal import Annealed, Goal
from .cache import CacheWarning, cache_folder
from .gates import FORMS, Gate, GateLibrary, Values, arity
from .network import Network

_COMPILE = ("-O2", "-std=c++17", "-shared", "-fPIC")
_WORD = 64
_LARGEST = 64 * _WORD
_MOST_INPUTS = 6
_WIDTH = _MOST_INPUTS + 1
_COMPILE_SECONDS = 300


def _source() -> str:
    entry = importlib.resources.files(__package__) / "native" / "anneal.cpp"
    return entry.read_text(encoding="utf-8")


@functools.cache
def kernel() -> ctypes.CDLL | None:
    """Return the compiled kernel, or None where it cannot be had; a failure warns once.

    The compiler is ``CXX`` from the environment, or g++, or c++. The library is kept beside the
    cache, under the digest of its source, the compiler's version and the machine's kind, and its
    own; where the cache cannot be written it is compiled for this process alone.
    """
    command = _compiler()
    if not command:
        return None
    try:
        found = _found(command)
    except (OSError, subprocess.SubprocessError) as error:
        warnings.warn(
            CacheWarning(
                f"The annealing kernel could not be compiled with {command[0]} ({error}); the "
                "slower Python one is used."
            ),
            stacklevel=2,
        )
        return None
    found.nibblemac_anneal.restype = ctypes.c_int
    return found


def engine() -> str:
    """Return the name of the engine that anneals: a part of every key."""
    if kernel() is None:
        return "python"
    return f"native {hashlib.sha256(_source().encode()).hexdigest()[:12]}"


def _compiler() -> list[str]:
    """Return the compiler's command; ``CXX`` may hold arguments, as in ``ccache g++``."""
    given = os.environ.get("CXX", "").strip()
    if given:
        return [given] if shutil.which(given) else given.split()
    found = shutil.which("g++") or shutil.which("c++")
    return [found] if found else []


def _found(command: list[str]) -> ctypes.CDLL:
    """Return the library that is kept, or a new one; raises OSError or SubprocessError."""
    source = _source()
    version = subprocess.run(
        [*command, "--version"], capture_output=True, timeout=60, check=True
    ).stdout
    made_by = " ".join([*_COMPILE, *command[1:], platform.machine()])
    digest = hashlib.sha256(source.encode() + version + made_by.encode()).hexdigest()
    folder = cache_folder() / "kernel"
    for path in sorted(folder.glob(f"anneal-{digest[:24]}-*.so")):
        # A library that is cut would end the process that reads beyond its end.
        if path.stem.endswith(_sum(path)):
            return ctypes.CDLL(os.fspath(path))
        warnings.warn(
            CacheWarning(f"The annealing kernel {path} is damaged; it is compiled again."),
            stacklevel=4,
        )
        path.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=mark(), dir=_place(folder)) as name:
        made = _compiled(command, source, Path(name))
        found = ctypes.CDLL(os.fspath(made))
        with contextlib.suppress(OSError):
            made.replace(folder / f"anneal-{digest[:24]}-{_sum(made)}.so")
    return found


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _place(folder: Path) -> Path | None:
    """Return the folder, or None where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    sweep(folder.glob(f"{PREFIX}*"))
    return folder if os.access(folder, os.W_OK) else None


def _compiled(command: list[str], source: str, folder: Path) -> Path:
    text, made, log = (folder / name for name in ("anneal.cpp", "anneal.so", "log"))
    text.write_text(source, encoding="utf-8")
    with log.open("wb") as stream:
        status = run_process(
            [*command, *_COMPILE, "-o", os.fspath(made), os.fspath(text)],
            environment=os.environ,
            log=stream,
            timeout=_COMPILE_SECONDS,
        )
    if status:
        said = log.read_text(encoding="utf-8", errors="replace").strip()
        raise ChildProcessError(f"it ended with code {status}: {said[-200:]}")
    return made


def can_anneal(network: Network) -> bool:
    """Return whether the kernel can take a network: one to 4096 patterns, a power of two."""
    patterns = network.mask.bit_length()
    return 0 < patterns <= _LARGEST and patterns & (patterns - 1) == 0


def anneal_natively(
    library: ctypes.CDLL,
    network: Network,
    goal: Goal,
    gates: GateLibrary,
    *,
    steps: int,
    seed: int,
    hot: float,
    cold: float,
) -> Annealed:
    """Anneal a network by the kernel; temperatures are in inverter areas.

    Raises :class:`SynthesisError` where the network is not right to begin with.
    """
    patterns = network.mask.bit_length()
    words = max(1, patterns // _WORD)
    kinds = _kinds(gates, network)
    number = {id(gate): index for index, gate in enumerate(kinds)}
    forms = array.array("i")
    for gate in kinds:
        bits = sum(flip << index for index, flip in enumerate(gate.inverted))
        bits |= gate.output_inverted << arity(gate.form)
        cheapest = gates.tables[gate.form][bits] is gate
        forms.extend((FORMS.index(gate.form), bits, int(cheapest)))
    signals = {index: index for index in range(network.inputs)}
    inputs = list(range(network.inputs))
    for constant in network.constants:
        signals[constant] = len(inputs)
        inputs.append(constant)
    order = network.order()
    rows = array.array("i")
    for signal in order:
        gate, fan_ins = network.gates[signal]
        signals[signal] = len(signals)
        row = [number[id(gate)], *(signals[f] for f in fan_ins)]
        rows.extend(row + [0] * (_WIDTH - len(row)))
    outputs = array.array("i", [signals[signal] for signal in network.outputs])
    found = array.array("i", [0] * max(1, len(rows)))
    area = ctypes.c_double()
    unit = gates.inverter.area
    count = library.nibblemac_anneal(
        ctypes.c_int(words),
        ctypes.c_int(len(kinds)),
        _pointer(forms, ctypes.c_int32),
        _pointer(array.array("d", [gate.area for gate in kinds]), ctypes.c_double),
        ctypes.c_int(number[id(gates.inverter)]),
        ctypes.c_int(len(inputs)),
        ctypes.c_int(network.inputs),
        _words([network.values[signal] for signal in inputs], patterns),
        ctypes.c_int(len(order)),
        _pointer(rows, ctypes.c_int32),
        ctypes.c_int(len(outputs)),
        _pointer(outputs, ctypes.c_int32),
        _words(goal.wanted, patterns),
        ctypes.c_int(len(goal.wanted)),
        ctypes.c_int(len(goal.wanted) if goal.is_sum else 0),
        ctypes.c_int(goal.is_sum and len(outputs) > len(goal.wanted)),
        ctypes.c_int64(steps),
        ctypes.c_uint64(seed),
        ctypes.c_double(hot * unit),
        ctypes.c_double(cold * unit),
        _pointer(found, ctypes.c_int32),
        ctypes.byref(area),
    )
    if count == -1:
        raise SynthesisError(
            "A search cannot begin: the network to anneal is not correct to begin with."
        )
    if count < 0:
        raise SynthesisError(f"The annealing kernel failed on a network (reason {count}).")
    result = network.copy()
    result.gates, result.outputs = {}, []
    for signal in network.gates:
        del result.values[signal]
    names = list(inputs)
    for index in range(count):
        gate = kinds[found[index * _WIDTH]]
        sources = found[index * _WIDTH + 1 : index * _WIDTH + 1 + arity(gate.form)]
        names.append(result.add(gate, [names[f] for f in sources]))
    result.outputs = [names[output] for output in outputs]
    return Annealed(network=result, area=result.area, steps=steps, changes=0)


def _kinds(gates: GateLibrary, network: Network) -> list[Gate]:
    """Return the cheapest gates of the library, and others that the network holds."""
    found = {id(gate): gate for gate in gates.cheapest.values()}
    found[id(gates.inverter)] = gates.inverter
    for gate, _ in network.gates.values():
        found.setdefault(id(gate), gate)
    return list(found.values())


def _pointer(values: "array.array[int] | array.array[float]", kind: type) -> object:
    if not values:
        return None
    return (kind * len(values)).from_buffer(values)  # type: ignore[attr-defined,operator]


def _words(values: list[Values] | tuple[Values, ...], patterns: int) -> object:
    """Return signals' values as 64-bit words; fewer patterns than 64 are repeated."""
    size = max(patterns, _WORD)
    text = bytearray()
    for value in values:
        wide = value
        width = patterns
        while width < size:
            wide |= wide << width
            width *= 2
        text += wide.to_bytes(size // 8, "little")
    return (ctypes.c_uint8 * max(1, len(text))).from_buffer(text or bytearray(1))
