"""Verification of synthesised designs at both levels: the Verilog, and the mapped netlist."""

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..formats.errors import OutputError
from ..formats.folder import check_folder
from ..formats.mac import MacSpec
from ..formats.scratch import make_scratch
from ..rtl.verilog import design_digest, to_rtlil, to_verilog_many, top_name
from ..rtl.yosys import yosys_version
from ..sim.design import Design
from ..sim.result import VerifyResult
from ..sim.simulators import Simulator
from ..sim.verify import verify
from ..synth.area import Candidate
from ..synth.cache import Cache, Record, cache_key
from ..synth.cell_models import cell_models
from ..synth.cells import CellLibrary

# White space, quotes, colons, dollars and the like end a name, or start another, in Verilator's
# makefiles.
_PLAIN_PATH = re.compile(r"[\w/.,+@%=~^-]+")


def rtl_designs(pairs: Sequence[tuple[MacSpec, str]], cache: Cache) -> list[Design]:
    """Return each (spec, architecture) as Verilog, from the cache where it was written before."""
    keys = [
        cache_key(
            {
                "what": "verilog",
                "design": design_digest(to_rtlil(spec, architecture)),
                "tool": yosys_version(),
            }
        )
        for spec, architecture in pairs
    ]
    texts: dict[str, str] = {}
    for key in keys:
        text = cache.read(key, _verilog)
        if text is not None:
            texts[key] = text
    missing = {k: pair for k, pair in zip(keys, pairs, strict=True) if k not in texts}
    for key, text in zip(missing, to_verilog_many(list(missing.values())), strict=True):
        texts[key] = text
        cache.put(key, {"verilog": text})
    return [
        Design(
            spec=spec,
            architecture=architecture,
            level="rtl",
            top=top_name(spec, architecture),
            sources=(texts[key],),
        )
        for key, (spec, architecture) in zip(keys, pairs, strict=True)
    ]


def _verilog(record: Record) -> str:
    text = record["verilog"]
    if not isinstance(text, str):
        raise TypeError("its Verilog is no text")
    return text


def netlist_designs(candidates: Sequence[Candidate], library: CellLibrary) -> list[Design]:
    """Return each candidate's netlist with the functions of the library's cells that it uses."""
    return [
        Design(
            spec=one.task.design.spec,
            architecture=one.task.design.architecture,
            level="netlist",
            top=one.task.design.top,
            sources=(one.mapped.netlist, cell_models(library, sorted(one.mapped.cells))),
        )
        for one in candidates
    ]


def verify_designs(
    designs: Sequence[Design],
    cache: Cache,
    *,
    simulator: Simulator | None = None,
    jobs: int | None = None,
    waves: Path | None = None,
    progress: Callable[[VerifyResult], None] | None = None,
) -> list[VerifyResult]:
    """Simulate the designs with what the cache knows; keep_going, so that each has a verdict.

    Verilator's compiled runtime is kept in the cache's folder, for later runs, where that can be
    written and has nothing in its path that means something to a makefile.
    """
    with models_folder(cache) as folder:
        return verify(
            designs,
            workdir=folder,
            simulator=simulator,
            jobs=jobs,
            waves=waves,
            progress=progress,
            cache=cache,
            keep_going=True,
        )


@contextlib.contextmanager
def models_folder(cache: Cache) -> Iterator[Path]:
    """Give a folder for simulation models: the cache's, or a temporary one where it cannot be."""
    folder = cache.folder / "simulation"
    temporary = None if _can_hold_models(folder) else make_scratch()
    try:
        yield temporary or folder
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _can_hold_models(folder: Path) -> bool:
    if not _PLAIN_PATH.fullmatch(str(folder)):
        return False
    try:
        check_folder(folder)
    except OutputError:
        return False
    return True
