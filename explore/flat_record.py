"""Frozen records of plain fields as CSV rows and JSON objects, and back.

Fields are text, integers, numbers, truth values, any of these or None, and tuples of text.
"""

import csv
import io
import json
import types
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_args

from ..formats.csv_table import parse_csv
from ..formats.errors import DataError

T = TypeVar("T")


def to_csv(kind: type, records: Iterable[object]) -> str:
    """Return the records of a class as CSV, one row each.

    A tuple is a JSON list, and None an empty cell.
    """
    names = list(_types(kind))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    for record in records:
        writer.writerow([_cell(getattr(record, name)) for name in names])
    return stream.getvalue()


def from_csv(kind: type[T], text: str, source: str) -> tuple[T, ...]:
    """Read :func:`to_csv`'s text back; ``source`` names the file in errors.

    Raises :class:`DataError` naming line and column of what is wrong.
    """
    table = parse_csv(text, source)
    expected = _types(kind)
    for name in expected:
        if name not in table.header:
            raise DataError(f"{source}, line 1: the column {name!r} is missing.")
    return tuple(
        from_object(
            kind,
            {
                name: _value(cell, name, expected[name], f"{source}, line {line}")
                for name, cell in zip(table.header, cells, strict=True)
                if name in expected
            },
            f"{source}, line {line}",
        )
        for line, cells in table.rows
    )


def from_json(kind: type[T], text: str, key: str, source: str) -> tuple[T, ...]:
    """Read the records that a JSON object lists under ``key``; ``source`` names the file.

    Raises :class:`DataError` for text that is no such JSON, a missing key or a wrong type.
    """
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{source} is no JSON: {error}.") from error
    if not isinstance(record, dict) or not isinstance(record.get(key), list):
        raise DataError(f"{source} has no list {key!r}.")
    word = key.removesuffix("s")
    return tuple(
        from_object(kind, item, f"{source}, {word} {number}")
        for number, item in enumerate(record[key], 1)
    )


def from_object(kind: type[T], record: object, where: str) -> T:
    """Return a record of a JSON object; ``where`` names it in errors (:class:`DataError`)."""
    if not isinstance(record, Mapping):
        raise DataError(f"{where} is {record!r:.60}; it must be a JSON object.")
    values: dict[str, object] = {}
    for name, expected in _types(kind).items():
        if name not in record:
            raise DataError(f"{where} lacks the key {name!r}.")
        value = record[name]
        if expected == tuple[str, ...] and isinstance(value, list):
            if not all(isinstance(item, str) for item in value):
                raise DataError(f"{where}: {name} is {value!r:.60}; it must list names.")
            values[name] = tuple(value)
            continue
        allowed = get_args(expected) or (expected,)
        if float in allowed and type(value) is int:
            value = float(value)
        if type(value) not in allowed or (isinstance(value, float) and value - value != 0):
            raise DataError(f"{where}: {name} is {value!r:.60}, of the wrong type.")
        values[name] = value
    return kind(**values)


def _types(kind: type) -> dict[str, Any]:
    return {field.name: field.type for field in fields(kind)}


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _value(cell: str, name: str, expected: object, where: str) -> object:
    if expected is str:
        return cell
    if isinstance(expected, types.UnionType) and not cell:
        return None
    try:
        return json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}, column {name!r}: {cell!r:.80} is no value.") from error
