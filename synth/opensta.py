"""The critical path by OpenSTA, where ``sta`` is on PATH (Debian's opensta 2.0.17 and later).

OpenSTA gets the library as Liberty with timing (or the user's own files), the netlist with safe
names, a Tcl script that holds numbers only, and a folder of its own. Its report is checked before
it counts.
"""

import dataclasses
import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..formats.errors import OutputError, SynthesisError, ToolError
from ..formats.scratch import mark
from ..rtl.process import run_process
from .cells import CellLibrary
from .delay_conditions import Resolved
from .driven_netlist import Driven, drive
from .liberty_tree import LibertyFile
from .liberty_writer import to_liberty
from .netlist import Netlist
from .netlist_verilog import instance_names, to_verilog
from .path_ends import PathEnds

DEFAULT_TIMEOUT = 120.0
#: Far above any delay; single precision still resolves a hundredth of a picosecond of slack.
_PERIOD_PS = 100_000
_SCRIPT, _NETLIST, _LIBRARY, _REPORT = "timing.tcl", "netlist.v", "library.lib", "report.txt"
_MAX_REPORT = 2**22
_DONE = "timing done"
_NUMBER = r"(-?\d+\.\d+)"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OpenSta:
    """An OpenSTA that can be run."""

    path: str
    version: str

    @property
    def method(self) -> str:
        """Name and version, as records have them."""
        return f"OpenSTA {self.version}"


def find_opensta() -> OpenSta | None:
    """Return the OpenSTA on PATH, or None where there is none that runs."""
    path = shutil.which("sta")
    return None if path is None else _probe(path)


@functools.lru_cache(maxsize=8)
def _probe(path: str) -> OpenSta | None:
    try:
        process = subprocess.run(
            [path, "-version"], capture_output=True, encoding="utf-8", timeout=20, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    match = re.fullmatch(r"(?:OpenSTA )?(\d+\.\d+\.\d+)(?: \w+)?", process.stdout.strip())
    return None if process.returncode or match is None else OpenSta(path=path, version=match[1])


def critical_path(
    tool: OpenSta,
    netlist: Netlist,
    library: CellLibrary,
    conditions: Resolved,
    *,
    liberty: Sequence[LibertyFile] = (),
    timeout: float = DEFAULT_TIMEOUT,
) -> PathEnds:
    """Return the critical path's delay and ends.

    ``liberty`` are Liberty files to take in place of ``library``'s own facts; the library still
    says what each cell is. Raises :class:`ToolError` where OpenSTA fails or reports nothing.
    """
    driven = drive(netlist, library, conditions)
    try:
        with tempfile.TemporaryDirectory(prefix=mark()) as name:
            folder = Path(name)
            names = []
            for index, file in enumerate(liberty):
                names.append(f"library{index}.lib")
                (folder / names[-1]).write_text(file.text, encoding="utf-8")
            if not liberty:
                names.append(_LIBRARY)
                known = (
                    library if conditions.wires else dataclasses.replace(library, wire_load=None)
                )
                (folder / _LIBRARY).write_text(to_liberty(known), encoding="utf-8")
            (folder / _NETLIST).write_text(to_verilog(driven.netlist), encoding="utf-8")
            script = _script(driven, conditions, names)
            (folder / _SCRIPT).write_text(script, encoding="utf-8")
            return _read(_run(tool, folder, timeout), driven, tool)
    except OSError as error:
        raise OutputError(f"No folder for OpenSTA can be written: {error}.") from error


def _script(driven: Driven, conditions: Resolved, libraries: Sequence[str]) -> str:
    clock = driven.clock
    lines = [f"read_liberty {name}" for name in libraries]
    lines += [
        f"read_verilog {_NETLIST}",
        f"link_design {driven.netlist.top}",
        "set_cmd_units -time ps -capacitance fF",
        f"create_clock -name timing_clock -period {_PERIOD_PS}"
        + ("" if clock is None else f" [get_ports {clock}]"),
        f"set_clock_transition {conditions.clock_slew_ps!r} [get_clocks timing_clock]",
        f"set_load {conditions.load_ff!r} [all_outputs]",
        "set_output_delay 0 -clock timing_clock [all_outputs]",
    ]
    if driven.starts:
        lines += [
            "foreach port [all_inputs] {",
            f"  if {{[get_property $port full_name] ne {{{clock or ''}}}}} {{",
            "    set_input_delay 0 -clock timing_clock $port",
            f"    set_input_transition {conditions.input_slew_ps!r} $port",
            "  }",
            "}",
        ]
    lines += [
        f"report_checks -path_delay max -format full -digits 6 > {_REPORT}",
        f'puts "{_DONE}"',
        "",
    ]
    return "\n".join(lines)


def _run(tool: OpenSta, folder: Path, timeout: float) -> str:
    """Run the script in the folder; return the report."""
    output = folder / "sta.out"
    try:
        with output.open("wb") as log:
            status = run_process(
                [tool.path, "-no_init", "-no_splash", "-exit", _SCRIPT],
                environment=dict(os.environ),
                log=log,
                timeout=timeout,
                cwd=folder,
            )
    except TimeoutError as error:
        raise ToolError(f"{tool.method} ran longer than {timeout:g} s.") from error
    except OSError as error:
        raise ToolError(f"{tool.path} cannot be started: {error}.") from error
    printed = output.read_text(encoding="utf-8", errors="replace")[:_MAX_REPORT]
    lines = printed.splitlines()
    # It goes on after an error in a library, and takes unknown cells for black boxes.
    errors = [line for line in lines if line.startswith("Error") or "black box" in line]
    if status != 0 or errors or _DONE not in lines:
        reason = " / ".join(errors[:3] or lines[-3:]) or "no message"
        raise ToolError(f"{tool.method} ended with code {status}: {reason}.")
    try:
        with (folder / _REPORT).open(encoding="utf-8", errors="replace") as stream:
            return stream.read(_MAX_REPORT)
    except OSError as error:
        raise ToolError(f"{tool.method} ended without a report ({error}).") from error


def _read(report: str, driven: Driven, tool: OpenSta) -> PathEnds:
    """Read the report of one path; raises :class:`ToolError` where anything is missing."""
    names = instance_names(driven.netlist)
    start = re.search(r"^Startpoint: (\S+)", report, re.MULTILINE)
    end = re.search(r"^Endpoint: (\S+)", report, re.MULTILINE)
    arrival = re.search(rf"^\s*{_NUMBER}\s+data arrival time$", report, re.MULTILINE)
    if "No paths found" in report:
        raise SynthesisError(f"The netlist {driven.netlist.top} has no path to measure.")
    if start is None or end is None or arrival is None:
        raise ToolError(f"{tool.method} reported no path but {report[:200]!r}.")
    setup = re.search(rf"^\s*{_NUMBER}\s+\S+\s+library setup time$", report, re.MULTILINE)
    launch, capture = names.get(start[1]), names.get(end[1])
    setup_ps = 0.0 if setup is None else -float(setup[1])
    bit = driven.bits.get(launch or "")
    return PathEnds(
        ps=float(arrival[1]) + setup_ps,
        setup_ps=setup_ps,
        start=bit or start[1],
        launch=None if bit else launch,
        end=end[1],
        capture=capture,
    )
