"""``nibblemac report``: the whole chain for the whole catalogue, as one page."""

import argparse
import sys
from pathlib import Path

from .measuring import add_measuring, setup_of
from .options import add_effort, add_no_prove, add_synthesis, flow_of, search_of
from .terminal import print_conditions, print_table, progress_bars

HELP = "all of it for the whole catalogue, as a page with tables and plots"
DESCRIPTION = (
    "Take every format of the catalogue through Verilog, synthesis, proof and verification at "
    "both levels and the frontier; write DIR/index.html with tables and plots, and the data, "
    "Verilog and netlists beside it. Finished results are kept in a cache: a second run takes "
    "seconds."
)
EXAMPLES = ("nibblemac report -o out", "nibblemac report -o out-sg13g2 --library sg13g2")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="the folder to write")
    parser.add_argument(
        "--no-verify", action="store_true", help="do not simulate; the page says that it was not"
    )
    add_no_prove(parser)
    add_synthesis(parser)
    add_effort(parser, default="standard")
    add_measuring(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..explore.chain import run_chain, write_chain
    from ..explore.cost_tables import cost_table
    from ..explore.proof_table import NOT_PROVEN, proof_sentence
    from ..formats.block_format import all_block_formats, own_mac
    from ..formats.folder import check_folder
    from ..sim.simulators import find_simulator
    from ..synth.recipes import find_recipes

    directory = Path(args.output)
    recipes = find_recipes(args.recipe)
    # What would stop the command at its end is looked at before minutes of work.
    check_folder(directory)
    simulator = None if args.no_verify else find_simulator()
    flow = flow_of(args)
    formats = tuple(item.format for item in all_block_formats())
    setup = setup_of(args, [own_mac(item) for item in formats])
    with search_of(args) as search, progress_bars() as progress:
        chain = run_chain(
            formats,
            flow,
            recipes,
            search=search,
            setup=setup,
            simulator=simulator,
            prove=not args.no_prove,
            progress=progress,
        )
    page = write_chain(chain, flow, directory)
    print_table(cost_table(chain.data.areas, chain.data.published))
    print_conditions(chain.data.areas)
    passed = sum(result.passed for result in chain.data.verifications)
    print(f"verified: {passed} of {len(chain.data.verifications)} designs")
    print(NOT_PROVEN if args.no_prove else proof_sentence(chain.data.proofs))
    for proof in chain.data.proofs:
        if not proof.proven:
            print(f"nibblemac: {proof.describe()}", file=sys.stderr)
    for result in chain.data.verifications:
        if not result.passed:
            print(result.describe(), file=sys.stderr)
    for failure in chain.data.failures:
        print(f"nibblemac: {failure.message}", file=sys.stderr)
    print(page)
    return 0 if chain.succeeded else 1
