"""Which single gates, over signals that are there, could stand for a signal of a network.

A replacement has to agree with the signal only where that matters: on its *care set*, the patterns
in which a change of the signal would make an output wrong (Mishchenko, Brayton, Jiang and Jang,
"Scalable don't-care-based logic optimization and resynthesis", FPGA 2009). The search for inputs
of an AND-OR form is by covers: a group has to cover what is left of the onset and to avoid the
offset.
"""

import itertools
import random
from collections.abc import Iterator, Sequence

from .gates import MUX, XOR2, Form, Gate, GateLibrary, Values
from .network import Signal

#: A signal with its inversion (0 or 1), its values so, and the complement of these.
Literal = tuple[Signal, int, Values, Values]

#: How many literals of a filtered list are combined, and how many first groups are tried.
_WIDE, _NARROW, _TRIES = 16, 10, 5

Replacement = tuple[Gate | None, tuple[Signal, ...]]


def _some(items: list[Literal], count: int, rng: random.Random) -> list[Literal]:
    return items if len(items) <= count else rng.sample(items, count)


class Replacements:
    """The candidates for one signal with values ``target`` on the patterns ``care``."""

    def __init__(
        self,
        library: GateLibrary,
        *,
        divisors: Sequence[tuple[Signal, Values]],
        target: Values,
        care: Values,
        mask: Values,
        budget: float,
        rng: random.Random,
    ) -> None:
        self._library = library
        self._divisors = divisors
        self._target, self._care, self._mask = target, care, mask
        self._budget = budget
        self._rng = rng
        self._literals: list[Literal] = [(d, 0, value, value ^ mask) for d, value in divisors]
        self._literals += [(d, 1, other, value) for d, _, value, other in self._literals]

    def _gate(
        self, form: Form, literals: Sequence[Literal], inverted: bool
    ) -> Iterator[Replacement]:
        bits = inverted << len(literals)
        for index, literal in enumerate(literals):
            bits |= literal[1] << index
        gate = self._library.tables[form][bits]
        if gate is not None and gate.area <= self._budget:
            yield gate, tuple(literal[0] for literal in literals)

    def _affords(self, form: Form) -> bool:
        return self._library.least[form] <= self._budget

    def all(self) -> Iterator[Replacement]:
        """Yield candidates; a gate of None stands for a wire. The sample depends on the rng."""
        yield from self._wires()
        rng = self._rng
        inverted = rng.random() < 0.5
        onset = self._care & (self._target ^ (self._mask if inverted else 0))
        offset = self._care ^ onset
        yield from self._ands(onset, offset, inverted)
        draw = rng.random()
        if draw < 0.8:
            yield from self._and_ors(onset, offset, inverted)
        if draw < 0.3:
            yield from self._pairs_of_pairs(onset, offset, inverted)
        elif draw < 0.5:
            yield from self._exclusive_ors()
        elif draw < 0.6:
            yield from self._multiplexers()

    def _wires(self) -> Iterator[Replacement]:
        target, care = self._target, self._care
        for divisor, value in self._divisors:
            difference = (value ^ target) & care
            if not difference:
                yield None, (divisor,)
            elif difference == care:
                yield self._library.inverter, (divisor,)

    def _covering(self, onset: Values) -> list[Literal]:
        return [literal for literal in self._literals if not onset & literal[3]]

    def _ands(self, onset: Values, offset: Values, inverted: bool) -> Iterator[Replacement]:
        largest = 4 if self._affords((4,)) else 3 if self._affords((3,)) else 2
        for group in self._groups(self._covering(onset), offset, _WIDE, largest):
            yield from self._gate((len(group),), group, inverted)

    def _groups(
        self, literals: list[Literal], offset: Values, width: int, largest: int
    ) -> Iterator[tuple[Literal, ...]]:
        """Yield minimal groups of two or more literals whose AND avoids the offset."""
        chosen = _some(literals, width, self._rng)
        # A fourth literal multiplies the work and rarely pays.
        deep = largest > 3 and self._rng.random() < 0.1
        for i, first in enumerate(chosen):
            rest1 = offset & first[2]
            for j in range(i):
                second = chosen[j]
                rest2 = rest1 & second[2]
                if not rest2:
                    yield first, second
                    continue
                if largest < 3:
                    continue
                for k in range(j):
                    third = chosen[k]
                    rest3 = rest2 & third[2]
                    if not rest3:
                        yield first, second, third
                    elif deep:
                        for fourth in chosen[:k]:
                            if not rest3 & fourth[2]:
                                yield first, second, third, fourth

    def _and_ors(self, onset: Values, offset: Values, inverted: bool) -> Iterator[Replacement]:
        if not self._affords((2, 1)):
            return
        rng = self._rng
        singles = [x for x in self._literals if not offset & x[2] and onset & x[2]]
        singles = _some(singles, _NARROW, rng)
        largest = 3 if self._affords((3, 1)) else 2
        for single in _some(singles, _TRIES, rng):
            rest = onset & single[3]
            if not rest:
                continue
            for group in self._groups(self._covering(rest), offset, _NARROW, largest):
                yield from self._gate((len(group), 1), (*group, single), inverted)
        if not self._affords((2, 1, 1)):
            return
        couples = [(a, b) for a, b in itertools.combinations(singles, 2) if onset & a[3] & b[3]]
        if len(couples) > _TRIES:
            couples = rng.sample(couples, _TRIES)
        for a, b in couples:
            rest = onset & a[3] & b[3]
            for group in self._groups(self._covering(rest), offset, _NARROW, 3):
                yield from self._gate((len(group), 1, 1), (*group, a, b), inverted)

    def _pairs_of_pairs(
        self, onset: Values, offset: Values, inverted: bool
    ) -> Iterator[Replacement]:
        if not self._affords((2, 2)):
            return
        rng = self._rng
        singles = [x for x in self._literals if not offset & x[2] and onset & x[2]]
        for _ in range(_TRIES):
            first = rng.choice(self._literals)
            if not first[2] & onset:
                continue
            avoided, covered = offset & first[2], onset & first[2]
            seconds = [
                x
                for x in self._literals
                if not avoided & x[2] and covered & x[2] and x[0] != first[0]
            ]
            if not seconds:
                continue
            second = rng.choice(seconds)
            rest = onset & ~(first[2] & second[2])
            if not rest:
                continue
            for group in self._groups(self._covering(rest), offset, _NARROW, 3):
                if len(group) == 2:
                    yield from self._gate((2, 2), (first, second, *group), inverted)
                else:
                    yield from self._gate((3, 2), (*group, first, second), inverted)
            if singles:
                single = rng.choice(singles)
                rest &= single[3]
                if rest:
                    for group in self._groups(self._covering(rest), offset, _NARROW, 2):
                        yield from self._gate((2, 2, 1), (first, second, *group, single), inverted)

    def _exclusive_ors(self) -> Iterator[Replacement]:
        if not self._affords(XOR2):
            return
        target, care, divisors = self._target, self._care, self._divisors
        for index, (a, value) in enumerate(divisors):
            wanted = value ^ target
            for b, other in divisors[:index]:
                difference = (wanted ^ other) & care
                if not difference:
                    yield from self._gate(XOR2, ((a, 0, 0, 0), (b, 0, 0, 0)), False)
                elif difference == care:
                    yield from self._gate(XOR2, ((a, 0, 0, 0), (b, 0, 0, 0)), True)

    def _multiplexers(self) -> Iterator[Replacement]:
        if not self._affords(MUX):
            return
        rng, target = self._rng, self._target
        for _ in range(2 * _TRIES):
            select, value = rng.choice(self._divisors)
            high, low = self._care & value, self._care & ~value
            ones = [x for x in self._literals if not (x[2] ^ target) & high]
            zeros = [x for x in self._literals if not (x[2] ^ target) & low]
            for one in _some(ones, _TRIES, rng):
                for zero in _some(zeros, _TRIES, rng):
                    for inverted in (False, True):
                        inputs = (
                            (one[0], one[1] ^ inverted, 0, 0),
                            (zero[0], zero[1] ^ inverted, 0, 0),
                            (select, 0, 0, 0),
                        )
                        yield from self._gate(MUX, inputs, inverted)
