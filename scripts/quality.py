"""``nibblemac quality``: the error of formats on a distribution or on tensors."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.block_format import block_format_of
from ..formats.distribution import STUDENT_5, Distribution, find_distribution
from ..formats.errors import OutputError, UsageError
from ..formats.files import reason
from ..formats.resolve import ALL, BLOCKS, resolve_formats
from ..formats.scale_format import find_scale_format
from .options import FORMAT_HELP
from .terminal import Counter, check_targets, print_table, progress_bar, table_stream, write_data

if TYPE_CHECKING:
    from typing import TextIO

    from ..explore.quality import QualitySurvey, Setting

HELP = "the error of formats on a distribution or on tensors, beside the Lloyd-Max limit"
DESCRIPTION = (
    "SQNR, mean squared and largest error, use and entropy of the codes of each FORMAT (default: "
    "the whole catalogue), beside the Lloyd-Max limit: the best that any codebook of as many "
    "levels can do in the same blocks with the same kind of scale. On a distribution with absmax "
    "scales by numerical integration; with clipped scales, or scales rounded as block formats "
    "store them, from seeded samples; on the tensors of a safetensors file exactly."
)
EXAMPLES = (
    "nibblemac quality all --block 16 32 64 128 256",
    "nibblemac quality SF4 NF4 E2M1 INT4 --distribution normal -o pictures",
    "nibblemac quality SF4 INT4 --distribution model.safetensors --scale absmax mse --csv q.csv",
)
_SUFFIXES = (".safetensors", ".json")
_MOST_TENSOR_CELLS = 400
_MOST_ROWS = 60
_MOST_USE_TABLES = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=FORMAT_HELP)
    parser.add_argument(
        "--distribution",
        default=STUDENT_5.name,
        metavar="WHAT",
        help="normal, laplace, t:NU, or a safetensors file, an index of shards or a model folder "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--tensor",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="the tensors of the file that are meant (default: all with two or more dimensions)",
    )
    parser.add_argument(
        "--block",
        nargs="+",
        action="extend",
        type=int,
        default=[],
        metavar="N",
        help="elements in a block (default: each format's own, 128 for number formats)",
    )
    parser.add_argument(
        "--scale",
        nargs="+",
        action="extend",
        metavar="RULE",
        help="absmax, signed (formats with a larger side only), mse, signed-mse (default: absmax)",
    )
    parser.add_argument(
        "--scale-format",
        metavar="NAME",
        help="round all scales to FP16, E8M0, E4M3 or another scale format (default: block formats "
        "as they are defined, others not at all)",
    )
    parser.add_argument(
        "--samples",
        type=int,
        metavar="N",
        help="elements to draw where a distribution's error is no integral (default: 2**20)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the samples' seed (default: %(default)s)"
    )
    parser.add_argument("--csv", metavar="FILE", help="write CSV that pareto takes (- is stdout)")
    parser.add_argument("--json", metavar="FILE", help="write JSON with everything (- is stdout)")
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        help="draw levels over the density, and SQNR by block, as PNG and SVG into a folder",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..explore.quality_files import to_csv, to_json
    from ..explore.quality_pictures import write_pictures

    if args.csv is not None and args.csv == args.json:
        raise UsageError(f"--csv and --json are both {args.csv}; give each a place of its own.")
    check_targets(args.csv, args.json)
    folder = None if args.output is None else _folder(args.output)
    settings = _settings(args)
    survey = _survey(args, settings, shapes=folder is not None)
    if args.csv:
        write_data(to_csv(survey.found, own_blocks=not args.block), args.csv)
    if args.json:
        write_data(to_json(survey.found), args.json)
    stream = table_stream(args.csv, args.json)
    _print(survey, settings, stream)
    if folder is not None:
        formats = tuple(dict.fromkeys(one.entry.format for one in settings))
        for path in write_pictures(survey, formats, folder):
            print(path, file=stream)
    return 0


def _settings(args: argparse.Namespace) -> "tuple[Setting, ...]":
    from ..explore.quality import find_rule, settings_of

    entries = [block_format_of(item) for item in resolve_formats(args.formats or [ALL, BLOCKS])]
    stored = None if args.scale_format is None else find_scale_format(args.scale_format)
    rules = [find_rule(name) for name in args.scale or ["absmax"]]
    return settings_of(entries, args.block, rules, scale_format=stored)


def _survey(
    args: argparse.Namespace, settings: "tuple[Setting, ...]", *, shapes: bool
) -> "QualitySurvey":
    from ..explore.quality import SAMPLED_ELEMENTS, distribution_quality, tensor_quality

    if args.seed < 0:
        raise UsageError(f"--seed is {args.seed}; it must be 0 or more.")
    distribution = _distribution(args.distribution)
    samples = SAMPLED_ELEMENTS if args.samples is None else args.samples
    if distribution is not None:
        if args.tensor:
            raise UsageError(f"--tensor goes with a file; {distribution.name} has no tensors.")
        with progress_bar("formats") as update:
            count = Counter(len(settings), update)
            return distribution_quality(
                distribution, settings, elements=samples, seed=args.seed, shapes=shapes, tick=count
            )
    if args.samples is not None:
        raise UsageError("--samples goes with a distribution; of tensors every element counts.")
    from ..explore.quality_tensors import open_tensors

    source = open_tensors(Path(args.distribution), args.tensor)
    with progress_bar("tensors") as update:
        count = Counter(len(source.tensors), update)
        return tensor_quality(source, settings, shapes=shapes, tick=count)


def _distribution(name: str) -> Distribution | None:
    """Return the distribution, or None where a file or folder is meant."""
    if _is_there(name) or name.endswith(_SUFFIXES) or "/" in name or "\\" in name:
        return None
    try:
        return find_distribution(name)
    except UsageError as error:
        raise UsageError(
            f"{error} A safetensors file or a model folder does as well, but there is none of "
            "this name."
        ) from error


def _is_there(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False


def _folder(name: str) -> Path:
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise OutputError(f"The folder {name} cannot be made: {reason(error)}.") from error
    return folder


def _print(survey: "QualitySurvey", settings: "tuple[Setting, ...]", stream: "TextIO") -> None:
    from ..explore.quality_tables import (
        block_table,
        figure_table,
        notes,
        tensor_table,
        use_table,
    )

    whole = survey.whole
    several = len({(one.block, one.scale) for one in whole}) > 1
    formats = dict.fromkeys(one.entry.format for one in settings)
    if several and len(whole) > len(formats):
        print_table(block_table(whole), title=survey.data, file=stream)
    if len(whole) <= _MOST_ROWS:
        print_table(figure_table(whole), title=survey.data, file=stream)
    if len(formats) <= _MOST_USE_TABLES:
        for item in formats:
            found = [one for one in whole if one.format == item.name]
            print_table(use_table(item, found), title=item.name, file=stream)
    parts = [one for one in survey.found if one not in whole]
    if 0 < len(parts) <= _MOST_TENSOR_CELLS:
        print_table(tensor_table(survey.found), title="by tensor", file=stream)
    for note in notes(whole):
        print(note, file=stream)
    if len(parts) > _MOST_TENSOR_CELLS or len(whole) > _MOST_ROWS:
        print("--csv and --json have all figures; the tables would be too long.", file=stream)
