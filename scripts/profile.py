"""``nibblemac profile``: how a model's weights, or what its layers are given, are distributed."""

import argparse
import sys
from pathlib import Path

from ..formats.errors import UsageError
from ..formats.models.device import DEVICES
from ..formats.models.model_profile import ACTIVATIONS, WEIGHTS
from .options import add_layers
from .terminal import print_table, progress_bars

HELP = "how a model's weights or activations are distributed: Student's t against the normal"
DESCRIPTION = (
    "Fit a zero-mean Student's t and a normal to the weights of MODEL's linear and convolution "
    "layers, or with --kind activations to those layers' inputs while the model reads a text; "
    "write the degrees of freedom, scales, Kolmogorov-Smirnov distances, kurtosis and extremes as "
    "CSV and JSON, and pictures. MODEL is a safetensors file, a folder of shards with their index, "
    "a transformers model folder, or a GGUF file, whose weights are quantized already. Weights are "
    "read from disk in small parts: memory does not grow with the model. Finished tensors are kept "
    "in the cache, so that an interrupted run goes on where it was."
)
EXAMPLES = (
    "nibblemac profile model.safetensors -o out",
    "nibblemac profile llama-folder --layers attention -o out",
    "nibblemac profile llama-folder --kind activations --text wiki.txt -o out",
    "nibblemac profile model.gguf --kind activations --text wiki.txt --tokens 16384 -o out",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "model", metavar="MODEL", help="a safetensors file, a model's folder, or a GGUF file"
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="the folder for all results"
    )
    parser.add_argument(
        "--kind",
        choices=(WEIGHTS, ACTIVATIONS),
        default=WEIGHTS,
        help="what is profiled (default: %(default)s)",
    )
    parser.add_argument(
        "--text", metavar="FILE", help="the text that the model reads, for activations"
    )
    add_layers(parser)
    parser.add_argument(
        "--cap",
        type=int,
        metavar="N",
        help="values of each tensor that the distributions are fitted to (default: 262144 of "
        "weights, 65536 of activations, whose samples are all held at once)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the sample's seed (default: %(default)s)"
    )
    parser.add_argument(
        "--tokens",
        type=int,
        metavar="N",
        help="tokens of the text that are read, at most (default: 4096)",
    )
    parser.add_argument(
        "--window",
        type=int,
        metavar="N",
        help="tokens at once (default: 512, or the model's context where that is less)",
    )
    parser.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help=f"{', '.join(DEVICES)}; auto is a GPU where there is one (default: %(default)s)",
    )
    parser.add_argument(
        "--pictures",
        type=int,
        default=4,
        metavar="N",
        help="tensors whose fits are drawn, of evenly spread nu (default: %(default)s)",
    )
    parser.add_argument(
        "--name", metavar="TEXT", help="what to call the model (default: the folder's or file's)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from dataclasses import replace

    from ..explore.profile_files import profile_files
    from ..explore.profile_tables import summary_table
    from ..explore.profiling import ProfileSetup, profile_activations, profile_weights
    from ..formats.folder import check_folder, write_folder
    from ..formats.models.activations import ACTIVATION_CAP, DEFAULT_TOKENS
    from ..formats.models.profile_summary import ks_sentence
    from ..formats.models.text import read_model_text
    from ..formats.tensor_profile import SAMPLE_CAP
    from ..synth.cache import Cache

    _check(args)
    directory, path = Path(args.output), Path(args.model)
    cap = args.cap
    if cap is None:
        cap = SAMPLE_CAP if args.kind == WEIGHTS else ACTIVATION_CAP
    setup = ProfileSetup(layers=tuple(args.layers), cap=cap, seed=args.seed, device=args.device)
    # What would stop the command at its end is looked at before minutes of work.
    check_folder(directory)
    with progress_bars() as progress:
        if args.kind == WEIGHTS:
            profile = profile_weights(path, setup, cache=Cache(), progress=progress)
        else:
            profile = profile_activations(
                path,
                read_model_text(args.text),
                setup,
                tokens=DEFAULT_TOKENS if args.tokens is None else args.tokens,
                window=args.window,
                source=Path(args.text).name,
                progress=progress,
            )
    if args.name is not None:
        profile = replace(profile, model=args.name)
    write_folder(directory, profile_files(profile, args.pictures))
    print_table(summary_table(profile), title=profile.model)
    for note in profile.notes:
        print(note)
    print(ks_sentence(profile))
    print(directory / f"{profile.kind}.md")
    for failure in profile.failures:
        print(f"nibblemac: {failure}", file=sys.stderr)
    return 1 if profile.failures else 0


def _check(args: argparse.Namespace) -> None:
    if args.kind == ACTIVATIONS and args.text is None:
        raise UsageError("--kind activations takes --text FILE, which the model reads.")
    if args.kind == WEIGHTS:
        for option in ("text", "tokens", "window"):
            if getattr(args, option) is not None:
                raise UsageError(f"--{option} goes with --kind activations; weights read no text.")
    if args.tokens is not None and args.tokens < 1:
        raise UsageError(f"--tokens is {args.tokens}; it must be at least 1.")
    if not 0 <= args.pictures <= 1000:
        raise UsageError(f"--pictures is {args.pictures}; it must be from 0 to 1000.")
    if args.name is not None and not args.name.strip():
        raise UsageError("--name is empty; leave it out, or give the model a name.")
