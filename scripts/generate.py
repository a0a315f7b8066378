"""``nibblemac generate``: Verilog, manifest and core file."""

import argparse
from pathlib import Path

from .options import add_architecture, add_formats, add_mac, add_ports, architectures_of, specs_of

HELP = "write Verilog, a JSON manifest and a FuseSoC core file"
DESCRIPTION = (
    "Write the MAC of each FORMAT as Verilog, with a JSON manifest of its ports and meaning and "
    "a FuseSoC core file, into a folder."
)
EXAMPLES = (
    "nibblemac generate E2M1+SP -o rtl",
    "nibblemac generate SF4 --activation INT8 --terms 1024 --architecture signed -o rtl",
    "nibblemac generate all --architecture all -o rtl",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_formats(parser)
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="the folder to write")
    add_mac(parser)
    add_architecture(parser, default="sign-magnitude")
    add_ports(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from ..rtl.package import write_package
    from ..synth.area import serving_architectures

    names = architectures_of(args.architecture)
    specs = specs_of(args)
    designs = [(spec, name) for spec in specs for name in serving_architectures(spec, names)]
    for path in write_package(designs, Path(args.output)):
        print(path)
    return 0
