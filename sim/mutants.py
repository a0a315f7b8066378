"""Faults in a design, by Yosys's ``mutate``: their list, and one design that holds them all.

The design is brought to gates where it computes (adders, multipliers, selections) and left as
vectors of bits elsewhere, since two of Yosys's five modes (``cnot0``, ``cnot1``) invert one bit of
a port where another bit of it is 0 or 1. A fault sits at one bit of one cell's input or output,
so the others that read the same wire do not see an input's fault. Faults of clock pins are left
out: they are no faults of logic, and proofs in which all registers share a clock would miss them.
"""

import re
import shutil
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..formats.errors import SynthesisError, UsageError
from ..formats.mac import MacSpec
from ..formats.scratch import mark

#: Part of every cache key: raise it when passes or the choice of faults change.
MUTANTS_VERSION = 1
MODES = ("inv", "const0", "const1", "cnot0", "cnot1")
SELECT = "mutsel"
DEFAULT_COUNT = 200
MAX_COUNT = 10_000
MAX_SEED = 2**31 - 1
DEFAULT_TIMEOUT = 300.0

_CLOCKS = frozenset({"C", "CLK"})
# More faults than all clock pins have, which are taken out of the list.
_SPARE = 256
_DESIGN, _PREPARED, _LIST, _MUTATED = "design.il", "prepared.il", "list.txt", "mutated.v"
_TO_GATES = "techmap t:$add t:$sub t:$neg t:$mul t:$alu t:$macc* t:$lcu t:$fa t:$pmux"


class YosysTool(Protocol):
    """A Yosys that runs the script file of a folder there."""

    @property
    def tools(self) -> dict[str, str]:
        """Tool and version."""

    def run(
        self,
        script: str,
        folder: Path,
        *,
        timeout: float,
        cancel: threading.Event | None = None,
    ) -> None:
        """Run a script; raises a :class:`ToolError` where it fails."""


class Subject(Protocol):
    """A MAC in one architecture, as RTLIL."""

    @property
    def spec(self) -> MacSpec:
        """What it computes."""

    @property
    def architecture(self) -> str:
        """The architecture's name."""

    @property
    def top(self) -> str:
        """The top module's name."""

    @property
    def rtlil(self) -> str:
        """The design; simulation and proofs know nothing else of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """One fault. ``number`` selects it; 0 is the design without any.

    ``mode`` is one of :data:`MODES`, at bit ``port_bit`` of the port ``port`` of ``cell``, and
    with cnot0 and cnot1 where bit ``control_bit`` of that port is 0 or 1. ``wire`` and
    ``wire_bit`` name the signal there, where it has a name in the design, ``source`` the lines
    that the cell comes from, where they are known.
    """

    number: int
    mode: str
    cell: str
    port: str
    port_bit: int
    control_bit: int | None
    wire: str
    wire_bit: int | None
    source: str

    def __str__(self) -> str:
        """Return the fault as a phrase."""
        where = f"{self.cell}.{self.port}[{self.port_bit}]"
        words = {
            "inv": f"{where} inverted",
            "const0": f"{where} stuck at 0",
            "const1": f"{where} stuck at 1",
            "cnot0": f"{where} inverted where its bit {self.control_bit} is 0",
            "cnot1": f"{where} inverted where its bit {self.control_bit} is 1",
        }
        text = words[self.mode]
        if self.wire:
            text += f", on {self.wire}[{self.wire_bit}]"
        return f"{text}, from {self.source}" if self.source else text


@dataclass(frozen=True, kw_only=True, slots=True)
class MutatedDesign:
    """A design as Verilog with all its mutants.

    The module ``top`` has, besides the ports of ``spec``, the input ``mutsel`` of ``select_bits``
    bits: the number of the mutant that it is to be.
    """

    spec: MacSpec
    architecture: str
    top: str
    verilog: str
    mutants: tuple[Mutant, ...]

    @property
    def name(self) -> str:
        """Format and architecture as text."""
        return f"{format_names(self.spec)}, {self.architecture}"

    @property
    def select_bits(self) -> int:
        """The width of ``mutsel``."""
        return select_bits(len(self.mutants))


def format_names(spec: MacSpec) -> str:
    """Return the format, or weight × activation where they differ."""
    if spec.activation.name == spec.weight.name:
        return spec.weight.name
    return f"{spec.weight.name} × {spec.activation.name}"


def select_bits(count: int) -> int:
    """Return the bits that hold the numbers 0 to ``count``."""
    return max(1, count.bit_length())


def make_mutants(
    subject: Subject,
    yosys: YosysTool,
    *,
    workdir: Path,
    count: int = DEFAULT_COUNT,
    seed: int = 1,
    timeout: float = DEFAULT_TIMEOUT,
    cancel: threading.Event | None = None,
) -> MutatedDesign:
    """Return ``count`` different mutants of the design, or all if there are fewer.

    Which they are depends on the design, ``count``, ``seed`` and the version of Yosys alone.
    Raises :class:`UsageError` for a count or seed out of range, :class:`SynthesisError` for a
    design without any fault or a list that cannot be read, and the errors of ``yosys``; its files
    are then left in ``workdir``.
    """
    check_choice(count, seed)
    top = subject.top
    folder = Path(tempfile.mkdtemp(prefix=f"mutants-{mark()}", dir=workdir)).absolute()
    (folder / _DESIGN).write_text(subject.rtlil, encoding="utf-8")
    lines = _run(yosys, folder, _listing(top, count, seed), _LIST, timeout, cancel).splitlines()
    faults = [line for line in dict.fromkeys(lines) if _field(line, "port") not in _CLOCKS]
    mutants = tuple(
        parse_mutant(line, number) for number, line in enumerate(faults[:count], start=1)
    )
    if not mutants:
        raise SynthesisError(f"Yosys found nothing to mutate in {top}.")
    script = _application(top, faults[: len(mutants)])
    verilog = _run(yosys, folder, script, _MUTATED, timeout, cancel)
    shutil.rmtree(folder, ignore_errors=True)
    return MutatedDesign(
        spec=subject.spec,
        architecture=subject.architecture,
        top=top,
        verilog=verilog,
        mutants=mutants,
    )


def check_choice(count: int, seed: int) -> None:
    """Raise :class:`UsageError` for a count or a seed that Yosys or a simulation cannot take."""
    if not 1 <= count <= MAX_COUNT:
        raise UsageError(f"The number of mutants is {count}; it must be from 1 to {MAX_COUNT}.")
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"The seed of the mutants is {seed}; it must be from 0 to {MAX_SEED}.")


def parse_mutant(line: str, number: int) -> Mutant:
    """Return the mutant of a line of ``mutate -list``; raises :class:`SynthesisError`."""
    wire_bit, control_bit = _field(line, "wirebit"), _field(line, "ctrlbit")
    try:
        mutant = Mutant(
            number=number,
            mode=_field(line, "mode"),
            cell=_field(line, "cell"),
            port=_field(line, "port"),
            port_bit=int(_field(line, "portbit")),
            control_bit=int(control_bit) if control_bit else None,
            wire=_field(line, "wire"),
            wire_bit=int(wire_bit) if wire_bit else None,
            source=", ".join(re.findall(r" -src (\S+)", line)),
        )
    except ValueError as error:
        raise SynthesisError(f"Yosys listed a mutant that cannot be read: {line!r}.") from error
    if mutant.mode not in MODES or not mutant.cell or not mutant.port:
        raise SynthesisError(f"Yosys listed a mutant that cannot be read: {line!r}.")
    return mutant


def _field(line: str, name: str) -> str:
    found = re.search(rf" -{name} (\S+)", line)
    return found[1] if found else ""


def _listing(top: str, count: int, seed: int) -> list[str]:
    return [
        f"read_rtlil {_DESIGN}",
        f"hierarchy -check -top {top}",
        *("proc", "flatten", "opt", "memory_map", "opt", "wreduce", "opt"),
        # What is made of one cell may hold another that is still to be brought to gates.
        *(_TO_GATES, "opt", _TO_GATES, "opt", "opt_clean -purge", "check -assert"),
        f"mutate -list {count + _SPARE} -seed {seed} -o {_LIST}",
        f"write_rtlil {_PREPARED}",
    ]


def _application(top: str, faults: Sequence[str]) -> list[str]:
    width = select_bits(len(faults))
    return [
        f"read_rtlil {_PREPARED}",
        *(
            line.replace("mutate ", f"mutate -ctrl {SELECT} {width} {number} ", 1)
            for number, line in enumerate(faults, start=1)
        ),
        "clean",
        f"hierarchy -check -top {top}",
        f"write_verilog -noattr {_MUTATED}",
    ]


def _run(  # noqa: PLR0917 - one caller's facts
    yosys: YosysTool,
    folder: Path,
    script: Sequence[str],
    result: str,
    timeout: float,
    cancel: threading.Event | None,
) -> str:
    """Run a script and return the text of the file that it is to leave."""
    name = Path(result).with_suffix(".ys").name
    (folder / name).write_text("\n".join([*script, ""]), encoding="utf-8")
    yosys.run(name, folder, timeout=timeout, cancel=cancel)
    try:
        return (folder / result).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SynthesisError(f"Yosys ended without {result} in {folder}: {error}.") from error
