"""The tables of architectures, verification and frontiers."""

from collections.abc import Iterable, Mapping, Sequence

from ..sim.result import VerifyResult
from .candidates import SizedDesign
from .frontier import Frontier
from .text_table import MISSING, Column, TextTable, heading, number, shown


def architecture_table(
    areas: Sequence[SizedDesign], refusals: Mapping[tuple[str, str], str] | None = None
) -> TextTable:
    """Return format × architecture: the smallest area over recipes (µm²), each row's least strong.

    A dash is an architecture that does not serve the format, or that was not asked for;
    ``refusals`` gives by format and architecture why.
    """
    names = list(dict.fromkeys(area.architecture for area in areas))
    by_format: dict[str, dict[str, float]] = {}
    for area in areas:
        row = by_format.setdefault(area.format, {})
        row[area.architecture] = min(area.area_um2, row.get(area.architecture, area.area_um2))
    rows = []
    strong: set[tuple[int, int]] = set()
    remarks: dict[tuple[int, int], str] = {}
    for index, (name, row) in enumerate(by_format.items()):
        rows.append((name, *(shown("area_um2", row.get(column)) for column in names)))
        least = min(row.values())
        for position, architecture in enumerate(names, 1):
            if row.get(architecture) == least:
                strong.add((index, position))
            reason = (refusals or {}).get((name, architecture))
            if architecture not in row and reason:
                remarks[index, position] = reason
    columns = (
        Column(label="format", numeric=False),
        *(Column(label=name, group="MAC area (µm²)") for name in names),
    )
    return TextTable(columns=columns, rows=tuple(rows), strong=frozenset(strong), remarks=remarks)


def verification_table(results: Iterable[VerifyResult]) -> TextTable:
    """Return format × (architecture, level): how many values were compared, and whether all agreed.

    Rows with a failure are marked.
    """
    listed = list(results)
    keys = sorted(
        {(result.architecture, result.level) for result in listed},
        key=lambda key: (key[0], key[1] != "rtl", key[1]),
    )
    by_format: dict[str, dict[tuple[str, str], list[VerifyResult]]] = {}
    for result in listed:
        cells = by_format.setdefault(result.format, {})
        cells.setdefault((result.architecture, result.level), []).append(result)
    rows: list[tuple[str, ...]] = []
    marked: set[int] = set()
    remarks: dict[tuple[int, int], str] = {}
    for index, (name, cells) in enumerate(by_format.items()):
        row = [name]
        for key in keys:
            here = cells.get(key)
            if here is None:
                row.append(MISSING)
                continue
            passed = all(result.passed for result in here)
            if not passed:
                marked.add(index)
                remarks[index, len(row)] = "\n".join(r.describe() for r in here if not r.passed)
            row.append(f"{'✓' if passed else '✗'} {sum(result.cases for result in here):,}")
        rows.append(tuple(row))
    columns = (
        Column(label="format", numeric=False),
        *(Column(label=level, group=architecture) for architecture, level in keys),
    )
    return TextTable(columns=columns, rows=tuple(rows), marked=frozenset(marked), remarks=remarks)


def frontier_table(frontier: Frontier) -> TextTable:
    """Return one row a point by rising area; the frontier's rows are marked."""
    columns = (
        Column(label="", numeric=False, meaning="★ on the frontier"),
        Column(label="format", numeric=False),
        Column(label=frontier.short_label, meaning=frontier.metric),
        heading("bits_per_element"),
        heading("area_um2"),
        heading("area_ge"),
        heading("ratio_to_int4"),
        heading("chip_overhead_pct"),
        heading("accumulator_bits"),
        heading("delay_ps"),
        heading("energy_fj"),
        Column(label="architecture", numeric=False),
    )
    rows = tuple(
        (
            "★" if point.on_frontier else "",
            point.format,
            number(point.quality, 3),
            shown("bits_per_element", point.bits_per_element),
            shown("area_um2", point.area_um2),
            shown("area_ge", point.area_ge),
            shown("ratio_to_int4", point.ratio_to_int4),
            shown("chip_overhead_pct", point.chip_overhead_pct),
            shown("accumulator_bits", point.accumulator_bits),
            shown("delay_ps", point.delay_ps),
            shown("energy_fj", point.energy_fj),
            point.architecture,
        )
        for point in frontier.points
    )
    marked = frozenset(i for i, point in enumerate(frontier.points) if point.on_frontier)
    return TextTable(columns=columns, rows=rows, marked=marked)
