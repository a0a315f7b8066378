"""Cycle-accurate simulation of a mapped netlist, many independent lanes at once, without delays.

Each net has one integer a cycle, whose bits are the lanes. What comes out are the settled values
just before each clock edge; :mod:`.activity` counts what switches from one to the next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..formats.errors import SimulationError
from .gate_functions import Function, compile_function
from .gate_model import Gate, GateModel
from .netlist import ONE


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """The settled values: ``values[cycle][index]``, with the model's indices; bits are lanes."""

    model: GateModel
    lanes: int
    values: Sequence[Sequence[int]]

    @property
    def cycles(self) -> int:
        """How many cycles were simulated."""
        return len(self.values)

    def port(self, name: str) -> list[list[int]]:
        """Return a port's bits in each cycle, bit 0 first, as lanes."""
        where = [self.model.nets[net] for net in self.model.netlist.port(name).nets]
        return [[values[index] for index in where] for values in self.values]


def simulate(
    model: GateModel, inputs: Mapping[str, Sequence[Sequence[int]]], lanes: int
) -> Settled:
    """Simulate all lanes over all cycles.

    ``inputs[port][cycle][bit]`` are the lanes of every input port but the clock, with equal
    numbers of cycles. All flip-flops start from 0, so that nothing is to be read off before the
    stimulus has defined their states. Raises :class:`SimulationError` where inputs do not fit the
    ports, and where a flip-flop is cleared or preset asynchronously.
    """
    mask = (1 << lanes) - 1
    feeds = _feeds(model, inputs, mask)
    steps = [
        (gate.pins[name], compile_function(gate.function(name), gate.pins, mask))
        for gate in model.gates
        for name in gate.outputs
    ]
    states = [_state(gate, mask) for gate in model.flip_flops]
    current = [0] * len(model.nets)
    current[model.nets[ONE]] = mask
    held = [0] * len(states)
    found = []
    for feed in feeds:
        for index, value in feed:
            current[index] = value
        for value, state in zip(held, states, strict=True):
            for index, inverted in state.outputs:
                current[index] = value ^ mask if inverted else value
        for index, function in steps:
            current[index] = function(current)
        for state in states:
            if any(function(current) for function in state.asynchronous):
                raise SimulationError(
                    f"The flip-flop {state.name} in {model.netlist.top} is cleared or preset "
                    "asynchronously; the MAC has no reset, so the netlist is damaged."
                )
        # A next state may read the state itself, which is the value behind all indices.
        held = [state.next([*current, value]) for value, state in zip(held, states, strict=True)]
        found.append(tuple(current))
    return Settled(model=model, lanes=lanes, values=found)


@dataclass(frozen=True, kw_only=True, slots=True)
class _State:
    name: str
    next: Function
    outputs: Sequence[tuple[int, bool]]
    asynchronous: Sequence[Function]


def _state(gate: Gate, mask: int) -> _State:
    state = gate.cell.flip_flop
    assert state is not None  # noqa: S101 - the model has sorted them
    outputs = []
    for name in gate.outputs:
        function = gate.function(name)
        if function.operator != "pin" or function.name not in ("IQ", "IQN"):
            raise SimulationError(
                f"The output {name!r} of {gate.cell.name} is {function}, no state of a flip-flop; "
                "leave the cell out of the library."
            )
        outputs.append((gate.pins[name], function.name == "IQN"))
    where = {**gate.pins, "IQ": -1}
    if "IQN" in state.next_state.pins():
        raise SimulationError(f"The next state of {gate.cell.name} reads IQN, unsupported here.")
    return _State(
        name=gate.instance.name,
        next=compile_function(state.next_state, where, mask),
        outputs=outputs,
        asynchronous=[
            compile_function(part, gate.pins, mask)
            for part in (state.clear, state.preset)
            if part is not None
        ],
    )


def _feeds(
    model: GateModel, inputs: Mapping[str, Sequence[Sequence[int]]], mask: int
) -> list[list[tuple[int, int]]]:
    ports = [port for port in model.netlist.inputs if model.clock not in port.nets]
    names = {port.name for port in ports}
    if names != set(inputs):
        raise SimulationError(
            f"{model.netlist.top} has the inputs {sorted(names)}, the stimulus has "
            f"{sorted(inputs)}."
        )
    cycles = {len(values) for values in inputs.values()}
    if len(cycles) != 1 or not min(cycles):
        raise SimulationError("The stimulus' inputs have no cycles, or unequal numbers of them.")
    feeds: list[list[tuple[int, int]]] = [[] for _ in range(cycles.pop())]
    for port in ports:
        for feed, values in zip(feeds, inputs[port.name], strict=True):
            if len(values) != len(port.nets) or any(value & ~mask for value in values):
                raise SimulationError(
                    f"A value of the stimulus does not fit {model.netlist.top}'s input "
                    f"{port.name!r} of {len(port.nets)} bits."
                )
            feed.extend(zip((model.nets[net] for net in port.nets), values, strict=True))
    return feeds
