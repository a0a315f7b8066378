"""``nibblemac verify``: bit-exact simulation against the torch reference."""

import argparse
import sys
from pathlib import Path

from .options import (
    add_architecture,
    add_formats,
    add_mac,
    add_ports,
    add_synthesis,
    architectures_of,
    flow_of,
    specs_of,
)
from .terminal import Counter, print_table, progress_bar

HELP = "simulate against the torch reference, bit by bit"
DESCRIPTION = (
    "Simulate the MAC of each FORMAT with cocotb, as Verilog and as the synthesised netlist, and "
    "compare every accumulator value with the reference's: all pairs of codes, clear at any "
    "moment, both extremes of the accumulator, and real data quantized by the torch reference."
)
EXAMPLES = (
    "nibblemac verify E2M1+SP",
    "nibblemac verify all --architecture all --level all",
    "nibblemac verify NF4 --architecture table --level rtl --waves waves",
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
        help="the Verilog, the netlist of the smallest recipe, or both (default: %(default)s)",
    )
    add_synthesis(parser)
    parser.add_argument("--waves", metavar="DIR", help="keep a waveform of each design in a folder")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..explore.tables import verification_table
    from ..explore.verification import netlist_designs, rtl_designs, verify_designs
    from ..sim.simulators import find_simulator
    from ..synth.area import map_candidates, plan, serving_architectures, smallest
    from ..synth.recipes import find_recipes

    specs = specs_of(args)
    architectures, recipes = architectures_of(args.architecture), find_recipes(args.recipe)
    simulator = find_simulator()
    flow = flow_of(args)
    designs, failures = [], []
    if args.level != "netlist":
        pairs = [(spec, a) for spec in specs for a in serving_architectures(spec, architectures)]
        designs += rtl_designs(pairs, flow.cache)
    if args.level != "rtl":
        tasks = plan(specs, architectures, recipes)
        with progress_bar("synthesis") as synthesis:
            counter = Counter(len(tasks), synthesis)
            candidates, failed = map_candidates(
                flow, tasks, lambda task, _: counter(f"{task.design.top}, {task.recipe.name}")
            )
        best = smallest(candidates, each_architecture=True)
        designs += netlist_designs(best, flow.library)
        failures = [str(failure.error) for failure in failed]
    with progress_bar("simulation") as simulation:
        simulated = Counter(len(designs), simulation)
        results = verify_designs(
            designs,
            flow.cache,
            simulator=simulator,
            jobs=args.jobs,
            waves=Path(args.waves) if args.waves else None,
            progress=lambda result: simulated(result.name),
        )
    if results:
        print_table(verification_table(results))
    passed = sum(result.passed for result in results)
    print(f"{passed} of {len(results)} passed; {simulator.name}")
    for result in results:
        if not result.passed:
            print(result.describe(), file=sys.stderr)
    for failure in failures:
        print(f"nibblemac: {failure}", file=sys.stderr)
    return 0 if results and passed == len(results) and not failures else 1
