"""Product blocks as networks and back, MACs assembled of them, and what depends on what in them."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibblemac.formats.errors import SynthesisError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.operands import sampled_operands
from nibblemac.synth.accumulate import AccumulatorShape, build_accumulator
from nibblemac.synth.adders import find_full_adder
from nibblemac.synth.assembly import assemble, low_window
from nibblemac.synth.cells import CellKind
from nibblemac.synth.gates import gate_library
from nibblemac.synth.library import load_library
from nibblemac.synth.mac_simulation import simulate_mac
from nibblemac.synth.netlist import ONE, ZERO, Instance, Netlist, Port
from nibblemac.synth.network import Network, input_values
from nibblemac.synth.one_hot import OneHotShape, build_one_hot_accumulator
from nibblemac.synth.product_search import (
    anneal_product,
    product_goal,
    product_netlist,
    product_network,
    product_values,
)
from nibblemac.synth.search_steps import START_SCRIPTS, map_products
from nibblemac.synth.split import split_areas
from nibblemac.synth.sweep import make_design

NAMES = ("sky130hd", "asap7", "sg13g2")
GATES = {name: gate_library(load_library(name)) for name in NAMES}
SKY = GATES["sky130hd"]


def spec_of(weight, activation=None, terms=256):
    return MacSpec(
        weight=find_format(weight), activation=find_format(activation or weight), terms=terms
    )


#: Six code bits, of formats of two widths.
MIXED = MacSpec(
    weight=replace(find_format("E2M0"), name="own", bits=2, grid=(0, 3, -1, -2)),
    activation=find_format("E2M1"),
)


def pairs_of(spec):
    """Every pair's number and product; the weight's code is the fast one."""
    for a, right in enumerate(spec.activation.grid):
        for w, left in enumerate(spec.weight.grid):
            yield a * len(spec.weight.grid) + w, left * right


def bits_at(values, pair):
    return [value >> pair & 1 for value in values]


def signed(bits):
    return sum(bit << place for place, bit in enumerate(bits)) - (bits[-1] << len(bits))


def values_of(gates, netlist):
    """All nets over all pairs of codes, from the cells' own functions."""
    codes = (*netlist.port("weight").nets, *netlist.port("activation").nets)
    mask = (1 << (1 << len(codes))) - 1
    values = {ZERO: 0, ONE: mask, **dict(zip(codes, input_values(len(codes)), strict=True))}
    for one in netlist.topological(gates.library):
        cell = gates.library.cell(one.cell)
        pins = {pin: values[one.pins[pin]] for pin in cell.input_names}
        for pin in cell.outputs:
            values[one.pins[pin.name]] = pin.function.evaluate(pins, mask)
    return values


def by_port(gates, netlist):
    values = values_of(gates, netlist)
    return {port.name: [values[net] for net in port.nets] for port in netlist.outputs}


@pytest.mark.parametrize("spec", [spec_of("INT3"), spec_of("E2M1"), MIXED], ids=str)
def test_values_are_products(spec):
    for bits in (1, spec.product_bits, spec.product_bits + 5):
        values = product_values(spec, bits)
        for pair, product in pairs_of(spec):
            assert bits_at(values, pair) == [product >> bit & 1 for bit in range(bits)]


@pytest.mark.parametrize("negate", [False, True])
@pytest.mark.parametrize("spec", [spec_of("INT3"), MIXED], ids=str)
def test_a_goal_is_the_product_as_a_sum(spec, negate):
    """Random blocks, right in some places: the goal finds exactly these."""
    source = random.Random(f"{spec} {negate}")  # noqa: S311
    bits = spec.product_bits + 1
    goal = product_goal(spec, bits)
    outputs = [0] * (bits + negate)
    right = 0
    for pair, product in pairs_of(spec):
        minus = source.randrange(2) if negate else 0
        error = source.choice([0, 0, 1, -1, 8])
        row = [(product - minus + error) >> bit & 1 for bit in range(bits)]
        for place, bit in enumerate([*row, minus][: bits + negate]):
            outputs[place] |= bit << pair
        right |= int(not error) << pair
    assert goal.correct(outputs) == right


@st.composite
def blocks(draw):
    """A block's ports over a random network; outputs may be codes, constants, and one twice."""
    gates = GATES[draw(st.sampled_from(NAMES))]
    spec = draw(st.sampled_from([spec_of("INT3"), MIXED, spec_of("INT4")]))
    count = spec.weight.bits + spec.activation.bits
    network = Network(input_values(count), 1 << count)
    constants = {ZERO: network.add_constant(0), ONE: network.add_constant(network.mask)}
    able = [gates.by_cell[cell] for cell in sorted(gates.by_cell)]
    for _ in range(draw(st.integers(0, 15))):
        gate = draw(st.sampled_from(able))
        signals = st.sampled_from(sorted(network.values))
        network.add(gate, [draw(signals) for _ in gate.pins])
    leaving = st.sampled_from([*sorted(network.values), *constants.values()])
    network.outputs = draw(st.lists(leaving, min_size=1, max_size=6))
    return gates, spec, network


@settings(max_examples=60, deadline=None)
@given(blocks(), st.booleans())
def test_networks_go_out_and_back(found, negate):
    gates, spec, network = found
    before = network.output_values()
    width = max(1, len(before) - negate)
    negate = negate and len(before) > 1
    names = [("product", width), ("negate", 1)][: 1 + negate]
    # The order of the ports of the block that the network came from does not matter.
    shape = Netlist(
        top="product",
        ports=tuple(
            Port(name=name, direction="output", nets=(ZERO,) * size) for name, size in names[::-1]
        ),
        instances=(),
    )
    netlist = product_netlist(network, spec, shape)
    assert [(port.name, len(port.nets)) for port in netlist.ports] == [
        ("weight", spec.weight.bits),
        ("activation", spec.activation.bits),
        *names,
    ]
    found = by_port(gates, netlist)
    assert [*found["product"], *found.get("negate", [])] == before
    assert len(netlist.instances) == len(network.order())
    again = product_network(netlist, spec, gates)
    assert again.output_values() == before
    assert again.area == pytest.approx(sum(network.gates[s][0].area for s in network.order()))
    twice = by_port(gates, product_netlist(again, spec, netlist))
    assert twice == found


@pytest.mark.parametrize("name", NAMES)
def test_tie_cells_are_constants(name):
    """What Yosys ties is a constant again, with no cell and no area."""
    gates = GATES[name]
    spec = spec_of("INT3")
    instances, nets = [], []
    for value in (0, 1):
        cell, pin = gates.library.tie(value)
        instances.append(Instance(name=f"t{value}", cell=cell.name, pins={pin: 20 + value}))
        nets.append(20 + value)
    inverter = gates.inverter
    instances.append(
        Instance(name="i", cell=inverter.cell, pins={inverter.pins[0]: 20, inverter.output: 30})
    )
    ports = (
        Port(name="weight", direction="input", nets=(2, 3, 4)),
        Port(name="activation", direction="input", nets=(5, 6, 7)),
        Port(name="product", direction="output", nets=(*nets, 30, 4)),
    )
    network = product_network(
        Netlist(top="product", ports=ports, instances=tuple(instances)), spec, gates
    )
    assert network.output_values() == [0, network.mask, network.mask, network.values[2]]
    assert network.area == inverter.area


def test_other_cells_are_refused():
    adder = find_full_adder(SKY.library)
    pins = dict(zip(adder.cell.input_names, (2, 3, 4), strict=True))
    block = Netlist(
        top="odd",
        ports=(
            Port(name="weight", direction="input", nets=(2, 3, 4)),
            Port(name="activation", direction="input", nets=(5, 6, 7)),
            Port(name="product", direction="output", nets=(8, 9)),
        ),
        instances=(
            Instance(name="f", cell=adder.cell.name, pins={**pins, adder.total: 8, adder.carry: 9}),
        ),
    )
    with pytest.raises(SynthesisError, match=f"odd holds {adder.cell.name}, which is no simple"):
        product_network(block, spec_of("INT3"), SKY)


@pytest.mark.parametrize(
    ("library", "name", "architecture"),
    [
        ("sg13g2", "INT3", "sign-magnitude"),
        # It has many cells that are no gates, which ABC likes.
        ("asap7", "E2M0", "table"),
    ],
)
def test_mapped_blocks_reach_their_goals(yosys, library, name, architecture):
    gates, spec = GATES[library], spec_of(name)
    design = make_design(spec, architecture)
    record = map_products(design.rtlil, design.top, gates.library, yosys)
    netlists = [Netlist.from_json(one) for one in record["netlists"]]
    assert len(netlists) == len(START_SCRIPTS)
    for netlist, area in zip(netlists, record["areas"], strict=True):
        cells = [gates.library.cell(one.cell) for one in netlist.instances]
        assert area == pytest.approx(sum(cell.area for cell in cells))
        network = product_network(netlist, spec, gates)
        outputs = by_port(gates, netlist)
        flat = [*outputs["product"], *outputs.get("negate", [])]
        assert network.output_values() == flat
        goal = product_goal(spec, len(outputs["product"]))
        assert goal.correct(flat) == goal.mask
        for pair, product in pairs_of(spec):
            minus = outputs.get("negate", [0])[0] >> pair & 1
            assert signed(bits_at(outputs["product"], pair)) + minus == product
    # Another format's block does not reach it.
    other = product_goal(replace(spec, weight=replace(spec.weight, grid=spec.weight.grid[::-1])), 3)
    assert other.correct(flat) != other.mask


def test_annealing_a_block_keeps_its_goal(build_block):
    spec = spec_of("INT3")
    columns = [
        [product >> bit & 1 for _, product in pairs_of(spec)] for bit in range(spec.product_bits)
    ]
    block = build_block(SKY, spec, {"product": columns})
    goal = product_goal(spec, spec.product_bits)
    small = anneal_product(block, goal, spec, SKY, steps=400, seed=1)
    before = sum(SKY.library.cell(one.cell).area for one in block.instances)
    after = sum(SKY.library.cell(one.cell).area for one in small.instances)
    assert after < 0.8 * before
    found = by_port(SKY, small)["product"]
    for pair, product in pairs_of(spec):
        assert signed(bits_at(found, pair)) == product
    assert small == anneal_product(block, goal, spec, SKY, steps=400, seed=1)
    with pytest.raises(SynthesisError, match="not correct to begin with"):
        anneal_product(block, product_goal(spec, 4), spec, SKY, steps=400, seed=1)


# ---- Whole MACs ----


def columns_of(spec, kind, width):
    """A block's outputs, by pair: the product, its one's complement and sign, or lines and sign."""
    numbers, signs = [], []
    for _pair, product in pairs_of(spec):
        minus = int(product < 0)
        signs.append(minus)
        if kind == "lines":
            line = abs(product).bit_length() - 1
            numbers.append((1 << width) - 1 - (1 << line if product else 0))
        else:
            numbers.append(product - minus if kind == "negate" else product)
    columns = [[number >> bit & 1 for number in numbers] for bit in range(width)]
    if kind == "lines":
        return {"lines": columns, "negate": [signs]}
    return {"product": columns} | ({"negate": [signs]} if kind == "negate" else {})


def mac_of(build_block, gates, spec, kind):
    bits = spec.accumulator_bits
    if kind == "lines":
        width = max(abs(limit) for limit in spec.product_range).bit_length()
        accumulator = build_one_hot_accumulator(
            OneHotShape(lines=width, accumulator_bits=bits), gates
        )
    else:
        width = spec.product_bits + 1
        shape = AccumulatorShape(product_bits=width, accumulator_bits=bits, negate=kind == "negate")
        accumulator = build_accumulator(shape, gates)
    return assemble("mac", build_block(gates, spec, columns_of(spec, kind, width)), accumulator)


CASES = [
    (spec_of("INT3", terms=9), "negate"),
    (spec_of("INT3", terms=9), "plain"),
    (replace(MIXED, terms=20), "negate"),
    (spec_of("E2M0", terms=40), "lines"),
]


@pytest.fixture(scope="module", params=NAMES)
def gates(request):
    return GATES[request.param]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0].name}-{case[1]}")
def mac(request, gates, build_block):
    spec, kind = request.param
    return spec, mac_of(build_block, gates, spec, kind)


def test_an_assembled_mac_is_one(mac, gates):
    spec, netlist = mac
    simulate_mac(netlist, gates.library, spec, sampled_operands(spec, lanes=64))
    assert [(port.name, port.direction, len(port.nets)) for port in netlist.ports] == [
        ("clk", "input", 1),
        ("weight", "input", spec.weight.bits),
        ("activation", "input", spec.activation.bits),
        ("clear", "input", 1),
        ("accumulator", "output", spec.accumulator_bits),
    ]
    names = [one.name for one in netlist.instances]
    assert len(set(names)) == len(names)
    inputs = [net for port in netlist.inputs for net in port.nets]
    assert len(set(inputs)) == len(inputs)


def block_with(**widths):
    """A block of wires alone."""
    ports = [
        Port(name="weight", direction="input", nets=(2, 3, 4)),
        Port(name="activation", direction="input", nets=(5, 6, 7)),
    ]
    ports += [
        Port(name=name, direction="output", nets=(2,) * width) for name, width in widths.items()
    ]
    return Netlist(top="product", ports=tuple(ports), instances=())


@pytest.mark.parametrize(
    ("widths", "negate", "said"),
    [
        ({"product": 3}, False, "product has 3 bits, and the accumulator takes 4"),
        ({"product": 5}, False, "product has 5 bits, and the accumulator takes 4"),
        ({"product": 4, "negate": 2}, True, "negate has 2 bits, and the accumulator takes 1"),
        ({"product": 4}, True, "no port 'negate'"),
        ({"lines": 4, "negate": 1}, True, r"'lines' that|no port 'product'"),
        # It would be lost.
        ({"product": 4, "negate": 1}, False, "an output 'negate' that the accumulator does not"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(widths, negate, said):
    shape = AccumulatorShape(product_bits=4, accumulator_bits=6, negate=negate)
    with pytest.raises(SynthesisError, match=said):
        assemble("mac", block_with(**widths), build_accumulator(shape, SKY))


def test_lines_that_do_not_fit_are_refused():
    accumulator = build_one_hot_accumulator(OneHotShape(lines=3, accumulator_bits=6), SKY)
    with pytest.raises(SynthesisError, match="lines has 4 bits, and the accumulator takes 3"):
        assemble("mac", block_with(lines=4, negate=1), accumulator)


def support_of(gates, netlist, *known):
    """The ports' and flip-flops' nets, and those given, that each net depends on."""
    found = {ZERO: frozenset(), ONE: frozenset()}
    for port in netlist.inputs:
        found |= {net: frozenset([net]) for net in port.nets}
    library = gates.library
    for one in netlist.flip_flops(library):
        for pin in library.cell(one.cell).outputs:
            if pin.name in one.pins:
                found[one.pins[pin.name]] = frozenset([one.pins[pin.name]])
    for one in netlist.topological(library):
        cell = library.cell(one.cell)
        union = frozenset().union(*(found[one.pins[pin]] for pin in cell.input_names))
        found |= {one.pins[pin.name]: union for pin in cell.outputs if pin.name in one.pins}
        found |= {net: frozenset([net]) for net in known}
    return found


def test_the_low_window_is_all_that_depends_on_codes_clear_and_bit_0(mac, gates):
    _spec, netlist = mac
    (bit, *_) = netlist.port("accumulator").nets
    known = {bit, *(net for port in netlist.inputs for net in port.nets if port.name != "clk")}
    # Taken for an input, whether a flip-flop or an inverter behind one drives it.
    support = support_of(gates, netlist, bit)
    library = gates.library
    expected = {
        one.name
        for one in netlist.instances
        if library.cell(one.cell).kind is CellKind.COMBINATIONAL
        and not library.cell(one.cell).is_multi_output
        and support[one.pins[gates.by_cell[one.cell].output]] <= known
        and one.pins[gates.by_cell[one.cell].output] != bit
    }
    window = low_window(netlist, gates)
    assert window.instances == expected
    assert set(window.inputs) <= known
    assert bit in window.inputs


def pins_of(gates, cell, *nets):
    gate = gates.by_cell[cell]
    return dict(zip((*gate.pins, gate.output), nets, strict=True))


def hand_made():
    """Two gates of the codes, one of which reads a constant, one of a tie; others behind states."""
    nand, inverter = SKY.library.nand2.name, SKY.inverter.cell
    tie, tie_pin = SKY.library.tie(1)
    flip_flop = SKY.library.best_flip_flop.name
    cells = [
        ("codes", nand, pins_of(SKY, nand, 3, 4, 10)),
        ("constant", nand, pins_of(SKY, nand, 10, ONE, 11)),
        ("tie", tie.name, {tie_pin: 12}),
        ("tied", nand, pins_of(SKY, nand, 11, 12, 13)),
        ("no code", inverter, pins_of(SKY, inverter, 12, 14)),
        ("clear", nand, pins_of(SKY, nand, 13, 5, 15)),
        ("state", nand, pins_of(SKY, nand, 15, 6, 16)),
        ("mixed", nand, pins_of(SKY, nand, 16, 3, 17)),
        ("high", nand, pins_of(SKY, nand, 7, 3, 18)),
        ("bit 0", flip_flop, {"CLK": 2, "D": 17, "Q": 6}),
        ("bit 1", flip_flop, {"CLK": 2, "D": 18, "Q": 7}),
    ]
    return Netlist(
        top="mac",
        ports=(
            Port(name="clk", direction="input", nets=(2,)),
            Port(name="weight", direction="input", nets=(3,)),
            Port(name="activation", direction="input", nets=(4,)),
            Port(name="clear", direction="input", nets=(5,)),
            Port(name="accumulator", direction="output", nets=(6, 7)),
        ),
        instances=tuple(Instance(name=n, cell=c, pins=p) for n, c, p in cells[::-1]),
    )


def test_the_low_window_by_hand():
    window = low_window(hand_made(), SKY)
    # A tie cell is none that a window holds, so its net is not known.
    assert window.instances == {"codes", "constant"}
    assert (window.inputs, window.outputs) == ((3, 4), (11,))


def test_areas_split_by_hand():
    """Multiplier: what depends on codes, constants aside, and on nothing else."""
    nand, tie = SKY.library.nand2.area, SKY.library.tie(1)[0].area
    flip_flop, inverter = SKY.library.best_flip_flop.area, SKY.inverter.area
    multiplier, accumulator = split_areas(hand_made(), SKY.library)
    assert multiplier == pytest.approx(3 * nand)
    assert accumulator == pytest.approx(4 * nand + tie + inverter + 2 * flip_flop)


def test_areas_split_as_the_parts_were(mac, gates):
    """By what each cell depends on, whatever its part; most of it is the block."""
    _spec, netlist = mac
    library = gates.library
    multiplier, accumulator = split_areas(netlist, library)
    total = sum(library.cell(one.cell).area for one in netlist.instances)
    assert multiplier + accumulator == pytest.approx(total)
    codes = {net for name in ("weight", "activation") for net in netlist.port(name).nets}
    support = support_of(gates, netlist)
    expected = 0.0
    for one in netlist.instances:
        cell = library.cell(one.cell)
        if cell.kind is CellKind.COMBINATIONAL:
            nets = frozenset().union(*(support[one.pins[pin]] for pin in cell.input_names))
            expected += cell.area if nets and nets <= codes else 0.0
    assert multiplier == pytest.approx(expected)
    block = [one for one in netlist.instances if one.name.startswith("p")]
    assert 0.9 * sum(library.cell(one.cell).area for one in block) < multiplier
