"""The figures of an evaluation as a table."""

from typing import TYPE_CHECKING

from ..formats.metrics import METRICS
from .text_table import MISSING, Column, TextTable, number

if TYPE_CHECKING:
    from .evaluation import Evaluated

_TASK_DIGITS = 2


def evaluation_table(found: "Evaluated") -> TextTable:
    """Return a row for each format, with the best figure of each column strong."""
    bits = METRICS["bits_per_element"]
    columns = [Column(label="format", numeric=False), Column(label=bits.label)]
    columns += [
        Column(label=f"{one.label} ({one.unit})" if one.unit else one.label)
        for one in found.figures
    ]
    rows = []
    for name, figures in found.rows.items():
        cells = [name, number(found.bits[name], 3)]
        for one in found.figures:
            digits = METRICS[one.name].digits if one.name in METRICS else _TASK_DIGITS
            cells.append(number(figures[one.name], digits) if one.name in figures else MISSING)
        rows.append(tuple(cells))
    strong = set()
    for column, one in enumerate(found.figures, start=2):
        values = [
            (figures[one.name], row)
            for row, figures in enumerate(found.rows.values())
            if row > 0 and one.name in figures
        ]
        if values:
            best = max(values)[1] if one.higher_is_better else min(values)[1]
            strong.add((best, column))
    return TextTable(columns=tuple(columns), rows=tuple(rows), strong=frozenset(strong))
