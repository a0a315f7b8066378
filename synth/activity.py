"""What switches in a netlist from one settled cycle to the next: without and with glitches.

Zero delay: a net switches at most once a cycle, from one settled value to the next. Unit delay:
inputs and flip-flops' outputs switch together at the clock edge, and every cell answers one unit
later (transport delay, all cells alike), so that paths of unequal length glitch. Real delays
differ and narrow pulses die out in real gates: unit delay is a pessimistic figure.

All transitions are independent once the settled values are known, so both counts handle all
cycles and lanes at once: bits of one long integer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..formats.errors import SimulationError
from .gate_functions import Function, compile_function
from .gate_model import Gate, GateModel
from .gate_simulation import Settled
from .netlist import Net


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """Counts over ``transitions`` clock edges of all lanes.

    ``rises`` and ``falls`` are each net's (the clock left out). ``caused`` counts, by instance,
    output and input, output changes of combinational cells that this input's change brought about
    (several inputs may share one). ``unanswered`` counts, by instance and input, rises and falls
    that changed no output, for inputs whose energy depends on it (``quiet``).
    """

    transitions: int
    rises: Mapping[Net, int]
    falls: Mapping[Net, int]
    caused: Mapping[tuple[str, str, str], int]
    unanswered: Mapping[tuple[str, str], tuple[int, int]]

    def toggles(self, net: Net) -> int:
        """Return how often a net switched."""
        return self.rises.get(net, 0) + self.falls.get(net, 0)

    @property
    def total(self) -> int:
        """All toggles of all nets, the clock left out."""
        return sum(self.rises.values()) + sum(self.falls.values())


def count_activity(settled: Settled, first: int) -> tuple[Activity, Activity]:
    """Return the activity with zero delay and with unit delay.

    Counted are the transitions from cycle ``first`` to the one after it, and so on to the end.
    Raises :class:`SimulationError` where there are none, and where unit delays do not settle.
    """
    if not 0 <= first < settled.cycles - 1:
        raise SimulationError(
            f"A simulation of {settled.cycles} cycles has no transition after cycle {first}."
        )
    edges = _Edges.of(settled, first)
    return _zero_delay(edges), _unit_delay(edges)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Edges:
    """All transitions side by side: each net's value before and after; ``mask`` is the lanes'."""

    model: GateModel
    transitions: int
    mask: int
    before: Sequence[int]
    after: Sequence[int]

    @classmethod
    def of(cls, settled: Settled, first: int) -> "_Edges":
        width = (settled.lanes + 7) // 8
        count = settled.cycles - 1 - first
        whole = (1 << 8 * width * count) - 1
        before, after = [], []
        for values in zip(*settled.values[first:], strict=True):
            packed = b"".join(value.to_bytes(width, "little") for value in values)
            joined = int.from_bytes(packed, "little")
            before.append(joined & whole)
            after.append(joined >> 8 * width)
        lane = ((1 << settled.lanes) - 1).to_bytes(width, "little")
        return cls(
            model=settled.model,
            transitions=count * settled.lanes,
            mask=int.from_bytes(lane * count, "little"),
            before=before,
            after=after,
        )


@dataclass(slots=True)
class _Tally:
    edges: _Edges
    rises: dict[int, int] = field(default_factory=dict)
    falls: dict[int, int] = field(default_factory=dict)
    caused: dict[tuple[str, str, str], int] = field(default_factory=dict)
    unanswered: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def net(self, index: int, change: int, value: int) -> None:
        """Count a net's changes; ``value`` is before or after them, which says what rises."""
        rising = (change & value).bit_count()
        self.rises[index] = self.rises.get(index, 0) + rising
        self.falls[index] = self.falls.get(index, 0) + change.bit_count() - rising

    def gate(
        self,
        plan: "_Plan",
        changes: Mapping[int, int],
        answers: Sequence[int],
        after: Sequence[int],
    ) -> None:
        """Count one evaluation: changes of nets, the outputs' answers, and values after both."""
        for index, name, quiet in plan.inputs:
            change = changes.get(index, 0)
            if not change:
                continue
            silent = change
            for (output, _, _), answer in zip(plan.outputs, answers, strict=True):
                both = change & answer
                if both:
                    key = plan.name, output, name
                    self.caused[key] = self.caused.get(key, 0) + both.bit_count()
                    silent ^= silent & answer
            if quiet and silent:
                rising = (silent & after[index]).bit_count()
                old = self.unanswered.get((plan.name, name), (0, 0))
                falling = silent.bit_count() - rising
                self.unanswered[plan.name, name] = old[0] + rising, old[1] + falling

    def activity(self) -> Activity:
        nets = self.edges.model.nets
        return Activity(
            transitions=self.edges.transitions,
            rises={net: self.rises[i] for net, i in nets.items() if i in self.rises},
            falls={net: self.falls[i] for net, i in nets.items() if i in self.falls},
            caused=self.caused,
            unanswered=self.unanswered,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """A gate as both counts want it: inputs (index, pin, quiet), outputs (pin, index, function)."""

    name: str
    inputs: Sequence[tuple[int, str, bool]]
    outputs: Sequence[tuple[str, int, Function]]

    @classmethod
    def of(cls, gate: Gate, mask: int) -> "_Plan":
        return cls(
            name=gate.instance.name,
            inputs=[(gate.pins[pin.name], pin.name, pin.quiet) for pin in gate.cell.inputs],
            outputs=[
                (name, gate.pins[name], compile_function(gate.function(name), gate.pins, mask))
                for name in gate.outputs
            ],
        )


def _zero_delay(edges: _Edges) -> Activity:
    tally = _Tally(edges)
    changes = {
        index: change
        for index, (old, new) in enumerate(zip(edges.before, edges.after, strict=True))
        if (change := old ^ new)
    }
    for index, change in changes.items():
        tally.net(index, change, edges.after[index])
    for gate in edges.model.gates:
        plan = _Plan.of(gate, edges.mask)
        answers = [changes.get(index, 0) for _, index, _ in plan.outputs]
        tally.gate(plan, changes, answers, edges.after)
    return tally.activity()


def _unit_delay(edges: _Edges) -> Activity:
    tally = _Tally(edges)
    plans = [_Plan.of(gate, edges.mask) for gate in edges.model.gates]
    readers: dict[int, list[int]] = {}
    for number, plan in enumerate(plans):
        for index in {index for index, _, _ in plan.inputs}:
            readers.setdefault(index, []).append(number)
    values = list(edges.before)
    changes = {
        index: change
        for index in edges.model.sources
        if (change := edges.before[index] ^ edges.after[index])
    }
    # Without loops no path is longer than all gates in a row.
    for _ in range(len(plans) + 1):
        for index, change in changes.items():
            values[index] ^= change
            tally.net(index, change, values[index])
        following: dict[int, int] = {}
        for number in sorted({n for index in changes for n in readers.get(index, ())}):
            plan = plans[number]
            answers = [function(values) ^ values[index] for _, index, function in plan.outputs]
            tally.gate(plan, changes, answers, values)
            for (_, index, _), answer in zip(plan.outputs, answers, strict=True):
                if answer:
                    following[index] = answer
        changes = following
        if not changes:
            break
    if values != edges.after:
        raise SimulationError(
            f"With unit delays {edges.model.netlist.top} does not settle where it does without."
        )
    return tally.activity()
