"""A mapped netlist made ready for simulation: every net a number, every cell's functions found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..formats.errors import SimulationError
from .boolean import Expression
from .cells import Cell, CellKind, CellLibrary
from .netlist import ONE, ZERO, Instance, Net, Netlist


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """An instance with its cell; ``pins`` are indices into a simulation's values.

    ``outputs`` holds the connected outputs' names, in the cell's order.
    """

    instance: Instance
    cell: Cell
    pins: Mapping[str, int]
    outputs: tuple[str, ...]

    def function(self, output: str) -> Expression:
        """Return an output's function."""
        return self.cell.output(output).function


@dataclass(frozen=True, kw_only=True, slots=True)
class GateModel:
    """A netlist ready for simulation.

    ``nets`` maps nets to indices, of which 0 and 1 are the constants'; ``gates`` are the
    combinational cells and ties, each after those that it reads; ``flip_flops`` are all on the
    rising edge of the input port ``clock``, whose net has no value.
    """

    netlist: Netlist
    nets: Mapping[Net, int]
    gates: Sequence[Gate]
    flip_flops: Sequence[Gate]
    clock: Net

    @property
    def sources(self) -> list[int]:
        """The indices of the nets that change at the clock edge: inputs and flip-flops' outputs."""
        found = [
            self.nets[net] for port in self.netlist.inputs for net in port.nets if net != self.clock
        ]
        return found + [ff.pins[name] for ff in self.flip_flops for name in ff.outputs]


def gate_model(netlist: Netlist, library: CellLibrary, clock: str = "clk") -> GateModel:
    """Prepare a netlist.

    Raises :class:`SimulationError` for a pin that nothing is connected to or that nothing drives,
    a net with two drivers, a flip-flop on another clock or edge, and a clock that reaches anything
    else; :class:`SynthesisError` for a combinational loop or a missing port; and
    :class:`LibraryError` for a cell that the library lacks.
    """
    port = netlist.port(clock)
    if port.direction != "input" or len(port.nets) != 1:
        raise SimulationError(f"The port {clock!r} of {netlist.top} is no clock of one bit.")
    drivers = netlist.drivers(library)
    inputs = [net for port in netlist.inputs for net in port.nets]
    driven = {ZERO, ONE, *inputs, *drivers}
    twice = sorted({net for net in inputs if net in drivers or inputs.count(net) > 1 or net < 2})
    if twice or not drivers.keys().isdisjoint({ZERO, ONE}):
        raise SimulationError(
            f"The netlist {netlist.top} drives an input port or a constant from a second side."
        )
    nets = {net: index for index, net in enumerate(sorted(driven))}

    def gate(instance: Instance) -> Gate:
        cell = library.cell(instance.cell)
        _check(instance, cell, driven, port.nets[0], netlist.top)
        return Gate(
            instance=instance,
            cell=cell,
            pins={pin: nets[net] for pin, net in instance.pins.items()},
            outputs=tuple(pin.name for pin in cell.outputs if pin.name in instance.pins),
        )

    undriven = [port.name for port in netlist.outputs if not driven.issuperset(port.nets)]
    if undriven:
        raise SimulationError(f"Nothing drives a bit of {netlist.top}'s output {undriven[0]!r}.")
    return GateModel(
        netlist=netlist,
        nets=nets,
        gates=[gate(instance) for instance in netlist.topological(library)],
        flip_flops=[gate(instance) for instance in netlist.flip_flops(library)],
        clock=port.nets[0],
    )


def _check(instance: Instance, cell: Cell, driven: set[Net], clock: Net, top: str) -> None:
    where = f"{instance.name} ({cell.name}) in {top}"
    known = {*cell.input_names, *(pin.name for pin in cell.outputs)}
    for pin in instance.pins:
        if pin not in known:
            raise SimulationError(f"{where} has no pin {pin!r}.")
    state = cell.flip_flop if cell.kind is CellKind.FLIP_FLOP else None
    clock_pin = ""
    if state is not None:
        clock_pin = state.clocked_on.name
        if state.clocked_on.operator != "pin" or instance.pins.get(clock_pin) != clock:
            raise SimulationError(f"{where} is not clocked by the rising edge of the clock.")
    for pin in cell.input_names:
        net = instance.pins.get(pin)
        if net is None or net not in driven:
            raise SimulationError(f"Nothing drives the pin {pin!r} of {where}.")
        if net == clock and pin != clock_pin:
            raise SimulationError(f"The clock reaches the pin {pin!r} of {where} as data.")
