"""A netlist with a driving cell at each input bit, for timing engines that know no other way."""

from collections.abc import Mapping
from dataclasses import dataclass

from .cells import CellLibrary
from .delay_conditions import NO_DRIVER, Resolved, driving_pins
from .netlist import ZERO, Instance, Net, Netlist, Port
from .static_timing import clock_nets

#: The clock of the drivers where the netlist has none of its own.
_CLOCK = "nibblemac_clock"


@dataclass(frozen=True, kw_only=True)
class Driven:
    """``netlist`` with drivers; ``bits`` maps a driver's instance to the input bit it drives.

    ``clock`` is the clock's port, or None where nothing is clocked. ``starts``: whether paths start
    at the input ports themselves, the drivers being no flip-flops.
    """

    netlist: Netlist
    bits: Mapping[str, str]
    clock: str | None
    starts: bool


def drive(netlist: Netlist, library: CellLibrary, conditions: Resolved) -> Driven:
    """Put the stated driver at each input bit but for the clock's; raises as ``clock_nets``."""
    clocks = clock_nets(netlist, library)
    ports = list(netlist.ports)
    clock = next((p for p in ports if clocks & set(p.nets)), None)
    if conditions.driver == NO_DRIVER:
        name = None if clock is None else clock.name
        return Driven(netlist=netlist, bits={}, clock=name, starts=True)
    cell = library.cell(conditions.driver)
    pin, output = driving_pins(cell)
    used = [net for port in ports for net in port.nets]
    used += [net for instance in netlist.instances for net in instance.pins.values()]
    free = max(used, default=ZERO) + 2
    if clock is None and cell.flip_flop is not None:
        clock = Port(name=_CLOCK, direction="input", nets=(free,))
        ports.append(clock)
        clocks, free = frozenset({free}), free + 1
    instances: list[Instance] = []
    bits: dict[str, str] = {}
    for place, port in enumerate(ports):
        if port.direction != "input" or clocks & set(port.nets):
            continue
        outside: list[Net] = []
        for index, net in enumerate(port.nets):
            bit = port.name if len(port.nets) == 1 else f"{port.name}[{index}]"
            pins = {one.name: ZERO for one in cell.inputs}
            data = [one.name for one in cell.inputs if not one.clock]
            pins[data[0]] = free
            if cell.flip_flop is not None:
                pins[pin] = min(clocks)
            pins[output.name] = net
            name = f"driver of {bit}"
            bits[name] = bit
            instances.append(Instance(name=name, cell=cell.name, pins=pins))
            outside.append(free)
            free += 1
        ports[place] = Port(name=port.name, direction="input", nets=tuple(outside))
    driven = Netlist(
        top=netlist.top,
        ports=tuple(ports),
        instances=(*netlist.instances, *instances),
    )
    return Driven(
        netlist=driven,
        bits=bits,
        clock=None if clock is None else clock.name,
        starts=cell.flip_flop is None,
    )
