"""The tables of what a MAC costs: area, delay and energy, ours beside the paper's Table 10."""

from collections.abc import Mapping, Sequence

from ..formats.metrics import METRICS
from ..formats.published import PublishedHardware
from ..synth.result import AreaResult
from .areas import INT4, smallest_by_format
from .overhead import chip_overhead
from .proof_table import proof_mark
from .text_table import Column, TextTable, heading, shown

_FIGURES = (
    "area_um2",
    "area_ge",
    "ratio_to_int4",
    "multiplier_um2",
    "accumulator_um2",
    "sequential_um2",
    "accumulator_bits",
    "chip_overhead_pct",
    "delay_ps",
    "energy_zero_delay_fj",
    "energy_fj",
    "power_uw",
    "power_ratio_to_int4",
    "leakage_nw",
)
_RELATIVE = {"ratio_to_int4", "chip_overhead_pct", "power_ratio_to_int4"}
_OURS, _PAPER = "ours", "paper"
#: Label, whose, metric.
_TERMINAL = (
    ("area", _OURS, "area_um2"),
    ("GE", _OURS, "area_ge"),
    ("ratio", _OURS, "ratio_to_int4"),
    ("paper", _PAPER, "ratio_to_int4"),
    ("delay", _OURS, "delay_ps"),
    ("no\nglitch", _OURS, "energy_zero_delay_fj"),
    ("energy", _OURS, "energy_fj"),
    ("power", _OURS, "power_uw"),
    ("ratio", _OURS, "power_ratio_to_int4"),
    ("paper", _PAPER, "power_ratio_to_int4"),
)
_COMPARED = (
    "area_um2",
    "ratio_to_int4",
    "multiplier_um2",
    "accumulator_um2",
    "accumulator_bits",
    "chip_overhead_pct",
    "power_uw",
    "power_ratio_to_int4",
)
_PROOF = Column(
    label="QED", numeric=False, meaning="Verilog and netlist equal the format's specification"
)


def area_table(areas: Sequence[AreaResult]) -> TextTable:
    """Return one row a format: its smallest design, with all its figures.

    Raises :class:`DataError` for areas that cannot be compared.
    """
    best = smallest_by_format(areas)
    int4 = best.get(INT4)
    columns = (
        Column(label="format", numeric=False),
        Column(label="bits"),
        *(heading(name) for name in _FIGURES),
        Column(label="cells", meaning="how many cells, flip-flops among them"),
        Column(label="architecture", numeric=False),
        Column(label="recipe", numeric=False),
        Column(label="effort", numeric=False, meaning="the search that found the design"),
        heading("search_seconds"),
        _PROOF,
    )
    rows = []
    for name, area in best.items():
        ours = our_figures(area, int4)
        rows.append(
            (
                name,
                str(area.bits),
                *(shown(figure, ours[figure]) for figure in _FIGURES),
                f"{sum(area.cells.values()):,}",
                area.architecture,
                area.recipe,
                area.effort,
                shown("search_seconds", area.search_seconds),
                proof_mark(area),
            )
        )
    return TextTable(columns=columns, rows=tuple(rows))


def cost_table(
    areas: Sequence[AreaResult], published: Mapping[str, PublishedHardware]
) -> TextTable:
    """Return one row a format with the figures that matter most, for a terminal of 120 columns.

    Raises :class:`DataError` for areas that cannot be compared.
    """
    best = smallest_by_format(areas)
    int4 = best.get(INT4)
    columns = (
        Column(label="format", numeric=False),
        *(
            Column(label=f"{label}\n{METRICS[name].unit}", meaning=METRICS[name].meaning)
            if source == _OURS
            else Column(label=label, meaning=f"the paper's {METRICS[name].label}")
            for label, source, name in _TERMINAL
        ),
        Column(label="architecture", numeric=False),
        Column(label="recipe", numeric=False),
        _PROOF,
    )
    rows = []
    for name, area in best.items():
        figures = {_OURS: our_figures(area, int4), _PAPER: published_figures(published, name)}
        cells = [shown(one, figures[source].get(one)) for _, source, one in _TERMINAL]
        rows.append((name, *cells, area.architecture, area.recipe, proof_mark(area)))
    return TextTable(columns=columns, rows=tuple(rows))


def comparison_table(
    areas: Sequence[AreaResult], published: Mapping[str, PublishedHardware]
) -> TextTable:
    """Return one row a format: the figures of the paper's Table 10, ours and the paper's.

    Raises :class:`DataError` for areas that cannot be compared.
    """
    best = smallest_by_format(areas)
    int4 = best.get(INT4)
    columns = [Column(label="format", numeric=False), Column(label="bits")]
    for name in _COMPARED:
        one = heading(name)
        columns.append(Column(label="ours", group=one.label, meaning=one.meaning))
        columns.append(Column(label="paper", group=one.label, meaning=one.meaning))
    rows = []
    for name, area in best.items():
        ours, theirs = our_figures(area, int4), published_figures(published, name)
        cells = [name, str(area.bits)]
        for figure in _COMPARED:
            cells += [shown(figure, ours[figure]), shown(figure, theirs.get(figure))]
        rows.append(tuple(cells))
    return TextTable(columns=tuple(columns), rows=tuple(rows))


def our_figures(area: AreaResult, int4: AreaResult | None) -> dict[str, float | None]:
    """Return a design's figures by metric; None where one is missing, or INT4 to divide by."""
    return {
        **{name: getattr(area, name) for name in _FIGURES if name not in _RELATIVE},
        "ratio_to_int4": area.area_um2 / int4.area_um2 if int4 else None,
        "chip_overhead_pct": 100 * chip_overhead(area.area_um2, int4.area_um2, area.bits)
        if int4
        else None,
        "power_ratio_to_int4": area.power_uw / int4.power_uw
        if int4 and area.power_uw and int4.power_uw
        else None,
    }


def published_figures(
    published: Mapping[str, PublishedHardware], name: str
) -> dict[str, float | None]:
    """Return a format's published figures by metric; empty where the paper has none."""
    row, int4 = published.get(name), published.get(INT4)
    if row is None:
        return {}
    return {
        "area_um2": row.mac_um2,
        "ratio_to_int4": row.mac_um2 / int4.mac_um2 if int4 else None,
        "multiplier_um2": row.multiplier_um2,
        "accumulator_um2": row.accumulator_um2,
        "accumulator_bits": row.accumulator_bits,
        "chip_overhead_pct": row.chip_overhead_pct,
        "power_uw": row.power_uw,
        "power_ratio_to_int4": row.power_uw / int4.power_uw if int4 else None,
    }
