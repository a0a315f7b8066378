"""What the flow knows of a cell library: a frozen record that round-trips through JSON.

The facts are the library's logic and areas exactly, and its timing and energy on one small grid
of input slews and output loads (see :mod:`.tables` for how the grid is chosen). Units: µm², ps,
fF, fJ, nW, V, °C. Between grid points, and beyond them, values are bilinear, as in Liberty.
"""

import enum
import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..formats.errors import LibraryError
from .boolean import Expression

Numbers = tuple[float, ...]

#: Names of cells and pins reach scripts and netlists, so others are left out.
NAME_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,127}(?:\[\d{1,4}\])?")

#: Truth tables over (A, B), bit 0 for A = B = 0; and of an inverter and a buffer over (A).
NAND2, NOR2, INVERTER, BUFFER = 0b0111, 0b0001, 0b01, 0b10


class CellKind(enum.StrEnum):
    """What a cell can be used as."""

    COMBINATIONAL = "combinational"
    FLIP_FLOP = "flip-flop"
    TIE = "tie"


@dataclass(frozen=True, kw_only=True, slots=True)
class Arc:
    """How an output answers to one input pin.

    ``kind`` is ``combinational``, ``rising_edge`` or ``falling_edge`` (of a clock), ``clear`` or
    ``preset``; ``sense`` is Liberty's ``timing_sense``. The delays (ps, 50 % to 50 %) and output
    transitions (ps) are over the library's grid, slew by slew; empty where the arc has no such
    edge, or the library no timing. ``energy`` (fJ, same grid) is the internal energy of one
    output transition, the mean of the two edges, load excluded (½CV² an edge, on top).
    """

    pin: str
    kind: str
    sense: str
    rise_delay: Numbers
    fall_delay: Numbers
    rise_transition: Numbers
    fall_transition: Numbers
    energy: Numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class InputPin:
    """An input: its capacitance (fF), and its own energy (fJ) over the library's slews.

    ``rise_energy`` and ``fall_energy`` are spent when the pin switches: always, or, where
    ``quiet``, only if no output switches in consequence (for a clock: at its active edge only if
    the output stays). ``setup`` (ps) is the worse edge's setup time over the data slews, with the
    clock's slew at the middle of the grid; empty where the pin has no setup time.
    """

    name: str
    capacitance: float
    clock: bool
    quiet: bool
    rise_energy: Numbers
    fall_energy: Numbers
    setup: Numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputPin:
    """An output: its function of the inputs, or of a flip-flop's states ``IQ`` and ``IQN``."""

    name: str
    function: Expression
    max_capacitance: float | None
    arcs: tuple[Arc, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class FlipFlop:
    """A cell's state: ``IQ`` becomes ``next_state`` when ``clocked_on`` rises; ``IQN`` is !IQ.

    ``clear`` and ``preset`` are asynchronous, active when true; ``both`` holds two letters of
    Liberty's (L, H, N, T, X) for ``IQ`` and ``IQN`` where both are active, or is empty.
    """

    clocked_on: Expression
    next_state: Expression
    clear: Expression | None
    preset: Expression | None
    both: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A cell: area (µm²), mean leakage (nW), pins, and a flip-flop's state."""

    name: str
    area: float
    leakage: float
    inputs: tuple[InputPin, ...]
    outputs: tuple[OutputPin, ...]
    flip_flop: FlipFlop | None = None

    @property
    def kind(self) -> CellKind:
        """What the cell can be used as."""
        if self.flip_flop is not None:
            return CellKind.FLIP_FLOP
        return CellKind.COMBINATIONAL if self.inputs else CellKind.TIE

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs, in order."""
        return tuple(pin.name for pin in self.inputs)

    @property
    def is_multi_output(self) -> bool:
        """Whether a combinational cell has several outputs, such as a full adder."""
        return self.kind is CellKind.COMBINATIONAL and len(self.outputs) > 1

    def output(self, name: str) -> OutputPin:
        """Return an output by name; raises KeyError."""
        for pin in self.outputs:
            if pin.name == name:
                return pin
        raise KeyError(name)

    def input(self, name: str) -> InputPin:
        """Return an input by name; raises KeyError."""
        for pin in self.inputs:
            if pin.name == name:
                return pin
        raise KeyError(name)

    def truth_table(self, output: str) -> int:
        """Return an output's truth table over the inputs in order (see :mod:`.boolean`)."""
        return self.output(output).function.truth_table(self.input_names)

    def is_plain_flip_flop(self) -> bool:
        """Whether the cell stores D or !D at the rising edge, clear and preset tied off."""
        state = self.flip_flop
        if state is None or state.clocked_on.operator != "pin":
            return False
        data = state.next_state
        data = data.operands[0] if data.operator == "!" else data
        return data.operator == "pin" and data.name in self.input_names


@dataclass(frozen=True, kw_only=True, slots=True)
class Corner:
    """Where the library was characterised: process factor, V, °C, and slew thresholds in %."""

    process: float
    voltage: float
    temperature: float
    slew_lower: float
    slew_upper: float


@dataclass(frozen=True, kw_only=True, slots=True)
class WireLoad:
    """A guess at a net's wire before layout.

    ``points`` are pairs of fan-out and wire capacitance (fF), ascending; beyond the last one each
    fan-out adds ``slope`` fF. ``resistance`` is the wire's, in kΩ for each of its fF.
    """

    points: tuple[tuple[int, float], ...]
    slope: float
    resistance: float

    def capacitance(self, fan_out: int) -> float:
        """Return the wire capacitance (fF) of a net with so many inputs, linear between points."""
        below = (0, 0.0)
        for point in self.points:
            if fan_out <= point[0]:
                share = (fan_out - below[0]) / (point[0] - below[0])
                return below[1] + share * (point[1] - below[1])
            below = point
        return below[1] + (fan_out - below[0]) * self.slope


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A file that the library was distilled from, and its SHA-256."""

    file: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class CellLibrary:
    """A cell library's facts; cells are sorted by name.

    ``slews`` (ps) and ``loads`` (fF) are the grid of every arc's tables. ``wire_load`` is the
    library's default wire-load model, or None. Provenance (``sources``, ``notice``: licence and
    copyright text, ``dropped``: cells left out, counted by reason) is no part of equality or of
    :attr:`digest`.
    """

    name: str
    corner: Corner
    slews: Numbers
    loads: Numbers
    cells: tuple[Cell, ...]
    wire_load: WireLoad | None = None
    sources: tuple[Source, ...] = field(default=(), compare=False)
    notice: str = field(default="", compare=False, repr=False)
    dropped: Mapping[str, int] = field(default_factory=dict, compare=False)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of every fact, as canonical JSON."""
        from .cell_json import facts_to_json  # noqa: PLC0415 - it imports this module

        text = json.dumps(facts_to_json(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def is_timed(self) -> bool:
        """Whether every combinational cell has a delay from every input that matters.

        ABC's buffering and sizing crash on a Liberty file in which only some cells have one.
        """
        return bool(self.slews) and all(
            {arc.pin for arc in output.arcs} >= set(output.function.pins())
            for cell in self.of_kind(CellKind.COMBINATIONAL)
            for output in cell.outputs
        )

    @functools.cached_property
    def by_name(self) -> Mapping[str, Cell]:
        """The cells by name."""
        return {cell.name: cell for cell in self.cells}

    def cell(self, name: str) -> Cell:
        """Return a cell by name; raises :class:`LibraryError`."""
        try:
            return self.by_name[name]
        except KeyError:
            raise LibraryError(f"The library {self.name} has no cell {name!r}.") from None

    def of_kind(self, kind: CellKind) -> Iterator[Cell]:
        """Return the cells of one kind."""
        return (cell for cell in self.cells if cell.kind is kind)

    def with_truth_table(self, width: int, table: int) -> Sequence[Cell]:
        """Return the one-output combinational cells with this function, smallest first."""
        found = [
            cell
            for cell in self.of_kind(CellKind.COMBINATIONAL)
            if len(cell.outputs) == 1
            and len(cell.inputs) == width
            and cell.truth_table(cell.outputs[0].name) == table
        ]
        return sorted(found, key=lambda cell: (cell.area, cell.name))

    @functools.cached_property
    def nand2(self) -> Cell:
        """The smallest two-input NAND, whose area is one gate equivalent.

        Raises :class:`LibraryError` where the library has none.
        """
        found = self.with_truth_table(2, NAND2)
        if not found:
            raise LibraryError(
                f"The library {self.name} has no two-input NAND, so areas cannot be given in GE."
            )
        return found[0]

    @functools.cached_property
    def flip_flops(self) -> Sequence[Cell]:
        """The cells that can store D at the rising edge, smallest first."""
        found = [cell for cell in self.cells if cell.is_plain_flip_flop()]
        return sorted(found, key=lambda cell: (cell.area, cell.name))

    @functools.cached_property
    def best_flip_flop(self) -> Cell:
        """The smallest of :attr:`flip_flops`, counting an inverter where it only gives !D.

        Yosys' ``dfflibmap`` takes any cell with a true output before a smaller one without, so it
        needs to be told not to use the others (:attr:`other_flip_flops`).
        """
        inverters = self.with_truth_table(1, INVERTER)

        def cost(cell: Cell) -> tuple[float, str]:
            state = cell.flip_flop
            true = "IQN" if state is not None and state.next_state.operator == "!" else "IQ"
            has_true = any(pin.function.name == true for pin in cell.outputs)
            return cell.area + (0.0 if has_true or not inverters else inverters[0].area), cell.name

        if not self.flip_flops:
            raise LibraryError(f"The library {self.name} has no D flip-flop.")
        return min(self.flip_flops, key=cost)

    @property
    def other_flip_flops(self) -> tuple[str, ...]:
        """The names of :attr:`flip_flops` but for the best, in order."""
        best = self.best_flip_flop.name
        return tuple(sorted(cell.name for cell in self.flip_flops if cell.name != best))

    def tie(self, value: int) -> tuple[Cell, str] | None:
        """Return the smallest cell with an output that is constantly ``value``, and its pin."""
        found = [
            (cell.area, cell.name, pin.name)
            for cell in self.of_kind(CellKind.TIE)
            for pin in cell.outputs
            if pin.function.operator == str(value)
        ]
        if not found:
            return None
        _, name, pin = min(found)
        return self.cell(name), pin
