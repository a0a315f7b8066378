"""``nibblemac formats``: the catalogue, and one format in full."""

import argparse
import json
from typing import TYPE_CHECKING

from ..formats.block_format import all_block_formats, block_format_of, own_mac
from ..formats.resolve import resolve_formats
from .options import add_formats
from .terminal import print_table, table_stream, write_data

if TYPE_CHECKING:
    from ..formats.record import Format

HELP = "the catalogue; one format in full"
DESCRIPTION = (
    "Without FORMAT, list the catalogue. With FORMAT, show its codes, grid, levels and "
    "accumulator width."
)
EXAMPLES = (
    "nibblemac formats",
    "nibblemac formats E2M1+SP NF4-top11",
    "nibblemac formats my_format.toml --json my_format.json",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_formats(parser, optional=True)
    parser.add_argument(
        "--json", metavar="FILE", help="write the records as JSON (- is standard output)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    everything = tuple(item.format for item in all_block_formats())
    formats = resolve_formats(args.formats) if args.formats else everything
    if args.json:
        text = json.dumps([_record(item) for item in formats], indent=2, ensure_ascii=False)
        write_data(text + "\n", args.json)
    stream = table_stream(args.json)
    if not args.formats:
        from ..explore.format_tables import catalogue_table

        print_table(catalogue_table(formats), file=stream)
        print(
            "Lookup formats take a table's largest integer and SF a ν in their names: "
            "NF4-top31, SF4-nu7-top11.",
            file=stream,
        )
        return 0
    from ..explore.format_tables import code_table, facts_of

    for item in formats:
        print_table(code_table(item), title=item.name, file=stream)
        for line in facts_of(item):
            print(line, file=stream)
        print(file=stream)
    return 0


def _record(item: "Format") -> dict[str, object]:
    spec = own_mac(item)
    return {
        **item.to_json(),
        "levels": [str(level) for level in item.levels],
        "block": (blocks := block_format_of(item)).block,
        "scale_format": blocks.scale_format.name,
        "bits_per_element": blocks.bits_per_element,
        "accumulator_bits": spec.accumulator_bits,
        "terms": spec.terms,
    }
