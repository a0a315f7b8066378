"""The critical path of a mapped MAC: the shortest clock period at which it works.

The delay is the worst over all start points (input bits and flip-flop outputs) to every
flip-flop's data pin with its setup time, and to every output bit without one, under stated
conditions (:mod:`.delay_conditions`): the clock is ideal, and the inputs come, unless said
otherwise, from flip-flops on the same clock. Paths that no input can make happen count too.

Two engines give it, and the record says which: OpenSTA (:mod:`.opensta`), and this project's own
(:mod:`.static_timing`), which needs no tool and takes milliseconds. Without wire loads they agree
to the last digit; with them OpenSTA, which follows each wire's waveform, is 1 to 3 % above.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from ..formats.errors import DataError, SynthesisError, ToolError, UsageError
from .cells import CellLibrary
from .delay_conditions import Conditions, Resolved
from .liberty_tree import LibertyFile
from .netlist import Instance, Netlist
from .opensta import critical_path, find_opensta
from .path_ends import PathEnds
from .static_timing import TABLES, analyse

INPUT, REGISTER, OUTPUT = "input", "register", "output"
ENGINES = ("opensta", "tables")


@dataclass(frozen=True, kw_only=True, slots=True)
class Delay:
    """A critical path: ``ps`` from ``start`` to ``end``, of which ``setup_ps`` is setup time.

    ``start`` and ``end`` are input and output bits, or registers, which are called after the output
    bit that they drive where they drive one. ``kind`` is such as ``register to register``.
    ``method`` is the engine and its version. The library's name, digest and corner say where.
    """

    ps: float
    start: str
    end: str
    kind: str
    setup_ps: float
    method: str
    conditions: Resolved
    library: str
    library_digest: str
    process: float
    voltage: float
    temperature: float

    @property
    def megahertz(self) -> float:
        """The highest clock frequency."""
        return 1e6 / self.ps

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types; :meth:`from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: object) -> "Delay":
        """Rebuild a record of :meth:`to_json`; raises :class:`DataError` for anything else."""
        if not isinstance(record, Mapping):
            raise DataError(f"The delay record is {record!r:.60}; it must be a JSON object.")
        if set(record) != {field.name for field in fields(cls)}:
            raise DataError(
                f"The delay record has the keys {', '.join(map(str, record))!r:.200}; it must have "
                f"{', '.join(field.name for field in fields(cls))}."
            )
        values = dict(record)
        for field in fields(cls):
            value = values[field.name]
            if field.type is float:
                if type(value) not in (int, float) or not math.isfinite(value):
                    raise DataError(f"The delay's {field.name} is {value!r:.60}, not a number.")
                values[field.name] = float(value)
            elif field.type is str and not isinstance(value, str):
                raise DataError(f"The delay's {field.name} is {value!r:.60}, not a text.")
        values["conditions"] = Resolved.from_json(values["conditions"])
        return cls(**values)


def measure_delay(
    netlist: Netlist,
    library: CellLibrary,
    conditions: Conditions | None = None,
    engine: str | None = None,
    *,
    liberty: Sequence[LibertyFile] = (),
) -> Delay:
    """Return the critical path of a mapped netlist.

    ``engine`` is one of :data:`ENGINES`; by default OpenSTA where ``sta`` is on PATH, else the
    library's tables. ``liberty`` are the files that the library was distilled from, to be
    used in its place, which OpenSTA alone can (their own default wire load then applies). Raises
    :class:`LibraryError` for a library without timing, :class:`UsageError` for conditions or an
    engine that make no sense, :class:`ToolError` where a tool is missing or fails, and
    :class:`SynthesisError` for a netlist with loops, gated clocks or without any path.
    """
    resolved = (conditions or Conditions()).resolve(library)
    name = engine_name(engine)
    if liberty and name != "opensta":
        raise UsageError("Only OpenSTA measures delays on Liberty files themselves.")
    if name == "opensta":
        tool = find_opensta()
        if tool is None:
            raise ToolError(
                "There is no OpenSTA (sta) on PATH; install one (Debian's package is opensta), or "
                "measure delays with the engine tables."
            )
        found = critical_path(tool, netlist, library, resolved, liberty=liberty)
        return make_delay(netlist, library, resolved, found, tool.method)
    return tables_delay(netlist, library, resolved)


def engine_name(engine: str | None = None) -> str:
    """Return the engine that :func:`measure_delay` uses; raises :class:`UsageError`."""
    if engine is None:
        return "tables" if find_opensta() is None else "opensta"
    if engine not in ENGINES:
        raise UsageError(
            f"The delay engine {engine!r:.60} is unknown; there are {', '.join(ENGINES)}."
        )
    return engine


def tables_delay(netlist: Netlist, library: CellLibrary, conditions: Resolved) -> Delay:
    """Return the critical path on the library's own tables, without any tool."""
    timing = analyse(netlist, library, conditions)
    if not timing.ends:
        raise SynthesisError(f"The netlist {netlist.top} has no path to measure.")
    end = timing.ends[0]
    first = timing.path(end)[0]
    found = PathEnds(
        ps=end.total,
        setup_ps=end.setup,
        start=first.pin,
        launch=first.instance,
        end=end.pin,
        capture=None if end.instance is None else end.instance.name,
    )
    return make_delay(netlist, library, conditions, found, TABLES)


def make_delay(
    netlist: Netlist, library: CellLibrary, conditions: Resolved, found: PathEnds, method: str
) -> Delay:
    """Return an engine's critical path as a record with readable names."""
    names = register_names(netlist, library)
    start, end, kinds = found.start, found.end, [INPUT, OUTPUT]
    if found.launch is not None:
        start, kinds[0] = names.get(found.launch, found.launch), REGISTER
    if found.capture is not None:
        end, kinds[1] = names.get(found.capture, found.capture), REGISTER
    return Delay(
        ps=round(found.ps, 3),
        start=start,
        end=end,
        kind=" to ".join(kinds),
        setup_ps=round(found.setup_ps, 3),
        method=method,
        conditions=conditions,
        library=library.name,
        library_digest=library.digest,
        process=library.corner.process,
        voltage=library.corner.voltage,
        temperature=library.corner.temperature,
    )


def register_names(netlist: Netlist, library: CellLibrary) -> Mapping[str, str]:
    """Return the output bit that each flip-flop drives, itself or through inverters and buffers."""
    bits = {
        net: port.name if len(port.nets) == 1 else f"{port.name}[{index}]"
        for port in netlist.outputs
        for index, net in enumerate(port.nets)
    }
    readers: dict[int, list[Instance]] = {}
    for instance in netlist.instances:
        cell = library.cell(instance.cell)
        if len(cell.inputs) == len(cell.outputs) == 1 and cell.inputs[0].name in instance.pins:
            readers.setdefault(instance.pins[cell.inputs[0].name], []).append(instance)
    found = {}
    for instance in netlist.flip_flops(library):
        waiting = _outputs(instance, library)
        seen = set(waiting)
        while waiting:
            net = waiting.pop(0)
            if net in bits:
                found[instance.name] = bits[net]
                break
            for reader in readers.get(net, ()):
                new = [other for other in _outputs(reader, library) if other not in seen]
                seen.update(new)
                waiting += new
    return found


def _outputs(instance: Instance, library: CellLibrary) -> list[int]:
    pins = library.cell(instance.cell).outputs
    return [instance.pins[pin.name] for pin in pins if pin.name in instance.pins]
