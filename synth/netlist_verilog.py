"""Write a netlist graph as structural Verilog, with names that no tool can trip over.

Ports keep their names; nets are called ``n2``, ``n3`` … and instances ``u0``, ``u1`` … in the
graph's order, so that nothing that a user or a tool named reaches a script.
"""

import re
from collections.abc import Iterator, Mapping

from ..formats.errors import SynthesisError
from .cell_models import identifier
from .netlist import ONE, ZERO, Net, Netlist

_CONSTANTS = {ZERO: "1'b0", ONE: "1'b1"}
_SIMPLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def to_verilog(netlist: Netlist) -> str:
    """Return the netlist as a Verilog module.

    Raises :class:`SynthesisError` where the module or a port has a name that is no plain
    identifier.
    """
    return "\n".join(_lines(netlist)) + "\n"


def instance_names(netlist: Netlist) -> Mapping[str, str]:
    """Return for each name that :func:`to_verilog` gives an instance the graph's own name."""
    return {f"u{index}": instance.name for index, instance in enumerate(netlist.instances)}


def _lines(netlist: Netlist) -> Iterator[str]:
    for name in (netlist.top, *(port.name for port in netlist.ports)):
        if not _SIMPLE.fullmatch(name):
            raise SynthesisError(f"{name[:60]!r} is no plain name of a module or a port.")
    yield f"module {netlist.top}({', '.join(port.name for port in netlist.ports)});"
    for port in netlist.ports:
        size = f"[{len(port.nets) - 1}:0] " if len(port.nets) > 1 else ""
        yield f"  {port.direction} {size}{port.name};"
    for net in sorted(_nets(netlist)):
        yield f"  wire n{net};"
    for port in netlist.ports:
        for index, net in enumerate(port.nets):
            bit = f"{port.name}[{index}]" if len(port.nets) > 1 else port.name
            if port.direction == "input":
                yield f"  assign {_net(net)} = {bit};"
            else:
                yield f"  assign {bit} = {_net(net)};"
    for index, instance in enumerate(netlist.instances):
        pins = ", ".join(f".{identifier(pin)}({_net(net)})" for pin, net in instance.pins.items())
        yield f"  {identifier(instance.cell)} u{index} ({pins});"
    yield "endmodule"


def _nets(netlist: Netlist) -> set[Net]:
    nets = {net for port in netlist.ports for net in port.nets}
    nets.update(net for instance in netlist.instances for net in instance.pins.values())
    return nets - set(_CONSTANTS)


def _net(net: Net) -> str:
    return _CONSTANTS.get(net) or f"n{net}"
