"""``nibblemac explore``: search the space of designs, and show its trade-offs."""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.errors import UsageError
from .measuring import add_measuring, setup_of
from .options import (
    add_architecture,
    add_effort,
    add_formats,
    add_mac,
    add_synthesis,
    architectures_of,
    flow_of,
    search_of,
    specs_of,
)
from .terminal import print_table, progress_bars

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

    from ..explore.request import Request
    from ..synth.store import Store
    from ..synth.sweep import Flow

HELP = "explore architectures, recipes, grids, orders of codes and clock periods"
DESCRIPTION = (
    "Make designs of each FORMAT in every architecture and by every recipe, at a higher effort "
    "also by search; for lookup formats on several tops (--top) and in other orders of codes "
    "(--encoding); for clock periods (--clock-period). Write all designs with area, delay, energy "
    "and error, those that no other dominates with their netlists, and pictures. Best designs are "
    "kept in a store and come back; finished steps are kept in the cache, so that an interrupted "
    "exploration goes on where it was."
)
EXAMPLES = (
    "nibblemac explore INT4 E2M1 APoT4 -o out",
    "nibblemac explore NF4 --top 7 11 15 31 127 --effort standard -o nf4",
    "nibblemac explore SF4-top11 --encoding 40 -o orders",
    "nibblemac explore all --objective all --clock-period 1 1.5 2 3 5 -o curves",
    "nibblemac explore all --effort max --cluster tcp://10.0.0.1:8786 -o out",
)
_ORDERS = 24


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_formats(parser)
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="the folder for all results"
    )
    parser.add_argument(
        "--objective",
        default="area",
        metavar="NAME",
        help="what designs are compared in: area; delay (and area); power (energy and area); or "
        "all three (default: %(default)s). The error of lookup formats counts always",
    )
    parser.add_argument(
        "--clock-period",
        type=float,
        nargs="+",
        action="extend",
        default=[],
        metavar="NS",
        help="make designs that work at these clock periods",
    )
    parser.add_argument(
        "--top",
        type=int,
        nargs="+",
        action="extend",
        default=[],
        metavar="N",
        help="put lookup formats on these grids: N is the largest integer",
    )
    parser.add_argument(
        "--encoding",
        type=int,
        nargs="?",
        const=_ORDERS,
        default=0,
        metavar="N",
        help="try N other orders of codes for each lookup format, the best few at the asked "
        f"effort (without N: {_ORDERS})",
    )
    add_mac(parser)
    add_architecture(parser, default="all")
    add_synthesis(parser)
    add_effort(parser, default="quick")
    add_measuring(parser)
    parser.add_argument(
        "--store",
        metavar="DIR",
        help="the folder of best designs (default: NIBBLEMAC_STORE, or one beside the cache)",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="run on a dask.distributed scheduler's machines, such as tcp://10.0.0.1:8786",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..explore.exploration import explore
    from ..explore.exploration_files import INDEX, choice_table, exploration_files
    from ..formats.folder import check_folder, write_folder

    if args.no_store and args.store:
        raise UsageError("--no-store and --store exclude each other.")
    request = _request(args)
    folder = Path(args.output)
    check_folder(folder)
    flow, setup = flow_of(args), setup_of(args, request.specs)
    with (
        _executor(args, flow) as executor,
        search_of(args) as search,
        progress_bars() as progress,
    ):
        found = explore(
            request,
            flow=flow,
            search=search,
            executor=executor,
            store=_store(args),
            setup=setup,
            progress=progress,
        )
    write_folder(folder, exploration_files(found))
    print_table(choice_table(found.designs))
    tools = ", ".join(f"{name} {version}" for name, version in found.tools.items())
    print(f"{flow.library.name}, {args.terms} terms, effort {found.effort}, {tools}")
    for name, value in found.conditions.items():
        print(f"  {name}: {value}")
    if found.late:
        print("The time limit ended the search before it was complete.")
    print(folder / INDEX)
    for failure in found.failures:
        print(f"nibblemac: {failure}", file=sys.stderr)
    return 1 if found.failures else 0


def _request(args: argparse.Namespace) -> "Request":
    """Return what to explore; what has no meaning is refused before anything is started."""
    from ..explore.objective import find_objective
    from ..explore.request import Request
    from ..explore.space import places, start_of_orders
    from ..synth.effort import find_effort
    from ..synth.recipes import find_recipes

    find_effort(args.effort)
    request = Request(
        specs=specs_of(args),
        architectures=architectures_of(args.architecture),
        recipes=find_recipes(args.recipe),
        objective=find_objective(args.objective),
        tops=tuple(dict.fromkeys(args.top)),
        orders=args.encoding,
        periods_ps=tuple(dict.fromkeys(round(1000 * ns, 6) for ns in args.clock_period)),
    )
    for place in places(request.specs, request.tops):
        if request.orders:
            start_of_orders(place)
    return request


def _store(args: argparse.Namespace) -> "Store | None":
    from ..synth.store import Store

    if args.no_store:
        return None
    return Store([Path(args.store)]) if args.store else Store()


@contextlib.contextmanager
def _executor(args: argparse.Namespace, flow: "Flow") -> "Iterator[Executor]":
    """Give the cluster's executor, or processes of this machine."""
    if args.cluster:
        from ..synth.cluster import cluster

        with cluster(args.cluster, flow.yosys) as executor:
            yield executor
    else:
        from ..synth.jobs import processes

        with processes(flow.jobs) as executor:
            yield executor
