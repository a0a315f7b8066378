"""Which quality figures make a plot: one metric, one setting, and the models to average over."""

import fnmatch
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..formats.accuracy import REFERENCES, AccuracyRow
from ..formats.errors import DataError

_MAX_LISTED = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What a user asked for; None or empty is 'the only one there is'.

    ``metric``, ``setting`` and ``table`` match as a whole, or else as a part, without regard to
    case. ``models`` are names or globs such as ``OPT-*``; none means every model.
    """

    metric: str | None = None
    setting: str | None = None
    models: tuple[str, ...] = ()
    table: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectedQuality:
    """One quality figure for each format: the mean over ``models``.

    ``left_out`` gives for each model that was not averaged over the formats that lack it.
    ``reference`` is the baseline's name and its mean over the same models, where known.
    ``quality_only`` are formats with figures outside ``formats``; ``notes`` are sentences.
    """

    metric: str
    unit: str
    higher_is_better: bool
    setting: str
    models: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]]
    quality: Mapping[str, float]
    reference: tuple[str, float] | None
    quality_only: tuple[str, ...]
    notes: tuple[str, ...]


def choose_rows(rows: Iterable[AccuracyRow], selection: Selection) -> list[AccuracyRow]:
    """Return the formats' rows (not the baselines') that a selection matches.

    Raises :class:`DataError`, with what there is, where nothing matches, or where more than one
    metric or setting is left.
    """
    chosen = [row for row in rows if not row.is_reference]
    if selection.models:
        names = _matching_models(chosen, selection.models)
        chosen = [row for row in chosen if row.model in names]
    if selection.metric is not None:
        chosen = _matching(chosen, selection.metric, "metric", lambda row: row.metric)
    if selection.setting is not None:
        chosen = _matching(chosen, selection.setting, "setting", lambda row: row.setting)
    if selection.table is not None:
        chosen = _matching(chosen, selection.table, "table", lambda row: row.table)
    if not chosen:
        raise DataError("There are no quality figures of any format.")
    _only(chosen, "metric", lambda row: row.metric)
    _only(chosen, "setting", lambda row: row.setting)
    return chosen


def select_quality(
    rows: Iterable[AccuracyRow], selection: Selection, formats: Collection[str]
) -> SelectedQuality:
    """Choose the rows and average them over the models that all ``formats`` with figures share.

    Raises :class:`DataError` where nothing matches, where more than one metric or setting is
    left (the sentence lists them), or where the formats share no model.
    """
    everything = list(rows)
    chosen = choose_rows(everything, selection)
    metric, setting = chosen[0].metric, chosen[0].setting
    figures, notes = _figures(chosen)
    plotted = [name for name in _unique(name for name, _ in figures) if name in formats]
    if not plotted:
        raise DataError(
            f"No format has both an area and a figure of {metric!r:.80}"
            + (f" in {setting!r:.80}" if setting else "")
            + ". Figures are given for: "
            + _listed(_unique(name for name, _ in figures))
        )
    models = _unique(model for name, model in figures if name in formats)
    missing = {m: tuple(f for f in plotted if (f, m) not in figures) for m in models}
    shared = tuple(model for model in models if not missing[model])
    if not shared:
        raise DataError(
            "No model has figures for all of "
            + ", ".join(plotted)
            + f"; choose fewer formats or one model. Models: {_listed(models)}"
        )
    return SelectedQuality(
        metric=metric,
        unit=chosen[0].unit,
        higher_is_better=chosen[0].higher_is_better,
        setting=setting,
        models=shared,
        left_out={model: names for model, names in missing.items() if names},
        quality={f: _mean([figures[f, m] for m in shared]) for f in plotted},
        reference=_reference(everything, metric, setting, shared),
        quality_only=tuple(f for f in _unique(name for name, _ in figures) if f not in formats),
        notes=notes,
    )


def _figures(rows: Sequence[AccuracyRow]) -> tuple[dict[tuple[str, str], float], tuple[str, ...]]:
    figures: dict[tuple[str, str], AccuracyRow] = {}
    differing: list[str] = []
    for row in rows:
        first = figures.setdefault((row.format, row.model), row)
        if first.value != row.value:
            differing.append(
                f"{row.model} {row.format}: {first.value:g} ({first.table or 'first'}), "
                f"{row.value:g} ({row.table or 'later'})"
            )
    notes: tuple[str, ...] = ()
    if differing:
        notes = (
            f"{len(differing)} figures are given more than once with different values; the first "
            f"is used. {_listed(differing, separator='; ')}",
        )
    return {key: row.value for key, row in figures.items()}, notes


def _reference(
    rows: Sequence[AccuracyRow], metric: str, setting: str, models: Sequence[str]
) -> tuple[str, float] | None:
    """Return the baseline's mean; a change against a baseline is 0 for the baseline itself."""
    for name in REFERENCES:
        values = []
        for model in models:
            here = [
                row
                for row in rows
                if row.format == name and row.metric == metric and row.model == model
            ]
            same = [row.value for row in here if row.setting == setting]
            other = {row.value for row in here}
            if same:
                values.append(same[0])
            elif len(other) == 1:
                values.append(other.pop())
        if len(values) == len(models):
            return name, _mean(values)
        words = metric.casefold()
        if "change" in words and f"vs {name}".casefold() in words:
            return name, 0.0
    return None


def _matching_models(rows: Sequence[AccuracyRow], patterns: Sequence[str]) -> set[str]:
    models = _unique(row.model for row in rows)
    found: set[str] = set()
    for pattern in patterns:
        wanted = pattern.casefold()
        hits = [m for m in models if m.casefold() == wanted] or [
            m for m in models if fnmatch.fnmatchcase(m.casefold(), wanted)
        ]
        if not hits:
            raise DataError(f"No model matches {pattern!r:.80}. There are: {_listed(models)}")
        found.update(hits)
    return found


def _matching(
    rows: Sequence[AccuracyRow], wanted: str, what: str, key: Callable[[AccuracyRow], str]
) -> list[AccuracyRow]:
    folded = wanted.casefold()
    hits = [row for row in rows if key(row).casefold() == folded] or [
        row for row in rows if folded in key(row).casefold()
    ]
    if not hits:
        raise DataError(
            f"No {what} matches {wanted!r:.80}. There are: {_listed(_unique(map(key, rows)))}"
        )
    return hits


def _only(rows: Sequence[AccuracyRow], what: str, key: Callable[[AccuracyRow], str]) -> str:
    values = _unique(map(key, rows))
    if len(values) > 1:
        raise DataError(
            f"{len(values)} {what}s match; choose one {what}. There are: {_listed(values)}"
        )
    return values[0]


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _listed(values: Sequence[str], separator: str = ", ") -> str:
    shown = [value[:120] or "(unnamed)" for value in values[:_MAX_LISTED]]
    more = f" and {len(values) - _MAX_LISTED} more" if len(values) > _MAX_LISTED else ""
    if separator == ", " and any("," in value for value in shown):
        separator = "; "
    return separator.join(shown) + more + "."


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
