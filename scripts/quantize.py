"""``nibblemac quantize``: a model's weights as codes and scales, from disk to disk."""

import argparse
from pathlib import Path

from ..formats.errors import UsageError
from ..formats.resolve import resolve_argument
from ..formats.scale import Clipping
from ..formats.scale_format import find_scale_format
from .options import add_layers
from .terminal import progress_bar

HELP = "a model's weights in a format: packed codes and scales, as safetensors"
DESCRIPTION = (
    "Quantize the weights of MODEL's linear and convolution layers along the reduction axis into "
    "FORMAT, with one scale a block; copy all other tensors. MODEL is a safetensors file, an index "
    "of shards, or a folder with either. OUTPUT is a safetensors file, or a folder that gets one "
    "for each of the model's. A weight NAME becomes NAME.codes (two to a byte) and NAME.scales; "
    "the header says what they mean. Weights are read and written a few rows at a time: memory "
    "does not grow with the model. An interrupted run into a folder goes on where it was."
)
EXAMPLES = (
    "nibblemac quantize model.safetensors --format SF4 -o model-sf4.safetensors",
    "nibblemac quantize llama-folder --format MXFP4 -o llama-mxfp4 --keep 'lm_head*'",
    "nibblemac quantize llama-folder --format INT4 --block 64 --scale mse --signed -o llama-int4",
)
_MEGABYTE = 10**6


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "model", metavar="MODEL", help="a safetensors file, an index of shards, or a model's folder"
    )
    parser.add_argument(
        "--format",
        required=True,
        metavar="FORMAT",
        help="a catalogue name (case does not matter) or a TOML file",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUTPUT",
        help="a new file that ends in .safetensors, or a new folder",
    )
    parser.add_argument(
        "--block", type=int, metavar="N", help="elements that share a scale (default: the format's)"
    )
    parser.add_argument(
        "--scale",
        choices=[one.value for one in Clipping],
        default=Clipping.ABSMAX.value,
        help="a block's largest magnitude to the largest level, or the least squared error "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--signed",
        action="store_true",
        help="scales may be negative, for formats whose largest magnitudes differ in sign",
    )
    parser.add_argument(
        "--scale-format",
        metavar="NAME",
        help="how scales are stored: FP16, E8M0, E4M3, UINT6, … (default: the format's)",
    )
    add_layers(parser)
    parser.add_argument(
        "--keep",
        nargs="+",
        action="extend",
        default=[],
        metavar="PATTERN",
        help="tensors to copy as they are, by name or as patterns such as 'lm_head*'",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from dataclasses import replace

    from ..formats.block_format import block_format_of
    from ..formats.models.checkpoint import open_checkpoint
    from ..formats.models.stream import quantize_checkpoint
    from ..formats.models.stream_tasks import StreamSetup

    found = resolve_argument(args.format)
    if len(found) != 1:
        raise UsageError("--format takes one format, not all.")
    block_format = block_format_of(found[0])
    if args.block is not None:
        block_format = replace(block_format, block=args.block)
    if args.scale_format is not None:
        block_format = replace(block_format, scale_format=find_scale_format(args.scale_format))
    setup = StreamSetup(
        block_format=block_format,
        clipping=Clipping(args.scale),
        signed=args.signed,
        layers=tuple(args.layers),
        keep=tuple(args.keep),
    )
    checkpoint = open_checkpoint(Path(args.model))
    with progress_bar("quantizing (MB)") as progress:
        made = quantize_checkpoint(
            checkpoint,
            Path(args.output),
            setup,
            progress=lambda done, total, name: progress(
                -(-done // _MEGABYTE), -(-total // _MEGABYTE), name
            ),
        )
    print(
        f"{block_format.name}, blocks of {block_format.block}, {block_format.scale_format.name} "
        f"scales: {made.quantized} of {made.quantized + made.copied} tensors, "
        f"{made.elements} elements at {made.bits_per_element:.3f} bits each"
    )
    print(
        f"those weights: {made.bytes_before / _MEGABYTE:.1f} MB before, "
        f"{made.bytes_after / _MEGABYTE:.1f} MB now"
    )
    print(args.output)
    return 0
