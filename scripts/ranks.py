"""``nibblemac ranks``: whether quality figures put formats in the same order."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.errors import DataError, UsageError
from .terminal import check_targets, print_table, table_stream, write_data

if TYPE_CHECKING:
    from ..explore.agreement import Figures

HELP = "rank formats by several quality figures, and say how well these agree"
DESCRIPTION = (
    "Rank the formats by every figure (a metric of a model in a setting) of accuracy CSVs, and "
    "print Spearman's rank correlation of each two. With --paper, the paper's figures for Phi-2 "
    "and for seven models' WikiText-2 perplexity stand beside them."
)
EXAMPLES = (
    "nibblemac ranks quality.csv smollm2.csv --bits 4",
    "nibblemac ranks smollm2.csv --metric perplexity --paper --json ranks.json",
)
_MOST = 26


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("accuracy", nargs="+", metavar="ACCURACY.csv", help="accuracy tables")
    parser.add_argument(
        "--metric", nargs="+", action="extend", metavar="NAME", help="metrics, or parts of names"
    )
    parser.add_argument("--setting", metavar="TEXT", help="the setting, or a part of it")
    parser.add_argument("--model", metavar="NAME", help="the model, or a part of its name")
    parser.add_argument(
        "--bits", type=int, metavar="N", help="only formats whose elements have N bits"
    )
    parser.add_argument(
        "--paper", action="store_true", help="rank the paper's published figures beside them"
    )
    parser.add_argument(
        "--skip-unknown", action="store_true", help="leave out rows of formats that are unknown"
    )
    parser.add_argument("--json", metavar="FILE", help="write JSON (- is standard output)")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..explore.agreement import agreement_table, agreements, letter, rank_table

    check_targets(None, args.json)
    figures = _figures(args)
    if len(figures) > _MOST:
        raise UsageError(
            f"{len(figures)} figures match; choose at most {_MOST} with --metric, --setting and "
            "--model."
        )
    if args.paper:
        figures += _paper(figures)
    if len(figures) < 2:
        raise UsageError(
            "One figure matches; to compare orders it takes two. Add a CSV or --paper."
        )
    stream = table_stream(None, args.json)
    if args.json:
        record = {
            "figures": [
                {"label": one.label, "source": one.source, "values": dict(one.values)}
                for one in figures
            ],
            "agreements": [one.to_json() for one in agreements(figures)],
        }
        write_data(json.dumps(record, indent=2, ensure_ascii=False) + "\n", args.json)
    print_table(rank_table(figures), file=stream)
    for index, one in enumerate(figures):
        print(f"{letter(index)}: {one.label} ({one.source})", file=stream)
    print_table(agreement_table(figures), file=stream)
    return 0


def _figures(args: argparse.Namespace) -> "list[Figures]":
    from ..explore.agreement import figures_of
    from ..formats.accuracy import read_accuracy
    from ..formats.lookup import find_format

    def wanted(text: str, part: str | None) -> bool:
        return part is None or part.casefold() in text.casefold()

    found = []
    for path in args.accuracy:
        rows = [
            row
            for row in read_accuracy(Path(path), skip_unknown=args.skip_unknown).rows
            if wanted(row.setting, args.setting)
            and wanted(row.model, args.model)
            and (args.metric is None or any(wanted(row.metric, part) for part in args.metric))
        ]
        if args.bits is not None:
            rows = [
                row
                for row in rows
                if row.is_reference or find_format(row.format).stored_bits == args.bits
            ]
        found += figures_of(rows, Path(path).name)
    if not found:
        raise DataError(
            f"No figure of {', '.join(args.accuracy)} matches --metric, --setting, --model and "
            "--bits."
        )
    return found


def _paper(figures: "list[Figures]") -> "list[Figures]":
    from ..explore.agreement import selected_figures
    from ..explore.evidence import DATASETS
    from ..formats.published import PAPER, published_quality

    names = {name for one in figures for name in one.values}
    rows = published_quality().rows
    return [
        selected_figures(rows, selection, PAPER, f"the paper: {label}", names)
        for label, selection in DATASETS.items()
    ]
