"""A strict reader of small CSV files: every error names the file, the line and what to do."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import DataError
from .files import read_text

MAX_BYTES = 8 * 2**20
MAX_ROWS = 100_000
MAX_LINES = 1_000_000
MAX_CELL = 10_000
MAX_COLUMNS = 1_000
# Cells are printed: an escape sequence could tell a terminal anything.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True, kw_only=True, slots=True)
class CsvTable:
    """A header and rows of exactly as many cells; ``rows`` pairs each with its line number.

    Cells and header are stripped of surrounding blanks. Blank lines are left out.
    """

    source: str
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def load_csv(path: Path) -> CsvTable:
    """Read a UTF-8 CSV file (a byte-order mark and CRLF are accepted).

    Raises :class:`DataError` for a file that cannot be read, is no UTF-8 text, is larger than
    8 MiB, or is refused by :func:`parse_csv`.
    """
    return parse_csv(read_text(path, DataError, limit=MAX_BYTES), str(path))


def parse_csv(text: str, source: str = "CSV") -> CsvTable:
    """Read CSV text; ``source`` names it in errors.

    Raises :class:`DataError` for control characters, broken quotes, an empty or repeated column's
    name, a row with too few or too many cells, cells longer than 10,000 characters, no rows, more
    than 100,000, or more than a million lines.
    """
    text = text.removeprefix("\ufeff")
    control = _CONTROL.search(text)
    if control is not None:
        line = text.count("\n", 0, control.start()) + 1
        raise DataError(
            f"{source}, line {line}: the control character {control[0]!r}; the file is no CSV text."
        )
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: tuple[str, ...] | None = None
    rows: list[tuple[int, tuple[str, ...]]] = []
    line = 1
    try:
        for cells in reader:
            start, line = line, reader.line_num + 1
            if line > MAX_LINES:
                raise DataError(f"{source} has more than {MAX_LINES} lines, the most read.")
            where = f"{source}, line {start}"
            stripped = tuple(cell.strip() for cell in cells)
            if not any(stripped) and len(stripped) <= 1:
                continue
            if header is None:
                header = _checked_header(stripped, where)
                continue
            _check_row(stripped, header, where)
            if len(rows) == MAX_ROWS:
                raise DataError(f"{where}: there are more than {MAX_ROWS} rows, the most read.")
            rows.append((start, stripped))
    except csv.Error as error:
        raise DataError(f"{source}, line {line}: {error}. Check the quotes around it.") from error
    if header is None:
        raise DataError(f"{source} is empty; it needs a header and at least one row.")
    if not rows:
        raise DataError(f"{source} has no rows below its header.")
    return CsvTable(source=source, header=header, rows=tuple(rows))


def _checked_header(header: tuple[str, ...], where: str) -> tuple[str, ...]:
    if len(header) > MAX_COLUMNS:
        raise DataError(f"{where}: {len(header)} columns; at most {MAX_COLUMNS} are read.")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise DataError(f"{where}: the columns must be separated by commas.")
    seen: set[str] = set()
    for number, name in enumerate(header, 1):
        if not name:
            raise DataError(f"{where}: column {number} has no name; give every column one.")
        if len(name) > MAX_CELL:
            raise DataError(
                f"{where}: the name of column {number} has {len(name)} characters; at most "
                f"{MAX_CELL} are read."
            )
        if name.lower() in seen:
            raise DataError(f"{where}: the column {name!r:.80} stands there twice.")
        seen.add(name.lower())
    return header


def _check_row(cells: tuple[str, ...], header: tuple[str, ...], where: str) -> None:
    if len(cells) != len(header):
        raise DataError(
            f"{where}: {len(cells)} cells, but the header names {len(header)} columns. "
            "Cells that contain a comma need double quotes."
        )
    for name, cell in zip(header, cells, strict=True):
        if len(cell) > MAX_CELL:
            raise DataError(
                f"{where}, column {name!r:.80}: a cell of {len(cell)} characters; at most "
                f"{MAX_CELL} are read."
            )
