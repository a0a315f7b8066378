"""The single-output cells of a library as gate functions that a search can place and evaluate.

A gate function is a *form* with an inversion allowed at each input and at the output: an OR of
ANDs (groups of 2 and 1: AND-OR 21, which with inversions is also OR-AND 21), an exclusive or, a
multiplexer, a majority. Truth values of a signal over all patterns are one integer, a bit each.
"""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..formats.errors import LibraryError
from .cells import Cell, CellKind, CellLibrary

Values = int

#: AND-OR forms by the sizes of their AND groups.
GROUPS: tuple[tuple[int, ...], ...] = (
    (1,),
    (2,),
    (3,),
    (4,),
    (2, 1),
    (2, 2),
    (3, 1),
    (2, 1, 1),
    (2, 2, 1),
    (3, 2),
    (3, 1, 1),
    (4, 1),
    (2, 2, 2),
    (2, 1, 1, 1),
)
XOR2, XOR3, MUX, MAJORITY = "xor2", "xor3", "mux", "majority"
Form = tuple[int, ...] | str
FORMS: tuple[Form, ...] = (*GROUPS, XOR2, XOR3, MUX, MAJORITY)
_ARITY = {XOR2: 2, XOR3: 3, MUX: 3, MAJORITY: 3}


def arity(form: Form) -> int:
    """Return how many inputs a form has."""
    return _ARITY[form] if isinstance(form, str) else sum(form)


def evaluate_form(form: Form, inputs: Sequence[Values], mask: Values) -> Values:
    """Return a form's value; the multiplexer is ``inputs[2] ? inputs[0] : inputs[1]``."""
    if isinstance(form, str):
        first, second = inputs[0], inputs[1]
        if form == XOR2:
            return first ^ second
        third = inputs[2]
        if form == XOR3:
            return first ^ second ^ third
        if form == MUX:
            return third & first | (mask ^ third) & second
        return first & second | third & (first | second)
    result, index = 0, 0
    for size in form:
        term = mask
        for _ in range(size):
            term &= inputs[index]
            index += 1
        result |= term
    return result


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Gate:
    """One way to use a cell: a form, inversions, and the pin of each of the form's inputs.

    ``inverted[i]`` says whether input ``i`` counts inverted, ``output_inverted`` the same of the
    output. ``area`` is in µm².
    """

    form: Form
    inverted: tuple[bool, ...]
    output_inverted: bool
    area: float
    cell: str
    pins: tuple[str, ...]
    output: str

    def evaluate(self, inputs: Sequence[Values], mask: Values) -> Values:
        """Return the output's values, from those of the signals at the form's inputs."""
        # The commonest forms by themselves: this is the innermost loop of every search.
        form, inverted = self.form, self.inverted
        if form == (2,):
            first, second = inputs
            if inverted[0]:
                first ^= mask
            if inverted[1]:
                second ^= mask
            return first & second ^ mask if self.output_inverted else first & second
        if form == (2, 1):
            first, second, third = inputs
            if inverted[0]:
                first ^= mask
            if inverted[1]:
                second ^= mask
            if inverted[2]:
                third ^= mask
            result = first & second | third
            return result ^ mask if self.output_inverted else result
        literals = [
            mask ^ value if inverted else value
            for value, inverted in zip(inputs, self.inverted, strict=True)
        ]
        result = evaluate_form(self.form, literals, mask)
        return mask ^ result if self.output_inverted else result


def _variable(index: int, width: int) -> int:
    return sum(1 << point for point in range(1 << width) if point >> index & 1)


_LIBRARIES: dict[str, "GateLibrary"] = {}


def gate_library(library: CellLibrary) -> "GateLibrary":
    """Return the library's gates; the same object each time, as making them takes a while."""
    if library.digest not in _LIBRARIES:
        _LIBRARIES[library.digest] = GateLibrary(library)
    return _LIBRARIES[library.digest]


def _permuted(table: int, order: Sequence[int]) -> int:
    """Return the truth table over variables of which variable ``i`` was variable ``order[i]``."""
    width, result = len(order), 0
    for point in range(1 << width):
        source = sum(1 << old for new, old in enumerate(order) if point >> new & 1)
        result |= (table >> source & 1) << point
    return result


GateKey = tuple[Form, tuple[bool, ...], bool]


class GateLibrary:
    """A library's gates: the cheapest cell of each function, and each cell as a gate.

    Raises :class:`LibraryError` for a library without an inverter.
    """

    def __init__(self, library: CellLibrary) -> None:
        self.library = library
        functions = _functions()
        self.cheapest: dict[GateKey, Gate] = {}
        self.by_cell: dict[str, Gate] = {}
        widest = max(arity(form) for form in FORMS)
        smallest: dict[tuple[int, int], list[Cell]] = {}
        for cell in library.of_kind(CellKind.COMBINATIONAL):
            width = len(cell.inputs)
            if len(cell.outputs) == 1 and width <= widest:
                table = cell.truth_table(cell.outputs[0].name)
                smallest.setdefault((width, table), []).append(cell)
        ranked = [sorted(same, key=lambda c: (c.area, c.name)) for same in smallest.values()]
        for same in sorted(ranked, key=lambda cells: (cells[0].area, cells[0].name)):
            self._add(same, functions)
        self.tables, self.least = self._by_form()
        inverter = self.cheapest.get(((1,), (False,), True))
        if inverter is None:
            raise LibraryError(f"The library {library.name} has no inverter.")
        self.inverter = inverter

    def _by_form(self) -> tuple[dict[Form, list[Gate | None]], dict[Form, float]]:
        """Return by form its gates, by inversions as bits (inputs, output), and its least area."""
        tables: dict[Form, list[Gate | None]] = {}
        least: dict[Form, float] = {}
        for form in FORMS:
            width = arity(form)
            table: list[Gate | None] = [None] * (2 << width)
            for (other, inverted, output_inverted), gate in self.cheapest.items():
                if other == form:
                    bits = sum(flip << index for index, flip in enumerate(inverted))
                    table[bits | output_inverted << width] = gate
            tables[form] = table
            least[form] = min((gate.area for gate in table if gate is not None), default=math.inf)
        return tables, least

    def _add(
        self, same: Sequence[Cell], functions: Mapping[tuple[int, int], Sequence[GateKey]]
    ) -> None:
        """Add cells of one function, the cheapest first."""
        first = same[0]
        width = len(first.inputs)
        table = first.truth_table(first.outputs[0].name)
        shape: tuple[GateKey, tuple[int, ...]] | None = None
        for order in itertools.permutations(range(width)):
            for key in functions.get((width, _permuted(table, order)), ()):
                shape = shape or (key, order)
                if key not in self.cheapest:
                    self.cheapest[key] = _gate(first, key, order)
        if shape is not None:
            self.by_cell.update({cell.name: _gate(cell, *shape) for cell in same})


def _gate(cell: Cell, key: GateKey, order: Sequence[int]) -> Gate:
    form, inverted, output_inverted = key
    return Gate(
        form=form,
        inverted=inverted,
        output_inverted=output_inverted,
        area=cell.area,
        cell=cell.name,
        pins=tuple(cell.input_names[old] for old in order),
        output=cell.outputs[0].name,
    )


@functools.cache
def _functions() -> Mapping[tuple[int, int], Sequence[GateKey]]:
    """Return every form with inversions by its number of inputs and its truth table."""
    found: dict[tuple[int, int], list[GateKey]] = {}
    for form in FORMS:
        width = arity(form)
        mask = (1 << (1 << width)) - 1
        variables = [_variable(index, width) for index in range(width)]
        for inverted in itertools.product((False, True), repeat=width):
            literals = [
                mask ^ value if flip else value
                for value, flip in zip(variables, inverted, strict=True)
            ]
            table = evaluate_form(form, literals, mask)
            for output_inverted in (False, True):
                key = width, mask ^ table if output_inverted else table
                found.setdefault(key, []).append((form, inverted, output_inverted))
    return found
