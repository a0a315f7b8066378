"""``nibblemac area``: the cost table."""

import argparse
import json
import sys
from pathlib import Path

from .options import (
    add_architecture,
    add_formats,
    add_mac,
    add_synthesis,
    architectures_of,
    flow_of,
    specs_of,
)
from .terminal import check_targets, print_table, progress_bar, table_stream, write_data

HELP = "synthesise and report area"
DESCRIPTION = (
    "Synthesise the MAC of each FORMAT and report its area; of several architectures and recipes "
    "the smallest, and which it was. Results are kept in a cache."
)
EXAMPLES = (
    "nibblemac area INT4 E2M1 E2M1+SP",
    "nibblemac area all --library sg13g2 --csv area.csv",
    "nibblemac area SF4 --activation INT8 --architecture sign-magnitude --recipe adders --json -",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_formats(parser)
    add_mac(parser)
    add_architecture(parser, default="all")
    add_synthesis(parser)
    parser.add_argument("--csv", metavar="FILE", help="write CSV (- is standard output)")
    parser.add_argument("--json", metavar="FILE", help="write JSON (- is standard output)")
    parser.add_argument(
        "--netlists", metavar="DIR", help="write each netlist and its Yosys script into a folder"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..explore.netlists import write_netlists
    from ..explore.tables import area_table
    from ..formats.folder import check_folder
    from ..synth.area import survey
    from ..synth.recipes import find_recipes
    from ..synth.result import to_csv

    check_targets(args.csv, args.json)
    if args.netlists:
        check_folder(Path(args.netlists))
    specs = specs_of(args)
    architectures, recipes = architectures_of(args.architecture), find_recipes(args.recipe)
    flow = flow_of(args)
    with progress_bar("synthesis") as progress:
        found = survey(flow, specs, architectures, recipes, progress=progress)
    stream = table_stream(args.csv, args.json)
    if found.results:
        if args.csv:
            write_data(to_csv(found.results), args.csv)
        if args.json:
            records = [result.to_json() for result in found.results]
            write_data(json.dumps(records, indent=2, ensure_ascii=False) + "\n", args.json)
        if args.netlists:
            write_netlists(found.chosen, flow.library, Path(args.netlists))
        print_table(area_table(found.results), file=stream)
        tools = ", ".join(f"{name} {version}" for name, version in flow.yosys.tools.items())
        print(f"{flow.library.name}, {args.terms} terms, {tools}", file=stream)
    for failure in found.failures:
        print(f"nibblemac: {failure.error}", file=sys.stderr)
    return 1 if found.failures else 0
