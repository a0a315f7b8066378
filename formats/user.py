"""A user's own format, as a TOML file.

::

    name = "MyFormat"          # letters, digits and + - _ . only, at most 64
    bits = 4
    levels = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 8, -0.5, -1, -1.5, -2, -3, -4, -6]   # by code
    rounding = "ties-to-even"  # optional; "ties-to-lower" unless given
    description = "…"          # optional, as is source
    selector_bits = 0          # optional: how many of a code's top bits a whole block shares

Instead of ``levels``, whose unit is their greatest common step, a file may give ``grid`` (integers
by code) with ``unit`` (an integer, a decimal, or text such as "1/10"). Real-valued levels that
share no coarse step take ``top``: the grid is then ``round(level ÷ largest magnitude × top)``, as
for NF and SF, and the unit is the largest magnitude divided by ``top``.
"""

import json
import math
import os
import tomllib
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from .accuracy import REFERENCES
from .derive import MAX_TOP, checked_top
from .errors import FormatError
from .exact import exact_number, shown
from .files import read_text, write_text
from .lookup import find_format
from .record import MAX_BITS, MAX_GRID_BITS, MIN_BITS, NAME_PATTERN, Format, Rounding

# The largest format has 256 levels of 40 digits. A key of many parts takes tomllib their square.
_MOST_BYTES = 2**16
_MOST_POINTS = 1000
_KEYS = (
    "name",
    "bits",
    "levels",
    "top",
    "grid",
    "unit",
    "rounding",
    "description",
    "source",
    "selector_bits",
)


def load_format(path: str | os.PathLike[str]) -> Format:
    """Read a format from a TOML file.

    Raises :class:`FormatError` naming file, key and value for anything that is not as the module's
    docstring says, for a catalogue name with other levels than the catalogue's, and for the
    names of unquantized baselines (FP16 and the like).
    """
    where = os.fspath(path)
    record = _parse(read_text(path, FormatError, limit=_MOST_BYTES), where)
    for key in record:
        if key not in _KEYS:
            raise FormatError(
                f"{where}: the key {shown(key)} is unknown; the keys are {', '.join(_KEYS)}."
            )
    name = _text(record, "name", where)
    if not NAME_PATTERN.fullmatch(name):
        raise FormatError(
            f"{where}: name is {shown(name)}, which is not allowed: use 1 to 64 letters, digits "
            "and + - _ . only."
        )
    bits = _integer(record, "bits", where)
    if not MIN_BITS <= bits <= MAX_BITS:
        raise FormatError(
            f"{where}: bits is {shown(bits)}; it must be from {MIN_BITS} to {MAX_BITS}."
        )
    grid, unit = _grid_and_unit(record, bits, where)
    try:
        result = Format(
            name=name,
            bits=bits,
            grid=grid,
            unit=unit,
            rounding=_rounding(record, where),
            description=_line(record, "description", where),
            source=_line(record, "source", where),
            selector_bits=_integer(record, "selector_bits", where)
            if "selector_bits" in record
            else 0,
        )
    except FormatError as error:
        raise FormatError(f"{where}: {error}") from error
    _refuse_taken_name(result, where)
    return result


def write_format(format: Format, path: str | os.PathLike[str]) -> None:  # noqa: A002 - the field's word
    """Write a format as TOML that :func:`load_format` reads back equal.

    Raises :class:`OutputError` where the file cannot be written.
    """
    unit = format.unit
    # JSON's strings and integer lists are TOML's, given that a Format's text is printable.
    lines = [
        f"name = {_quoted(format.name)}",
        f"bits = {format.bits}",
        f"grid = {json.dumps(format.grid)}",
        f"unit = {unit.numerator if unit.denominator == 1 else _quoted(str(unit))}",
        f"rounding = {_quoted(format.rounding.value)}",
    ]
    if format.selector_bits:
        lines.append(f"selector_bits = {format.selector_bits}")
    lines += [
        f"{key} = {_quoted(text)}"
        for key, text in (("description", format.description), ("source", format.source))
        if text
    ]
    write_text(path, "\n".join(lines) + "\n")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _parse(text: str, where: str) -> dict[str, object]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MOST_POINTS:
            raise FormatError(
                f"{where}, line {number}: {line.count('.')} points in a line, which no format "
                "needs; give the levels on lines of their own."
            )
    try:
        return tomllib.loads(text, parse_float=_decimal)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"{where} is not valid TOML: {error}.") from error
    except RecursionError as error:
        raise FormatError(f"{where} is not a format: its values are nested too deeply.") from error
    except ValueError as error:
        raise FormatError(f"{where} is not valid TOML: {error}.") from error


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text.replace("_", ""))
    except InvalidOperation:  # exponents have bounds, though wide ones
        raise ValueError(f"the number {text:.40} is out of all bounds") from None


def _get(record: dict[str, object], key: str, where: str) -> object:
    if key not in record:
        raise FormatError(f"{where}: the key {key!r} is missing.")
    return record[key]


def _text(record: dict[str, object], key: str, where: str) -> str:
    value = _get(record, key, where)
    if not isinstance(value, str):
        raise FormatError(f"{where}: {key} is {shown(value)}; it must be text in quotes.")
    return value


def _line(record: dict[str, object], key: str, where: str) -> str:
    """Return optional text, its line breaks and tabs folded into single spaces."""
    text = _text(record, key, where) if key in record else ""
    return text if text.isprintable() else " ".join(text.split())


def _integer(record: dict[str, object], key: str, where: str) -> int:
    value = _get(record, key, where)
    if isinstance(value, bool) or not isinstance(value, int):
        raise FormatError(f"{where}: {key} is {shown(value)}; it must be an integer.")
    return value


def _rounding(record: dict[str, object], where: str) -> Rounding:
    value = record.get("rounding", Rounding.TIES_TO_LOWER.value)
    if value not in [rounding.value for rounding in Rounding]:
        choices = " or ".join(f'"{rounding.value}"' for rounding in Rounding)
        raise FormatError(f"{where}: rounding is {shown(value)}; it must be {choices}.")
    return Rounding(value)


def _numbers(record: dict[str, object], key: str, bits: int, where: str) -> list[object]:
    values = _get(record, key, where)
    if not isinstance(values, list):
        raise FormatError(f"{where}: {key} is {shown(values)}; it must be a list of numbers.")
    if len(values) != 2**bits:
        raise FormatError(
            f"{where}: {key} has {len(values)} values; bits = {bits} needs {2**bits}, one for each "
            "code."
        )
    return values


def _grid_and_unit(
    record: dict[str, object], bits: int, where: str
) -> tuple[tuple[int, ...], Fraction]:
    if "levels" in record:
        for key in ("grid", "unit"):
            if key in record:
                raise FormatError(
                    f"{where}: levels and {key} are both given; give either levels or grid with "
                    "unit."
                )
        levels = [
            exact_number(value, f"{where}: the level of code {code} in levels")
            if not isinstance(value, str)
            else _refuse_text(value, f"{where}: the level of code {code} in levels")
            for code, value in enumerate(_numbers(record, "levels", bits, where))
        ]
        if len(set(levels)) == 1:
            raise FormatError(
                f"{where}: levels are all {levels[0]}; a format needs at least two levels."
            )
        return _from_levels(levels, record, where)
    if "grid" not in record:
        raise FormatError(f"{where}: the key 'levels' is missing (or grid with unit).")
    if "top" in record:
        raise FormatError(
            f"{where}: top is {shown(record['top'])}, but top is for levels; grid has a unit."
        )
    grid = []
    for code, value in enumerate(_numbers(record, "grid", bits, where)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise FormatError(
                f"{where}: the value of code {code} in grid is {shown(value)}; it must be an "
                "integer."
            )
        grid.append(value)
    unit = exact_number(_get(record, "unit", where), f"{where}: unit")
    if unit <= 0:
        raise FormatError(f"{where}: unit is {shown(record['unit'])}; it must be positive.")
    return tuple(grid), unit


def _refuse_text(value: str, where: str) -> Fraction:
    raise FormatError(f"{where} is {shown(value)}, which is text; it must be a number.")


def _from_levels(
    levels: list[Fraction], record: dict[str, object], where: str
) -> tuple[tuple[int, ...], Fraction]:
    largest = max(abs(level) for level in levels)
    if "top" in record:
        top = checked_top(record["top"], where)
        return tuple(round(level / largest * top) for level in levels), largest / top
    unit = Fraction(
        math.gcd(*(level.numerator for level in levels)),
        math.lcm(*(level.denominator for level in levels)),
    )
    if largest / unit >= 2 ** (MAX_GRID_BITS - 1):
        raise FormatError(
            f"{where}: levels share no step coarser than {shown(unit)}, so that the largest, "
            f"{shown(largest)}, would need more than {MAX_GRID_BITS} bits in hardware. Add top "
            f"(1 to {MAX_TOP}, for example top = 127) to round them to a grid."
        )
    return tuple(int(level / unit) for level in levels), unit


def _refuse_taken_name(own: Format, where: str) -> None:
    if own.name.upper() in REFERENCES:
        raise FormatError(
            f"{where}: name is {own.name!r}, which stands for an unquantized baseline in tables of "
            "accuracy; choose another name."
        )
    try:
        known = find_format(own.name)
    except FormatError:
        return
    if known.digest != own.digest:
        raise FormatError(
            f"{where}: name is {own.name!r}, the catalogue's {known.name}, but its levels, unit "
            "or rounding differ from the catalogue's; choose another name."
        )
