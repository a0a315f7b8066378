"""The page of MAC sizes: format × effort for each library, the libraries beside each other."""

import itertools
import math
from collections.abc import Mapping, Sequence

from ..formats.published import PAPER, PublishedHardware
from .areas import INT4
from .markdown import markdown_table
from .ranking import WITHIN, rank_correlation, ranks, swaps
from .sizes import BASELINE, Size
from .text_table import MISSING, Column, TextTable, number

_PAPER = "the paper"
_DIGITS = 5
_INTRODUCTION = """\
# MAC area by format, library and effort

This page is what `nibblemac sizes` wrote; its command stands at the end. A figure is the area of \
a format's MAC with itself, for {terms} products, before placement and without a timing \
constraint, in µm². In no column is a design taken over from another column.

- **default Yosys**: the smallest architecture by Yosys's own script, and no search.
- {searched}: the smallest design found with the effort of that name.
- **saving**: how much smaller {highest} is than default Yosys.
- **ratio**: area divided by INT4's in the same column, here {highest}; **paper**: the same \
quotient of MAC areas in Table 10 of {paper} (TSMC 28 nm, Design Compiler).
- **seconds**: of all that the figure is the smallest of: processor time of the search's steps, \
running time of every synthesis. Work that several formats share counts for each of them.
- **gate level**: how many of the row's netlists passed the gate-level testbench, which compares \
every accumulator value with the reference. A figure whose netlist failed is not shown.
"""
_ORDER = """\
## Orders of formats

Areas divided by INT4's, with {highest}, and in brackets the rank among the formats of the \
column.

"""
_SWAPS = """
The rank correlation is Spearman's, over the formats that both have. A pair of formats changes \
its order if one is the smaller on one library and not on the other; it does so by more than \
{within:g} % if the quotients of their two areas differ by more than that.

"""


def sizes_page(
    sizes: Sequence[Size],
    published: Mapping[str, PublishedHardware],
    provenance: Sequence[tuple[str, str]],
) -> str:
    """Return the page as Markdown; there must be a size.

    Libraries, formats and efforts keep the order of their first sizes. ``provenance`` is a list of
    what the figures were made with, by name.
    """
    libraries = dict.fromkeys(one.library for one in sizes)
    efforts = list(dict.fromkeys(one.effort for one in sizes))
    highest = _title(efforts[-1])
    terms = ", ".join(str(one) for one in dict.fromkeys(one.terms for one in sizes))
    searched = ", ".join(f"**{name}**" for name in efforts if name != BASELINE)
    parts = [
        _INTRODUCTION.format(
            terms=terms, searched=searched or "other columns", highest=highest, paper=PAPER
        )
    ]
    for library in libraries:
        chosen = [one for one in sizes if one.library == library]
        parts.append(
            f"\n## {library}\n\n{markdown_table(library_table(chosen, efforts, published))}"
        )
    figures = {library: _figures(sizes, library, efforts[-1]) for library in libraries}
    parts.append("\n" + _ORDER.format(highest=highest))
    parts.append(markdown_table(ratio_table(figures, published)))
    parts.append(_SWAPS.format(within=100 * WITHIN))
    parts.append(markdown_table(order_table(figures, published)))
    moved = swap_table(figures)
    if moved.rows:
        parts.append("\n" + markdown_table(moved))
    parts.append("\n## Made with\n\n")
    parts += [f"- {name}: {text}\n" for name, text in (*provenance, *_verified(sizes))]
    return "".join(parts)


def library_table(
    sizes: Sequence[Size], efforts: Sequence[str], published: Mapping[str, PublishedHardware]
) -> TextTable:
    """Return one library's sizes, a row for each format; the last effort is the highest."""
    cells = {(one.format, one.effort): one for one in sizes}
    figures = {effort: _figures(sizes, sizes[0].library, effort) for effort in efforts}
    digits = _digits([one.area_um2 for one in sizes])
    highest = figures[efforts[-1]]
    baseline = figures.get(BASELINE, {})
    paper = _ratios({name: row.mac_um2 for name, row in published.items()})
    columns = (
        Column(label="format", numeric=False),
        *(Column(label=_title(effort)) for effort in efforts),
        Column(label="saving %"),
        Column(label="ratio"),
        Column(label="paper"),
        *(Column(label="s", group=_title(effort)) for effort in efforts),
        Column(label="gate level"),
    )
    rows = []
    for name in dict.fromkeys(one.format for one in sizes):
        row = [cells.get((name, effort)) for effort in efforts]
        saving = None
        if name in highest and name in baseline and len(efforts) > 1:
            saving = 100 * (1 - highest[name] / baseline[name])
        rows.append(
            (
                name,
                *(_area(one, digits) for one in row),
                _number(saving, 1),
                _number(_ratios(highest).get(name), 3),
                _number(paper.get(name), 3),
                *(_number(one.seconds if one else None, 1) for one in row),
                _passed([one for one in row if one]),
            )
        )
    return TextTable(columns=columns, rows=tuple(rows))


def ratio_table(
    figures: Mapping[str, Mapping[str, float]], published: Mapping[str, PublishedHardware]
) -> TextTable:
    """Return the formats by areas (µm², by library and format) ÷ INT4's, smallest first."""
    columns = {**figures, _PAPER: _published(figures, published)}
    placed = {
        column: dict(zip(areas, ranks(list(areas.values())), strict=True))
        for column, areas in columns.items()
    }
    names = list(dict.fromkeys(name for areas in figures.values() for name in areas))
    first = next(iter(figures.values()), {})
    names.sort(key=lambda name: first.get(name, math.inf))
    ratios = {column: _ratios(areas) for column, areas in columns.items()}
    rows = [
        (
            name,
            *(
                f"{_number(ratios[column].get(name), 3)} ({placed[column][name]:g})"
                if name in areas
                else MISSING
                for column, areas in columns.items()
            ),
        )
        for name in names
    ]
    headings = (Column(label="format", numeric=False), *(Column(label=one) for one in columns))
    return TextTable(columns=headings, rows=tuple(rows))


def order_table(
    figures: Mapping[str, Mapping[str, float]], published: Mapping[str, PublishedHardware]
) -> TextTable:
    """Return for each two libraries, and each with the paper, how alike their orders are."""
    columns = {**figures, _PAPER: _published(figures, published)}
    rows = []
    for one, other in itertools.combinations(columns, 2):
        here, there = columns[one], columns[other]
        common = len(set(here) & set(there))
        found = swaps(here, there)
        rows.append(
            (
                f"{one}, {other}",
                str(common),
                _number(rank_correlation(here, there), 3),
                str(common * (common - 1) // 2),
                str(len(found)),
                str(sum(swap.swing > WITHIN for swap in found)),
            )
        )
    labels = ("formats", "rank correlation", "pairs", "change order", f"by > {100 * WITHIN:g} %")
    return TextTable(
        columns=(Column(label="order of", numeric=False), *(Column(label=one) for one in labels)),
        rows=tuple(rows),
    )


def swap_table(figures: Mapping[str, Mapping[str, float]]) -> TextTable:
    """Return the pairs of formats whose order differs between two libraries beyond the limit."""
    rows = [
        (
            f"{swap.first} ÷ {swap.second}",
            *(f"{library}: {number(value, 3)}" for library, value in pair),
            number(100 * swap.swing, 1),
        )
        for one, other in itertools.combinations(figures, 2)
        for swap in swaps(figures[one], figures[other])
        if swap.swing > WITHIN
        for pair in [((one, swap.here), (other, swap.there))]
    ]
    labels = ("areas of", "on one", "on the other")
    columns = (*(Column(label=one, numeric=False) for one in labels), Column(label="change %"))
    return TextTable(columns=columns, rows=tuple(rows))


def _title(effort: str) -> str:
    return "default Yosys" if effort == BASELINE else effort


def _figures(sizes: Sequence[Size], library: str, effort: str) -> dict[str, float]:
    """Return the areas by format that may be shown."""
    return {
        one.format: one.area_um2
        for one in sizes
        if one.library == library and one.effort == effort and one.counts
    }


def _published(
    figures: Mapping[str, Mapping[str, float]], published: Mapping[str, PublishedHardware]
) -> dict[str, float]:
    """Return the paper's areas of the formats that are in the tables, and INT4's."""
    names = dict.fromkeys(name for areas in figures.values() for name in areas)
    return {name: published[name].mac_um2 for name in names if name in published}


def _ratios(areas: Mapping[str, float]) -> dict[str, float]:
    return {name: area / areas[INT4] for name, area in areas.items()} if INT4 in areas else {}


def _digits(areas: Sequence[float]) -> int:
    """Return how many decimals the largest area takes for five significant digits, at least 1."""
    return max(1, _DIGITS - 1 - math.floor(math.log10(max(areas))))


def _number(value: float | None, digits: int) -> str:
    return MISSING if value is None else number(value, digits)


def _area(size: Size | None, digits: int) -> str:
    if size is not None and not size.counts:
        return "failed"
    return _number(size.area_um2 if size else None, digits)


def _passed(sizes: Sequence[Size]) -> str:
    simulated = [one for one in sizes if one.verified is not None]
    passed = sum(one.verified is True for one in simulated)
    return f"{passed} of {len(sizes)}" if simulated else "not run"


def _verified(sizes: Sequence[Size]) -> list[tuple[str, str]]:
    if all(one.verified is None for one in sizes):
        return [("verified", f"none of {len(sizes):,} netlists was simulated")]
    passed = sum(one.verified is True for one in sizes)
    cases = sum(one.cases for one in sizes)
    text = f"{passed:,} of {len(sizes):,} netlists passed, {cases:,} accumulator values compared"
    return [("verified", text)]
