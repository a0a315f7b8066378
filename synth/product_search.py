"""The product of two codes as a small network, searched by itself.

A product block takes the codes' bits and gives the product in two's complement, or as a number
and a carry-in (``negate``) whose sum is the product. Of the second form there are many for one
product, and the search may take any: that is its predicate, over all pairs of codes.
"""

from collections.abc import Callable

from ..formats.errors import SynthesisError
from ..formats.mac import MacSpec
from .anneal import HOT, Goal
from .annealing import anneal
from .gates import GateLibrary, Values
from .netlist import ONE, ZERO, Instance, Net, Netlist, Port
from .network import Network, input_values

WEIGHT, ACTIVATION = "weight", "activation"
PRODUCT, NEGATE, LINES = "product", "negate", "lines"


def product_values(spec: MacSpec, bits: int) -> list[Values]:
    """Return the values of the product's bits, two's complement, over all pairs of codes."""
    weight, activation = spec.weight, spec.activation
    products = [
        weight.grid[pair & (len(weight.grid) - 1)] * activation.grid[pair >> weight.bits]
        for pair in range(len(weight.grid) * len(activation.grid))
    ]
    return [
        sum((product >> bit & 1) << pair for pair, product in enumerate(products))
        for bit in range(bits)
    ]


def product_goal(spec: MacSpec, bits: int) -> Goal:
    """Return what a block with a product of ``bits`` bits has to do, with negate or without.

    The outputs as a signed number, plus ``negate``, have to be the product. The product's width
    must hold both.
    """
    mask = (1 << len(spec.weight.grid) * len(spec.activation.grid)) - 1
    return Goal(wanted=tuple(product_values(spec, bits)), mask=mask, is_sum=True)


def product_network(netlist: Netlist, spec: MacSpec, gates: GateLibrary) -> Network:
    """Return a product block's netlist as a network over all pairs of codes.

    Raises :class:`SynthesisError` where the block holds a cell that is no gate.
    """
    count = spec.weight.bits + spec.activation.bits
    values = input_values(count)
    network = Network(values, 1 << count)
    nets = (*netlist.port(WEIGHT).nets, *netlist.port(ACTIVATION).nets)
    signals: dict[Net, int] = {net: index for index, net in enumerate(nets)}
    signals[ZERO] = network.add_constant(0)
    signals[ONE] = network.add_constant(network.mask)
    for one in netlist.topological(gates.library):
        gate = gates.by_cell.get(one.cell)
        if gate is None:
            cell = gates.library.cell(one.cell)
            if cell.inputs:
                raise SynthesisError(f"{netlist.top} holds {one.cell}, which is no simple gate.")
            for pin in cell.outputs:
                if pin.name in one.pins:
                    constant = ONE if pin.function.operator == "1" else ZERO
                    signals[one.pins[pin.name]] = signals[constant]
            continue
        sources = [signals[one.pins[pin]] for pin in gate.pins]
        signals[one.pins[gate.output]] = network.add(gate, sources)
    network.outputs = [signals[net] for port in output_ports(netlist) for net in port.nets]
    return network


def output_ports(netlist: Netlist) -> list[Port]:
    """Return a block's output ports, ``negate`` the last."""
    return sorted(netlist.outputs, key=lambda port: port.name == NEGATE)


def product_netlist(network: Network, spec: MacSpec, block: Netlist) -> Netlist:
    """Return a network of :func:`product_network` as a netlist with the block's ports."""
    constants = {signal: (ONE if value else ZERO) for signal, value in network.constants.items()}
    order = network.order()
    numbers = {signal: constants.get(signal, signal + 2) for signal in network.values}
    inputs = [numbers[index] for index in range(network.inputs)]
    outputs = [numbers[signal] for signal in network.outputs]
    ports = [
        Port(name=WEIGHT, direction="input", nets=tuple(inputs[: spec.weight.bits])),
        Port(name=ACTIVATION, direction="input", nets=tuple(inputs[spec.weight.bits :])),
    ]
    for port in output_ports(block):
        width = len(port.nets)
        ports.append(Port(name=port.name, direction="output", nets=tuple(outputs[:width])))
        outputs = outputs[width:]
    instances = []
    for index, signal in enumerate(order):
        gate, fan_ins = network.gates[signal]
        pins = {pin: numbers[source] for pin, source in zip(gate.pins, fan_ins, strict=True)}
        pins[gate.output] = numbers[signal]
        instances.append(Instance(name=f"p{index}", cell=gate.cell, pins=pins))
    return Netlist(top="product", ports=tuple(ports), instances=tuple(instances))


def anneal_product(
    netlist: Netlist,
    goal: Goal,
    spec: MacSpec,
    gates: GateLibrary,
    *,
    steps: int,
    seed: int,
    hot: float = HOT,
    stop: Callable[[], bool] | None = None,
) -> Netlist:
    """Return the smallest block met in ``steps`` steps of annealing from a given one."""
    network = product_network(netlist, spec, gates)
    found = anneal(network, goal, gates, steps=steps, seed=seed, hot=hot, stop=stop)
    return product_netlist(found.network, spec, netlist)
