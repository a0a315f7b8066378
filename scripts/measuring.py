"""Options that say under what delay and power are measured, and what they stand for."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.errors import ToolError, UsageError
from ..formats.mac import MacSpec

if TYPE_CHECKING:
    from ..formats.operands import Operands
    from ..synth.measure import MeasureSetup


def add_measuring(parser: argparse.ArgumentParser) -> None:
    """Add the frequency, the delay's engine, and the data that power is measured on."""
    parser.add_argument(
        "--megahertz",
        type=float,
        metavar="F",
        help="the clock frequency that power is stated at (default: 100)",
    )
    parser.add_argument(
        "--delay-engine",
        choices=("opensta", "tables"),
        help="OpenSTA, or the library's tables alone (default: OpenSTA where sta is on PATH)",
    )
    parser.add_argument(
        "--tensors",
        metavar="FILE",
        help="measure power on the weights in a safetensors file, quantized along their last axis "
        "(default: samples of Student's t)",
    )
    parser.add_argument(
        "--tensor", metavar="NAME", help="the weight tensor of --tensors, where it has several"
    )
    parser.add_argument(
        "--activation-tensor",
        metavar="NAME",
        help="the activation tensor of --tensors (default: samples of Student's t)",
    )


def setup_of(args: argparse.Namespace, specs: Sequence[MacSpec]) -> "MeasureSetup":
    """Return what the arguments ask for; tensors that do not serve the MACs are refused at once."""
    from ..synth.measure import MeasureSetup
    from ..synth.opensta import find_opensta
    from ..synth.power import DEFAULT_MEGAHERTZ

    if args.delay_engine == "opensta" and find_opensta() is None:
        raise ToolError(
            "There is no OpenSTA (sta) on PATH; install one, or leave --delay-engine out."
        )
    setup = MeasureSetup(
        engine=args.delay_engine,
        megahertz=DEFAULT_MEGAHERTZ if args.megahertz is None else args.megahertz,
        operands=None if args.tensors is None else _user_operands(args),
    )
    if args.tensors is None and (args.tensor or args.activation_tensor):
        raise UsageError("--tensor and --activation-tensor go with --tensors FILE.")
    if setup.operands is not None:
        for spec in specs:
            setup.operands(spec)
    return setup


def _user_operands(args: argparse.Namespace) -> "Callable[[MacSpec], Operands]":
    from ..formats.operands import tensor_operands
    from ..formats.safetensors_file import read_tensor
    from ..synth.measure import lanes_of

    path = Path(args.tensors)
    weight = read_tensor(path, args.tensor)
    activation = args.activation_tensor and read_tensor(path, args.activation_tensor)
    name = " ".join(part for part in (path.name, args.tensor) if part)
    if activation is not None:
        name += f" (activations {args.activation_tensor})"

    def operands(spec: MacSpec) -> "Operands":
        return tensor_operands(spec, weight, activation, lanes=lanes_of(spec), name=name)

    return operands
