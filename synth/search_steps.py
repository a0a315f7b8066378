"""The steps of a search as functions of plain arguments, which run in worker processes.

Each returns ``{"netlist": …, "area": …, "seconds": …}`` or a list of such; areas are µm².
"""

import random
import shutil
import time
from dataclasses import dataclass, replace

from ..formats.errors import SynthesisError
from ..formats.mac import MacSpec
from ..formats.scratch import make_scratch
from .accumulate import AccumulatorShape, build_accumulator
from .assembly import assemble, low_window
from .cache import Record
from .cells import CellKind, CellLibrary
from .flow import FlowLibrary
from .gates import GateLibrary, gate_library
from .jobs import cancelled
from .netlist import Netlist, read_yosys_json
from .one_hot import OneHotShape, build_one_hot_accumulator, one_hot_goal
from .product_search import LINES, PRODUCT, anneal_product, product_goal, product_network
from .refine import anneal_window, area_of, refine
from .yosys import Yosys

#: Raised when a step's results change for the same arguments: part of every key.
SEARCH_VERSION = 1

#: ABC's scripts that a product block is mapped with, each a start of its own.
START_SCRIPTS = (
    "strash; dch -f; amap -m",
    "strash; ifraig; dch -f; map -a",
    "strash; dc2; dc2; dch -f; amap -m",
    "strash; &get -n; &deepsyn -I 1 -J 1; &put; dch -f; amap -m",
)
#: Larger networks get fewer steps, as each takes longer.
_USUAL_GATES = 80

#: Codes, clear and bit 0: more inputs than these have too many patterns.
_MOST_LOW_INPUTS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """Steps over product block and bit 0, then windows and steps for each of a window's gates."""

    low_steps: int
    windows: int
    window_steps: int
    seed: int


_FLOW_LIBRARIES: dict[tuple[str, bool], FlowLibrary] = {}


def _flow_library(library: CellLibrary, *, gates_only: bool = False) -> FlowLibrary:
    """Return a library's texts; with ``gates_only`` without cells that no search could hold."""
    key = library.digest, gates_only
    if key not in _FLOW_LIBRARIES:
        gates = gate_library(library).by_cell
        able = tuple(
            cell
            for cell in library.cells
            if not gates_only or cell.kind is not CellKind.COMBINATIONAL or cell.name in gates
        )
        _FLOW_LIBRARIES[key] = FlowLibrary.of(replace(library, cells=able))
    return _FLOW_LIBRARIES[key]


def _scaled(steps: int, gates: int) -> int:
    return max(500, round(steps * min(1.0, _USUAL_GATES / max(gates, 1))))


def _check() -> None:
    if cancelled():
        raise SynthesisError("The search was interrupted.")


def _record(netlist: Netlist, library: CellLibrary, started: float) -> Record:
    _check()
    return {
        "netlist": netlist.to_json(),
        "area": area_of(netlist, gate_library(library)),
        "seconds": round(time.process_time() - started, 3),
    }


def map_products(rtlil: str, top: str, library: CellLibrary, yosys: Yosys) -> Record:
    """Map a design's module ``TOP_multiplier`` with each of the scripts: the starts of a search.

    A start that holds a cell which is no gate (:mod:`.gates`) is mapped with the gates alone.
    """
    started = time.monotonic()
    gates = gate_library(library)
    module = f"{top}_multiplier"
    found = _map_starts(rtlil, module, _flow_library(library), yosys)
    able = [all(_is_searchable(one.cell, gates) for one in netlist.instances) for netlist in found]
    if not all(able):
        texts = _flow_library(library, gates_only=True)
        others = _map_starts(rtlil, module, texts, yosys)
        found = [
            one if good else other for one, good, other in zip(found, able, others, strict=True)
        ]
    return {
        "netlists": [netlist.to_json() for netlist in found],
        "areas": [area_of(netlist, gates) for netlist in found],
        "seconds": round(time.monotonic() - started, 3),
    }


def _is_searchable(cell: str, gates: GateLibrary) -> bool:
    return cell in gates.by_cell or gates.library.cell(cell).kind is CellKind.TIE


def _map_starts(rtlil: str, module: str, texts: FlowLibrary, yosys: Yosys) -> list[Netlist]:
    lines = [
        "read_liberty -lib library.lib",
        "read_rtlil design.il",
        f"hierarchy -check -top {module}",
        f"synth -top {module} -flatten -noalumacc",
        "design -save mapped",
    ]
    for index in range(len(START_SCRIPTS)):
        lines += [
            "design -load mapped",
            f"abc -liberty abc.lib -script start{index}.abc",
            "opt_clean -purge",
            f"write_json start{index}.json",
        ]
    files = {
        "library.lib": texts.liberty,
        "abc.lib": texts.abc_liberty,
        "design.il": rtlil,
        "starts.ys": "\n".join(lines) + "\n",
    }
    files.update({f"start{i}.abc": f"{script}\n" for i, script in enumerate(START_SCRIPTS)})
    found = []
    folder = make_scratch()
    try:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        yosys.run("starts.ys", folder)
        for index in range(len(START_SCRIPTS)):
            text = (folder / f"start{index}.json").read_text(encoding="utf-8")
            found.append(read_yosys_json(text, module))
    except (OSError, ValueError) as error:
        raise SynthesisError(f"{module} could not be mapped: {error}.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def search_product(
    netlist: Record, spec: MacSpec, library: CellLibrary, schedule: tuple[int, int, float]
) -> Record:
    """Anneal a product block; ``schedule`` holds steps, seed and the first temperature."""
    started = time.process_time()
    steps, seed, hot = schedule
    block = Netlist.from_json(netlist)
    count = _scaled(steps, len(block.instances))
    gates = gate_library(library)
    lines = [port for port in block.outputs if port.name == LINES]
    if lines:
        (*_, sign) = product_network(block, spec, gates).output_values()
        goal = one_hot_goal(spec, len(lines[0].nets), sign)
    else:
        goal = product_goal(spec, len(block.port(PRODUCT).nets))
    best = anneal_product(block, goal, spec, gates, steps=count, seed=seed, hot=hot, stop=cancelled)
    return _record(best, library, started)


def search_accumulator(
    shape: AccumulatorShape | OneHotShape, library: CellLibrary, budget: Budget
) -> Record:
    """Build an accumulator and anneal it in windows."""
    started = time.process_time()
    gates = gate_library(library)
    built = (
        build_one_hot_accumulator(shape, gates)
        if isinstance(shape, OneHotShape)
        else build_accumulator(shape, gates)
    )
    return _record(_windows(built, library, budget), library, started)


def search_mac(
    top: str, product: Record, accumulator: Record, library: CellLibrary, budget: Budget
) -> Record:
    """Assemble a MAC; anneal product block and bit 0 together, then windows all over."""
    started = time.process_time()
    mac = assemble(top, Netlist.from_json(product), Netlist.from_json(accumulator))
    return _record(_polished(mac, library, budget), library, started)


def polish_mac(netlist: Record, library: CellLibrary, budget: Budget) -> Record:
    """Anneal a whole MAC once more."""
    started = time.process_time()
    return _record(_polished(Netlist.from_json(netlist), library, budget), library, started)


def _polished(mac: Netlist, library: CellLibrary, budget: Budget) -> Netlist:
    gates = gate_library(library)
    window = low_window(mac, gates)
    if window is not None and len(window.inputs) <= _MOST_LOW_INPUTS:
        steps = _scaled(budget.low_steps, len(window.instances))
        rng = random.Random(f"low {budget.seed}")  # noqa: S311 - a search, not a secret
        mac = anneal_window(mac, window, gates, rng, steps=steps, prefix="l", stop=cancelled)
    return _windows(mac, library, budget)


def _windows(netlist: Netlist, library: CellLibrary, budget: Budget) -> Netlist:
    return refine(
        netlist,
        gate_library(library),
        rounds=budget.windows,
        steps=budget.window_steps,
        seed=budget.seed,
        stop=cancelled,
    )
