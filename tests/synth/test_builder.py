"""Every form with every inversion, on rich libraries and on one of inverters and NANDs."""

import dataclasses
import itertools
from pathlib import Path

import pytest
from nibblemac.formats.errors import LibraryError
from nibblemac.synth.builder import Builder
from nibblemac.synth.gates import GROUPS, MAJORITY, MUX, XOR2, XOR3, arity, gate_library
from nibblemac.synth.library import load_liberty, load_library
from nibblemac.synth.netlist import ONE, ZERO, Port

POOR = Path(__file__).parent / "data" / "poor.lib"
NOR = POOR.read_text().replace("NAND2", "NOR2").replace("!(A*B)", "!(A+B)")


@pytest.fixture(scope="module", params=["sky130hd", "asap7", "sg13g2", "nand", "nor"])
def gates(request, tmp_path_factory):
    if request.param in ("nand", "nor"):
        file = tmp_path_factory.mktemp("liberty") / "made_up.lib"
        file.write_text(POOR.read_text() if request.param == "nand" else NOR)
        return gate_library(load_liberty([file]))
    return gate_library(load_library(request.param))


def settle(gates, netlist, inputs, mask):
    """All nets' values, from the cells' own functions."""
    values = {ZERO: 0, ONE: mask, **inputs}
    for one in netlist.topological(gates.library):
        cell = gates.library.cell(one.cell)
        pins = {pin: values[one.pins[pin]] for pin in cell.input_names}
        for pin in cell.outputs:
            if pin.name in one.pins:
                values[one.pins[pin.name]] = pin.function.evaluate(pins, mask)
    return values


def expected(form, literals):
    """The form of two-valued literals, group by group."""
    result, literals = False, list(literals)
    for size in form:
        group, literals = literals[:size], literals[size:]
        result = result or all(group)
    return result


def every_row(nets):
    """Values of the nets over all rows, net 0 fastest."""
    rows = 1 << len(nets)
    values = {
        net: sum((row >> index & 1) << row for row in range(rows)) for index, net in enumerate(nets)
    }
    return values, (1 << rows) - 1


@pytest.mark.parametrize("form", GROUPS, ids=str)
def test_every_form_with_every_inversion(gates, form):
    builder = Builder(gates)
    nets = [builder.net() for _ in range(arity(form))]
    made = {}
    for signs in itertools.product((False, True), repeat=len(nets)):
        for inverted in (False, True):
            literals = list(zip(nets, signs, strict=True))
            made[signs, inverted] = builder.gate(form, literals, inverted=inverted)
    inputs, mask = every_row(nets)
    netlist = builder.netlist("t", [Port(name="a", direction="input", nets=tuple(nets))])
    values = settle(gates, netlist, inputs, mask)
    for (signs, inverted), net in made.items():
        for row in range(1 << len(nets)):
            literals = [(row >> index & 1) != sign for index, sign in enumerate(signs)]
            assert (values[net] >> row & 1) == (expected(form, literals) != inverted)
    assert len({one.name for one in netlist.instances}) == len(netlist.instances)


def test_exclusive_ors(gates):
    builder = Builder(gates)
    a, b = builder.net(), builder.net()
    made = {
        (x, y): builder.exclusive_or((a, x), (b, y))
        for x, y in itertools.product((False, True), repeat=2)
    }
    inputs, mask = every_row([a, b])
    values = settle(gates, builder.netlist("t", []), inputs, mask)
    for (x, y), net in made.items():
        assert values[net] == (inputs[a] ^ inputs[b] ^ (mask if x != y else 0))


def test_inverters_are_shared(gates):
    builder = Builder(gates)
    a, y = builder.net(), builder.net()
    inverse = builder.invert(a)
    assert builder.invert(a) == inverse
    assert builder.invert(inverse) == a
    builder.drive_inverted(inverse, y)
    assert builder.invert(y) == inverse
    netlist = builder.netlist("t", [])
    assert [one.cell for one in netlist.instances] == [gates.inverter.cell] * 2
    values = settle(gates, netlist, {a: 0b10}, 0b11)
    assert (values[inverse], values[y]) == (0b01, 0b10)


def test_constants_and_repeated_nets(gates):
    builder = Builder(gates)
    a = builder.net()
    same = builder.gate((2, 1), [(a, False), (ONE, False), (ZERO, False)])
    never = builder.gate((2,), [(a, False), (a, True)])
    always = builder.exclusive_or((a, True), (a, False))
    values = settle(gates, builder.netlist("t", []), {a: 0b10}, 0b11)
    assert (values[same], values[never], values[always]) == (0b10, 0b00, 0b11)


@pytest.mark.parametrize("form", [(1,), (2,), (2, 1), (3, 1), (2, 2)], ids=str)
@pytest.mark.parametrize("inverted", [False, True])
def test_what_one_cell_can_do_takes_one(form, inverted):
    """A library's own function, with its own inversions, needs no inverters."""
    for name in ("sky130hd", "asap7", "sg13g2"):
        gates = gate_library(load_library(name))
        for key, gate in gates.cheapest.items():
            if key[0] != form or key[2] != inverted:
                continue
            builder = Builder(gates)
            literals = [(builder.net(), flip) for flip in gate.inverted]
            builder.gate(form, literals, inverted=inverted)
            area = sum(gates.library.cell(one.cell).area for one in builder.instances)
            assert area <= gate.area + 1e-9


def test_splitting_adds_no_needless_inverters():
    gates = gate_library(load_liberty([POOR]))
    builder = Builder(gates)
    builder.gate((3,), [(builder.net(), False) for _ in range(3)], inverted=True)
    # NAND, inverter, NAND.
    assert sorted(one.cell for one in builder.instances) == ["INV", "NAND2", "NAND2"]


def test_forms_that_cannot_be_split_are_refused():
    gates = gate_library(load_liberty([POOR]))
    for form in (XOR2, XOR3, MUX, MAJORITY):
        builder = Builder(gates)
        literals = [(builder.net(), False) for _ in range(arity(form))]
        with pytest.raises((NotImplementedError, LibraryError), match=f"poor has no {form} gate"):
            builder.gate(form, literals)


def test_a_library_without_ands_is_refused_when_read(tmp_path):
    file = tmp_path / "none.lib"
    file.write_text(POOR.read_text().replace("!(A*B)", "A^B"))
    with pytest.raises(LibraryError):
        load_liberty([file])
    library = load_liberty([POOR])
    assert {cell.name for cell in library.cells} == {"INV", "NAND2", "DFFN"}
    with pytest.raises(LibraryError, match="no D flip-flop"):
        _ = dataclasses.replace(library, cells=library.cells[1:]).best_flip_flop
