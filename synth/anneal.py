"""Simulated annealing of a mapped network by replacing one gate at a time.

At each step a random gate is replaced by another gate over signals that are there, such that the
network still does what it must; gates that fall idle are removed. Replacements that enlarge the
network are taken with the Metropolis probability at a temperature (µm²) that falls to nearly
nothing. What the network must do is a predicate, not a function: a product that leaves as a sum
of two numbers, for example, may divide itself between them as it likes.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .gates import GateLibrary, Values
from .network import Network, Signal
from .replacement import Replacement, Replacements

#: From the outputs' values, in order, the patterns that are right.
Correct = Callable[[Sequence[Values]], Values]

#: Temperatures in areas of an inverter, at the start and the end.
HOT, COLD = 0.55, 0.02
_MOST_CANDIDATES = 48
#: In a large network only the nearest signals are tried as inputs of a replacement.
_MOST_DIVISORS = 90


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """What a network has to do: its outputs' values over all patterns, or their sum.

    With ``is_sum`` the outputs are the bits of a number, lowest first, and after these a carry-in
    where there is one more output; the number plus the carry-in, in as many bits, has to be
    ``wanted``.
    """

    wanted: tuple[Values, ...]
    mask: Values
    is_sum: bool = False

    def correct(self, outputs: Sequence[Values]) -> Values:
        """Return the patterns in which the outputs are right."""
        right = self.mask
        if not self.is_sum:
            for value, expected in zip(outputs, self.wanted, strict=True):
                right &= ~(value ^ expected)
            return right
        bits = len(self.wanted)
        carry = outputs[bits] if len(outputs) > bits else 0
        for value, expected in zip(outputs, self.wanted, strict=False):
            right &= ~(value ^ carry ^ expected)
            carry &= value
        return right


@dataclass(frozen=True, kw_only=True, slots=True)
class Annealed:
    """The smallest network met, its area (µm²), and how many steps changed something."""

    network: Network
    area: float
    steps: int
    changes: int


class Annealer:
    """Anneals ``network`` in place. Raises ValueError where it is not correct to begin with."""

    def __init__(
        self, network: Network, correct: Correct, library: GateLibrary, rng: random.Random
    ) -> None:
        if correct(network.output_values()) != network.mask:
            raise ValueError("the network to anneal is not correct to begin with")
        self._network = network
        self._correct = correct
        self._library = library
        self._rng = rng
        self._order: list[Signal] = []
        self._readers: dict[Signal, list[Signal]] = {}
        self._uses: dict[Signal, int] = {}
        self._update()

    def run(
        self,
        steps: int,
        *,
        hot: float = HOT,
        cold: float = COLD,
        stop: Callable[[], bool] | None = None,
    ) -> Annealed:
        """Take ``steps`` steps while the temperature falls linearly from ``hot`` to ``cold``.

        Temperatures are in inverter areas. ``stop`` is asked every 64 steps and ends the run.
        """
        unit = self._library.inverter.area
        best, area = self._network.copy(), self._network.area
        changes = done = 0
        for done in range(1, steps + 1):
            share = done / steps
            temperature = unit * (hot * (1 - share) + cold * share)
            if self._step(temperature):
                changes += 1
                current = self._network.area
                if current < area - 1e-9 * unit:
                    best, area = self._network.copy(), current
            if stop is not None and done % 64 == 0 and stop():
                break
        return Annealed(network=best, area=area, steps=done, changes=changes)

    def _update(self) -> None:
        network = self._network
        self._order = order = network.prune()
        readers: dict[Signal, list[Signal]] = {signal: [] for signal in network.values}
        for signal in order:
            for fan_in in dict.fromkeys(network.gates[signal][1]):
                readers[fan_in].append(signal)
        self._readers = readers
        self._uses = {signal: len(found) for signal, found in readers.items()}
        for signal in network.outputs:
            self._uses[signal] += 1

    def _behind(self, signal: Signal) -> list[Signal]:
        """Return the gates that the signal reaches, in order, without its own."""
        reached = {signal}
        found = []
        gates = self._network.gates
        for other in self._order:
            if other in reached:
                continue
            for fan_in in gates[other][1]:
                if fan_in in reached:
                    reached.add(other)
                    found.append(other)
                    break
        return found

    def _care(self, signal: Signal, behind: Sequence[Signal]) -> Values:
        """Return the patterns in which a change of the signal makes an output wrong."""
        network = self._network
        mask, gates = network.mask, network.gates
        values = dict(network.values)
        values[signal] ^= mask
        for other in behind:
            gate, fan_ins = gates[other]
            values[other] = gate.evaluate([values[f] for f in fan_ins], mask)
        return mask & ~self._correct([values[output] for output in network.outputs])

    def _divisors(self, signal: Signal, behind: Sequence[Signal]) -> list[tuple[Signal, Values]]:
        """Return the signals that may stand in for one, with their values: the nearest ones."""
        network = self._network
        values, hidden = network.values, {signal, *behind}
        if len(values) <= _MOST_DIVISORS:
            return [(other, value) for other, value in values.items() if other not in hidden]
        seen = {signal: True}
        queue = [signal]
        found: list[tuple[Signal, Values]] = []
        for current in queue:
            if current not in hidden:
                found.append((current, values[current]))
                if len(found) == _MOST_DIVISORS:
                    break
            near = list(network.gates[current][1]) if current in network.gates else []
            near += self._readers[current]
            for other in near:
                if other not in seen:
                    seen[other] = True
                    queue.append(other)
        return found

    def _freed(self, signal: Signal, kept: Sequence[Signal]) -> float:
        """Return the area that goes when the signal's gate does, but for what ``kept`` need."""
        gates, uses = self._network.gates, self._uses
        left: dict[Signal, int] = {}
        area = 0.0
        stack = [signal]
        while stack:
            gate, fan_ins = gates[stack.pop()]
            area += gate.area
            for fan_in in dict.fromkeys(fan_ins):
                if fan_in in gates and fan_in not in kept:
                    left[fan_in] = left.get(fan_in, uses[fan_in]) - 1
                    if not left[fan_in]:
                        stack.append(fan_in)
        return area

    def _step(self, temperature: float) -> bool:
        network, rng = self._network, self._rng
        if not self._order:
            return False
        signal = rng.choice(self._order)
        behind = self._behind(signal)
        care = self._care(signal, behind)
        if not care:
            return False
        divisors = self._divisors(signal, behind)
        found = list(
            dict.fromkeys(
                Replacements(
                    self._library,
                    divisors=divisors,
                    target=network.values[signal],
                    care=care,
                    mask=network.mask,
                    budget=self._freed(signal, ()) + 3 * temperature,
                    rng=rng,
                ).all()
            )
        )
        if len(found) > _MOST_CANDIDATES:
            found = rng.sample(found, _MOST_CANDIDATES)
        current = network.gates[signal]
        choices: list[tuple[float, Replacement]] = []
        for replacement in found:
            gate, fan_ins = replacement
            if gate is current[0] and fan_ins == current[1]:
                continue
            growth = (gate.area if gate is not None else 0.0) - self._freed(signal, fan_ins)
            if growth < 6 * temperature:
                choices.append((growth, replacement))
        if not choices:
            return False
        least = min(growth for growth, _ in choices)
        weights = [math.exp((least - growth) / temperature) for growth, _ in choices]
        growth, replacement = rng.choices(choices, weights)[0]
        if growth > 0 and rng.random() >= math.exp(-growth / temperature):
            return False
        self._replace(signal, replacement, behind)
        return True

    def _replace(self, signal: Signal, replacement: Replacement, behind: Sequence[Signal]) -> None:
        network = self._network
        gate, fan_ins = replacement
        if gate is None:
            (wire,) = fan_ins
            for reader in self._readers[signal]:
                other, ins = network.gates[reader]
                network.gates[reader] = other, tuple(wire if f == signal else f for f in ins)
            network.outputs = [wire if f == signal else f for f in network.outputs]
            changed = list(behind)
        else:
            network.gates[signal] = gate, fan_ins
            changed = [signal, *behind]
        self._update()
        alive = set(self._order)
        network.evaluate(other for other in changed if other in alive)
