"""How far quality figures agree on the order of formats: ranks, and their correlation."""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..formats.accuracy import AccuracyRow
from ..formats.errors import DataError
from .ranking import rank_correlation, ranks
from .selection import Selection, select_quality
from .text_table import MISSING, Column, TextTable, number

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FEWEST = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """One figure for each format: what a plot or a ranking takes from an accuracy CSV.

    ``label`` says model, metric and setting; ``source`` the file.
    """

    label: str
    source: str
    unit: str
    higher_is_better: bool
    values: Mapping[str, float]

    @property
    def losses(self) -> dict[str, float]:
        """The figures with the sign that makes the smallest the best."""
        sign = -1.0 if self.higher_is_better else 1.0
        return {name: sign * value for name, value in self.values.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Spearman's coefficient of two figures' ranks over the ``formats`` that both have.

    None where these are fewer than three or all alike.
    """

    first: str
    second: str
    formats: int
    spearman: float | None

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types."""
        return {
            "first": self.first,
            "second": self.second,
            "formats": self.formats,
            "spearman": self.spearman,
        }


def figures_of(
    rows: Iterable[AccuracyRow], source: str, formats: Collection[str] | None = None
) -> list[Figures]:
    """Return the rows' figures, one record for each model, setting and metric.

    Baselines are left out, and with ``formats`` all others. Raises :class:`DataError` where a
    format has two values in one of them.
    """
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    facts: dict[tuple[str, str, str], AccuracyRow] = {}
    for row in rows:
        if row.is_reference or (formats is not None and row.format not in formats):
            continue
        key = (row.model, row.metric, row.setting)
        facts.setdefault(key, row)
        values = found.setdefault(key, {})
        if values.setdefault(row.format, row.value) != row.value:
            raise DataError(
                f"{source}: {row.metric!r:.80} of {row.format} for {row.model!r:.80} in "
                f"{row.setting!r:.80} has more than one value; choose a table or a setting."
            )
    return [
        Figures(
            label=", ".join(part for part in key if part),
            source=source,
            unit=facts[key].unit,
            higher_is_better=facts[key].higher_is_better,
            values=values,
        )
        for key, values in found.items()
    ]


def selected_figures(
    rows: Sequence[AccuracyRow],
    selection: Selection,
    source: str,
    label: str,
    formats: Collection[str],
) -> Figures:
    """Return one figure a format, the mean over the models that a selection leaves."""
    chosen = select_quality(rows, selection, formats)
    return Figures(
        label=label,
        source=source,
        unit=chosen.unit,
        higher_is_better=chosen.higher_is_better,
        values=dict(chosen.quality),
    )


def agreements(figures: Sequence[Figures]) -> list[Agreement]:
    """Return the agreement of every pair."""
    found = []
    for one, other in itertools.combinations(figures, 2):
        shared = [name for name in one.values if name in other.values]
        found.append(
            Agreement(
                first=one.label,
                second=other.label,
                formats=len(shared),
                spearman=rank_correlation(one.losses, other.losses),
            )
        )
    return found


def shared_formats(figures: Sequence[Figures]) -> list[str]:
    """Return the formats that all figures have, the best of the first one first.

    Raises :class:`DataError` where they are fewer than three.
    """
    names = [name for name in figures[0].values if all(name in one.values for one in figures)]
    if len(names) < _FEWEST:
        raise DataError(
            f"The {len(figures)} figures share {len(names)} formats; to compare orders it takes "
            f"at least {_FEWEST}. Choose a metric, model or setting."
        )
    losses = figures[0].losses
    return sorted(names, key=lambda name: (losses[name], name))


def letter(index: int) -> str:
    """Return A, B, … Z, A1, … by which a table names its figures."""
    turns, place = divmod(index, len(_LETTERS))
    return _LETTERS[place] + (str(turns) if turns else "")


def rank_table(figures: Sequence[Figures]) -> TextTable:
    """Return one row a format that all figures have: its rank, 1 for the best, and its value."""
    names = shared_formats(figures)
    places = [ranks([one.losses[name] for name in names]) for one in figures]
    columns = [Column(label="format", numeric=False)]
    for index, one in enumerate(figures):
        unit = f" ({one.unit})" if one.unit else ""
        columns += [
            Column(label="rank", group=letter(index), meaning=one.label),
            Column(label=f"figure{unit}", group=letter(index), meaning=one.label),
        ]
    rows = []
    for row, name in enumerate(names):
        cells = [name]
        for one, place in zip(figures, places, strict=True):
            cells += [f"{place[row]:g}", number(one.values[name], _digits(one, names))]
        rows.append(tuple(cells))
    return TextTable(columns=tuple(columns), rows=tuple(rows))


def agreement_table(figures: Sequence[Figures]) -> TextTable:
    """Return Spearman's coefficients as a matrix, each over the formats that the two share."""
    rows = []
    for index, one in enumerate(figures):
        cells = [letter(index)]
        for other in figures:
            found = rank_correlation(one.losses, other.losses)
            cells.append(MISSING if found is None else number(found, 2))
        rows.append(tuple(cells))
    columns = (
        Column(label="", numeric=False),
        *(Column(label=letter(index), group="Spearman") for index in range(len(figures))),
    )
    return TextTable(columns=columns, rows=tuple(rows))


def _digits(one: Figures, names: Sequence[str]) -> int:
    """Return decimals for four significant digits of the largest figure, two at least."""
    size = max(abs(one.values[name]) for name in names)
    return 2 if size >= 10 or size == 0 else 3 if size > 1 else 5
