"""A small Boolean network of library gates, evaluated over every pattern of its inputs at once.

Signals are integers: the inputs from 0, then the gates' outputs. A signal's value is one integer
with a bit for each pattern, so that a gate over 4096 patterns is a few machine operations.
"""

from collections.abc import Iterable, Sequence

from .gates import Gate, Values

Signal = int


def input_values(count: int) -> list[Values]:
    """Return the values of ``count`` inputs over their 2**count patterns, input 0 fastest."""
    values = []
    for index in range(count):
        # 2**index zeros, as many ones, repeated by doubling.
        block = ((1 << (1 << index)) - 1) << (1 << index)
        width = 2 << index
        while width < 1 << count:
            block |= block << width
            width *= 2
        values.append(block)
    return values


class Network:
    """Gates over inputs with given values; ``outputs`` are the signals that leave.

    ``mask`` has a bit set for each pattern. Gates are kept with their fan-ins in the order of the
    form's inputs.
    """

    def __init__(self, inputs: Sequence[Values], patterns: int) -> None:
        self.inputs = len(inputs)
        self.mask: Values = (1 << patterns) - 1
        self.values: dict[Signal, Values] = dict(enumerate(inputs))
        self.gates: dict[Signal, tuple[Gate, tuple[Signal, ...]]] = {}
        self.outputs: list[Signal] = []
        self.constants: dict[Signal, int] = {}

    def add_constant(self, value: Values) -> Signal:
        """Add a signal that is 0 (``value`` 0) or 1 (``value`` the mask) in every pattern."""
        signal = max(self.values, default=-1) + 1
        self.values[signal] = value
        self.constants[signal] = int(value != 0)
        return signal

    def add(self, gate: Gate, fan_ins: Sequence[Signal]) -> Signal:
        """Add a gate behind signals that are there; return its output."""
        signal = max(self.values, default=-1) + 1
        self.gates[signal] = gate, tuple(fan_ins)
        self.values[signal] = gate.evaluate([self.values[f] for f in fan_ins], self.mask)
        return signal

    @property
    def area(self) -> float:
        """The sum of the gates' areas in µm²."""
        return sum(gate.area for gate, _ in self.gates.values())

    def output_values(self) -> list[Values]:
        """Return the outputs' values."""
        return [self.values[signal] for signal in self.outputs]

    def order(self) -> list[Signal]:
        """Return the gates that an output depends on, each after its fan-ins."""
        seen: set[Signal] = set()
        order: list[Signal] = []
        stack = [(signal, False) for signal in reversed(self.outputs)]
        while stack:
            signal, done = stack.pop()
            if done:
                order.append(signal)
            elif signal not in seen and signal in self.gates:
                seen.add(signal)
                stack.append((signal, True))
                stack += [(f, False) for f in self.gates[signal][1] if f not in seen]
        return order

    def prune(self) -> list[Signal]:
        """Remove the gates that nothing needs, and return the others in order."""
        order = self.order()
        for signal in self.gates.keys() - set(order):
            del self.gates[signal], self.values[signal]
        return order

    def evaluate(self, order: Iterable[Signal]) -> None:
        """Compute the values of gates again, in the given order."""
        for signal in order:
            gate, fan_ins = self.gates[signal]
            self.values[signal] = gate.evaluate([self.values[f] for f in fan_ins], self.mask)

    def copy(self) -> "Network":
        """Return an independent copy."""
        other = Network([], 0)
        other.inputs, other.mask = self.inputs, self.mask
        other.values, other.gates = dict(self.values), dict(self.gates)
        other.outputs, other.constants = list(self.outputs), dict(self.constants)
        return other
