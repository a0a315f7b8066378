"""Distil Liberty files into a :class:`CellLibrary`: ``python -m nibblemac.synth.distill``.

Every library that the flow uses goes through here, so that a distilled library and the files it
came from give the same areas: logic and areas are kept exactly, timing and energy on a small grid
(:mod:`.tables`). Cells that cannot serve plain synchronous logic are left out and counted by
reason (:mod:`.cell_filter`).
"""

import argparse
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..formats.errors import LibraryError, NibblemacError, OutputError
from .cell_filter import reason_to_drop
from .cell_json import to_text
from .cell_logic import Logic, read_logic
from .cell_timing import TimingReader
from .cells import INVERTER, NAND2, NOR2, CellLibrary, Source
from .liberty import read_liberty
from .liberty_corner import common_corner
from .liberty_tree import Group, LibertyFile
from .liberty_units import read_units
from .tables import choose_grid
from .wire_load import read_wire_load


def distill(
    files: Sequence[LibertyFile],
    *,
    name: str | None = None,
    dont_use: Sequence[str] = (),
    notice: str | None = None,
) -> CellLibrary:
    """Return the facts of the library that the Liberty files hold together.

    ``name`` is the library's name, by default that of the first file's ``library`` group;
    ``dont_use`` patterns (``*``, ``?``) of cells to leave out on top of the built-in ones;
    ``notice`` the licence text to keep, by default the copyright comments that the files open with.

    Raises :class:`LibraryError` for a cell that occurs twice, files of different corners,
    malformed values, and a library that lacks an inverter, a NAND2 or NOR2, or a D flip-flop.
    """
    if not files:
        raise LibraryError("No Liberty file was given.")
    shown = ", ".join(file.name for file in files)
    corner = common_corner(files)
    dropped: Counter[str] = Counter()
    logics: dict[str, tuple[Logic, TimingReader]] = {}
    seen: dict[str, Group] = {}
    for file in files:
        _refuse_includes(file)
        reader = _reader(file.library)
        for group in file.library.children("cell"):
            cell = group.args[0] if group.args else ""
            if cell in seen:
                raise LibraryError(
                    f"{group.where}: the cell {cell!r} is also at {seen[cell].where}; give each "
                    "cell once."
                )
            seen[cell] = group
            logic = reason_to_drop(group, dont_use) or read_logic(group)
            if isinstance(logic, str):
                dropped[logic] += 1
            else:
                logics[cell] = logic, reader
    _require(logics, shown, dropped)
    slews, loads = _grid(logics)
    cells = []
    for _, (logic, reader) in sorted(logics.items()):
        on_grid = TimingReader(
            reader.units,
            reader.templates,
            reader.default_capacitance,
            reader.default_leakage,
            slews,
            loads,
        )
        cells.append(on_grid.cell(logic))
    title = files[0].library.args[0] if files[0].library.args else "library"
    return CellLibrary(
        name=name or re.sub(r"[^\w.+-]", "_", title)[:64],
        corner=corner,
        slews=slews,
        loads=loads,
        cells=tuple(cells),
        wire_load=read_wire_load(files[0].library, read_units(files[0].library)),
        sources=tuple(Source(file=file.name, sha256=file.sha256) for file in files),
        notice=_notices(files) if notice is None else notice,
        dropped=dict(sorted(dropped.items())),
    )


def _refuse_includes(file: LibertyFile) -> None:
    if file.library.complex("include_file") is not None:
        raise LibraryError(
            f"{file.name} includes another file, which is not followed; give all files of the "
            "library instead."
        )


def _reader(library: Group) -> TimingReader:
    return TimingReader(
        units=read_units(library),
        templates={
            group.args[0]: group
            for group in library.children("lu_table_template", "power_lut_template")
            if group.args
        },
        default_capacitance=library.number("default_input_pin_cap") or 0.0,
        default_leakage=library.number("default_cell_leakage_power") or 0.0,
    )


def _find(logics: dict[str, tuple[Logic, TimingReader]], width: int, table: int) -> Logic | None:
    """Return the smallest cell of one output that has this truth table."""
    found = [
        logic
        for logic, _ in logics.values()
        if logic.flip_flop is None and len(logic.inputs) == width and len(logic.outputs) == 1
        if logic.truth_table(next(iter(logic.outputs))) == table
    ]
    return min(found, key=lambda logic: (logic.area, logic.name), default=None)


def _is_plain(logic: Logic) -> bool:
    state = logic.flip_flop
    if state is None or state.clocked_on.operator != "pin":
        return False
    data = state.next_state
    data = data.operands[0] if data.operator == "!" else data
    return data.operator == "pin" and data.name in logic.inputs


def _require(
    logics: dict[str, tuple[Logic, TimingReader]], shown: str, dropped: Counter[str]
) -> None:
    missing = []
    if _find(logics, 1, INVERTER) is None:
        missing.append("an inverter")
    if _find(logics, 2, NAND2) is None and _find(logics, 2, NOR2) is None:
        missing.append("a two-input NAND or NOR")
    if not any(_is_plain(logic) for logic, _ in logics.values()):
        missing.append("a D flip-flop for the rising clock edge")
    if missing:
        left_out = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))
        raise LibraryError(
            f"The library in {shown} lacks {' and '.join(missing)}, without which nothing can be "
            f"mapped; {len(logics)} cells are usable"
            + (f", left out are: {left_out}." if left_out else ".")
            + " If the library is spread over several files, give all of them."
        )


def _grid(
    logics: dict[str, tuple[Logic, TimingReader]],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    tables = (
        table
        for logic, reader in logics.values()
        for pin in logic.outputs.values()
        for _, table in reader.delay_tables(pin)
    )
    gate = _find(logics, 2, NAND2) or _find(logics, 2, NOR2)
    assert gate is not None  # noqa: S101 - _require saw one
    _, reader = logics[gate.name]
    pins = [reader.capacitance(pin) for pin in gate.inputs.values()]
    transitions = [
        table
        for pin in gate.outputs.values()
        for name, table in reader.delay_tables(pin)
        if name.endswith("_transition")
    ]
    return choose_grid(tables, sum(pins) / len(pins), transitions)


def _notices(files: Sequence[LibertyFile]) -> str:
    """Return the comments before the files' library groups that speak of copyright, each once."""
    found: dict[str, None] = {}
    for file in files:
        for match in re.finditer(r"/\*(.*?)\*/", file.text[: file.library.offset], re.DOTALL):
            lines = [line.strip().strip("*").strip() for line in match[1].split("\n")]
            if re.search(r"copyright|licen[sc]e", match[1], re.IGNORECASE):
                found["\n".join(lines).strip()] = None
    return "\n\n".join(found)


def write_json(library: CellLibrary, path: Path) -> None:
    """Write the library as JSON, whole or not at all; raises :class:`OutputError`."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(to_text(library))
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}.") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m nibblemac.synth.distill",
        description="Distil the Liberty files of one cell library into one JSON file of facts.",
    )
    parser.add_argument("name", metavar="NAME", help="the library's name in tables and records")
    parser.add_argument("output", metavar="OUT.json", type=Path)
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+", help=".lib or .lib.gz")
    parser.add_argument("--dont-use", metavar="PATTERN", action="append", default=[])
    parser.add_argument(
        "--notice", metavar="TEXTFILE", type=Path, help="licence text, where the files hold none"
    )
    options = parser.parse_args(arguments)
    try:
        notice = None
        if options.notice is not None:
            try:
                notice = options.notice.read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise LibraryError(f"{options.notice} cannot be read: {error}.") from error
        library = distill(
            [read_liberty(path) for path in options.files],
            name=options.name,
            dont_use=options.dont_use,
            notice=notice,
        )
        write_json(library, options.output)
    except NibblemacError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    left_out = ", ".join(f"{count} {reason}" for reason, count in library.dropped.items())
    sys.stdout.write(f"{options.output}: {len(library.cells)} cells; left out: {left_out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
