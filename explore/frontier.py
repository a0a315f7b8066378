"""The quality-area frontier: areas joined with quality figures, dominated designs told apart."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..formats.accuracy import AccuracyRow
from ..formats.block_format import find_block_format
from ..formats.errors import DataError, FormatError
from ..formats.scale import PAPER_BLOCK
from ..formats.scale_format import FP16
from ..synth.result import AreaResult
from .areas import INT4, smallest_by_format
from .overhead import MAC_SHARE, MEMORY_SHARE, chip_overhead
from .pareto import pareto_front
from .selection import Selection, select_quality

_OVER = " over "


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontierPoint:
    """One format: its smallest MAC, its quality, and whether any other dominates it.

    Areas in µm² and GE; ``bits_per_element`` in the format's own block; ``quality`` in ``unit``,
    the mean over ``models``. ``ratio_to_int4`` and ``chip_overhead_pct`` (see
    :func:`.overhead.chip_overhead`) are None where INT4's area is not known; ``delay_ps``,
    ``energy_fj`` and ``power_uw`` where they were not measured.
    """

    format: str
    activation: str
    bits: int
    bits_per_element: float
    area_um2: float
    area_ge: float
    ratio_to_int4: float | None
    chip_overhead_pct: float | None
    accumulator_bits: int
    delay_ps: float | None
    energy_fj: float | None
    power_uw: float | None
    architecture: str
    recipe: str
    library: str
    quality: float
    metric: str
    unit: str
    higher_is_better: bool
    setting: str
    models: tuple[str, ...]
    on_frontier: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Frontier:
    """All points by rising area, and what was chosen and what was left out to make them.

    ``reference`` names the unquantized baseline with ``reference_quality``; both are None where
    it is unknown. ``models_left_out`` gives for each the formats that lack figures.
    """

    points: tuple[FrontierPoint, ...]
    metric: str
    unit: str
    higher_is_better: bool
    setting: str
    models: tuple[str, ...]
    models_left_out: Mapping[str, tuple[str, ...]]
    reference: str | None
    reference_quality: float | None
    areas_without_quality: tuple[str, ...]
    quality_without_area: tuple[str, ...]
    notes: tuple[str, ...]
    library: str
    tools: Mapping[str, str]

    @property
    def front(self) -> tuple[FrontierPoint, ...]:
        """The points that no other dominates, by rising area."""
        return tuple(point for point in self.points if point.on_frontier)

    @property
    def short_label(self) -> str:
        """The metric with its unit, without the list of tasks of a "mean … over A, B, C"."""
        name = self.metric.partition(_OVER)[0]
        unit = "" if self.unit.casefold() in name.casefold() else f" ({self.unit})"
        return f"{name}{unit}"

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that a metric such as "mean … over A, B, C" lists."""
        listed = self.metric.partition(_OVER)[2].split(",")
        return tuple(task.strip() for task in listed if task.strip())

    @property
    def models_label(self) -> str:
        """The model's name, or how many were averaged."""
        named = [model for model in self.models if model]
        if len(named) > 1:
            return f"mean over {len(named)} models"
        return named[0] if named else ""

    def point(self, name: str) -> FrontierPoint | None:
        """Return a format's point, or None."""
        return next((point for point in self.points if point.format == name), None)


def build_frontier(
    areas: Iterable[AreaResult],
    rows: Iterable[AccuracyRow],
    selection: Selection | None = None,
    *,
    mac_share: float = MAC_SHARE,
    memory_share: float = MEMORY_SHARE,
) -> Frontier:
    """Join the smallest area of each format with its selected quality.

    Formats that have only one of the two are listed in the result, not dropped silently. Raises
    :class:`DataError` for areas of different libraries or tools, for an ambiguous or empty
    selection, and :class:`UsageError` for shares that make no chip.
    """
    best = _by_name(smallest_by_format(areas))
    chosen = select_quality(rows, selection or Selection(), best)
    names = sorted(chosen.quality, key=lambda name: (best[name].area_um2, name))
    front = pareto_front(
        [(best[name].area_um2, chosen.quality[name]) for name in names],
        higher_is_better=chosen.higher_is_better,
    )
    int4 = best.get(INT4)
    points = []
    for name, on_frontier in zip(names, front, strict=True):
        area = best[name]
        overhead = None
        if int4 is not None:
            overhead = 100 * chip_overhead(
                area.area_um2,
                int4.area_um2,
                area.bits,
                mac_share=mac_share,
                memory_share=memory_share,
            )
        points.append(
            FrontierPoint(
                format=name,
                activation=area.activation,
                bits=area.bits,
                bits_per_element=_bits_per_element(area),
                area_um2=area.area_um2,
                area_ge=area.area_ge,
                ratio_to_int4=None if int4 is None else area.area_um2 / int4.area_um2,
                chip_overhead_pct=overhead,
                accumulator_bits=area.accumulator_bits,
                delay_ps=area.delay_ps,
                energy_fj=area.energy_fj,
                power_uw=area.power_uw,
                architecture=area.architecture,
                recipe=area.recipe,
                library=area.library,
                quality=chosen.quality[name],
                metric=chosen.metric,
                unit=chosen.unit,
                higher_is_better=chosen.higher_is_better,
                setting=chosen.setting,
                models=chosen.models,
                on_frontier=on_frontier,
            )
        )
    any_area = next(iter(best.values()))
    reference = chosen.reference or (None, None)
    return Frontier(
        points=tuple(points),
        metric=chosen.metric,
        unit=chosen.unit,
        higher_is_better=chosen.higher_is_better,
        setting=chosen.setting,
        models=chosen.models,
        models_left_out=chosen.left_out,
        reference=reference[0],
        reference_quality=reference[1],
        areas_without_quality=tuple(name for name in best if name not in chosen.quality),
        quality_without_area=chosen.quality_only,
        notes=chosen.notes,
        library=any_area.library,
        tools=dict(sorted(any_area.tools.items())),
    )


def _bits_per_element(area: AreaResult) -> float:
    """Return stored bits with the scale, in the format's own block; a user's has blocks of 128."""
    try:
        return find_block_format(area.format).bits_per_element
    except FormatError:
        return area.bits + FP16.block_bits(PAPER_BLOCK)


def _by_name(best: Mapping[str, AreaResult]) -> dict[str, AreaResult]:
    """Refuse two formats whose names differ in case only: quality figures could not tell them."""
    seen: dict[str, str] = {}
    for name in best:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise DataError(f"The areas name both {other} and {name}; rename one of them.")
    return dict(best)
