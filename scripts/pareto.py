"""``nibblemac pareto``: quality against area."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.errors import UsageError
from .options import (
    FORMAT_HELP,
    add_effort,
    add_synthesis,
    architectures_of,
    flow_of,
    search_of,
)
from .terminal import check_targets, print_table, progress_bars

if TYPE_CHECKING:
    from ..explore.frontier import Frontier
    from ..explore.selection import Selection
    from ..formats.accuracy import AccuracyRow, AccuracyTable
    from ..formats.record import Format
    from ..synth.result import AreaResult

HELP = "plot quality against area and mark the frontier"
DESCRIPTION = (
    "Join accuracy CSVs with areas and draw the frontier as PNG, SVG or an interactive HTML page; "
    "print it as a table. Without CSV, the paper's published figures; without any choice of them, "
    "Phi-2, weight-only, blocks of 128. Without --area, the formats are synthesised (or taken from "
    "the cache)."
)
EXAMPLES = (
    "nibblemac pareto -o phi2.png",
    'nibblemac pareto --metric "WikiText-2 perplexity" --setting "no clipping" -o wiki.html',
    "nibblemac pareto accuracy.csv --area area.csv --model OPT-1B -o frontier.svg",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("accuracy", nargs="*", metavar="ACCURACY.csv", help="accuracy tables")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        nargs="+",
        metavar="FILE",
        help="the plot: a .png, .svg or .html file, or several",
    )
    parser.add_argument("--area", metavar="AREA.csv", help="areas that nibblemac area --csv wrote")
    parser.add_argument(
        "--format",
        dest="formats",
        nargs="+",
        action="extend",
        metavar="FORMAT",
        help=f"the formats to synthesise: {FORMAT_HELP} (default: all with quality figures)",
    )
    parser.add_argument("--metric", metavar="NAME", help="the metric, or a part of its name")
    parser.add_argument("--setting", metavar="TEXT", help="the setting, or a part of it")
    parser.add_argument("--table", metavar="TEXT", help="the table of the source, or a part of it")
    parser.add_argument(
        "--model", nargs="+", action="extend", default=[], metavar="NAME", help="models or globs"
    )
    parser.add_argument(
        "--skip-unknown", action="store_true", help="leave out rows of formats that are unknown"
    )
    parser.add_argument(
        "--paper-areas", action="store_true", help="draw the paper's own areas beside ours"
    )
    parser.add_argument(
        "--mac-share", type=float, default=0.10, metavar="X", help="MACs' share of the chip"
    )
    parser.add_argument(
        "--memory-share", type=float, default=0.60, metavar="X", help="memory's share of the chip"
    )
    add_synthesis(parser)
    add_effort(parser, default="quick")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..explore.evidence import PHI2
    from ..explore.frontier import build_frontier
    from ..explore.selection import Selection
    from ..explore.tables import frontier_table
    from ..formats.accuracy import read_accuracy
    from ..formats.published import published_hardware, published_quality
    from ..formats.resolve import resolve_formats
    from ..synth.result import load_areas

    outputs = [Path(name) for name in args.output]
    for path in outputs:
        if path.suffix.casefold() not in {".png", ".svg", ".html"}:
            raise UsageError(f"{path} is no plot: the name must end in .png, .svg or .html.")
    check_targets(*args.output)
    if args.area and args.formats:
        raise UsageError("--area and --format exclude each other: areas are given or synthesised.")
    areas = list(load_areas(Path(args.area))) if args.area else []
    formats = resolve_formats(args.formats) if args.formats else ()
    names = [*(area.format for area in areas), *(item.name for item in formats)]
    if args.accuracy:
        tables = [
            read_accuracy(Path(path), names=names, skip_unknown=args.skip_unknown)
            for path in args.accuracy
        ]
    else:
        tables = [published_quality()]
    rows = [row for table in tables for row in table.rows]
    choice = (args.metric, args.setting, args.table, *args.model)
    selection = Selection(
        metric=args.metric, setting=args.setting, models=tuple(args.model), table=args.table
    )
    if not args.accuracy and not any(choice):
        selection = PHI2
    failed = False
    if not args.area:
        areas, failed = _synthesised(args, formats or _with_figures(rows, selection))
    frontier = build_frontier(
        areas, rows, selection, mac_share=args.mac_share, memory_share=args.memory_share
    )
    for path in outputs:
        if path.suffix.casefold() == ".html":
            from ..explore.interactive import write_page

            write_page(frontier, path)
        else:
            from ..explore.plot import write_plot

            write_plot(frontier, path, published=published_hardware() if args.paper_areas else None)
    print_table(frontier_table(frontier))
    print(f"{frontier.short_label}; {frontier.setting}; models: {', '.join(frontier.models)}")
    for note in _notes(frontier, tables):
        print(note)
    for path in outputs:
        print(path)
    return 1 if failed else 0


def _with_figures(rows: "list[AccuracyRow]", selection: "Selection") -> "tuple[Format, ...]":
    """Return the catalogue formats that the selected rows have figures of."""
    from ..explore.selection import choose_rows
    from ..formats.lookup import find_format

    names = dict.fromkeys(row.format for row in choose_rows(rows, selection))
    return tuple(find_format(name) for name in names)


def _synthesised(
    args: argparse.Namespace, formats: "tuple[Format, ...]"
) -> "tuple[list[AreaResult], bool]":
    """Return the formats' areas, and whether a synthesis failed."""
    from ..formats.block_format import own_mac
    from ..synth.area import survey
    from ..synth.recipes import find_recipes

    flow = flow_of(args)
    with search_of(args) as search, progress_bars() as progress:
        found = survey(
            flow,
            [own_mac(item) for item in formats],
            architectures_of("all"),
            () if search.effort.searched else find_recipes(args.recipe),
            search=search,
            progress=progress,
        )
    for failure in found.failures:
        print(f"nibblemac: {failure.error}", file=sys.stderr)
    return list(found.results), bool(found.failures)


def _notes(frontier: "Frontier", tables: "list[AccuracyTable]") -> Iterator[str]:
    """Say what was left out, and why."""
    for model, missing in frontier.models_left_out.items():
        yield f"left out: {model}, which has no figure of {', '.join(missing)}"
    if frontier.areas_without_quality:
        yield f"without a figure: {', '.join(frontier.areas_without_quality)}"
    if frontier.quality_without_area:
        yield f"without an area: {', '.join(frontier.quality_without_area)}"
    for table in tables:
        for name, count in table.skipped.items():
            yield f"{table.source}: {count} rows of the unknown format {name} were skipped"
    yield from frontier.notes
