"""One synthesis: a MAC's RTLIL, a library and a recipe to a mapped netlist and its areas.

Each runs in a Yosys process and a folder of its own, since in one long process results depend on
history. What comes back is checked before it counts: every cell is one of the library's, Yosys's
``check`` found no problem, and every figure is there and agrees with the library's areas.
"""

import json
import math
import re
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from ..formats.errors import NibblemacError, OutputError, SynthesisError
from .adders import adder_techmap
from .cells import CellKind, CellLibrary
from .liberty_writer import to_liberty
from .netlist import Netlist, read_yosys_json
from .recipes import Recipe
from .yosys import DEFAULT_TIMEOUT, Yosys

#: Part of every cache key: raise it when the flow's own passes or checks change.
FLOW_VERSION = 3

_DESIGN, _LIBRARY, _ADDERS = "design.il", "library.lib", "adders.v"
_ABC, _ABC_LIBRARY = "abc.script", "abc.lib"
_FINE_SCALE = 1000.0
_SCRIPT, _STAT, _NETLIST, _GRAPH = "synth.ys", "stat.json", "netlist.v", "netlist.json"
_INSTANCE = re.compile(r"^ *\\?(\S+) +\S+ +\($", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapped:
    """A mapped netlist as Verilog, and its areas in µm².

    ``modules`` maps each module to its own area, submodules included; ``cells`` counts instances
    by cell. ``graph`` is the netlist as a graph, or None where the hierarchy was kept. ``script``
    is what Yosys ran. ``seconds`` are wall-clock.
    """

    top: str
    area_um2: float
    sequential_um2: float
    modules: Mapping[str, float]
    cells: Mapping[str, int]
    netlist: str
    graph: Netlist | None
    script: str
    seconds: float

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types; :meth:`from_json` is the inverse."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            **values,
            "modules": dict(self.modules),
            "cells": dict(self.cells),
            "graph": None if self.graph is None else self.graph.to_json(),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, object]) -> "Mapped":
        """Rebuild a record of :meth:`to_json`; raises TypeError, KeyError or ValueError."""
        values = {field.name: record[field.name] for field in fields(cls)}
        for name, value in values.items():
            if not _RECORD[name](value):
                raise TypeError(f"its {name} is {value!r:.40}")
        graph = values["graph"]
        if isinstance(graph, dict):
            values["graph"] = Netlist.from_json(graph)
        return cls(**values)  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    return type(value) in {int, float} and 0 <= value < math.inf  # type: ignore[operator]


def _is_numbers(value: object) -> bool:
    return isinstance(value, dict) and all(_is_number(one) for one in value.values())


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_RECORD: Mapping[str, Callable[[object], bool]] = {
    "top": _is_text,
    "area_um2": _is_number,
    "sequential_um2": _is_number,
    "modules": _is_numbers,
    "cells": _is_numbers,
    "netlist": _is_text,
    "graph": lambda value: value is None or isinstance(value, dict),
    "script": _is_text,
    "seconds": _is_number,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowLibrary:
    """A library and the texts that the flow makes of it once.

    ``liberty`` is without timing, which recipes for area do not look at; ``abc_liberty`` is the
    same with areas that ABC's two decimals can hold; ``adders`` is the adders' techmap.
    """

    library: CellLibrary
    liberty: str
    abc_liberty: str
    adders: str

    @classmethod
    def of(cls, library: CellLibrary) -> "FlowLibrary":
        """Write the library out for the flow."""
        scale = 1.0 if library.nand2.area >= 1 else _FINE_SCALE
        return cls(
            library=library,
            liberty=to_liberty(library, timing=False),
            abc_liberty=to_liberty(library, timing=False, area_scale=scale),
            adders=adder_techmap(library),
        )


def flow_script(top: str, library: CellLibrary, recipe: Recipe, *, split: bool) -> str:
    """Return the Yosys script: load, the recipe's passes, tie cells, checks, figures.

    With ``split`` the multiplier and the accumulator stay modules of their own.
    """
    lines = [
        f"read_liberty -lib {_LIBRARY}",
        f"read_rtlil {_DESIGN}",
        f"hierarchy -check -top {top}",
    ]
    if split:
        lines.append(f"setattr -mod -set keep_hierarchy 1 {top}_multiplier {top}_accumulator")
    dont_use = " ".join(f"-dont_use {name}" for name in library.other_flip_flops)
    lines += [
        line.replace("{top}", top).replace("{dont_use}", dont_use).rstrip()
        for line in recipe.passes
    ]
    lines += [
        *tie_lines(library),
        "opt_clean -purge",
        "check -mapped -assert",
        f"write_verilog -noattr {_NETLIST}",
        f"write_json {_GRAPH}",
        f"tee -q -o {_STAT} stat -json -liberty {_LIBRARY}",
        "",
    ]
    return "\n".join(lines)


def tie_lines(library: CellLibrary) -> list[str]:
    """Return the passes that drive constants by the library's tie cells, where it has them."""
    arguments = []
    for value, option in ((1, "-hicell"), (0, "-locell")):
        tie = library.tie(value)
        if tie is not None:
            arguments += [option, tie[0].name, tie[1]]
    return [f"hilomap -singleton {' '.join(arguments)}"] if arguments else []


def synthesise(
    rtlil: str,
    top: str,
    prepared: FlowLibrary,
    recipe: Recipe,
    yosys: Yosys,
    *,
    workdir: Path,
    split: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    cancel: threading.Event | None = None,
) -> Mapped:
    """Map a design; ``workdir`` takes the run's folder, kept only where the run fails.

    Raises :class:`SynthesisError`, which names design, recipe, library and what is wrong, where
    Yosys fails, leaves a cell unmapped, finds a problem in its check, or a figure is missing.
    """
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(dir=workdir, prefix=f"{top}_{recipe.name}_"))
    library = prepared.library
    script = flow_script(top, library, recipe, split=split)
    files = {
        _DESIGN: rtlil,
        _LIBRARY: prepared.liberty,
        _ABC_LIBRARY: prepared.abc_liberty,
        _ADDERS: prepared.adders,
        _ABC: "; ".join(recipe.abc) + "\n",
        _SCRIPT: script,
    }
    try:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        yosys.run(_SCRIPT, folder, timeout=timeout, cancel=cancel)
        mapped = read_result(folder, top, library, script, started, split=split)
    except SynthesisError as error:
        raise SynthesisError(
            f"Synthesis of {top} with recipe {recipe.name} on {library.name} failed: {error} "
            f"The run is kept in {folder}."
        ) from error
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, (NibblemacError, InterruptedError)):
            raise OutputError(f"The files of {top} cannot be written: {error}.") from error
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return mapped


def read_result(
    folder: Path, top: str, library: CellLibrary, script: str, started: float, *, split: bool
) -> Mapped:
    """Return the result that a run left in its folder; raises :class:`SynthesisError`."""
    try:
        stat = json.loads((folder / _STAT).read_text(encoding="utf-8"))
        netlist = (folder / _NETLIST).read_text(encoding="utf-8")
        graph = (folder / _GRAPH).read_text(encoding="utf-8")
    except (OSError, ValueError, RecursionError) as error:
        raise SynthesisError(f"Yosys ended without a result ({error}).") from error
    try:
        modules = {name.removeprefix("\\"): facts for name, facts in stat["modules"].items()}
        design = stat["design"] if split or "design" in stat else modules[top]
        counts = {str(name): int(n) for name, n in design["num_cells_by_type"].items()}
        areas = {name: float(facts["area"]) for name, facts in modules.items()}
        total, sequential = float(design["area"]), float(design["sequential_area"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise SynthesisError(f"Yosys's figures lack {error}.") from error
    cells = {name: n for name, n in counts.items() if name not in areas}
    unmapped = sorted(set(cells) - set(library.by_name))
    if unmapped:
        raise SynthesisError(
            f"{len(unmapped)} types of cells are not in the library: {', '.join(unmapped[:5])}."
        )
    _check_areas(cells, total, sequential, library)
    if f"module {top}(" not in netlist:
        raise SynthesisError("Yosys wrote a netlist without the top module.")
    instances = Counter(name for name in _INSTANCE.findall(netlist) if name in library.by_name)
    if instances != cells or not netlist.rstrip().endswith("endmodule"):
        raise SynthesisError("Yosys wrote a netlist that is not whole.")
    netlist_graph = None if split else read_yosys_json(graph, top)
    if netlist_graph is not None and Counter(c.cell for c in netlist_graph.instances) != cells:
        raise SynthesisError("Yosys's netlist counts other cells than its figures do.")
    return Mapped(
        top=top,
        area_um2=total,
        sequential_um2=sequential,
        modules=dict(sorted(areas.items())),
        cells=dict(sorted(cells.items())),
        netlist=netlist,
        graph=netlist_graph,
        script=script,
        seconds=round(time.monotonic() - started, 3),
    )


def _check_areas(
    cells: Mapping[str, int], total: float, sequential: float, library: CellLibrary
) -> None:
    """Hold Yosys's sums against the library's own areas: a cell priced at zero is an error."""
    expected = math.fsum(n * library.cell(name).area for name, n in cells.items())
    flip_flops = math.fsum(
        n * library.cell(name).area
        for name, n in cells.items()
        if library.cell(name).kind is CellKind.FLIP_FLOP
    )
    for what, figure, sum_ in (
        ("area", total, expected),
        ("sequential area", sequential, flip_flops),
    ):
        if not math.isclose(figure, sum_, rel_tol=1e-6, abs_tol=1e-9) or figure <= 0:
            raise SynthesisError(
                f"Yosys's {what} is {figure:g} µm², but its cells add up to {sum_:g} µm²."
            )
