"""The CSV of an evaluation: rows written as formats are finished, and continued by a later run.

It is in the long form of accuracy tables. Further columns say what the figures hold for:
``bits_per_element``, ``text`` and ``tools``; ``definition`` is a digest of the format with its
block and scales, ``run`` one of everything else that the figures depend on.
"""

import csv
import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.accuracy import LONG_COLUMNS
from ..formats.csv_table import load_csv
from ..formats.errors import DataError
from ..formats.files import check_file, write_text

if TYPE_CHECKING:
    from ..formats.block_format import BlockFormat

REFERENCE = "FP32"
_REFERENCE_BITS = 32.0
COLUMNS = (*LONG_COLUMNS, "bits_per_element", "text", "tools", "run", "definition")


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """What a metric is called in the file."""

    name: str
    label: str
    unit: str
    higher_is_better: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What all rows of a file share; ``digest`` is of all that figures depend on."""

    model: str
    setting: str
    text: str
    tools: str
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One format of a run; the unquantized model is one."""

    name: str
    bits_per_element: float
    definition: str


def entry_of(item: "BlockFormat") -> Entry:
    """Return the entry of a format as it is stored."""
    inputs = item.for_activations
    facts = [
        (one.format.digest, one.block, repr(one.scale_format), [str(t) for t in one.targets])
        for one in (item, inputs)
    ]
    return Entry(
        name=item.name, bits_per_element=item.bits_per_element, definition=digest_of(facts)
    )


def digest_of(facts: object) -> str:
    """Return 16 hexadecimal digits that tell facts apart by their representation."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


UNQUANTIZED = Entry(name=REFERENCE, bits_per_element=_REFERENCE_BITS, definition="")


class EvaluationFile:
    """The figures of one run in a CSV file, in the order of ``entries``.

    A file that is there is continued; raises :class:`DataError`, saying what differs, where it is
    of another run or no evaluation, and :class:`OutputError` where it cannot be written.
    """

    def __init__(
        self, path: Path, run: Run, entries: Sequence[Entry], figures: Sequence[Figure]
    ) -> None:
        self._path, self._run = path, run
        self._entries = {entry.name: entry for entry in entries}
        self._figures = {figure.label: figure for figure in figures}
        self._further: dict[str, Entry] = {}
        self._found: dict[str, dict[str, float]] = {}
        check_file(path)
        self.refresh()

    def refresh(self) -> None:
        """Take over what is in the file, which another run of the same kind may be writing too."""
        if self._path.exists() and self._path.stat().st_size:
            self._continue()

    @property
    def unfinished(self) -> tuple[str, ...]:
        """The formats of which figures are missing."""
        wanted = {figure.name for figure in self._figures.values()}
        return tuple(n for n in self._entries if set(self._found.get(n, ())) != wanted)

    def figures_of(self, name: str) -> Mapping[str, float]:
        """Return a format's figures by the metric's name; empty where there are none."""
        return self._found.get(name, {})

    def add(self, name: str, figures: Mapping[str, float]) -> None:
        """Enter a format's figures and write the file anew, complete or not at all."""
        self.refresh()
        # As it will be read again: a continued file is the same to the byte.
        self._found[name] = {key: float(_written(value)) for key, value in figures.items()}
        write_text(self._path, self._text())

    def _text(self) -> str:
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        run = self._run
        for entry in (*self._entries.values(), *self._further.values()):
            for figure in self._figures.values():
                value = self._found.get(entry.name, {}).get(figure.name)
                if value is None:
                    continue
                better = "true" if figure.higher_is_better else "false"
                writer.writerow(
                    (
                        *(run.model, run.setting, entry.name, figure.label, figure.unit),
                        *(better, _written(value), _written(entry.bits_per_element)),
                        *(run.text, run.tools, run.digest, entry.definition),
                    )
                )
        return stream.getvalue()

    def _continue(self) -> None:
        table = load_csv(self._path)
        if table.header != COLUMNS:
            raise DataError(
                f"{self._path} is there and is no evaluation's CSV; give another name for --csv."
            )
        for line, cells in table.rows:
            row = dict(zip(COLUMNS, cells, strict=True))
            self._check(row, line)
            entry = self._entries.get(row["format"])
            if entry is None:
                # An earlier run's further format stays in the file.
                bits = _number(row["bits_per_element"], f"{self._path}, line {line}")
                entry = Entry(
                    name=row["format"], bits_per_element=bits, definition=row["definition"]
                )
                self._further.setdefault(entry.name, entry)
            figure = self._figures[row["metric"]]
            where = f"{self._path}, line {line}, column 'value'"
            value = _number(row["value"], where)
            self._found.setdefault(entry.name, {}).setdefault(figure.name, value)

    def _check(self, row: Mapping[str, str], line: int) -> None:
        """Refuse a row of another run."""
        run, where = self._run, f"{self._path}, line {line}"
        end = "Give another name for --csv, or remove the file."
        for column in ("model", "setting", "text", "tools"):
            ours = " ".join(getattr(run, column).split())
            if " ".join(row[column].split()) != ours:
                raise DataError(
                    f"{where} is of another run: its {column} is {row[column]!r:.300}, and this "
                    f"run's is {ours!r:.300}. {end}"
                )
        if row["run"] != run.digest:
            raise DataError(
                f"{where} is of another run: the model's files, the calibration text or a "
                f"package's version are others than this run's. {end}"
            )
        entry = self._entries.get(row["format"])
        if entry is not None and row["definition"] != entry.definition:
            raise DataError(
                f"{where}: the figures of {entry.name} are of another format, block or scale by "
                f"that name. {end}"
            )
        if row["metric"] not in self._figures:
            raise DataError(
                f"{where}: the metric {row['metric']!r:.80} is none of this run's "
                f"({', '.join(self._figures)}). {end}"
            )


def _written(value: float) -> str:
    return f"{value:.10g}"


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: {text!r:.80} is no finite number; remove the file.")
    return value
