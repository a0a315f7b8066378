"""Frontier points as JSON and CSV, and back."""

import csv
import io
import json
import types
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import get_args

from ..formats.csv_table import parse_csv
from ..formats.errors import DataError
from .frontier import Frontier, FrontierPoint

_FIELDS = {field.name: field.type for field in fields(FrontierPoint)}


def frontier_to_json(frontier: Frontier) -> str:
    """Return the whole frontier as JSON text: what was chosen, what was left out, the points."""
    record = asdict(frontier)
    record["points"] = record.pop("points")  # the longest part last
    return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def points_from_json(text: str, source: str = "frontier JSON") -> tuple[FrontierPoint, ...]:
    """Read the points of :func:`frontier_to_json` back; ``source`` names the file in errors.

    Raises :class:`DataError` for text that is no such JSON, a missing key or a wrong type.
    """
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{source} is no JSON: {error}.") from error
    if not isinstance(record, dict) or not isinstance(record.get("points"), list):
        raise DataError(f"{source} has no list 'points'.")
    return tuple(
        _point(item, f"{source}, point {number}") for number, item in enumerate(record["points"], 1)
    )


def points_to_csv(points: Iterable[FrontierPoint]) -> str:
    """Return the points as CSV, one row each; ``models`` is a JSON list, None an empty cell."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_FIELDS)
    for point in points:
        writer.writerow([_cell(getattr(point, name)) for name in _FIELDS])
    return stream.getvalue()


def points_from_csv(text: str, source: str = "frontier CSV") -> tuple[FrontierPoint, ...]:
    """Read :func:`points_to_csv`'s text back; ``source`` names the file in errors.

    Raises :class:`DataError` naming line and column of what is wrong.
    """
    table = parse_csv(text, source)
    for name in _FIELDS:
        if name not in table.header:
            raise DataError(f"{source}, line 1: the column {name!r} is missing.")
    return tuple(
        _point(
            {
                name: _value(cell, name, f"{source}, line {line}")
                for name, cell in zip(table.header, cells, strict=True)
                if name in _FIELDS
            },
            f"{source}, line {line}",
        )
        for line, cells in table.rows
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _value(cell: str, name: str, where: str) -> object:
    kind = _FIELDS[name]
    if kind is str:
        return cell
    if isinstance(kind, types.UnionType) and not cell:
        return None
    try:
        return json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}, column {name!r}: {cell!r:.80} is no value.") from error


def _point(record: object, where: str) -> FrontierPoint:
    if not isinstance(record, Mapping):
        raise DataError(f"{where} is {record!r:.60}; it must be a JSON object.")
    values: dict[str, object] = {}
    for name, kind in _FIELDS.items():
        if name not in record:
            raise DataError(f"{where} lacks the key {name!r}.")
        value = record[name]
        if kind == tuple[str, ...] and isinstance(value, list):
            if not all(isinstance(item, str) for item in value):
                raise DataError(f"{where}: {name} is {value!r:.60}; it must list names.")
            values[name] = tuple(value)
            continue
        allowed = get_args(kind) or (kind,)
        if float in allowed and type(value) is int:
            value = float(value)
        if type(value) not in allowed or (isinstance(value, float) and value - value != 0):
            raise DataError(f"{where}: {name} is {value!r:.60}, of the wrong type.")
        values[name] = value
    return FrontierPoint(**values)  # type: ignore[arg-type]
