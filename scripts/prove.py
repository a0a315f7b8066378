"""``nibblemac prove``: every sum is the format's, for ever."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .options import (
    add_architecture,
    add_effort,
    add_formats,
    add_mac,
    add_ports,
    add_synthesis,
    architectures_of,
    flow_of,
    positive_seconds,
    search_of,
    specs_of,
)
from .terminal import Counter, check_targets, print_table, progress_bars, table_stream, write_data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..synth.area import Failure

HELP = "prove that designs compute what their formats say"
DESCRIPTION = (
    "Prove by induction, from any state and without bound, that each FORMAT's MAC computes what "
    "the format's record says: the Verilog of each architecture, and each synthesised netlist with "
    "its library's cell functions. What is refuted comes with a counterexample, as codes and as a "
    "waveform; what could not be decided in time is unproven, and counts as a failure."
)
EXAMPLES = (
    "nibblemac prove E2M1+SP",
    "nibblemac prove all --recipe all --json proofs.json",
    "nibblemac prove INT4 --architecture table --level rtl --enable --registered-product",
    "nibblemac prove INT4 NF4-top11 --effort standard --library sg13g2",
)
LEVELS = ("rtl", "netlist", "all")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_formats(parser)
    add_mac(parser)
    add_ports(parser)
    add_architecture(parser, default="all")
    parser.add_argument(
        "--level",
        choices=LEVELS,
        default="all",
        help="the Verilog, the netlists, or both (default: %(default)s)",
    )
    add_synthesis(parser)
    add_effort(parser, default="quick")
    parser.add_argument(
        "--timeout",
        type=positive_seconds,
        default=120.0,
        metavar="S",
        help="seconds for one proof; what is undecided then is unproven (default: %(default)s)",
    )
    parser.add_argument(
        "--waves",
        default="counterexamples",
        metavar="DIR",
        help="the folder for waveforms of counterexamples (default: %(default)s)",
    )
    parser.add_argument("--json", metavar="FILE", help="write JSON (- is standard output)")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..explore.proof_table import proof_sentence, proof_table
    from ..explore.proving import proofs_of, proofs_to_json, prove_candidates, prove_verilog
    from ..synth.area import (
        map_candidates,
        plan,
        search_candidates,
        serving_architectures,
    )
    from ..synth.recipes import find_recipes

    check_targets(None, args.json)
    specs = specs_of(args)
    architectures, recipes = architectures_of(args.architecture), find_recipes(args.recipe)
    flow, waves = flow_of(args), Path(args.waves)
    failures: Sequence[Failure] = []
    with search_of(args) as search, progress_bars() as progress:
        show = lambda done, total, item: progress("proof", done, total, item)  # noqa: E731
        if args.level == "rtl":
            pairs = [(s, a) for s in specs for a in serving_architectures(s, architectures)]
            proofs = prove_verilog(pairs, flow, timeout=args.timeout, waves=waves, progress=show)
        else:
            if search.effort.searched:
                candidates, failures = search_candidates(
                    flow, specs, architectures, search, progress
                )
            else:
                tasks = plan(specs, architectures, recipes)
                counter = Counter(len(tasks), lambda d, t, i: progress("synthesis", d, t, i))
                candidates, failures = map_candidates(
                    flow, tasks, lambda task, _: counter(f"{task.design.top}, {task.recipe.name}")
                )
            proved = prove_candidates(
                candidates, flow, timeout=args.timeout, waves=waves, progress=show
            )
            proofs = proofs_of(proved)
            if args.level == "netlist":
                proofs = [proof for proof in proofs if proof.level == "netlist"]
    stream = table_stream(None, args.json)
    if args.json:
        write_data(proofs_to_json(proofs), args.json)
    if proofs:
        print_table(proof_table(proofs), file=stream)
    print(proof_sentence(proofs), file=stream)
    for proof in proofs:
        if not proof.proven:
            print(proof.describe(), file=sys.stderr)
    for failure in failures:
        print(f"nibblemac: {failure.error}", file=sys.stderr)
    return 0 if proofs and all(proof.proven for proof in proofs) and not failures else 1
