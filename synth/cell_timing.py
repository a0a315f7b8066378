"""Read a cell's timing and energy from its Liberty group, sampled on a library's grid.

Conditional data (``when``) are merged: delays, transitions and setup times to their largest, as a
timing analysis without constants takes them; energies to their mean over the conditions, after
adding up those of one condition's supply pins. An unconditional entry stands for the conditions
that the file leaves out, so energies use it only where there is no conditional one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .cell_logic import Logic
from .cells import Arc, Cell, InputPin, OutputPin
from .liberty_tree import Group
from .liberty_units import Units
from .tables import TABLE_DIGITS, Numbers, Table, read_table, rounded, sample

_ARC_KINDS = {
    "combinational": "combinational",
    "combinational_rise": "combinational",
    "combinational_fall": "combinational",
    "rising_edge": "rising_edge",
    "falling_edge": "falling_edge",
    "clear": "clear",
    "preset": "preset",
}
DELAYS = ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
_SENSES = ("positive_unate", "negative_unate", "non_unate")


@dataclass(frozen=True, slots=True)
class TimingReader:
    """Reads cells of one Liberty file; ``slews`` and ``loads`` are the grid to sample on."""

    units: Units
    templates: Mapping[str, Group]
    default_capacitance: float
    default_leakage: float
    slews: Numbers = ()
    loads: Numbers = ()

    def delay_tables(self, output: Group) -> Iterator[tuple[str, Table]]:
        """Return all delay and transition tables of an output pin, unsampled, with their names."""
        return (
            (child.name, self._delay(child))
            for timing in output.children("timing")
            if timing.text("timing_type", "combinational") in _ARC_KINDS
            for child in timing.children(*DELAYS)
        )

    def capacitance(self, pin: Group) -> float:
        """Return an input pin's capacitance in fF; without one, the larger of its edges'."""
        value = pin.number("capacitance")
        if value is None:
            edges = (pin.number("rise_capacitance"), pin.number("fall_capacitance"))
            value = max((c for c in edges if c is not None), default=self.default_capacitance)
        return rounded(value * self.units.capacitance, 5)

    def cell(self, logic: Logic) -> Cell:
        """Return the whole cell."""
        return Cell(
            name=logic.name,
            area=logic.area,
            leakage=self._leakage(logic.group),
            inputs=tuple(self._input(logic, name, pin) for name, pin in logic.inputs.items()),
            outputs=tuple(self._output(logic, name, pin) for name, pin in logic.outputs.items()),
            flip_flop=logic.flip_flop,
        )

    def _delay(self, group: Group) -> Table:
        time, capacitance = self.units.time, self.units.capacitance
        return read_table(
            group, self.templates, slew_scale=time, load_scale=capacitance, value_scale=time
        )

    def _energy(self, group: Group) -> Table:
        return read_table(
            group,
            self.templates,
            slew_scale=self.units.time,
            load_scale=self.units.capacitance,
            value_scale=self.units.energy,
        )

    def _leakage(self, cell: Group) -> float:
        """Return the mean leakage in nW: the stated one, or the mean of the stated conditions'."""
        value = cell.number("cell_leakage_power")
        if value is None:
            sums: dict[str, float] = {}
            for group in cell.children("leakage_power"):
                when = group.text("when")
                sums[when] = sums.get(when, 0.0) + (group.number("value") or 0.0)
            value = self.default_leakage
            if sums:
                value = sums[""] if "" in sums else sum(sums.values()) / len(sums)
        return rounded(value * self.units.leakage, 5)

    def _input(self, logic: Logic, name: str, pin: Group) -> InputPin:
        state = logic.flip_flop
        clock = state is not None and name in state.clocked_on.pins()
        powers = list(pin.children("internal_power"))
        return InputPin(
            name=name,
            capacitance=self.capacitance(pin),
            clock=clock,
            quiet=(clock or state is None) and any("when" in p.attributes for p in powers),
            rise_energy=self._pin_energy(powers, "rise_power"),
            fall_energy=self._pin_energy(powers, "fall_power"),
            setup=self._setup(pin),
        )

    def _setup(self, pin: Group) -> Numbers:
        found: list[Numbers] = []
        clock_slew = self.slews[min(1, len(self.slews) - 1) :][:1]
        for timing in pin.children("timing"):
            if timing.text("timing_type") in ("setup_rising", "setup_falling"):
                tables = timing.children("rise_constraint", "fall_constraint")
                found += [sample(self._delay(table), self.slews, clock_slew) for table in tables]
        return _largest(found)

    def _pin_energy(self, powers: Sequence[Group], edge: str) -> Numbers:
        tables = [
            (power.text("when"), self._energy(child))
            for power in powers
            for child in power.children(edge, "power")
        ]
        return self._mean_energy(tables, self.loads[:1])

    def _mean_energy(
        self, tables: Iterable[tuple[str, Table]], loads: Numbers, edges: int = 1
    ) -> Numbers:
        """Return the mean, per edge, over the conditions of each one's sum; empty if zero.

        A constant zero beside real tables marks a condition that cannot arise (an edge that an
        output's table accounts for), so it is no part of the mean.
        """
        sums: dict[str, list[float]] = {}
        for when, table in tables:
            if table.is_constant and table.values[0][0] == 0:
                continue
            values = table.on(self.slews, loads)
            old = sums.get(when, [0.0] * len(values))
            sums[when] = [a + b for a, b in zip(old, values, strict=True)]
        if len(sums) > 1:
            sums.pop("", None)
        if not sums:
            return ()
        mean = tuple(
            rounded(sum(values) / (len(sums) * edges), TABLE_DIGITS)
            for values in zip(*sums.values(), strict=True)
        )
        return mean if any(mean) else ()

    def _output(self, logic: Logic, name: str, pin: Group) -> OutputPin:
        limit = pin.number("max_capacitance")
        groups: dict[tuple[str, str], list[Group]] = {}
        for timing in pin.children("timing"):
            kind = _ARC_KINDS.get(timing.text("timing_type", "combinational"))
            for related in timing.text("related_pin").split():
                if kind is not None and related in logic.inputs:
                    groups.setdefault((related, kind), []).append(timing)
        powers = list(pin.children("internal_power"))
        return OutputPin(
            name=name,
            function=logic.functions[name],
            max_capacitance=None if limit is None else rounded(limit * self.units.capacitance, 5),
            arcs=tuple(
                self._arc(related, kind, timings, powers)
                for (related, kind), timings in sorted(groups.items())
            ),
        )

    def _arc(
        self, related: str, kind: str, timings: Sequence[Group], powers: Sequence[Group]
    ) -> Arc:
        senses = {timing.text("timing_sense", "non_unate") for timing in timings}
        sense = senses.pop() if len(senses) == 1 else "non_unate"
        tables = {
            name: _largest(
                [
                    sample(self._delay(table), self.slews, self.loads)
                    for timing in timings
                    for table in timing.children(name)
                ]
            )
            for name in DELAYS
        }
        energies: list[tuple[str, Table]] = []
        edges = 0
        for edge in ("rise_power", "fall_power", "power"):
            found = [
                (power.text("when"), self._energy(child))
                for power in powers
                if not power.text("related_pin") or related in power.text("related_pin").split()
                for child in power.children(edge)
            ]
            # An edge that the arc does not cause is a constant zero, and no part of the mean.
            if any(not t.is_constant or t.values[0][0] != 0 for _, t in found):
                edges += 1
                energies += found
        return Arc(
            pin=related,
            kind=kind,
            sense=sense if sense in _SENSES else "non_unate",
            rise_delay=tables["cell_rise"],
            fall_delay=tables["cell_fall"],
            rise_transition=tables["rise_transition"],
            fall_transition=tables["fall_transition"],
            energy=self._mean_energy(energies, self.loads, max(edges, 1)),
        )


def _largest(samples: Sequence[Numbers]) -> Numbers:
    return tuple(max(values) for values in zip(*samples, strict=True)) if samples else ()
