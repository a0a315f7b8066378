"""How much of a MAC's netlist is multiplier: what depends on the codes alone."""

from .cells import CellLibrary
from .netlist import ONE, ZERO, Net, Netlist
from .product_search import ACTIVATION, WEIGHT


def split_areas(netlist: Netlist, library: CellLibrary) -> tuple[float, float]:
    """Return the areas (µm²) of the cells that depend on the codes alone, and of all others.

    In a netlist that was optimised as a whole there is no other border between multiplier and
    accumulator.
    """
    codes: set[Net] = {net for name in (WEIGHT, ACTIVATION) for net in netlist.port(name).nets}
    constants: set[Net] = {ZERO, ONE}
    multiplier = 0.0
    for one in netlist.topological(library):
        cell = library.cell(one.cell)
        sources = [one.pins[pin] for pin in cell.input_names if pin in one.pins]
        driven = {one.pins[pin.name] for pin in cell.outputs if pin.name in one.pins}
        if constants.issuperset(sources):
            constants |= driven
        elif all(net in codes or net in constants for net in sources):
            multiplier += cell.area
            codes |= driven
    total = sum(library.cell(one.cell).area for one in netlist.instances)
    return multiplier, total - multiplier
