"""``nibblemac evaluate``: what formats do to a model's predictions."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.errors import FormatError, UsageError
from ..formats.resolve import ALL, BLOCKS, resolve_argument
from .options import FORMAT_HELP
from .terminal import print_table, progress_bars

if TYPE_CHECKING:
    from ..explore.evaluation import Evaluated, EvaluationRequest
    from ..formats.block_format import BlockFormat
    from ..formats.models.method import Method

HELP = "a model's perplexity or embeddings under formats, as an accuracy CSV"
DESCRIPTION = (
    "Quantize a model with each format and run it on a text. A causal language model gives its "
    "perplexity and its divergence from the unquantized model, an encoder the cosine of its "
    "sentence embeddings to the unquantized ones. Rows are written as they are finished, and a "
    "second run continues; the CSV goes into nibblemac pareto."
)
EXAMPLES = (
    "nibblemac evaluate SmolLM2.gguf --text wiki.txt --csv weights.csv",
    "nibblemac evaluate model/ --text wiki.txt --setting W4A4 --smoothquant 0.5 --csv w4a4.csv",
    "nibblemac evaluate model/ --text wiki.txt --format INT4 NF4 --gptq --tokens 8192 --csv g.csv",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", metavar="MODEL", help="a transformers model folder or a GGUF file")
    parser.add_argument("--text", required=True, metavar="FILE", help="the text, UTF-8")
    parser.add_argument(
        "--csv",
        required=True,
        metavar="FILE",
        help="where the figures go; it is continued",
    )
    parser.add_argument(
        "--format",
        dest="formats",
        nargs="+",
        action="extend",
        default=[],
        metavar="FORMAT",
        help=f"{FORMAT_HELP} (default: all blocks)",
    )
    parser.add_argument(
        "--setting",
        default="weight-only",
        metavar="NAME",
        help="weight-only; W4A4, activations in the same format; or W4A8, activations in INT8 "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--block",
        type=int,
        metavar="N",
        help="elements that share a scale (default: the format's own, or 128)",
    )
    parser.add_argument(
        "--scale",
        default="absmax",
        metavar="NAME",
        help="absmax; mse, the clipping of weights with the least squared error; or signed, for "
        "formats whose largest levels differ (default: %(default)s)",
    )
    parser.add_argument(
        "--smoothquant",
        type=float,
        nargs="?",
        const=0.5,
        metavar="ALPHA",
        help="move outliers of activations into weights (without ALPHA: 0.5)",
    )
    parser.add_argument(
        "--gptq", action="store_true", help="round linear layers' weights with error feedback"
    )
    parser.add_argument(
        "--calibration",
        metavar="FILE",
        help="the text that SmoothQuant and GPTQ look at (default: what follows --tokens)",
    )
    parser.add_argument(
        "--calibration-tokens",
        type=int,
        default=4096,
        metavar="N",
        help="how many of its tokens (default: %(default)s)",
    )
    parser.add_argument(
        "--layers",
        nargs="+",
        action="extend",
        default=[],
        metavar="KIND",
        help="linear, convolution, embedding, attention, feed-forward, head or other (default: "
        "linear and convolution layers but the output head)",
    )
    parser.add_argument(
        "--window", type=int, metavar="N", help="tokens at once (default: 1024, or what it takes)"
    )
    parser.add_argument(
        "--stride", type=int, metavar="N", help="tokens between windows (default: half a window)"
    )
    parser.add_argument(
        "--tokens", type=int, metavar="N", help="how many of the text's tokens (default: all)"
    )
    parser.add_argument(
        "--tasks",
        nargs="+",
        action="extend",
        default=[],
        metavar="TASK",
        help="also the accuracy at lm-evaluation-harness tasks, such as lambada_openai hellaswag",
    )
    parser.add_argument(
        "--task-limit", type=int, metavar="N", help="run so many examples of each task only"
    )
    parser.add_argument(
        "--name", metavar="TEXT", help="what to call the model (default: as its file is called)"
    )
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="auto, cpu or cuda (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..explore.evaluation import evaluate
    from ..formats.files import check_file
    from ..formats.models.device import find_device
    from ..formats.models.loading import load_model

    request, left_out = _request(args)
    target = Path(args.csv)
    check_file(target)
    find_device(args.device)
    model = load_model(args.model, device=args.device)
    with progress_bars() as progress:
        found = evaluate(model, request, target, progress)
    _report(found, left_out, target)
    return 1 if found.failures else 0


def _request(args: argparse.Namespace) -> "tuple[EvaluationRequest, tuple[str, ...]]":
    """Return what to evaluate, and what of all formats cannot be."""
    from ..explore.evaluation import EvaluationRequest
    from ..explore.evaluation_text import TextSource
    from ..formats.models.method import Method
    from ..formats.models.tasks import check_harness

    for name in ("tokens", "calibration_tokens", "task_limit"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} is {value}; it must be at least 1.")
    method = Method(
        setting=args.setting,
        block=args.block,
        scaling=args.scale,
        smoothquant=args.smoothquant,
        gptq=args.gptq,
        layers=tuple(args.layers),
    )
    if args.calibration and not method.calibrates:
        raise UsageError("--calibration goes with --smoothquant or --gptq.")
    if args.tasks:
        check_harness()
    elif args.task_limit:
        raise UsageError("--task-limit goes with --tasks.")
    formats, left_out = _formats(args.formats, method)
    request = EvaluationRequest(
        formats=formats,
        method=method,
        text=TextSource.read(Path(args.text)),
        window=args.window,
        stride=args.stride,
        tokens=args.tokens,
        calibration=TextSource.read(Path(args.calibration)) if args.calibration else None,
        calibration_tokens=args.calibration_tokens,
        tasks=tuple(dict.fromkeys(task for word in args.tasks for task in word.split(",") if task)),
        task_limit=args.task_limit,
        name=args.name or "",
    )
    return request, left_out


def _formats(
    arguments: list[str], method: "Method"
) -> "tuple[tuple[BlockFormat, ...], tuple[str, ...]]":
    """Return the formats asked for; of all and blocks those that hold the setting, and the rest.

    Raises :class:`FormatError` for a format that is named and cannot hold it, and one named twice.
    """
    from ..formats.block_format import block_format_of

    found: dict[str, BlockFormat] = {}
    left_out = []
    for argument in arguments or [ALL, BLOCKS]:
        if argument.strip().casefold() in {ALL, BLOCKS}:
            for item in map(block_format_of, resolve_argument(argument)):
                try:
                    method.check(item)
                except FormatError:
                    left_out.append(item.name)
                else:
                    found.setdefault(item.format.identifier, item)
            continue
        for one in resolve_argument(argument):
            item = block_format_of(one)
            method.check(item)
            known = found.setdefault(one.identifier, item)
            if known.format != one:
                raise FormatError(f"Two formats are called {one.name}; rename one of them.")
    return tuple(found.values()), tuple(left_out)


def _report(found: "Evaluated", left_out: tuple[str, ...], target: Path) -> None:
    from ..explore.evaluation_table import evaluation_table

    print_table(evaluation_table(found))
    print(f"{found.run.model}; {found.run.setting}")
    print(f"{found.run.text}; {found.run.tools}")
    share = 100 * found.quantized / max(found.parameters, 1)
    print(
        f"{found.quantized / 1e6:.1f} of {found.parameters / 1e6:.1f} million parameters are "
        f"quantized ({share:.0f} %)"
    )
    if left_out:
        print(f"left out, since they cannot hold the setting: {', '.join(left_out)}")
    print(target)
    for failure in found.failures:
        print(f"nibblemac: {failure}", file=sys.stderr)
