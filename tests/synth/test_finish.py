"""The last step of a search: what is right is counted, what is wrong is refused."""

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from nibblemac.formats.errors import SynthesisError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.synth import finish as finishing
from nibblemac.synth.accumulate import AccumulatorShape, build_accumulator
from nibblemac.synth.assembly import assemble
from nibblemac.synth.cells import CellKind
from nibblemac.synth.finish import MAX_TERMS, check_sums, finish
from nibblemac.synth.gates import gate_library
from nibblemac.synth.library import load_liberty, load_library
from nibblemac.synth.netlist import ONE, ZERO, Instance

POOR = Path(__file__).parent / "data" / "poor.lib"
INT3 = find_format("INT3")
SPEC = MacSpec(weight=INT3, activation=INT3, terms=32)
#: All products are multiples of four: two bits are constant.
EVEN = replace(
    SPEC, weight=replace(INT3, name="even", grid=tuple(2 * value for value in INT3.grid))
)
EVEN = replace(EVEN, activation=EVEN.weight)


def gates_of(name):
    return gate_library(load_liberty([POOR]) if name == "poor" else load_library(name))


def mac_of(build_block, gates, spec, bits=None):
    """A MAC of products in two's complement, and an accumulator of the spec's bits."""
    width = spec.product_bits
    products = [w * a for a in spec.activation.grid for w in spec.weight.grid]
    columns = [[product >> bit & 1 for product in products] for bit in range(width)]
    shape = AccumulatorShape(
        product_bits=width, accumulator_bits=bits or spec.accumulator_bits, negate=False
    )
    block = build_block(gates, spec, {"product": columns})
    return assemble("found", block, build_accumulator(shape, gates))


@pytest.mark.parametrize("name", ["sky130hd", "asap7", "poor"])
def test_a_right_netlist_is_counted(build_block, yosys, name):
    """Constants get the library's tie cells, where it has them; areas are those of the cells."""
    gates = gates_of(name)
    library = gates.library
    netlist = mac_of(build_block, gates, EVEN)
    assert {ZERO, ONE} & {net for one in netlist.instances for net in one.pins.values()}
    mapped = finish(netlist, "mac_even", EVEN, library, yosys, origin="Found by hand.")
    cells = [library.cell(one.cell) for one in mapped.graph.instances]
    assert mapped.area_um2 == pytest.approx(math.fsum(cell.area for cell in cells))
    assert mapped.sequential_um2 == pytest.approx(
        EVEN.accumulator_bits * library.best_flip_flop.area
    )
    assert mapped.cells == Counter(cell.name for cell in cells)
    assert (mapped.top, mapped.graph.top) == ("mac_even", "mac_even")
    assert "module mac_even(" in mapped.netlist
    assert mapped.script.startswith("# Found by hand.\n")
    assert [port.name for port in mapped.graph.ports] == [port.name for port in netlist.ports]
    ties = {cell.name for cell in cells if cell.kind is CellKind.TIE}
    constants = {ZERO, ONE} & {net for one in mapped.graph.instances for net in one.pins.values()}
    if name == "poor":
        assert library.tie(0) is library.tie(1) is None
        assert not ties
        assert constants
    else:
        assert ties
        assert ties <= {library.tie(0)[0].name, library.tie(1)[0].name}
        assert not constants
    # Nothing else was changed: all but ties were there, and what is idle has gone.
    before = Counter(one.cell for one in netlist.instances)
    assert Counter(cell.name for cell in cells if cell.kind is not CellKind.TIE) <= before
    check_sums(mapped.graph, library, EVEN)


def swapped(netlist, name, cell):
    return replace(
        netlist,
        instances=tuple(
            Instance(name=one.name, cell=cell, pins=one.pins) if one.name == name else one
            for one in netlist.instances
        ),
    )


def test_a_wrong_gate_is_refused_with_a_sentence(build_block, yosys):
    gates = gates_of("sky130hd")
    netlist = mac_of(build_block, gates, SPEC)
    (*_, last) = (one for one in netlist.instances if one.cell == "sky130_fd_sc_hd__nand2_1")
    wrong = swapped(netlist, last.name, "sky130_fd_sc_hd__nor2_1")
    said = r"^The search found a wrong netlist: The netlist mac_int3 is no MAC of .*\.$"
    with pytest.raises(SynthesisError, match=said):
        finish(wrong, "mac_int3", SPEC, gates.library, yosys, origin="Found by hand.")


def test_what_yosys_refuses_is_refused(build_block, yosys):
    """A cell without a net at its input, and two cells that drive one net."""
    gates = gates_of("sky130hd")
    netlist = mac_of(build_block, gates, SPEC)
    first, second, *_ = netlist.instances
    output = gates.by_cell[first.cell].output
    doubled = replace(second, pins={**second.pins, gates.by_cell[second.cell].output: 10**6})
    assert doubled.pins != second.pins
    twice = {**second.pins, gates.by_cell[second.cell].output: first.pins[output]}
    for pins in ({**twice}, doubled.pins):
        wrong = replace(
            netlist, instances=(first, replace(second, pins=pins), *netlist.instances[2:])
        )
        with pytest.raises(SynthesisError):
            finish(wrong, "mac_int3", SPEC, gates.library, yosys, origin="Found by hand.")


def exact_sums(gates, netlist, spec):
    """Whether the next state is right for every state that a sum can be, and all codes."""
    low, high = spec.accumulator_range
    cases = [
        (state, w, a, clear)
        for clear in (0, 1)
        for state in range(low, high + 1)
        for w, left in enumerate(spec.weight.grid)
        for a, right in enumerate(spec.activation.grid)
        if clear or low <= state + left * right <= high
    ]

    def lanes(numbers, width):
        return [
            int("".join("1" if number >> bit & 1 else "0" for number in reversed(numbers)), 2)
            for bit in range(width)
        ]

    states, weights, activations, clears = map(list, zip(*cases, strict=True))
    grid = spec.weight.grid, spec.activation.grid
    after = [(0 if c else s) + grid[0][w] * grid[1][a] for s, w, a, c in cases]
    mask = (1 << len(cases)) - 1
    values = {ZERO: 0, ONE: mask}
    ports = [
        ("weight", weights, spec.weight.bits),
        ("activation", activations, spec.activation.bits),
        ("clear", clears, 1),
        ("accumulator", states, spec.accumulator_bits),
    ]
    for port, numbers, width in ports:
        values.update(zip(netlist.port(port).nets, lanes(numbers, width), strict=True))
    library = gates.library
    for one in netlist.topological(library):
        cell = library.cell(one.cell)
        pins = {pin: values[one.pins[pin]] for pin in cell.input_names}
        for pin in cell.outputs:
            if pin.name in one.pins:
                values[one.pins[pin.name]] = pin.function.evaluate(pins, mask)
    data = {one.pins["Q"]: values[one.pins["D"]] for one in netlist.flip_flops(library)}
    found = [data[net] for net in netlist.port("accumulator").nets]
    return found == lanes(after, spec.accumulator_bits)


def test_every_gate_matters_or_is_refused(build_block):
    """Each gate but the adders in turn becomes another one with the same pins.

    What the check accepts has to be right in every state and for all codes: some gates never meet
    the patterns in which two functions differ.
    """
    gates = gates_of("sky130hd")
    library = gates.library
    spec = replace(SPEC, terms=8)
    netlist = mac_of(build_block, gates, spec)
    assert exact_sums(gates, netlist, spec)
    alike = {}
    for name in sorted(gates.by_cell):
        cell = library.cell(name)
        pins = (cell.input_names, cell.outputs[0].name)
        alike.setdefault(pins, {}).setdefault(cell.truth_table(pins[1]), name)
    accepted = refused = 0
    for index, one in enumerate(netlist.instances):
        cell = library.cell(one.cell)
        if one.cell not in gates.by_cell:
            continue
        own = cell.truth_table(cell.outputs[0].name)
        others = alike[cell.input_names, cell.outputs[0].name]
        choices = [name for table, name in sorted(others.items()) if table != own]
        if not choices:
            continue
        wrong = swapped(netlist, one.name, choices[index % len(choices)])
        try:
            check_sums(wrong, library, spec)
        except SynthesisError:
            refused += 1
        else:
            accepted += 1
            assert exact_sums(gates, wrong, spec), (one.name, one.cell)
    assert refused > 3 * accepted
    assert refused > 40


@pytest.mark.parametrize("bit", [-1, -2])
@pytest.mark.parametrize("name", ["INT3", "E2M1"])
def test_sums_that_random_codes_do_not_reach_are_checked(build_block, name, bit):
    """A high bit that only repeats the next lower one, as nearly all sums have it."""
    gates = gates_of("sky130hd")
    number_format = find_format(name)
    spec = MacSpec(weight=number_format, activation=number_format)
    netlist = mac_of(build_block, gates, spec)
    check_sums(netlist, gates.library, spec)
    *ports, accumulator = netlist.ports
    nets = list(accumulator.nets)
    nets[bit] = nets[bit - 1]
    wrong = replace(netlist, ports=(*ports, replace(accumulator, nets=tuple(nets))))
    with pytest.raises(SynthesisError, match="wrong netlist"):
        check_sums(wrong, gates.library, spec)


@pytest.mark.parametrize("terms", [1, 2, 3, 1000])
def test_any_number_of_terms(build_block, terms):
    gates = gates_of("sky130hd")
    spec = replace(SPEC, terms=terms)
    check_sums(mac_of(build_block, gates, spec), gates.library, spec)
    other = replace(INT3, grid=(*INT3.grid[:-1], 3))
    with pytest.raises(SynthesisError, match="wrong netlist"):
        check_sums(mac_of(build_block, gates, spec), gates.library, replace(spec, weight=other))


def test_sums_too_long_to_simulate_are_refused(build_block):
    gates = gates_of("sky130hd")
    spec = replace(SPEC, terms=MAX_TERMS + 1)
    with pytest.raises(SynthesisError, match="at most 16384 terms"):
        check_sums(mac_of(build_block, gates, spec), gates.library, spec)


def test_a_folder_that_cannot_be_made_is_a_sentence(build_block, yosys, monkeypatch, tmp_path):
    gates = gates_of("sky130hd")
    left = []

    def somewhere(*_):
        left.append(tmp_path / str(len(left)))
        left[-1].mkdir()
        # The netlist's name is taken by a folder.
        (left[-1] / "found.v").mkdir()
        return left[-1]

    monkeypatch.setattr(finishing, "make_scratch", somewhere)
    with pytest.raises(SynthesisError, match="mac_int3 could not be checked"):
        finish(mac_of(build_block, gates, SPEC), "mac_int3", SPEC, gates.library, yosys, origin="")
    assert left
    assert not any(folder.exists() for folder in left)
