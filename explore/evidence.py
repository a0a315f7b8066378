"""What the paper's conclusions are judged by: areas, ours and its own, and its quality figures."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..formats.accuracy import AccuracyRow
from ..formats.errors import DataError
from ..formats.lookup import find_format
from ..formats.published import PublishedHardware
from ..synth.result import AreaResult
from .areas import smallest_by_format
from .pareto import pareto_front
from .selection import Selection, select_quality

Basis = Literal["our areas", "the paper's areas"]
OURS: Basis = "our areas"
PAPERS: Basis = "the paper's areas"
BASES = (OURS, PAPERS)

PHI2 = Selection(
    metric="mean relative accuracy change",
    setting="weight-only RTN g128",
    models=("Phi-2",),
    table="Table 5",
)
SEVEN = Selection(
    metric="WikiText-2 perplexity",
    setting="weight-only g128 RTN no clipping",
    table="Table 3",
)
W4A4 = Selection(
    metric="mean relative accuracy change", setting="W4A4 g128 no SmoothQuant", table="Table 8"
)
W4A4_SMOOTH = Selection(
    metric="mean relative accuracy change", setting="W4A4 g128 SmoothQuant", table="Table 8"
)
DATASETS = {
    "Phi-2, Table 5": PHI2,
    "seven models' WikiText-2, Table 3": SEVEN,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """One figure for each format over the same models."""

    name: str
    values: Mapping[str, float]
    higher_is_better: bool
    models: tuple[str, ...]

    def better(self, one: str, two: str) -> bool:
        """Whether ``one`` has the better figure."""
        if self.higher_is_better:
            return self.values[one] > self.values[two]
        return self.values[one] < self.values[two]

    def has(self, *names: str) -> bool:
        """Whether all these formats have a figure."""
        return all(name in self.values for name in names)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """MAC areas (µm²) and bits by format for both bases, and the quality figures."""

    areas: Mapping[Basis, Mapping[str, float]]
    bits: Mapping[str, int]
    rows: tuple[AccuracyRow, ...]
    table10: tuple[str, ...]

    def quality(
        self, name: str, selection: Selection, formats: Collection[str] | None = None
    ) -> Quality | None:
        """Return the selected figures of ``formats`` (all by default), or None without any."""
        wanted = formats if formats is not None else {row.format for row in self.rows}
        try:
            chosen = select_quality(self.rows, selection, wanted)
        except DataError:
            return None
        return Quality(
            name=name,
            values=chosen.quality,
            higher_is_better=chosen.higher_is_better,
            models=chosen.models,
        )

    def datasets(self) -> tuple[Quality, ...]:
        """Return the two data sets of the report's frontiers, as far as there are figures."""
        found = (self.quality(name, selection) for name, selection in DATASETS.items())
        return tuple(quality for quality in found if quality is not None)

    def ratio(self, basis: Basis, one: str, two: str) -> float | None:
        """Return one MAC's area divided by another's, or None where one is not known."""
        areas = self.areas[basis]
        return areas[one] / areas[two] if one in areas and two in areas else None

    def front(self, basis: Basis, quality: Quality) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the frontier of Table 10's formats by rising area, and all that were compared."""
        areas = self.areas[basis]
        names = sorted(
            (name for name in self.table10 if name in areas and name in quality.values),
            key=lambda name: (areas[name], name),
        )
        marks = pareto_front(
            [(areas[name], quality.values[name]) for name in names],
            higher_is_better=quality.higher_is_better,
        )
        return tuple(name for name, mark in zip(names, marks, strict=True) if mark), tuple(names)

    def dominators(self, basis: Basis, quality: Quality, name: str) -> tuple[str, ...]:
        """Return Table 10's formats that are no worse in both and better in one, by area."""
        areas, (_, names) = self.areas[basis], self.front(basis, quality)
        return tuple(
            other
            for other in names
            if areas[other] <= areas[name]
            and not quality.better(name, other)
            and (areas[other] < areas[name] or quality.better(other, name))
        )


def gather(
    areas: Iterable[AreaResult],
    published: Mapping[str, PublishedHardware],
    rows: Iterable[AccuracyRow],
) -> Evidence:
    """Bring together what the conclusions need. Raises :class:`DataError` for mixed areas."""
    best = smallest_by_format(areas)
    return Evidence(
        areas={
            OURS: {name: area.area_um2 for name, area in best.items()},
            PAPERS: {name: row.mac_um2 for name, row in published.items()},
        },
        bits={name: find_format(name).stored_bits for name in published}
        | {name: area.bits for name, area in best.items()},
        rows=tuple(rows),
        table10=tuple(published),
    )
