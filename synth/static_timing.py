"""Static timing analysis of a mapped netlist on the library's own tables, in milliseconds.

The usual graph-based analysis of non-linear delay models: every net has, for its rising and its
falling edge, the latest arrival and the largest slew of all the arcs that cause the edge, each
from tables of input slew by output load, bilinear and extended beyond their edges. Loads are the
input pins' capacitances, the wire's, and at an output port the stated one. Where the library has a
wire load, its resistance and capacitance are split evenly among a net's pins ("balanced tree"), and
each pin is one Elmore delay behind the driver. The clock is ideal.

Every flip-flop's data pin ends a path, at its setup time after the arrival, and every output port,
at its arrival. Paths that no input can make happen count like any other. Pins that are tied to a
constant end nothing and start nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..formats.errors import LibraryError, SynthesisError
from .arc_delays import FALL, RISE, Pair, drive_net, setup_time
from .cells import Arc, Cell, CellKind, CellLibrary
from .delay_conditions import NO_DRIVER, Resolved, driving_pins
from .netlist import Instance, Net, Netlist

#: The engine's name and version: raise it when results change.
TABLES = "tables 1"


@dataclass(frozen=True, slots=True)
class Step:
    """One net's edge on a path: what drives the net (a cell's pin, or a port), when, how slowly.

    ``instance`` is None for an input port without a driving cell; ``pin`` is then the port's bit,
    as it is where the instance is the input's driver.
    """

    net: Net
    edge: int
    arrival: float
    slew: float
    instance: str | None
    pin: str


@dataclass(frozen=True, slots=True)
class End:
    """Where a path may end: a flip-flop's data pin (``instance``, ``pin``) or an output bit."""

    net: Net
    edge: int
    arrival: float
    setup: float
    instance: Instance | None
    pin: str

    @property
    def total(self) -> float:
        """The path's delay in ps, setup included."""
        return self.arrival + self.setup


@dataclass(frozen=True, slots=True)
class _Cause:
    source: Net | None
    edge: int


@dataclass(frozen=True, slots=True)
class Wire:
    """What one pin of a net sees: its branch's resistance (kΩ) and capacitance (fF)."""

    resistance: float
    capacitance: float


@dataclass(frozen=True, slots=True)
class Timing:
    """All arrivals of a netlist. ``loads`` (fF) are of every net that something drives.

    ``arrivals`` and ``slews`` (ps) hold a pair for the rising and the falling edge of every net
    that ever switches; ``ends`` are the paths' ends, the worst edge of each, latest first.
    """

    loads: Mapping[Net, float]
    arrivals: Mapping[Net, Pair]
    slews: Mapping[Net, Pair]
    ends: Sequence[End]
    _causes: Mapping[tuple[Net, int], _Cause]
    _drivers: Mapping[Net, tuple[str | None, str]]

    def path(self, end: End) -> list[Step]:
        """Return the latest path to an end, from its start on."""
        steps: list[Step] = []
        net: Net | None = end.net
        edge = end.edge
        while net is not None:
            instance, pin = self._drivers[net]
            arrival, slew = self.arrivals[net][edge], self.slews[net][edge]
            steps.append(Step(net, edge, arrival, slew, instance, pin))
            cause = self._causes[net, edge]
            net, edge = cause.source, cause.edge
        return steps[::-1]


def net_loads(netlist: Netlist, library: CellLibrary, conditions: Resolved) -> dict[Net, float]:
    """Return each net's load in fF: input pins, wire, and the stated load at output ports."""
    return loads_and_wires(netlist, library, conditions)[0]


def loads_and_wires(
    netlist: Netlist, library: CellLibrary, conditions: Resolved
) -> tuple[dict[Net, float], dict[Net, Wire]]:
    """Return :func:`net_loads`, and each net's wire where the library has a wire load."""
    pins: dict[Net, float] = {}
    fan_outs: dict[Net, int] = {}
    for instance in netlist.instances:
        for pin in library.cell(instance.cell).inputs:
            net = instance.pins.get(pin.name)
            if net is not None:
                pins[net] = pins.get(net, 0.0) + pin.capacitance
                fan_outs[net] = fan_outs.get(net, 0) + 1
    for port in netlist.outputs:
        for net in port.nets:
            pins[net] = pins.get(net, 0.0) + conditions.load_ff
            fan_outs[net] = fan_outs.get(net, 0) + 1
    model = library.wire_load if conditions.wires else None
    if model is None:
        return pins, {}
    wires = {}
    for net, fan_out in fan_outs.items():
        total = model.capacitance(fan_out)
        pins[net] += total
        wires[net] = Wire(total * model.resistance / fan_out, total / fan_out)
    return pins, wires


def clock_nets(netlist: Netlist, library: CellLibrary) -> frozenset[Net]:
    """Return the nets at the flip-flops' clock pins.

    Raises :class:`SynthesisError` where one is no input port, or a flip-flop takes falling edges.
    """
    ports = {net for port in netlist.inputs for net in port.nets}
    found = set()
    for instance in netlist.flip_flops(library):
        state = library.cell(instance.cell).flip_flop
        assert state is not None  # noqa: S101 - flip_flops chose it
        if state.clocked_on.operator != "pin":
            raise SynthesisError(
                f"{instance.name} of {netlist.top} ({instance.cell}) is clocked by an expression "
                "or a falling edge; delays are measured for rising edges alone."
            )
        net = instance.pins.get(state.clocked_on.name)
        if net is None or net not in ports:
            raise SynthesisError(
                f"The clock of {instance.name} in {netlist.top} is no input port; delays are "
                "measured with an ideal clock that no logic gates."
            )
        found.add(net)
    return frozenset(found)


def analyse(netlist: Netlist, library: CellLibrary, conditions: Resolved) -> Timing:
    """Return all arrivals of a netlist.

    Raises :class:`SynthesisError` for loops, gated clocks and nets that are driven twice, and
    :class:`LibraryError` for cells without delays.
    """
    return _Analysis(netlist, library, conditions).run()


class _Analysis:
    def __init__(self, netlist: Netlist, library: CellLibrary, conditions: Resolved) -> None:
        self.netlist, self.library, self.conditions = netlist, library, conditions
        self.loads, self.wires = loads_and_wires(netlist, library, conditions)
        self.arrivals: dict[Net, Pair] = {}
        self.slews: dict[Net, Pair] = {}
        self.causes: dict[tuple[Net, int], _Cause] = {}
        self.drivers: dict[Net, tuple[str | None, str]] = {}

    def run(self) -> Timing:
        clocks = clock_nets(self.netlist, self.library)
        self._inputs(clocks)
        flip_flops = self.netlist.flip_flops(self.library)
        slew = self.conditions.clock_slew_ps
        for instance in flip_flops:
            cell = self.library.cell(instance.cell)
            for output in cell.outputs:
                net = instance.pins.get(output.name)
                if net is not None:
                    self.drivers[net] = instance.name, output.name
                    arcs = [arc for arc in output.arcs if arc.kind == "rising_edge"]
                    self._drive(net, cell, [(arc, None, (0.0, 0.0), (slew, slew)) for arc in arcs])
        for instance in self.netlist.topological(self.library):
            self._gate(instance)
        return Timing(
            self.loads,
            self.arrivals,
            self.slews,
            sorted(self._ends(flip_flops), key=lambda end: -end.total),
            self.causes,
            self.drivers,
        )

    def _inputs(self, clocks: frozenset[Net]) -> None:
        conditions = self.conditions
        slew = conditions.input_slew_ps
        for port in self.netlist.inputs:
            for index, net in enumerate(port.nets):
                bit = port.name if len(port.nets) == 1 else f"{port.name}[{index}]"
                self.drivers[net] = None, bit
                if net in clocks:
                    continue
                if conditions.driver == NO_DRIVER:
                    self.arrivals[net], self.slews[net] = (0.0, 0.0), (slew, slew)
                    self.causes[net, RISE] = self.causes[net, FALL] = _Cause(None, RISE)
                    continue
                cell = self.library.cell(conditions.driver)
                pin, output = driving_pins(cell)
                edge_slew = slew if cell.flip_flop is None else conditions.clock_slew_ps
                kinds = ("combinational",) if cell.flip_flop is None else ("rising_edge",)
                arcs = [arc for arc in output.arcs if arc.pin == pin and arc.kind in kinds]
                start = (0.0, 0.0), (edge_slew, edge_slew)
                self._drive(net, cell, [(arc, None, *start) for arc in arcs])

    def _gate(self, instance: Instance) -> None:
        cell = self.library.cell(instance.cell)
        if cell.kind is CellKind.TIE:
            return
        times = {
            pin.name: self._at(source, pin.capacitance)
            for pin in cell.inputs
            if (source := instance.pins.get(pin.name)) in self.arrivals
        }
        for output in cell.outputs:
            net = instance.pins.get(output.name)
            if net is None:
                continue
            self.drivers[net] = instance.name, output.name
            ready = []
            for arc in output.arcs:
                if arc.kind == "combinational" and arc.pin in times:
                    source = instance.pins[arc.pin]
                    ready.append((arc, source, times[arc.pin], self.slews[source]))
            if ready:
                self._drive(net, cell, ready)

    def _at(self, net: Net, capacitance: float) -> Pair:
        """Return when the edges reach a pin of a net: at its driver, and along the wire."""
        rise, fall = self.arrivals[net]
        wire = self.wires.get(net)
        if wire is None:
            return rise, fall
        delay = wire.resistance * (wire.capacitance + capacitance)
        return rise + delay, fall + delay

    def _drive(
        self, net: Net, cell: Cell, arcs: Sequence[tuple[Arc, Net | None, Pair, Pair]]
    ) -> None:
        """Set a net's arrivals and slews from the arcs into its driver's pin."""
        inputs = [(arc, times, slews) for arc, _, times, slews in arcs]
        driven = drive_net(self.library, inputs, self.loads.get(net, 0.0))
        if driven is None:
            raise LibraryError(
                f"The cell {cell.name} of {self.library.name} has no delay to one of its outputs."
            )
        self.arrivals[net], self.slews[net] = driven.arrivals, driven.slews
        for edge, cause in ((RISE, driven.rise), (FALL, driven.fall)):
            if cause is not None:
                self.causes[net, edge] = _Cause(arcs[cause[0]][1], cause[1])

    def _ends(self, flip_flops: Sequence[Instance]) -> list[End]:
        found = []
        for instance in flip_flops:
            for pin in self.library.cell(instance.cell).inputs:
                net = instance.pins.get(pin.name)
                if pin.clock or net not in self.arrivals:
                    continue
                options = []
                times = self._at(net, pin.capacitance)
                for edge in (RISE, FALL):
                    setup = setup_time(self.library, pin, self.slews[net][edge])
                    options.append(End(net, edge, times[edge], setup, instance, pin.name))
                found.append(max(options, key=lambda end: end.total))
        for port in self.netlist.outputs:
            for index, net in enumerate(port.nets):
                if net in self.arrivals:
                    bit = port.name if len(port.nets) == 1 else f"{port.name}[{index}]"
                    times = self._at(net, self.conditions.load_ff)
                    edge = RISE if times[RISE] >= times[FALL] else FALL
                    found.append(End(net, edge, times[edge], 0.0, None, bit))
        return found
