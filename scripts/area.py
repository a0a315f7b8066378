"""``nibblemac area``: the cost table."""

import argparse
import json
import sys
from pathlib import Path

from .measuring import add_measuring, setup_of
from .options import (
    add_architecture,
    add_effort,
    add_formats,
    add_mac,
    add_no_prove,
    add_synthesis,
    architectures_of,
    flow_of,
    search_of,
    specs_of,
)
from .terminal import (
    check_targets,
    print_conditions,
    print_table,
    progress_bars,
    table_stream,
    write_data,
)

HELP = "synthesise and report area, delay and power"
DESCRIPTION = (
    "Synthesise the MAC of each FORMAT and report its area; of several architectures and recipes "
    "the smallest, and which it was; of that its critical path, and its energy and power on "
    "quantized data. Its Verilog and its netlist are proven to compute what the format says. "
    "Beside area and power stand the paper's, as ratios to INT4; CSV and JSON have more columns "
    "than the table. Results are kept in a cache."
)
EXAMPLES = (
    "nibblemac area INT4 E2M1 E2M1+SP",
    "nibblemac area all --library sg13g2 --csv area.csv",
    "nibblemac area INT4 NF4-top11 --effort standard",
    "nibblemac area INT4 SF4 --tensors model.safetensors --tensor layer.0.weight --megahertz 200",
    "nibblemac area SF4 --activation INT8 --architecture sign-magnitude --recipe adders --json -",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_formats(parser)
    add_mac(parser)
    add_architecture(parser, default="all")
    add_synthesis(parser)
    add_effort(parser, default="quick")
    add_measuring(parser)
    add_no_prove(parser)
    parser.add_argument("--csv", metavar="FILE", help="write CSV (- is standard output)")
    parser.add_argument("--json", metavar="FILE", help="write JSON (- is standard output)")
    parser.add_argument(
        "--netlists", metavar="DIR", help="write each netlist and its Yosys script into a folder"
    )
    parser.add_argument(
        "--publish",
        metavar="FILE",
        help="write the designs as a file of the kind that the package ships in synth/designs",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..explore.cost_tables import cost_table
    from ..explore.netlists import write_netlists
    from ..explore.proof_table import NOT_PROVEN, proof_sentence
    from ..explore.proving import proofs_of, prove_candidates, with_proofs
    from ..formats.folder import check_folder
    from ..formats.published import published_hardware
    from ..synth.area import stored_of, survey
    from ..synth.recipes import find_recipes
    from ..synth.result import to_csv
    from ..synth.shipped import write_shipped
    from ..synth.store import store_key

    check_targets(args.csv, args.json, args.publish)
    if args.netlists:
        check_folder(Path(args.netlists))
    specs = specs_of(args)
    architectures, recipes = architectures_of(args.architecture), find_recipes(args.recipe)
    flow, setup = flow_of(args), setup_of(args, specs)
    with search_of(args) as search, progress_bars() as progress:
        if search.effort.searched:
            recipes = ()
        found = survey(
            flow, specs, architectures, recipes, search=search, setup=setup, progress=progress
        )
        results, proofs = found.results, []
        if not args.no_prove:
            proved = prove_candidates(
                found.chosen, flow, progress=lambda d, t, item: progress("proof", d, t, item)
            )
            results, proofs = with_proofs(results, proved), proofs_of(proved)
    stream = table_stream(args.csv, args.json)
    if results:
        if args.csv:
            write_data(to_csv(results), args.csv)
        if args.json:
            records = [result.to_json() for result in results]
            write_data(json.dumps(records, indent=2, ensure_ascii=False) + "\n", args.json)
        if args.netlists:
            write_netlists(found.chosen, flow.library, Path(args.netlists))
        print_table(cost_table(results, published_hardware()), file=stream)
        tools = ", ".join(f"{name} {version}" for name, version in flow.yosys.tools.items())
        print(f"{flow.library.name}, {args.terms} terms, {tools}", file=stream)
        print_conditions(results, file=stream)
        print(NOT_PROVEN if args.no_prove else proof_sentence(proofs), file=stream)
    if args.publish:
        write_shipped(
            Path(args.publish),
            flow.library,
            [
                (store_key(one.task.design.spec, flow.library), stored_of(flow, one, args.seed))
                for one in found.chosen
            ],
        )
    unproven = [proof for proof in proofs if not proof.proven]
    for proof in unproven:
        print(f"nibblemac: {proof.describe()}", file=sys.stderr)
    for failure in found.failures:
        print(f"nibblemac: {failure.error}", file=sys.stderr)
    return 1 if found.failures or unproven else 0
