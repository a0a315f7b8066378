"""One design of the store: a netlist, what it costs, where it comes from, and its check."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from ..formats.errors import SynthesisError
from ..formats.mac import MacSpec
from ..rtl.architectures import ARCHITECTURES
from ..rtl.verilog import top_name
from .cache import cache_key
from .cells import CellLibrary
from .finish import check_sums
from .flow import Mapped
from .netlist import Instance, Netlist
from .netlist_verilog import to_verilog

#: What :func:`checked` does, for provenance.
CHECK = "accumulator values of 128 dot products of random codes against the integer reference"
_MOST_INSTANCES = 2**16
_MOST_NETS = 2**20
_LONGEST_NAME = 256
#: Of figures and seconds: what cannot overflow where it is multiplied.
_LARGEST = 1e30


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where a design comes from: enough to find it again.

    ``format`` and ``activation`` name the formats, ``library`` the library; ``recipe`` says how it
    was made, at which ``effort`` and ``seed``, in how many ``seconds``, by which ``tools`` (names
    and versions), and ``verified`` how it was checked.
    """

    format: str
    activation: str
    library: str
    architecture: str
    recipe: str
    effort: str
    seed: int
    seconds: float
    tools: Mapping[str, str]
    verified: str = CHECK


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A design; ``figure`` is what it was kept for: µm², ps or fJ."""

    netlist: Netlist
    figure: float
    provenance: Provenance

    @property
    def digest(self) -> str:
        """SHA-256 of the netlist."""
        return cache_key(self.netlist.to_json())

    def area(self, library: CellLibrary) -> float:
        """Return the sum of the cells' areas in µm²."""
        return area_of(self.netlist, library)

    def mapped(self, spec: MacSpec, library: CellLibrary) -> Mapped:
        """Return the design as a mapping, under the name of a MAC."""
        top = top_name(spec, self.provenance.architecture)
        graph = Netlist(top=top, ports=self.netlist.ports, instances=self.netlist.instances)
        one, area = self.provenance, self.area(library)
        tools = ", ".join(f"{name} {version}" for name, version in sorted(one.tools.items()))
        return Mapped(
            top=top,
            area_um2=area,
            sequential_um2=round(
                math.fsum(library.cell(i.cell).area for i in graph.flip_flops(library)), 6
            ),
            modules={top: area},
            cells=dict(sorted(Counter(i.cell for i in graph.instances).items())),
            netlist=to_verilog(graph),
            graph=graph,
            script=f"# From the store: {one.recipe}, effort {one.effort}, seed {one.seed}; "
            f"{tools}; checked: {one.verified}.\n",
            seconds=one.seconds,
        )

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types; :meth:`from_json` is the inverse."""
        provenance = {**asdict(self.provenance), "tools": dict(self.provenance.tools)}
        return {
            "figure": self.figure,
            "provenance": provenance,
            "netlist": self.netlist.to_json(),
        }

    @classmethod
    def from_json(cls, record: object) -> "Stored":
        """Rebuild a record of :meth:`to_json`; raises ValueError, KeyError or TypeError."""
        if not isinstance(record, dict) or not isinstance(record["provenance"], dict):
            raise TypeError("it is no design")
        figure, said = record["figure"], record["provenance"]
        if type(figure) not in (int, float) or not 0 < figure < _LARGEST:
            raise ValueError("its figure is no positive number")
        values: dict[str, object] = {}
        for field in fields(Provenance):
            value = said[field.name]
            wanted = (int, float) if field.type is float else field.type
            if isinstance(wanted, (type, tuple)) and (
                not isinstance(value, wanted) or isinstance(value, bool)
            ):
                raise TypeError(f"its {field.name} is {value!r:.40}")
            if isinstance(value, (int, float)) and not abs(value) < _LARGEST:
                raise ValueError(f"its {field.name} is too large")
            values[field.name] = value
        tools = values["tools"]
        if not isinstance(tools, dict) or not all(isinstance(v, str) for v in tools.values()):
            raise TypeError("its tools are no names with versions")
        if values["architecture"] not in ARCHITECTURES:
            raise ValueError(f"its architecture {values['architecture']!r:.40} is unknown")
        if any(not text.isprintable() for text in _texts(values)):
            raise ValueError("its provenance has unprintable characters")
        return cls(
            netlist=_netlist(record["netlist"]),
            figure=float(figure),
            provenance=Provenance(**values),  # type: ignore[arg-type]
        )


def _texts(values: Mapping[str, object]) -> list[str]:
    tools = values["tools"]
    inner = [*tools, *tools.values()] if isinstance(tools, dict) else []
    return [str(one) for one in (*values.values(), *inner) if isinstance(one, str)]


def _netlist(record: object) -> Netlist:
    """Return a netlist from a file that anybody may have written."""
    if not isinstance(record, dict):
        raise TypeError("its netlist is no object")
    netlist = Netlist.from_json(record)
    if len(netlist.instances) > _MOST_INSTANCES:
        raise ValueError(f"its netlist has {len(netlist.instances)} cells")
    nets = [net for port in netlist.ports for net in port.nets]
    nets += [net for one in netlist.instances for net in one.pins.values()]
    if not all(type(net) is int and 0 <= net < _MOST_NETS for net in nets):
        raise ValueError("a net of its netlist has no number")
    names = [name for port in netlist.ports for name in (port.name, port.direction)]
    names += [name for one in netlist.instances for name in (one.name, one.cell, *one.pins)]
    if not all(isinstance(name, str) for name in names):
        raise TypeError("a name in its netlist is no text")
    if not all(len(name) <= _LONGEST_NAME and name.isprintable() for name in names):
        raise ValueError("a name in its netlist is too long or cannot be printed")
    return netlist


def plain(netlist: Netlist) -> Netlist:
    """Return a netlist without the names that tools gave its cells and its module."""
    return Netlist(
        top="mac",
        ports=netlist.ports,
        instances=tuple(
            Instance(name=f"u{index}", cell=one.cell, pins=one.pins)
            for index, one in enumerate(netlist.instances)
        ),
    )


def area_of(netlist: Netlist, library: CellLibrary) -> float:
    """Return the sum of the cells' areas in µm²."""
    return round(math.fsum(library.cell(one.cell).area for one in netlist.instances), 6)


def checked(netlist: Netlist, spec: MacSpec, library: CellLibrary) -> None:
    """Hold a netlist against the MAC's contract: ports, the library's cells and pins, the sums.

    Raises :class:`SynthesisError`, or :class:`LibraryError` for an unknown cell.
    """
    expected = {
        "clk": ("input", 1),
        "weight": ("input", spec.weight.bits),
        "activation": ("input", spec.activation.bits),
        "clear": ("input", 1),
        **({"enable": ("input", 1)} if spec.enable else {}),
        "accumulator": ("output", spec.accumulator_bits),
    }
    found = {port.name: (port.direction, len(port.nets)) for port in netlist.ports}
    if found != expected or len(netlist.ports) != len(expected):
        raise SynthesisError(f"The netlist's ports are not those of {spec.name}.")
    _check_pins(netlist, library)
    check_sums(netlist, library, spec)


def _check_pins(netlist: Netlist, library: CellLibrary) -> None:
    known: dict[str, set[str]] = {}
    for one in netlist.instances:
        if one.cell not in known:
            cell = library.cell(one.cell)
            known[one.cell] = {*cell.input_names, *(pin.name for pin in cell.outputs)}
        if not set(one.pins) <= known[one.cell]:
            raise SynthesisError(f"The netlist connects a pin that {one.cell} does not have.")
