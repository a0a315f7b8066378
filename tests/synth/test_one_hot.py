"""Products as one line each: accumulators against integers, goals against multiplication."""

import random
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.synth.cells import CellKind
from nibblemac.synth.gate_model import gate_model
from nibblemac.synth.gate_simulation import simulate
from nibblemac.synth.gates import gate_library
from nibblemac.synth.library import load_liberty, load_library
from nibblemac.synth.netlist import ONE, ZERO
from nibblemac.synth.network import input_values
from nibblemac.synth.one_hot import (
    OneHotShape,
    build_one_hot_accumulator,
    line_count,
    one_hot_goal,
    one_hot_start,
)

POOR = Path(__file__).parent / "data" / "poor.lib"
NAMES = ("sky130hd", "asap7", "sg13g2", "poor")


@pytest.fixture(scope="module", params=NAMES)
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


def lines_of(line, count):
    """Active low: all but one are high."""
    return (1 << count) - 1 if line is None else (1 << count) - 1 - (1 << line)


@cache
def every_case(lines, bits):
    """All states, lines or none, signs and clears; as lanes; and the bits that follow."""
    cases = [
        (state, line, sign, clear)
        for state in range(1 << bits)
        for line in (None, *range(lines))
        for sign in (0, 1)
        for clear in (0, 1)
    ]
    after = [
        (0 if clear else state) + (0 if line is None else (-1) ** sign * 2**line)
        for state, line, sign, clear in cases
    ]
    return (
        len(cases),
        bits_of([case[0] for case in cases], bits),
        bits_of([lines_of(case[1], lines) for case in cases], lines),
        bits_of([case[2] for case in cases], 1),
        bits_of([case[3] for case in cases], 1),
        bits_of(after, bits),
    )


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 2), (1, 5), (2, 2), (2, 3), (3, 3), (3, 6), (4, 5), (5, 7)], ids=str
)
def test_every_state_line_sign_and_clear(gates, shape):
    """Modulo 2**bits, in one step from any state."""
    lines, bits = shape
    netlist = build_one_hot_accumulator(OneHotShape(lines=lines, accumulator_bits=bits), gates)
    lanes, states, low, signs, clears, after = every_case(lines, bits)
    mask = (1 << lanes) - 1
    values = {ZERO: 0, ONE: mask, **dict(zip(netlist.port("lines").nets, low, strict=True))}
    values[netlist.port("negate").nets[0]] = signs[0]
    values[netlist.port("clear").nets[0]] = clears[0]
    library = gates.library
    behind = {
        one.pins[gates.inverter.output]: one.pins[gates.inverter.pins[0]]
        for one in netlist.instances
        if one.cell == gates.inverter.cell
    }
    flip_flops = netlist.flip_flops(library)
    outputs = {
        one.pins[pin.name]: (one, pin.function.name == "IQN")
        for one in flip_flops
        for pin in library.cell(one.cell).outputs
        if pin.name in one.pins
    }
    at_data = []
    for net, state in zip(netlist.port("accumulator").nets, states, strict=True):
        # A bit's flip-flop drives its net, or an inverter that does.
        source, inverted = (net, False) if net in outputs else (behind[net], True)
        one, complement = outputs[source]
        values[source] = state ^ (mask if inverted else 0)
        at_data.append((one, complement != inverted))
    for one in netlist.topological(library):
        cell = library.cell(one.cell)
        pins = {pin: values[one.pins[pin]] for pin in cell.input_names}
        for pin in cell.outputs:
            values[one.pins[pin.name]] = pin.function.evaluate(pins, mask)
    assert [values[net] for net in netlist.port("accumulator").nets] == states
    for bit, (one, complement) in enumerate(at_data):
        state = library.cell(one.cell).flip_flop
        pins = {pin: values.get(net, 0) for pin, net in one.pins.items()}
        following = state.next_state.evaluate(pins, mask) ^ (mask if complement else 0)
        assert following == after[bit], f"bit {bit}"


@pytest.mark.parametrize("shape", [(1, 9), (2, 17), (9, 12), (13, 22), (13, 13)], ids=str)
def test_runs_are_those_of_integers(gates, shape):
    lines, bits = shape
    netlist = build_one_hot_accumulator(OneHotShape(lines=lines, accumulator_bits=bits), gates)
    source = random.Random(f"{shape}")  # noqa: S311
    lanes, cycles = 96, 40
    held = [(source.randrange(lines), source.randrange(2)) for _ in range(lanes)]
    state = [0] * lanes
    feeds, states = {"lines": [], "negate": [], "clear": []}, []
    for cycle in range(cycles):
        clears = [int(cycle == 0 or source.random() < 0.05) for _ in range(lanes)]
        chosen = [source.choice([None, *range(lines)]) for _ in range(lanes)]
        signs = [source.randrange(2) for _ in range(lanes)]
        for lane in range(0, lanes, 3):
            # A third of the lanes goes as far as it can in one direction.
            chosen[lane], signs[lane] = held[lane]
        state = [
            (0 if clear else before) + (0 if line is None else (-1) ** sign * 2**line)
            for before, line, sign, clear in zip(state, chosen, signs, clears, strict=True)
        ]
        feeds["lines"].append(bits_of([lines_of(line, lines) for line in chosen], lines))
        feeds["negate"].append(bits_of(signs, 1))
        feeds["clear"].append(bits_of(clears, 1))
        states.append(bits_of(state, bits))
    settled = simulate(gate_model(netlist, gates.library), feeds, lanes)
    assert settled.port("accumulator")[1:] == states[:-1]


def test_cells_are_those_described(gates):
    netlist = build_one_hot_accumulator(OneHotShape(lines=3, accumulator_bits=8), gates)
    library = gates.library
    assert [(port.name, port.direction, len(port.nets)) for port in netlist.ports] == [
        ("clk", "input", 1),
        ("clear", "input", 1),
        ("lines", "input", 3),
        ("negate", "input", 1),
        ("accumulator", "output", 8),
    ]
    assert len(netlist.flip_flops(library)) == 8
    combinational = [
        one for one in netlist.instances if library.cell(one.cell).kind is CellKind.COMBINATIONAL
    ]
    # There is no adder: every cell is a gate that a search can go on with.
    assert all(one.cell in gates.by_cell for one in combinational)


def spec_of(*grids):
    """A MAC of a format in the catalogue, or of one or two grids of its own."""
    formats = [
        find_format(grid)
        if isinstance(grid, str)
        else replace(
            find_format("E2M0"), name="own", bits=len(grid).bit_length() - 1, grid=tuple(grid)
        )
        for grid in grids
    ]
    return MacSpec(weight=formats[0], activation=formats[-1])


#: Zeros with codes in both halves, negative codes in both halves, no zero, two's complement.
OWN = (0, 1, 2, -2, -1, 0, 0, -4)
SPECS = {
    "E3M0": spec_of("E3M0"),
    "E2M0": spec_of("E2M0"),
    "own": spec_of(OWN),
    "two bits": spec_of((0, 1, -2, -1)),
    "no zero": spec_of((1, 2, -1, -2)),
    "asymmetric": spec_of((0, 8, -1, 4), OWN),
}


@pytest.fixture(scope="module", params=list(SPECS))
def spec(request):
    return SPECS[request.param]


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        (SPECS["E3M0"], 13),
        (SPECS["E2M0"], 2 * max(find_format("E2M0").grid).bit_length() - 1),
        (SPECS["own"], 5),
        (SPECS["asymmetric"], 6),
        (spec_of("E3M0", "E2M0"), (64 * max(find_format("E2M0").grid)).bit_length()),
        (spec_of("INT4"), None),
        (spec_of("E2M1"), None),
        (spec_of("INT3"), None),
        (spec_of("E3M0", "INT4"), None),
        (spec_of((0, 1, 2, 3)), None),
        (spec_of((0, 1, 2, 4)), 5),
    ],
)
def test_lines_are_counted_or_refused(spec, count):
    assert line_count(spec) == count


def columns_of(goal, pair):
    return [value >> pair & 1 for value in goal.wanted]


def pairs_of(spec):
    """Every pair's number, product and codes; the weight's code is the fast one."""
    for a, right in enumerate(spec.activation.grid):
        for w, left in enumerate(spec.weight.grid):
            yield a * len(spec.weight.grid) + w, left * right, w, a


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_goals_are_products(spec, seed):
    count = line_count(spec)
    size = len(spec.weight.grid) * len(spec.activation.grid)
    sign = None if seed is None else random.Random(seed).getrandbits(size)  # noqa: S311
    goal = one_hot_goal(spec, count, sign)
    assert goal.mask == (1 << size) - 1
    assert not goal.is_sum
    assert len(goal.wanted) == count + 1
    for pair, product, w, a in pairs_of(spec):
        *lines, negate = columns_of(goal, pair)
        assert lines == [int(abs(product) != 1 << line) for line in range(count)]
        if product:
            assert negate == int(product < 0)
        elif sign is not None:
            assert negate == sign >> pair & 1
        else:
            upper = w >= len(spec.weight.grid) // 2, a >= len(spec.activation.grid) // 2
            assert negate == upper[0] ^ upper[1]


def test_the_sign_of_sign_magnitude_codes_is_that_of_the_codes():
    """Then it is one exclusive or, at zeros as elsewhere."""
    spec = SPECS["E3M0"]
    weight, activation = input_values(8)[3], input_values(8)[7]
    assert one_hot_goal(spec, 13).wanted[-1] == weight ^ activation


def complemented(spec, zero_signs):
    """The block's outputs, by pair: product in one's complement, and the sign; zeros as given."""
    width = max(abs(limit) for limit in spec.product_range).bit_length() + 1
    numbers, signs = [], []
    for pair, product, _w, _a in pairs_of(spec):
        sign = int(product < 0) if product else zero_signs >> pair & 1
        numbers.append(~-product if sign else product)
        signs.append(sign)
    columns = [[number >> bit & 1 for number in numbers] for bit in range(width)]
    return {"product": columns, "negate": [signs]}


def values_of(gates, netlist, spec):
    """All nets' values over all pairs of codes, from the cells' own functions."""
    codes = (*netlist.port("weight").nets, *netlist.port("activation").nets)
    mask = (1 << (1 << len(codes))) - 1
    values = {ZERO: 0, ONE: mask, **dict(zip(codes, input_values(len(codes)), strict=True))}
    for one in netlist.topological(gates.library):
        cell = gates.library.cell(one.cell)
        pins = {pin: values[one.pins[pin]] for pin in cell.input_names}
        for pin in cell.outputs:
            values[one.pins[pin.name]] = pin.function.evaluate(pins, mask)
    return values


@pytest.mark.parametrize("zeros", [0, -1, 0x5A5A_0F0F_1234_9ABC], ids=["plus", "minus", "mixed"])
def test_a_start_does_what_its_goal_says(gates, spec, zeros, build_block):
    """Whatever sign the block gives to zeros, and from any one's complement block."""
    size = len(spec.weight.grid) * len(spec.activation.grid)
    block = build_block(gates, spec, complemented(spec, zeros % 2**size))
    start = one_hot_start(block, spec, gates)
    assert [(port.name, len(port.nets)) for port in start.outputs] == [
        ("lines", line_count(spec)),
        ("negate", 1),
    ]
    assert [port.name for port in start.inputs] == ["weight", "activation"]
    assert len({one.name for one in start.instances}) == len(start.instances)
    values = values_of(gates, start, spec)
    found = [values[net] for port in start.outputs for net in port.nets]
    goal = one_hot_goal(spec, line_count(spec), found[-1])
    assert found == list(goal.wanted)
    assert goal.correct(found) == goal.mask


def test_no_start_where_there_are_no_lines(gates, build_block):
    spec = spec_of("INT3")
    assert one_hot_start(build_block(gates, spec, complemented(spec, 0)), spec, gates) is None
    # Without a sign of its own.
    spec = SPECS["E2M0"]
    outputs = {"product": complemented(spec, 0)["product"]}
    assert one_hot_start(build_block(gates, spec, outputs), spec, gates) is None
