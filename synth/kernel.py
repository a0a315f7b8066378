"""The annealing kernel: compiled once by the C++ compiler that is there, and called by ctypes.

It does what :class:`.anneal.Annealer` does, some twenty times as fast, and tries more candidates
a step; the Python one stands in where no compiler is. Which of the two ran is part of every key.
"""

import array
import ctypes
import functools
import hashlib

from ..formats.compiled import Kernel
from ..formats.errors import SynthesisError
from .anneal import Annealed, Goal
from .gates import FORMS, Gate, GateLibrary, Values, arity
from .network import Network

_WORD = 64
_LARGEST = 64 * _WORD
_MOST_INPUTS = 6
_WIDTH = _MOST_INPUTS + 1
_KERNEL = Kernel(
    package=__package__,
    name="anneal",
    folder="kernel",
    title="The annealing kernel",
    instead="the slower Python one",
)


@functools.cache
def kernel() -> ctypes.CDLL | None:
    """Return the compiled kernel, or None where it cannot be had; a failure warns once."""
    found = _KERNEL.load()
    if found is not None:
        found.nibblemac_anneal.restype = ctypes.c_int
    return found


def engine() -> str:
    """Return the name of the engine that anneals: a part of every key."""
    if kernel() is None:
        return "python"
    return f"native {hashlib.sha256(_KERNEL.source().encode()).hexdigest()[:12]}"


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
