"""A mapped netlist as a graph of cells: what timing, power and structural checks work on."""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..formats.errors import SynthesisError
from .cells import CellKind, CellLibrary

#: The nets of the constants; all others are numbered from 2 on.
ZERO, ONE = 0, 1
_CONSTANTS = {"0": ZERO, "1": ONE}

Net = int


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    """A port of the top module: ``direction`` is ``input`` or ``output``; nets, bit 0 first."""

    name: str
    direction: str
    nets: tuple[Net, ...]

    def renamed(self, names: Mapping[Net, Net]) -> "Port":
        """Return the port with some of its nets replaced by others."""
        nets = tuple(names.get(net, net) for net in self.nets)
        return Port(name=self.name, direction=self.direction, nets=nets)


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """A cell of the library, with the net at each connected pin."""

    name: str
    cell: str
    pins: Mapping[str, Net]


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """Ports and cells of one flat module; the nets are integers, of which 0 and 1 are constants."""

    top: str
    ports: tuple[Port, ...]
    instances: tuple[Instance, ...]

    def port(self, name: str) -> Port:
        """Return a port by name; raises :class:`SynthesisError` where there is none."""
        for port in self.ports:
            if port.name == name:
                return port
        raise SynthesisError(f"The netlist {self.top} has no port {name!r}.")

    @functools.cached_property
    def inputs(self) -> tuple[Port, ...]:
        """The input ports, the clock included, in order."""
        return tuple(port for port in self.ports if port.direction == "input")

    @functools.cached_property
    def outputs(self) -> tuple[Port, ...]:
        """The output ports, in order."""
        return tuple(port for port in self.ports if port.direction == "output")

    def flip_flops(self, library: CellLibrary) -> Sequence[Instance]:
        """Return the flip-flops, in the netlist's order."""
        return [
            instance
            for instance in self.instances
            if library.cell(instance.cell).kind is CellKind.FLIP_FLOP
        ]

    def drivers(self, library: CellLibrary) -> Mapping[Net, tuple[Instance, str]]:
        """Return the instance and the output pin that drive each net, input ports left out.

        Raises :class:`SynthesisError` where two cells drive one net.
        """
        found: dict[Net, tuple[Instance, str]] = {}
        for instance in self.instances:
            for pin in library.cell(instance.cell).outputs:
                net = instance.pins.get(pin.name)
                if net is None:
                    continue
                if net in found:
                    raise SynthesisError(
                        f"The netlist {self.top} drives a net twice: {found[net][0].name} and "
                        f"{instance.name}."
                    )
                found[net] = instance, pin.name
        return found

    def topological(self, library: CellLibrary) -> Sequence[Instance]:
        """Return the combinational cells and ties, each after those that it reads.

        Raises :class:`SynthesisError` for a combinational loop.
        """
        drivers = self.drivers(library)
        order: list[Instance] = []
        state: dict[str, bool] = {}
        for root in self.instances:
            if library.cell(root.cell).kind is CellKind.FLIP_FLOP:
                continue
            stack = [(root, False)]
            while stack:
                instance, done = stack.pop()
                if done:
                    state[instance.name] = True
                    order.append(instance)
                    continue
                if instance.name in state:
                    continue
                state[instance.name] = False
                stack.append((instance, True))
                for name in library.cell(instance.cell).input_names:
                    driver = drivers.get(instance.pins.get(name, ZERO))
                    if driver is None:
                        continue
                    cell = library.cell(driver[0].cell)
                    if cell.kind is CellKind.FLIP_FLOP or state.get(driver[0].name):
                        continue
                    if driver[0].name in state:
                        raise SynthesisError(
                            f"The netlist {self.top} has a combinational loop through "
                            f"{driver[0].name}."
                        )
                    stack.append((driver[0], False))
        return order

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types; :meth:`from_json` is the inverse."""
        return {
            "top": self.top,
            "ports": [[port.name, port.direction, list(port.nets)] for port in self.ports],
            "instances": [[one.name, one.cell, dict(one.pins)] for one in self.instances],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, object]) -> "Netlist":
        """Rebuild a record of :meth:`to_json`; raises KeyError, TypeError or ValueError."""
        ports: list[tuple[str, str, list[int]]] = record["ports"]  # type: ignore[assignment]
        cells: list[tuple[str, str, dict[str, int]]] = record["instances"]  # type: ignore[assignment]
        if not isinstance(ports, list) or not isinstance(cells, list):
            raise TypeError("its ports and cells are no lists")
        for name, kind, nets in (*ports, *cells):
            values = nets.values() if isinstance(nets, dict) else nets
            if not (isinstance(name, str) and isinstance(kind, str)):
                raise TypeError(f"the name {name!r:.40} or {kind!r:.40} is no text")
            if not all(type(net) is int and net >= 0 for net in values):
                raise TypeError(f"a net of {name!r:.40} is no number")
        return cls(
            top=str(record["top"]),
            ports=tuple(
                Port(name=name, direction=direction, nets=tuple(nets))
                for name, direction, nets in ports
            ),
            instances=tuple(
                Instance(name=name, cell=cell, pins=dict(pins)) for name, cell, pins in cells
            ),
        )


def read_yosys_json(text: str, top: str) -> Netlist:
    """Read what Yosys's ``write_json`` wrote of a flat, mapped module.

    Raises :class:`SynthesisError` where the text is something else or holds an undefined bit.
    """
    try:
        module = json.loads(text)["modules"][top]
        return Netlist(
            top=top,
            ports=tuple(
                Port(
                    name=name,
                    direction=facts["direction"],
                    nets=tuple(_net(bit) for bit in facts["bits"]),
                )
                for name, facts in module["ports"].items()
            ),
            instances=tuple(
                Instance(
                    name=name,
                    cell=facts["type"],
                    pins={pin: _net(bits[0]) for pin, bits in facts["connections"].items() if bits},
                )
                for name, facts in module["cells"].items()
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SynthesisError(f"Yosys's netlist of {top} cannot be read: {error!r}.") from error


def _net(bit: object) -> Net:
    if type(bit) is int and bit > ONE:
        return bit
    if isinstance(bit, str) and bit in _CONSTANTS:
        return _CONSTANTS[bit]
    raise ValueError(f"a net is {bit!r}")
