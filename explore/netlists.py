"""Netlists as files: the mapped Verilog and the script that made it."""

from collections.abc import Sequence
from pathlib import Path

from ..formats.folder import write_folder
from ..synth.area import Candidate
from ..synth.cells import CellLibrary


def netlist_files(candidates: Sequence[Candidate], library: CellLibrary) -> dict[str, bytes]:
    """Return by name each candidate's netlist and Yosys script."""
    files = {}
    for one in candidates:
        stem = f"{one.mapped.top}.{library.name}.{one.task.recipe.name}"
        files[f"{stem}.v"] = one.mapped.netlist.encode()
        files[f"{stem}.ys"] = one.mapped.script.encode()
    return files


def write_netlists(candidates: Sequence[Candidate], library: CellLibrary, directory: Path) -> None:
    """Write each candidate's netlist and Yosys script; raises OutputError."""
    write_folder(directory, netlist_files(candidates, library))
