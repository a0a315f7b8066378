"""A MAC's netlist from a product block and an accumulator."""

from ..formats.errors import SynthesisError
from .gates import GateLibrary
from .netlist import ONE, ZERO, Instance, Net, Netlist
from .product_search import LINES, NEGATE, PRODUCT
from .window import Window, can_hold, window_of


def assemble(top: str, product: Netlist, accumulator: Netlist) -> Netlist:
    """Return the MAC: the block's product and negate drive the accumulator's.

    Raises :class:`SynthesisError` where their ports do not fit.
    """
    offset = 1 + max(
        [ONE, *(net for one in product.instances for net in one.pins.values())]
        + [net for port in product.ports for net in port.nets]
    )
    moved: dict[Net, Net] = {ZERO: ZERO, ONE: ONE}
    taken = {port.name for port in accumulator.inputs}
    for port in product.outputs:
        if port.name not in taken:
            raise SynthesisError(
                f"{top}: the product block has an output {port.name!r} that the accumulator does "
                "not take."
            )
    for port in accumulator.inputs:
        if port.name in (PRODUCT, LINES, NEGATE):
            sources = product.port(port.name).nets
            if len(sources) != len(port.nets):
                raise SynthesisError(
                    f"{top}: the product block's {port.name} has {len(sources)} bits, and the "
                    f"accumulator takes {len(port.nets)}."
                )
            moved.update(zip(port.nets, sources, strict=True))

    def place(net: Net) -> Net:
        return moved.setdefault(net, net + offset)

    ports = [port for port in accumulator.inputs if port.name not in (PRODUCT, LINES, NEGATE)]
    ports = [port for port in ports if port.name == "clk"] + [
        port for port in ports if port.name != "clk"
    ]
    clock, others = ports[0], ports[1:]
    instances = [
        Instance(name=f"a{index}", cell=one.cell, pins={p: place(n) for p, n in one.pins.items()})
        for index, one in enumerate(accumulator.instances)
    ]
    blocks = [
        Instance(name=f"p{index}", cell=one.cell, pins=one.pins)
        for index, one in enumerate(product.instances)
    ]
    for port in (*ports, *accumulator.outputs):
        for net in port.nets:
            place(net)
    return Netlist(
        top=top,
        ports=(
            clock.renamed(moved),
            *product.inputs,
            *(port.renamed(moved) for port in others),
            *(port.renamed(moved) for port in accumulator.outputs),
        ),
        instances=(*blocks, *instances),
    )


def low_window(netlist: Netlist, gates: GateLibrary) -> Window | None:
    """Return the window of all gates that depend on codes, clear and bit 0 alone.

    It holds the product block and the accumulator's bit 0, between which a sign may move.
    """
    known: set[Net] = {ZERO, ONE, netlist.port("accumulator").nets[0]}
    for port in netlist.inputs:
        if port.name != "clk":
            known.update(port.nets)
    inside = set()
    for one in netlist.topological(gates.library):
        if not can_hold(one, gates):
            continue
        gate = gates.by_cell[one.cell]
        if all(one.pins[pin] in known for pin in gate.pins):
            inside.add(one.name)
            known.add(one.pins[gate.output])
    return window_of(netlist, inside, gates) if inside else None
