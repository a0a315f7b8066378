"""Tables as rows of text, which the command line and the report print alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..formats.metrics import METRICS

MISSING = "–"


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column's heading; ``group`` spans several, ``numeric`` aligns right."""

    label: str
    group: str = ""
    numeric: bool = True
    meaning: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextTable:
    """Rows of text; ``strong`` marks cells as (row, column), ``marked`` whole rows.

    ``remarks`` explain single cells.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: frozenset[tuple[int, int]] = frozenset()
    marked: frozenset[int] = frozenset()
    remarks: Mapping[tuple[int, int], str] = field(default_factory=dict)

    @property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """Neighbouring columns' groups and how many columns each spans."""
        spans: list[tuple[str, int]] = []
        for column in self.columns:
            if spans and spans[-1][0] == column.group:
                spans[-1] = (column.group, spans[-1][1] + 1)
            else:
                spans.append((column.group, 1))
        return tuple(spans)


def shown(name: str, value: float | None) -> str:
    """Return a figure with its metric's digits and thousands separators, without the unit."""
    return MISSING if value is None else number(value, METRICS[name].digits)


def number(value: float, digits: int) -> str:
    """Return a number with separators and a true minus sign; what rounds to zero has no sign."""
    text = f"{value:,.{digits}f}"
    return text.lstrip("-") if not text.strip("-0.,") else text.replace("-", "−")


def heading(name: str, group: str = "") -> Column:
    """Return a metric's column."""
    metric = METRICS[name]
    unit = f" ({metric.unit})" if metric.unit else ""
    return Column(label=f"{metric.label}{unit}", group=group, meaning=metric.meaning)
