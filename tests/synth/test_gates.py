"""Every gate against its cell's own function, and against all cells of the library."""

import functools
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.errors import LibraryError
from nibblemac.synth.cells import CellKind
from nibblemac.synth.gates import FORMS, GateLibrary, arity, evaluate_form, gate_library
from nibblemac.synth.library import load_liberty, load_library

POOR = Path(__file__).parent / "data" / "poor.lib"


@pytest.fixture(scope="module", params=["sky130hd", "asap7", "sg13g2", "poor"])
def gates(request):
    return gate_library(
        load_liberty([POOR]) if request.param == "poor" else load_library(request.param)
    )


def meaning(form, bits):
    """A form's value for one pattern, in words other than the code's."""
    if form == "mux":
        return bits[0] if bits[2] else bits[1]
    if form == "majority":
        return int(sum(bits) >= 2)
    if isinstance(form, str):
        return sum(bits) % 2
    rest = list(bits)
    return int(any([all([rest.pop(0) for _ in range(size)]) for size in form]))  # noqa: C419


def patterns(width):
    return itertools.product((0, 1), repeat=width)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_forms_mean_what_they_are_called(form):
    for bits in patterns(arity(form)):
        assert evaluate_form(form, bits, 1) == meaning(form, bits)


@given(st.data())
def test_forms_are_bitwise(data):
    form = data.draw(st.sampled_from(FORMS))
    lanes = data.draw(st.integers(1, 70))
    inputs = [data.draw(st.integers(0, 2**lanes - 1)) for _ in range(arity(form))]
    value = evaluate_form(form, inputs, 2**lanes - 1)
    for lane in range(lanes):
        assert value >> lane & 1 == meaning(form, [one >> lane & 1 for one in inputs])
    assert value < 2**lanes


def test_every_gate_is_its_cells_function(gates):
    every = [*gates.by_cell.values(), *gates.cheapest.values(), gates.inverter]
    for gate in every:
        cell = gates.library.cell(gate.cell)
        assert gate.area == cell.area
        assert sorted(gate.pins) == sorted(cell.input_names)
        function = cell.output(gate.output).function
        for bits in patterns(len(gate.pins)):
            expected = function.evaluate(dict(zip(gate.pins, bits, strict=True)))
            assert gate.evaluate(bits, 1) == expected, gate
            literals = [bit ^ flip for bit, flip in zip(bits, gate.inverted, strict=True)]
            assert meaning(gate.form, literals) ^ gate.output_inverted == expected


def test_gates_are_listed_under_what_they_are(gates):
    for key, gate in gates.cheapest.items():
        assert key == (gate.form, gate.inverted, gate.output_inverted)
    for name, gate in gates.by_cell.items():
        assert gate.cell == name
    assert gates.inverter.form == (1,)
    assert [gates.inverter.evaluate([bit], 1) for bit in (0, 1)] == [1, 0]


@functools.cache
def keys_of_tables():
    """All gate keys, by width and truth table over inputs in any order."""
    found = {}
    for form in FORMS:
        width = arity(form)
        mask = 2**2**width - 1
        variables = [
            sum(1 << row for row in range(2**width) if row >> index & 1) for index in range(width)
        ]
        for order in set(itertools.permutations(variables)):
            for flips in itertools.product((False, True), repeat=width):
                literals = [v ^ mask if flip else v for v, flip in zip(order, flips, strict=True)]
                table = evaluate_form(form, literals, mask)
                found.setdefault((width, table), set()).add((form, flips, False))
                found.setdefault((width, table ^ mask), set()).add((form, flips, True))
    return found


def test_the_cheapest_are_the_cheapest_of_all_cells(gates):
    least, cells = {}, set()
    for cell in gates.library.of_kind(CellKind.COMBINATIONAL):
        if len(cell.outputs) != 1:
            continue
        table = cell.truth_table(cell.outputs[0].name)
        keys = keys_of_tables().get((len(cell.inputs), table), ())
        cells |= {cell.name} if keys else set()
        for key in keys:
            least[key] = min(cell.area, least.get(key, cell.area))
    assert {key: gate.area for key, gate in gates.cheapest.items()} == least
    assert set(gates.by_cell) == cells
    assert len(cells) >= 2


def test_cells_left_out_are_few_and_known():
    """What is no gate has several outputs, is a flip-flop or a tie, or is a wider function."""
    library = load_library("sky130hd")
    left = {
        cell.name.removeprefix("sky130_fd_sc_hd__").rpartition("_")[0]
        for cell in library.cells
        if cell.name not in gate_library(library).by_cell
    }
    assert left.isdisjoint({"inv", "buf", "nand2", "nor3b", "a21oi", "o211ai", "mux2", "maj3"})
    assert {"fa", "ha", "dfxtp", "conb", "mux4"} <= left


def test_one_object_a_library():
    assert gate_library(load_library("asap7")) is gate_library(load_library("asap7"))


def test_libraries_without_an_inverter_are_refused():
    import dataclasses

    library = load_liberty([POOR])
    without = dataclasses.replace(
        library, cells=tuple(cell for cell in library.cells if cell.name != "INV")
    )
    with pytest.raises(LibraryError, match="poor has no inverter"):
        GateLibrary(without)
