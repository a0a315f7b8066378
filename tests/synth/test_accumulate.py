"""Accumulators of gates against integers: every state of small ones, runs of large ones."""

import functools
import random
from pathlib import Path

import pytest
from nibblemac.formats.errors import LibraryError
from nibblemac.synth.accumulate import AccumulatorShape, build_accumulator
from nibblemac.synth.adders import find_full_adder
from nibblemac.synth.cells import CellKind
from nibblemac.synth.gate_model import gate_model
from nibblemac.synth.gate_simulation import simulate
from nibblemac.synth.gates import gate_library
from nibblemac.synth.library import load_liberty, load_library
from nibblemac.synth.netlist import ONE, ZERO

POOR = Path(__file__).parent / "data" / "poor.lib"
CYCLES, LANES = 20, 96


@pytest.fixture(scope="module", params=["sky130hd", "asap7", "sg13g2", "poor"])
def gates(request):
    return gate_library(
        load_liberty([POOR]) if request.param == "poor" else load_library(request.param)
    )


def bits_of(numbers, width):
    """Bit ``i`` of each number (modulo 2**width), one integer with a lane for each number."""
    return [
        int("".join("1" if number >> bit & 1 else "0" for number in reversed(numbers)), 2)
        for bit in range(width)
    ]


def fits(product, negate, width):
    """Whether product + negate is a number of the product's width, as it has to be at a clear."""
    return product + negate < 1 << (width - 1)


@functools.cache
def every_case(product_bits, accumulator_bits, negate):
    """All states, products, clears and carry-ins; what they are as lanes, and what follows."""
    low, high = -(1 << (product_bits - 1)), 1 << (product_bits - 1)
    cases = [
        (state, product, clear, minus)
        for state in range(1 << accumulator_bits)
        for product in range(low, high)
        for clear in (0, 1)
        for minus in (0, 1)[: 1 + negate]
        if fits(product, minus, product_bits) or not clear
    ]
    states, products, clears, minuses = zip(*cases, strict=True)
    after = [(0 if clear else state) + product + m for state, product, clear, m in cases]
    return (
        len(cases),
        bits_of(states, accumulator_bits),
        bits_of(products, product_bits),
        bits_of(clears, 1),
        bits_of(minuses, 1),
        bits_of(after, accumulator_bits),
    )


def settle(gates, netlist, values, mask):
    """Add the values of all combinational cells' nets, from the cells' own functions."""
    for one in netlist.topological(gates.library):
        cell = gates.library.cell(one.cell)
        pins = {pin: values[one.pins[pin]] for pin in cell.input_names}
        for pin in cell.outputs:
            if pin.name in one.pins:
                values[one.pins[pin.name]] = pin.function.evaluate(pins, mask)


SMALL = [(1, 1), (1, 3), (2, 2), (2, 4), (3, 3), (3, 6), (4, 4), (4, 7), (4, 2), (3, 1)]


@pytest.mark.parametrize("full_adders", [True, False])
@pytest.mark.parametrize("negate", [True, False])
@pytest.mark.parametrize("shape", SMALL, ids=str)
def test_every_state_product_and_control(gates, shape, negate, full_adders):
    netlist = build_accumulator(
        AccumulatorShape(
            product_bits=shape[0],
            accumulator_bits=shape[1],
            negate=negate,
            full_adders=full_adders,
        ),
        gates,
    )
    lanes, states, products, clears, minuses, after = every_case(*shape, negate)
    mask = (1 << lanes) - 1
    values = {ZERO: 0, ONE: mask, **dict(zip(netlist.port("product").nets, products, strict=True))}
    values[netlist.port("clear").nets[0]] = clears[0]
    if negate:
        values[netlist.port("negate").nets[0]] = minuses[0]
    flip_flops = netlist.flip_flops(gates.library)
    # A bit's flip-flop drives its net, or an inverter that does.
    at_data = {}
    behind = {}
    for one in netlist.instances:
        if one.cell == gates.inverter.cell:
            behind[one.pins[gates.inverter.output]] = one.pins[gates.inverter.pins[0]]
    outputs = {}
    for one in flip_flops:
        cell = gates.library.cell(one.cell)
        for pin in cell.outputs:
            if pin.name in one.pins:
                outputs[one.pins[pin.name]] = one, cell, pin.function.name == "IQN"
    for bit, (net, state) in enumerate(zip(netlist.port("accumulator").nets, states, strict=True)):
        source, inverted = (net, False) if net in outputs else (behind[net], True)
        one, cell, complement = outputs[source]
        values[source] = state ^ (mask if inverted else 0)
        at_data[bit] = one, cell, complement != inverted
    settle(gates, netlist, values, mask)
    assert [values[net] for net in netlist.port("accumulator").nets] == states
    for bit, (one, cell, complement) in at_data.items():
        pins = {pin: values.get(net, 0) for pin, net in one.pins.items()}
        state = cell.flip_flop
        for control in (state.clear, state.preset):
            assert control is None or control.evaluate(pins, mask) == 0
        following = state.next_state.evaluate(pins, mask) ^ (mask if complement else 0)
        assert following == after[bit], f"bit {bit}"


@functools.cache
def run_of(product_bits, accumulator_bits, negate):
    """A stimulus and the states before and after each edge, as lanes cycle by cycle."""
    source = random.Random(f"{product_bits} {accumulator_bits} {negate}")  # noqa: S311
    low, high = -(1 << (product_bits - 1)), (1 << (product_bits - 1)) - 1
    corners = (0, -1, 1, low, high, low + 1, high - 1)
    stimulus, states = [], []
    state = [0] * LANES
    held = [source.choice(corners) for _ in range(LANES)]
    for cycle in range(CYCLES):
        products, minuses, clears = [], [], []
        for lane in range(LANES):
            # A third of the lanes holds one corner, a third mixes corners, a third is random.
            product = (held[lane], source.choice(corners), source.randint(low, high))[lane % 3]
            clear = int(cycle == 0 or source.random() < 0.1)
            minus = int(negate and source.random() < 0.5)
            if clear and not fits(product, minus, product_bits):
                minus = 0
            products.append(product)
            minuses.append(minus)
            clears.append(clear)
        state = [
            (0 if clear else before) + product + minus
            for before, product, minus, clear in zip(state, products, minuses, clears, strict=True)
        ]
        feed = {"product": bits_of(products, product_bits), "clear": bits_of(clears, 1)}
        if negate:
            feed["negate"] = bits_of(minuses, 1)
        stimulus.append(feed)
        states.append(bits_of(state, accumulator_bits))
    return {name: [feed[name] for feed in stimulus] for name in stimulus[0]}, states


@pytest.mark.parametrize("full_adders", [True, False])
@pytest.mark.parametrize("negate", [True, False])
@pytest.mark.parametrize("product_bits", range(2, 10))
def test_runs_are_those_of_integers(gates, product_bits, negate, full_adders):
    for accumulator_bits in sorted({product_bits, product_bits + 1, 16, 25}):
        shape = AccumulatorShape(
            product_bits=product_bits,
            accumulator_bits=accumulator_bits,
            negate=negate,
            full_adders=full_adders,
        )
        netlist = build_accumulator(shape, gates)
        feeds, states = run_of(product_bits, accumulator_bits, negate)
        settled = simulate(gate_model(netlist, gates.library), feeds, LANES)
        # What is seen in a cycle is the state after the edge before it.
        assert settled.port("accumulator")[1:] == states[:-1]


@pytest.mark.parametrize(("product_bits", "accumulator_bits"), [(1, 4), (2, 9), (7, 17), (9, 9)])
@pytest.mark.parametrize("full_adders", [True, False])
def test_cells_are_those_described(gates, product_bits, accumulator_bits, full_adders):
    shape = AccumulatorShape(
        product_bits=product_bits,
        accumulator_bits=accumulator_bits,
        negate=True,
        full_adders=full_adders,
    )
    netlist = build_accumulator(shape, gates)
    library = gates.library
    assert [(port.name, port.direction, len(port.nets)) for port in netlist.ports] == [
        ("clk", "input", 1),
        ("clear", "input", 1),
        ("product", "input", product_bits),
        ("negate", "input", 1),
        ("accumulator", "output", accumulator_bits),
    ]
    assert [one.cell for one in netlist.flip_flops(library)] == [
        library.best_flip_flop.name
    ] * accumulator_bits
    adder = find_full_adder(library)
    wide = [one.cell for one in netlist.instances if library.cell(one.cell).is_multi_output]
    # Neither bit 0 nor the sign's place has one.
    count = max(0, product_bits - 2) if adder is not None and full_adders else 0
    assert wide == [adder.cell.name if adder else ""] * count
    ties = {ZERO, ONE} & {net for one in netlist.instances for net in one.pins.values()}
    # An asynchronous clear that has to be held off, low.
    state = library.best_flip_flop.flip_flop
    assert ties == ({ONE} if state.clear else set())
    combinational = [
        one
        for one in netlist.instances
        if library.cell(one.cell).kind is CellKind.COMBINATIONAL
        and not library.cell(one.cell).is_multi_output
    ]
    assert all(one.cell in gates.by_cell for one in combinational)


def test_the_libraries_cover_both_kinds_of_flip_flop():
    cells = [load_library(name).best_flip_flop for name in ("sky130hd", "asap7", "sg13g2")]
    assert [cell.flip_flop.clear is not None for cell in cells] == [False, False, True]
    functions = [{pin.function.name for pin in cell.outputs} for cell in cells]
    assert functions[0] == {"IQ"}
    assert functions[1] != {"IQ"}


def test_a_library_without_flip_flops_is_refused():
    import dataclasses

    library = load_liberty([POOR])
    without = dataclasses.replace(
        library, cells=tuple(c for c in library.cells if c.kind is not CellKind.FLIP_FLOP)
    )
    shape = AccumulatorShape(product_bits=3, accumulator_bits=5, negate=False)
    with pytest.raises(LibraryError, match="no D flip-flop"):
        build_accumulator(shape, gate_library(without))
