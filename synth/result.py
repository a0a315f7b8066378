"""The result of costing one MAC design: a frozen record that round-trips through JSON and CSV."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from ..formats.csv_table import CsvTable, load_csv, parse_csv
from ..formats.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class AreaResult:
    """Area, delay and power of one MAC: a format pair, an architecture, a library and a recipe.

    Areas are µm² (``area_ge``: gate equivalents of ``library``'s smallest two-input NAND).
    ``multiplier_um2`` and ``accumulator_um2`` come from a second run with the hierarchy kept, so
    they need not add up to ``area_um2``. ``cells`` counts instances by cell type. ``tools`` maps
    tool to version. ``design`` and ``library_digest`` are SHA-256 of the RTLIL and of the library
    as the flow used it.

    ``delay_ps`` is the critical path by ``delay_method``, an engine and its version. ``energy_fj``
    a product includes glitches and leakage, ``energy_zero_delay_fj`` neither; ``power_uw`` is the
    former at the clock frequency ``megahertz``. ``conditions`` says in words under what both were
    measured: corner, load, driver, data. Each is None, or empty, where it could not be measured,
    and ``unmeasured`` says why.

    ``effort`` names the search that found the design; ``search_seconds`` are the seconds it took,
    and ``seconds`` those of the design's own synthesis.

    ``proof`` has the verdicts on its Verilog (``rtl``) and on its netlist (``netlist``): proven,
    refuted or unproven; and ``method`` and ``seconds``. It is empty where nothing was to be proven.
    """

    format: str
    activation: str
    bits: int
    terms: int
    architecture: str
    library: str
    recipe: str
    area_um2: float
    area_ge: float
    sequential_um2: float
    multiplier_um2: float
    accumulator_um2: float
    accumulator_bits: int
    cells: Mapping[str, int]
    tools: Mapping[str, str]
    design: str
    library_digest: str
    netlist: str
    seconds: float
    delay_ps: float | None
    delay_method: str
    energy_fj: float | None
    energy_zero_delay_fj: float | None
    power_uw: float | None
    megahertz: float | None
    leakage_nw: float | None
    conditions: Mapping[str, str]
    unmeasured: str
    effort: str
    search_seconds: float
    proof: Mapping[str, str] = field(default_factory=dict)

    @property
    def proven(self) -> bool:
        """Whether its Verilog and its netlist are proven to compute what the format says."""
        return self.proof.get("rtl") == self.proof.get("netlist") == "proven"

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types; :meth:`from_json` is the inverse."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {**values, **{name: dict(values[name]) for name in _MAPPINGS}}

    @classmethod
    def from_json(cls, record: object, where: str = "the area record") -> "AreaResult":
        """Rebuild a result; ``where`` names the record in the error.

        Raises :class:`DataError` for a missing key or a value of the wrong type or not finite.
        """
        if not isinstance(record, dict):
            raise DataError(f"{where} is {record!r:.60}; it must be a JSON object.")
        values: dict[str, object] = {}
        for item in fields(cls):
            if item.name not in record:
                raise DataError(f"{where} lacks the key {item.name!r}.")
            value = record[item.name]
            if item.type in (float, _OPTIONAL) and type(value) is int:
                value = float(value)
            if not _has_type(value, item.type) or (
                type(value) is float and not math.isfinite(value)
            ):
                raise DataError(
                    f"{where}: {item.name} is {value!r:.60}, of the wrong type or not finite."
                )
            values[item.name] = value
        return cls(**values)  # type: ignore[arg-type]


_OPTIONAL = float | None
_MAPPINGS = ("cells", "tools", "conditions", "proof")


def _has_type(value: object, expected: object) -> bool:
    if expected == _OPTIONAL:
        return value is None or type(value) is float
    if expected in (str, int, float):
        return type(value) is expected
    if not isinstance(value, dict):
        return False
    item = int if expected == Mapping[str, int] else str
    return all(type(k) is str and type(v) is item for k, v in value.items())


def to_csv(results: Iterable[AreaResult]) -> str:
    """Return the results as CSV with one row each.

    ``cells``, ``tools``, ``conditions`` and ``proof`` are JSON objects; what was not measured is
    empty.
    """
    stream = io.StringIO()
    names = [item.name for item in fields(AreaResult)]
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    for result in results:
        row = result.to_json()
        for name in _MAPPINGS:
            row[name] = json.dumps(row[name], sort_keys=True, ensure_ascii=False)
        writer.writerow(row)
    return stream.getvalue()


def from_csv(text: str, source: str = "area CSV") -> Sequence[AreaResult]:
    """Read :func:`to_csv`'s text back; ``source`` names the file in errors.

    Raises :class:`DataError` naming file, line and column where a value is wrong, where a column
    is missing, or where there are no rows.
    """
    return _from_table(parse_csv(text, source))


def load_areas(path: Path) -> Sequence[AreaResult]:
    """Read a file that :func:`to_csv` wrote; raises :class:`DataError` as :func:`from_csv` does."""
    return _from_table(load_csv(path))


def _from_table(table: CsvTable) -> Sequence[AreaResult]:
    missing = [item.name for item in fields(AreaResult) if item.name not in table.header]
    if missing:
        raise DataError(f"{table.source}, line 1: the column {missing[0]!r} is missing.")
    return [
        _from_row(dict(zip(table.header, cells, strict=True)), f"{table.source}, line {line}")
        for line, cells in table.rows
    ]


def _from_row(row: Mapping[str, str], where: str) -> AreaResult:
    record: dict[str, object] = {}
    for item in fields(AreaResult):
        text = row[item.name]
        try:
            if item.type is str:
                record[item.name] = text
            elif item.type is int:
                record[item.name] = int(text)
            elif item.type == _OPTIONAL and not text:
                record[item.name] = None
            elif item.type in (float, _OPTIONAL):
                record[item.name] = float(text)
            else:
                record[item.name] = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{where}: {item.name} is {text!r:.60}, which cannot be read as a value."
            ) from error
    return AreaResult.from_json(record, where)
