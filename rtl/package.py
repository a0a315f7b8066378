"""Writing designs for a user's flow: Verilog, manifest and FuseSoC core file for each."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from ..formats.errors import UsageError
from ..formats.folder import write_folder
from ..formats.mac import MacSpec
from .fusesoc import to_core
from .manifest import manifest
from .verilog import to_verilog_many, top_name


def write_package(
    designs: Sequence[tuple[MacSpec, str]], directory: str | os.PathLike[str]
) -> list[Path]:
    """Write ``TOP.v``, ``TOP.json`` and ``TOP.core`` of each (spec, architecture); return paths.

    The directory is made where it is missing; files of the same names are replaced. All texts are
    complete in a temporary folder inside ``directory`` before the first file takes its place.

    Raises :class:`UsageError` where two designs would have the same module name,
    :class:`ArchitectureError` for an unknown architecture or one that refuses its spec, and
    :class:`OutputError` where the directory cannot be written.
    """
    _refuse_collisions(designs)
    files: dict[str, str] = {}
    for (spec, architecture), verilog in zip(designs, to_verilog_many(designs), strict=True):
        top = top_name(spec, architecture)
        record = manifest(spec, architecture, verilog)
        files[f"{top}.v"] = verilog
        files[f"{top}.json"] = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        files[f"{top}.core"] = to_core(spec, architecture)
    folder = Path(directory)
    write_folder(folder, {name: text.encode() for name, text in files.items()})
    return [folder / name for name in files]


def _refuse_collisions(designs: Sequence[tuple[MacSpec, str]]) -> None:
    seen: dict[str, tuple[MacSpec, str]] = {}
    for spec, architecture in designs:
        top = top_name(spec, architecture)
        if top in seen:
            other = seen[top][0]
            raise UsageError(
                f"Two designs would both be called {top}: {_pair(other)} and {_pair(spec)}. "
                "Generate each design once, and rename a format whose name differs from another's "
                "in case or punctuation only."
            )
        seen[top] = (spec, architecture)


def _pair(spec: MacSpec) -> str:
    return f"{spec.weight.name} × {spec.activation.name}"
