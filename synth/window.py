"""A part of a netlist as a network that can be searched, and the netlist with the part replaced.

A window holds combinational cells with one output. Its inputs are the nets that they read from
elsewhere, its outputs those of their nets that anything else reads.
"""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from .gates import GateLibrary, Values
from .netlist import ONE, ZERO, Instance, Net, Netlist
from .network import Network, input_values


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The instances' names, and the nets that enter and leave, in the network's order."""

    instances: frozenset[str]
    inputs: tuple[Net, ...]
    outputs: tuple[Net, ...]


def can_hold(instance: Instance, gates: GateLibrary) -> bool:
    """Return whether a window may hold the instance: a cell that is a gate, all of it connected."""
    gate = gates.by_cell.get(instance.cell)
    return gate is not None and all(pin in instance.pins for pin in (*gate.pins, gate.output))


def window_of(netlist: Netlist, names: Collection[str], gates: GateLibrary) -> Window:
    """Return the window of the named instances, which must be gates (:func:`can_hold`)."""
    inside = [one for one in netlist.instances if one.name in names]
    driven = {one.pins[gates.by_cell[one.cell].output] for one in inside}
    read = {one.pins[pin] for one in inside for pin in gates.by_cell[one.cell].pins}
    outside: set[Net] = {net for port in netlist.outputs for net in port.nets}
    for one in netlist.instances:
        if one.name in names:
            continue
        outside.update(one.pins.values())
    return Window(
        instances=frozenset(names),
        inputs=tuple(sorted(net for net in read - driven if net not in (ZERO, ONE))),
        outputs=tuple(sorted(driven & outside)),
    )


def to_network(
    netlist: Netlist,
    window: Window,
    gates: GateLibrary,
    inputs: Mapping[Net, Values] | None = None,
    patterns: int | None = None,
) -> Network:
    """Return the window's network over all patterns of its inputs, or over those given by net.

    Raises KeyError for a net that has no value, and ValueError where the window has a loop.
    """
    if inputs is None or patterns is None:
        patterns = 1 << len(window.inputs)
        inputs = dict(zip(window.inputs, input_values(len(window.inputs)), strict=True))
    network = Network([inputs[net] for net in window.inputs], patterns)
    signals = {net: index for index, net in enumerate(window.inputs)}
    waiting = [one for one in netlist.instances if one.name in window.instances]
    for net, value in ((ZERO, 0), (ONE, network.mask)):
        if any(net in one.pins.values() for one in waiting):
            signals[net] = network.add_constant(value)
    while waiting:
        later = []
        for one in waiting:
            gate = gates.by_cell[one.cell]
            sources = [one.pins[pin] for pin in gate.pins]
            if all(net in signals for net in sources):
                signals[one.pins[gate.output]] = network.add(gate, [signals[n] for n in sources])
            else:
                later.append(one)
        if len(later) == len(waiting):
            raise ValueError(f"a loop runs through {later[0].name}")
        waiting = later
    network.outputs = [signals[net] for net in window.outputs]
    return network


def put_back(netlist: Netlist, window: Window, network: Network, prefix: str) -> Netlist:
    """Return the netlist with the window's instances replaced by the network's gates.

    The new instances are called ``prefix`` and a free number. Nets that leave keep their numbers
    where a gate drives them; where the network's output is a wire, or two outputs are one signal,
    whoever read the net reads the signal.
    """
    free = 1 + max(
        (net for one in netlist.instances for net in one.pins.values()),
        default=ONE,
    )
    free = max([free, *(1 + net for port in netlist.ports for net in port.nets)])
    nets: dict[int, Net] = dict(enumerate(window.inputs))
    nets.update(network.constants)
    renamed: dict[Net, Net] = {}
    for net, signal in zip(window.outputs, network.outputs, strict=True):
        if signal in nets:
            renamed[net] = nets[signal]
        else:
            nets[signal] = net
    taken = {one.name for one in netlist.instances if one.name not in window.instances}
    numbers = (number for number in itertools.count() if f"{prefix}{number}" not in taken)
    new = []
    for signal in network.order():
        gate, fan_ins = network.gates[signal]
        if signal not in nets:
            nets[signal] = free
            free += 1
        pins = {pin: nets[source] for pin, source in zip(gate.pins, fan_ins, strict=True)}
        new.append(
            Instance(
                name=f"{prefix}{next(numbers)}",
                cell=gate.cell,
                pins={**pins, gate.output: nets[signal]},
            )
        )
    kept = [
        Instance(
            name=one.name,
            cell=one.cell,
            pins={pin: renamed.get(net, net) for pin, net in one.pins.items()},
        )
        for one in netlist.instances
        if one.name not in window.instances
    ]
    return Netlist(
        top=netlist.top,
        ports=tuple(port.renamed(renamed) for port in netlist.ports),
        instances=(*kept, *new),
    )


def gate_instances(netlist: Netlist, gates: GateLibrary) -> Sequence[Instance]:
    """Return the instances that a window may hold."""
    return [one for one in netlist.instances if can_hold(one, gates)]
