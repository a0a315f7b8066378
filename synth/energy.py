"""Energy a product from switching activity and a library's tables.

Four parts, in fJ:

- internal: Liberty's ``internal_power`` of cells and flip-flops: a table of input slew and output
  load for each output change, and an input's own energy. Where several inputs changed together,
  an output's energy is the mean of theirs, weighted by how often each took part.
- switching: ½CV² for each change of a net that a cell drives.
- input: ½CV² for each change of an input port's net. Whoever drives it pays, but a design with a
  heavier load at its inputs must not look better for it.
- clock: CV² of the clock's net, and the flip-flops' own energy at the clock's edges. There is no
  clock tree.

A cell with several outputs spends the sum over its connected outputs, as Liberty has it. The
slews are the timing analysis's, the mean of both edges where a table is of both.
"""

from dataclasses import dataclass

from ..formats.errors import LibraryError
from .activity import Activity
from .cells import Arc, Cell, CellKind, CellLibrary, InputPin, Numbers
from .delay_conditions import Resolved
from .netlist import Instance, Net, Netlist
from .static_timing import Timing
from .tables import Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Energy:
    """Dynamic energy a product in fJ, by part; ``toggles`` are net changes a product."""

    internal_fj: float
    switching_fj: float
    input_fj: float
    clock_fj: float
    toggles: float

    @property
    def total_fj(self) -> float:
        """The whole dynamic energy of one product and its addition."""
        return self.internal_fj + self.switching_fj + self.input_fj + self.clock_fj


def energy_of(
    netlist: Netlist,
    library: CellLibrary,
    activity: Activity,
    timing: Timing,
    conditions: Resolved,
) -> Energy:
    """Return the energy a product; each clock edge is one product.

    Raises :class:`LibraryError` where the library has no energy for any of the netlist's
    combinational cells, or for any of its flip-flops: their power is not zero, it is unknown.
    """
    _require_energies(netlist, library)
    one = _Energies(netlist, library, activity, timing, conditions)
    internal = clock = 0.0
    for instance in netlist.instances:
        cell = library.cell(instance.cell)
        if cell.kind is CellKind.FLIP_FLOP:
            at_outputs, at_clock = one.flip_flop(instance, cell)
            internal += at_outputs
            clock += at_clock
        else:
            internal += one.outputs(instance, cell)
        internal += one.inputs(instance, cell)
    half = library.corner.voltage**2 / 2
    clocks = _clock_nets(netlist, library)
    ports = {net for port in netlist.inputs for net in port.nets} - clocks
    switching = at_ports = 0.0
    for net, load in timing.loads.items():
        if net in clocks:
            clock += 2 * half * load * activity.transitions
        elif net in ports:
            at_ports += half * load * activity.toggles(net)
        else:
            switching += half * load * activity.toggles(net)
    count = activity.transitions
    return Energy(
        internal_fj=internal / count,
        switching_fj=switching / count,
        input_fj=at_ports / count,
        clock_fj=clock / count,
        toggles=activity.total / count,
    )


def _clock_nets(netlist: Netlist, library: CellLibrary) -> set[Net]:
    return {
        instance.pins[pin.name]
        for instance in netlist.instances
        for pin in library.cell(instance.cell).inputs
        if pin.clock and pin.name in instance.pins
    }


def _require_energies(netlist: Netlist, library: CellLibrary) -> None:
    for kind in (CellKind.COMBINATIONAL, CellKind.FLIP_FLOP):
        cells = {instance.cell for instance in netlist.instances}
        used = [cell for name in sorted(cells) if (cell := library.cell(name)).kind is kind]
        if used and not any(_has_energy(cell) for cell in used):
            raise LibraryError(
                f"The library {library.name} has no internal energy for {used[0].name} or any "
                f"other {kind} cell of {netlist.top}, so its power cannot be known; give Liberty "
                "files with internal_power tables."
            )


def _has_energy(cell: Cell) -> bool:
    return any(pin.rise_energy or pin.fall_energy for pin in cell.inputs) or any(
        arc.energy for pin in cell.outputs for arc in pin.arcs
    )


@dataclass(frozen=True, slots=True)
class _Energies:
    """Sums over all transitions, in fJ."""

    netlist: Netlist
    library: CellLibrary
    activity: Activity
    timing: Timing
    conditions: Resolved

    def outputs(self, instance: Instance, cell: Cell) -> float:
        """Return a combinational cell's energy at its outputs' changes."""
        total = 0.0
        for output in cell.outputs:
            net = instance.pins.get(output.name)
            toggles = 0 if net is None else self.activity.toggles(net)
            if net is None or not toggles:
                continue
            weighted, weights = 0.0, 0
            for arc in output.arcs:
                count = self.activity.caused.get((instance.name, output.name, arc.pin), 0)
                if count:
                    slew = self._slew(instance.pins[arc.pin])
                    weighted += count * self._arc_energy(arc, slew, net)
                    weights += count
            if weights:
                total += toggles * weighted / weights
        return total

    def inputs(self, instance: Instance, cell: Cell) -> float:
        """Return a cell's own energy at its data inputs' changes."""
        total = 0.0
        for pin in cell.inputs:
            net = instance.pins.get(pin.name)
            if pin.clock or net is None or not (pin.rise_energy or pin.fall_energy):
                continue
            if pin.quiet:
                rises, falls = self.activity.unanswered.get((instance.name, pin.name), (0, 0))
            else:
                rises, falls = self.activity.rises.get(net, 0), self.activity.falls.get(net, 0)
            if rises or falls:
                rise_slew, fall_slew = self.timing.slews[net]
                total += rises * self._pin_energy(pin.rise_energy, rise_slew)
                total += falls * self._pin_energy(pin.fall_energy, fall_slew)
        return total

    def flip_flop(self, instance: Instance, cell: Cell) -> tuple[float, float]:
        """Return a flip-flop's energy at its outputs' changes, and at the clock's edges."""
        total, answered = 0.0, 0
        for output in cell.outputs:
            net = instance.pins.get(output.name)
            if net is None:
                continue
            toggles = self.activity.toggles(net)
            answered = max(answered, toggles)
            for arc in output.arcs:
                if arc.kind == "rising_edge":
                    slew = self.conditions.clock_slew_ps
                    total += toggles * self._arc_energy(arc, slew, net)
        return total, sum(self._clock_pin(pin, answered) for pin in cell.inputs if pin.clock)

    def _clock_pin(self, pin: InputPin, answered: int) -> float:
        count, slew = self.activity.transitions, self.conditions.clock_slew_ps
        rises = count - answered if pin.quiet else count
        return rises * self._pin_energy(pin.rise_energy, slew) + count * self._pin_energy(
            pin.fall_energy, slew
        )

    def _slew(self, net: Net) -> float:
        rise, fall = self.timing.slews[net]
        return (rise + fall) / 2

    def _arc_energy(self, arc: Arc, slew: float, net: Net) -> float:
        if not arc.energy:
            return 0.0
        slews, loads = self.library.slews, self.library.loads
        return _table(slews, loads, arc.energy).at(slew, self.timing.loads.get(net, 0.0))

    def _pin_energy(self, values: Numbers, slew: float) -> float:
        return _table(self.library.slews, (0.0,), values).at(slew, 0.0) if values else 0.0


def _table(slews: Numbers, loads: Numbers, values: Numbers) -> Table:
    width = len(loads)
    rows = tuple(values[start : start + width] for start in range(0, len(values), width))
    return Table(slews, loads, rows)
