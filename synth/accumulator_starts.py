"""An accumulator that Yosys and ABC map from the RTL: the other start beside the one that is built.

Where a library has no full adder, ABC finds smaller additions than a row of built ones.
"""

import re
import shutil
import time

from ..formats.errors import SynthesisError
from ..formats.scratch import make_scratch
from .cache import Record
from .cells import CellLibrary
from .flow import FlowLibrary, tie_lines
from .gates import gate_library
from .jobs import cancelled
from .netlist import read_yosys_json
from .refine import area_of, refine
from .search_steps import Budget
from .yosys import Yosys

MODULE = "accumulator"
_SCRIPT = "strash; dch -f; amap -m"


def accumulator_module(rtlil: str, top: str) -> str:
    """Return a design's accumulator as RTLIL of its own, called :data:`MODULE`.

    Raises :class:`SynthesisError` for a design without one.
    """
    name = re.escape(f"\\{top}_accumulator")
    found = re.search(rf"^(?:attribute [^\n]*\n)*module {name}\n.*?^end\n", rtlil, re.S | re.M)
    if found is None:
        raise SynthesisError(f"The design {top} has no module {top}_accumulator.")
    return found[0].replace(f"module \\{top}_accumulator\n", f"module \\{MODULE}\n")


def map_accumulator(module: str, library: CellLibrary, yosys: Yosys, budget: Budget) -> Record:
    """Map an accumulator on the library's full adders, and anneal it in windows."""
    started = time.process_time()
    texts = FlowLibrary.of(library)
    dont_use = " ".join(f"-dont_use {name}" for name in library.other_flip_flops)
    lines = [
        "read_liberty -lib library.lib",
        "read_rtlil design.il",
        f"hierarchy -check -top {MODULE}",
        "proc",
        "opt",
        "wreduce",
        "opt",
        "techmap -map adders.v",
        f"synth -top {MODULE} -flatten -noalumacc",
        f"dfflibmap -liberty library.lib {dont_use}".rstrip(),
        "abc -liberty abc.lib -script abc.script",
        *tie_lines(library),
        "opt_clean -purge",
        "write_json mapped.json",
        "",
    ]
    files = {
        "library.lib": texts.liberty,
        "abc.lib": texts.abc_liberty,
        "adders.v": texts.adders,
        "abc.script": f"{_SCRIPT}\n",
        "design.il": module,
        "map.ys": "\n".join(lines),
    }
    folder = make_scratch()
    try:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        yosys.run("map.ys", folder)
        text = (folder / "mapped.json").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SynthesisError(f"An accumulator could not be mapped: {error}.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    gates = gate_library(library)
    netlist = refine(
        read_yosys_json(text, MODULE),
        gates,
        rounds=budget.windows,
        steps=budget.window_steps,
        seed=budget.seed,
        stop=cancelled,
    )
    if cancelled():
        raise SynthesisError("The search was interrupted.")
    return {
        "netlist": netlist.to_json(),
        "area": area_of(netlist, gates),
        "seconds": round(time.process_time() - started, 3),
    }
