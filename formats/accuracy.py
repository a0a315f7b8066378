"""Quality figures of models under number formats, read from CSV files in two forms.

Long form: one figure a row, with the columns ``model, setting, format, metric, unit,
higher_is_better, value``; a column ``table`` says which of a paper's tables the row is from,
further columns are ignored. Wide form: one row a format, one column a metric, and optionally
``model`` and ``setting``; a metric's direction comes from its name (perplexity, loss, error …;
accuracy, SQNR …) or from a suffix such as ``score[higher]``; an empty cell is a missing figure.
"""

import difflib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from .csv_table import CsvTable, load_csv, parse_csv
from .errors import DataError, FormatError
from .metric_columns import MetricColumn, metric_column

REFERENCES = ("FP32", "FP16", "BF16")
LONG_COLUMNS = ("model", "setting", "format", "metric", "unit", "higher_is_better", "value")
_WIDE_TEXT_COLUMNS = frozenset({"model", "setting", "format", "table", "source", "note"})
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


@dataclass(frozen=True, kw_only=True, slots=True)
class AccuracyRow:
    """One quality figure: ``value`` (in ``unit``) of a metric for a model under a format.

    ``format`` is the catalogue's spelling, or one of ``REFERENCES``. ``model``, ``setting``,
    ``unit`` and ``table`` may be empty.
    """

    model: str
    setting: str
    format: str
    metric: str
    unit: str
    higher_is_better: bool
    value: float
    table: str = ""

    @property
    def is_reference(self) -> bool:
        """Whether this is an unquantized baseline."""
        return self.format in REFERENCES


@dataclass(frozen=True, kw_only=True, slots=True)
class AccuracyTable:
    """The figures of one file; ``skipped`` counts rows of format names that were left out."""

    source: str
    rows: tuple[AccuracyRow, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)


def read_accuracy(
    path: Path, *, names: Iterable[str] = (), skip_unknown: bool = False
) -> AccuracyTable:
    """Read an accuracy CSV in either form.

    ``names`` are format names known besides the catalogue's. Format names compare without regard
    to case. With ``skip_unknown``, rows of other names are counted and left out instead of
    refused. Raises :class:`DataError` naming file, line and column.
    """
    return _read(load_csv(path), names, skip_unknown=skip_unknown)


def parse_accuracy(
    text: str,
    source: str = "accuracy CSV",
    *,
    names: Iterable[str] = (),
    skip_unknown: bool = False,
) -> AccuracyTable:
    """Read accuracy CSV text as :func:`read_accuracy` does; ``source`` names it in errors."""
    return _read(parse_csv(text, source), names, skip_unknown=skip_unknown)


def _read(table: CsvTable, names: Iterable[str], *, skip_unknown: bool) -> AccuracyTable:
    header = tuple(name.lower() for name in table.header)
    is_long = any(name in header for name in ("metric", "value", "higher_is_better"))
    figures = _long_rows(table, header) if is_long else _wide_rows(table, header)
    resolve = _resolver(names)
    rows: dict[tuple[str, ...], tuple[int, AccuracyRow]] = {}
    facts: dict[str, tuple[int, AccuracyRow]] = {}
    skipped: Counter[str] = Counter()
    for line, raw in figures:
        canonical = resolve(raw.format)
        if canonical is None:
            if not skip_unknown:
                raise DataError(_unknown_name(raw.format, f"{table.source}, line {line}", names))
            skipped[raw.format] += 1
            continue
        row = replace(raw, format=canonical)
        _check_same_metric(facts.setdefault(row.metric, (line, row)), line, row, table.source)
        key = (row.table, row.model, row.setting, row.format, row.metric)
        first_line, first = rows.setdefault(key, (line, row))
        if first.value != row.value:
            raise DataError(
                f"{table.source}, line {line}, column 'value': {row.metric!r} of {row.format} "
                f"is {row.value:g}, but line {first_line} gave {first.value:g} for the same "
                "model and setting. Remove one of the two rows."
            )
    if not rows:
        raise DataError(f"{table.source} has no figure of a known format.")
    return AccuracyTable(
        source=table.source,
        rows=tuple(row for _, row in rows.values()),
        skipped=dict(sorted(skipped.items())),
    )


def _check_same_metric(
    first: tuple[int, AccuracyRow], line: int, row: AccuracyRow, source: str
) -> None:
    for column in ("higher_is_better", "unit"):
        here, there = getattr(row, column), getattr(first[1], column)
        if here != there:
            raise DataError(
                f"{source}, line {line}, column {column!r}: {here!r:.40} for the metric "
                f"{row.metric!r:.80}, but line {first[0]} says {there!r:.40}. One metric has one "
                "unit and one direction."
            )


def _long_rows(table: CsvTable, header: tuple[str, ...]) -> Iterator[tuple[int, AccuracyRow]]:
    for name in LONG_COLUMNS:
        if name not in header:
            raise DataError(
                f"{table.source}, line 1: the column {name!r} is missing. The long form needs "
                + ", ".join(LONG_COLUMNS)
                + "; the wide form needs 'format' and one column for each metric."
            )
    for line, cells in table.rows:
        where = f"{table.source}, line {line}"
        row = dict(zip(header, cells, strict=True))
        boolean = _BOOLEANS.get(row["higher_is_better"].lower())
        if boolean is None:
            raise DataError(
                f"{where}, column 'higher_is_better': {row['higher_is_better']!r:.80} is neither "
                "true nor false."
            )
        if not row["metric"]:
            raise DataError(f"{where}, column 'metric': the name of the metric is missing.")
        yield (
            line,
            AccuracyRow(
                model=row["model"],
                setting=row["setting"],
                format=_format_cell(row["format"], where),
                metric=row["metric"],
                unit=row["unit"],
                higher_is_better=boolean,
                value=_number(row["value"], f"{where}, column 'value'"),
                table=row.get("table", ""),
            ),
        )


def _wide_rows(table: CsvTable, header: tuple[str, ...]) -> Iterator[tuple[int, AccuracyRow]]:
    where = f"{table.source}, line 1"
    if "format" not in header:
        raise DataError(
            f"{where}: the column 'format' is missing. The long form needs "
            + ", ".join(LONG_COLUMNS)
            + "; the wide form needs 'format' and one column for each metric."
        )
    metrics: dict[int, MetricColumn] = {
        index: metric_column(name, where)
        for index, name in enumerate(table.header)
        if name.lower() not in _WIDE_TEXT_COLUMNS
    }
    if not metrics:
        raise DataError(f"{where}: there is no column with a metric, such as 'perplexity'.")
    for name, count in Counter(column.name.lower() for column in metrics.values()).items():
        if count > 1:
            raise DataError(f"{where}: the metric {name!r:.80} has more than one column.")
    for line, cells in table.rows:
        here = f"{table.source}, line {line}"
        row = dict(zip(header, cells, strict=True))
        name = _format_cell(row["format"], here)
        for index, column in metrics.items():
            if not cells[index]:
                continue
            yield (
                line,
                AccuracyRow(
                    model=row.get("model", ""),
                    setting=row.get("setting", ""),
                    format=name,
                    metric=column.name,
                    unit=column.unit,
                    higher_is_better=column.higher_is_better,
                    value=_number(cells[index], f"{here}, column {table.header[index]!r:.80}"),
                    table=row.get("table", ""),
                ),
            )


def _format_cell(text: str, where: str) -> str:
    if not text:
        raise DataError(f"{where}, column 'format': the format's name is missing.")
    return text


def _number(text: str, where: str) -> float:
    if not _NUMBER.fullmatch(text):
        if text.lower().lstrip("+-") in {"nan", "inf", "infinity"}:
            raise DataError(f"{where}: {text!r} is no finite number; leave the row out.")
        raise DataError(f"{where}: {text!r:.80} is no number.")
    value = float(text)
    if not math.isfinite(value):
        raise DataError(f"{where}: {text!r:.80} is too large for a number.")
    return value


def _resolver(names: Iterable[str]) -> Callable[[str], str | None]:
    from .lookup import find_format  # noqa: PLC0415 - the catalogue derives levels when imported

    known: dict[str, str | None] = {name.casefold(): name for name in (*REFERENCES, *names)}

    def resolve(name: str) -> str | None:
        key = name.casefold()
        if key not in known:
            try:
                known[key] = find_format(name, hint=False).name
            except FormatError:
                known[key] = None
        return known[key]

    return resolve


def _unknown_name(name: str, where: str, names: Iterable[str]) -> str:
    from .lookup import all_formats  # noqa: PLC0415

    known = {k.casefold(): k for k in (*REFERENCES, *names, *(f.name for f in all_formats()))}
    near = difflib.get_close_matches(name.casefold()[:80], known, n=1)
    hint = f" Did you mean {known[near[0]]}?" if near else ""
    return (
        f"{where}, column 'format': {name!r:.80} is no known format.{hint} "
        "Give a format of your own as a TOML file, or skip unknown names."
    )
