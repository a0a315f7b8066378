"""Cell libraries as JSON: compact enough to embed, checked when read back.

A pin is an array of its fields in the order of its class, an arc likewise; a table is one flat
array. One cell stands on one line, so that two versions of a library can be compared by line.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from ..formats.errors import LibraryError
from . import boolean
from .boolean import Expression
from .cell_logic import STATES, unsupported
from .cells import (
    NAME_PATTERN,
    Arc,
    Cell,
    CellLibrary,
    Corner,
    FlipFlop,
    InputPin,
    OutputPin,
    Source,
    WireLoad,
)

SCHEMA = "nibblemac cell library 1"

ABOUT = (
    "Facts distilled from the files under 'sources' (changed: cells left out, tables resampled, "
    "units converted to um2, ps, fF, fJ, nW); 'notice' is those files' licence."
)

# A library's name becomes a part of files' names and stands in Liberty files and on pages.
_LIBRARY_NAME = re.compile(r"[\w.+-]{1,64}")
_NUMBER = frozenset((int, float))
_LIMIT = 1e30
_SENSES = ("positive_unate", "negative_unate", "non_unate")
_ARC_KINDS = ("combinational", "rising_edge", "falling_edge", "clear", "preset")


def to_text(library: CellLibrary) -> str:
    """Return the library as JSON text; :func:`from_text` is the inverse.

    Raises :class:`LibraryError` for a library's name that :func:`from_text` would refuse.
    """
    _check_library_name(library.name)
    record = {
        "schema": SCHEMA,
        "about": ABOUT,
        "sources": [[source.file, source.sha256] for source in library.sources],
        "notice": library.notice.split("\n"),
        "dropped": dict(sorted(library.dropped.items())),
        **facts_to_json(library),
    }
    lines = [
        f"{json.dumps(key)}: {_dump(value)}" for key, value in record.items() if key != "cells"
    ]
    cells = ",\n".join(_dump(cell) for cell in record["cells"])
    return "{" + ",\n".join(lines) + ',\n"cells": [\n' + cells + "\n]}\n"


def _dump(value: object) -> str:
    # Whole numbers without ".0": shorter, and read back as float by this module.
    return json.dumps(_shorten(value), separators=(",", ":"), ensure_ascii=False)


def _shorten(value: object) -> object:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list | tuple):
        return [_shorten(item) for item in value]
    if isinstance(value, dict):
        return {key: _shorten(item) for key, item in value.items()}
    return value


def facts_to_json(library: CellLibrary) -> dict[str, Any]:
    """Return everything that equality and the digest of a library depend on, as JSON types."""
    corner = library.corner
    return {
        "name": library.name,
        "corner": {
            "process": corner.process,
            "voltage": corner.voltage,
            "temperature": corner.temperature,
            "slew_lower": corner.slew_lower,
            "slew_upper": corner.slew_upper,
        },
        "slews": list(library.slews),
        "loads": list(library.loads),
        "wire_load": None
        if library.wire_load is None
        else [
            [list(point) for point in library.wire_load.points],
            library.wire_load.slope,
            library.wire_load.resistance,
        ],
        "cells": [_cell_to_json(cell) for cell in library.cells],
    }


def _cell_to_json(cell: Cell) -> dict[str, Any]:
    record: dict[str, Any] = {"name": cell.name, "area": cell.area, "leakage": cell.leakage}
    if cell.flip_flop is not None:
        state = cell.flip_flop
        record["flip_flop"] = [
            str(state.clocked_on),
            str(state.next_state),
            None if state.clear is None else str(state.clear),
            None if state.preset is None else str(state.preset),
            state.both,
        ]
    record["inputs"] = [
        [
            pin.name,
            pin.capacitance,
            int(pin.clock),
            int(pin.quiet),
            list(pin.rise_energy),
            list(pin.fall_energy),
            list(pin.setup),
        ]
        for pin in cell.inputs
    ]
    record["outputs"] = [
        [
            pin.name,
            str(pin.function),
            pin.max_capacitance,
            [
                [
                    arc.pin,
                    _ARC_KINDS.index(arc.kind),
                    _SENSES.index(arc.sense),
                    list(arc.rise_delay),
                    list(arc.fall_delay),
                    list(arc.rise_transition),
                    list(arc.fall_transition),
                    list(arc.energy),
                ]
                for arc in pin.arcs
            ],
        ]
        for pin in cell.outputs
    ]
    return record


def from_text(text: str, where: str) -> CellLibrary:
    """Rebuild a library from :func:`to_text`'s text; ``where`` names the file in errors.

    Raises :class:`LibraryError` where the text is no JSON, of another schema, or malformed.
    """
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LibraryError(f"{where} is not JSON: {error}.") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise LibraryError(
            f"{where} is not a distilled cell library: its key 'schema' must be {SCHEMA!r}."
        )
    try:
        return _library(record)
    except LibraryError as error:
        raise LibraryError(f"{where}: {error}") from error
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise LibraryError(
            f"{where} is malformed as a distilled cell library: {error!r:.200}. Distil it again."
        ) from error


def _library(record: dict[str, Any]) -> CellLibrary:
    corner = record["corner"]
    slews, loads = _numbers(record["slews"]), _numbers(record["loads"])
    cells = tuple(_cell(item, len(slews), len(loads)) for item in record["cells"])
    for numbers in (slews, loads):
        if list(numbers) != sorted(set(numbers)):
            raise LibraryError("its grid of slews or loads is not in order of distinct values.")
    names = [cell.name for cell in cells]
    if names != sorted(set(names)):
        raise LibraryError("its cells are not in order of distinct names.")
    return CellLibrary(
        name=_check_library_name(_text(record["name"])),
        corner=Corner(
            process=_number(corner["process"]),
            voltage=_number(corner["voltage"]),
            temperature=_number(corner["temperature"]),
            slew_lower=_number(corner["slew_lower"]),
            slew_upper=_number(corner["slew_upper"]),
        ),
        slews=slews,
        loads=loads,
        cells=cells,
        wire_load=None if record["wire_load"] is None else _wire_load(*record["wire_load"]),
        sources=tuple(
            Source(file=_text(name), sha256=_text(sha256)) for name, sha256 in record["sources"]
        ),
        notice="\n".join(_text(line) for line in record["notice"]),
        dropped={_text(reason): _count(count) for reason, count in record["dropped"].items()},
    )


def _wire_load(points: Sequence[Sequence[float]], slope: float, resistance: float) -> WireLoad:
    return WireLoad(
        points=tuple((int(_number(fan_out)), _number(value)) for fan_out, value in points),
        slope=_number(slope),
        resistance=_number(resistance),
    )


def _cell(record: dict[str, Any], slews: int, loads: int) -> Cell:
    name, area = check_name(_text(record["name"])), _number(record["area"])
    if area <= 0:
        raise LibraryError(f"the area of {name} is not above 0.")
    state = record.get("flip_flop")
    cell = Cell(
        name=name,
        area=area,
        leakage=_number(record["leakage"]),
        flip_flop=None if state is None else _flip_flop(*state),
        inputs=tuple(_input(slews, *item) for item in record["inputs"]),
        outputs=tuple(_output(slews * loads, *item) for item in record["outputs"]),
    )
    _check_logic(cell)
    return cell


def _check_logic(cell: Cell) -> None:
    """Raise :class:`LibraryError` for pins and functions that no cell from Liberty has."""
    inputs = cell.input_names
    pins = [*inputs, *(pin.name for pin in cell.outputs)]
    reason = unsupported(set(inputs), {p.name: p.function for p in cell.outputs}, cell.flip_flop)
    if not cell.outputs or len(set(pins)) < len(pins) or set(pins) & set(STATES):
        reason = "pins that are missing, double or called as a state"
    elif len(inputs) > boolean.MAX_VARIABLES:
        reason = f"more than {boolean.MAX_VARIABLES} inputs"
    elif not {arc.pin for pin in cell.outputs for arc in pin.arcs} <= set(inputs):
        reason = "delays from what is no input"
    if reason:
        raise LibraryError(f"the cell {cell.name} has {reason}.")


def _flip_flop(
    clocked_on: str, next_state: str, clear: str | None, preset: str | None, both: str
) -> FlipFlop:
    def optional(text: str | None) -> Expression | None:
        return None if text is None else boolean.parse(_text(text))

    if not re.fullmatch("([LHNTX]{2})?", _text(both)):
        raise LibraryError(f"{both!r:.20} is no pair of Liberty's letters for clear with preset.")
    return FlipFlop(
        clocked_on=boolean.parse(_text(clocked_on)),
        next_state=boolean.parse(_text(next_state)),
        clear=optional(clear),
        preset=optional(preset),
        both=both,
    )


def _input(
    size: int, name: str, capacitance: float, clock: int, quiet: int, *tables: Sequence[float]
) -> InputPin:
    rise, fall, setup = (_table(table, size) for table in tables)
    return InputPin(
        name=check_name(_text(name)),
        capacitance=_number(capacitance),
        clock=bool(clock),
        quiet=bool(quiet),
        rise_energy=rise,
        fall_energy=fall,
        setup=setup,
    )


def _output(
    size: int, name: str, function: str, max_capacitance: float | None, arcs: Sequence[Any]
) -> OutputPin:
    def arc(pin: str, kind: int, sense: int, *tables: Sequence[float]) -> Arc:
        rise, fall, rise_transition, fall_transition, energy = (_table(t, size) for t in tables)
        return Arc(
            pin=_text(pin),
            kind=_ARC_KINDS[kind],
            sense=_SENSES[sense],
            rise_delay=rise,
            fall_delay=fall,
            rise_transition=rise_transition,
            fall_transition=fall_transition,
            energy=energy,
        )

    return OutputPin(
        name=check_name(_text(name)),
        function=boolean.parse(_text(function)),
        max_capacitance=None if max_capacitance is None else _number(max_capacitance),
        arcs=tuple(arc(*item) for item in arcs),
    )


def _table(values: object, size: int) -> tuple[float, ...]:
    numbers = _numbers(values)
    if len(numbers) not in (0, size):
        raise LibraryError(f"a table has {len(numbers)} values where the grid has {size}.")
    return numbers


def _numbers(values: object) -> tuple[float, ...]:
    if not isinstance(values, list):
        raise TypeError(f"{values!r:.40} is not an array")
    if not all(type(value) in _NUMBER and -_LIMIT < value < _LIMIT for value in values):
        raise ValueError(f"{values!r:.60} holds more than finite numbers")
    return tuple(map(float, values))


def _number(value: object) -> float:
    return _numbers([value])[0]


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < _LIMIT:
        raise TypeError(f"{value!r:.40} is not a count")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not a string")
    value.encode()  # half of a pair of surrogates is no text: a ValueError
    return value


def check_name(name: str) -> str:
    """Return a cell's or pin's name; raises :class:`LibraryError` where it is no safe name."""
    if not NAME_PATTERN.fullmatch(name):
        raise LibraryError(f"{name!r:.60} is not a name for a cell or pin.")
    return name


def _check_library_name(name: str) -> str:
    if not _LIBRARY_NAME.fullmatch(name):
        raise LibraryError(
            f"{name!r:.80} is not a library's name; use 1 to 64 letters, digits and + - _ . only."
        )
    return name
