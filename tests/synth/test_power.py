"""Energies worked out by hand on a made-up library, and MACs held against the reference."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from nibblemac.formats.errors import (
    DataError,
    LibraryError,
    UsageError,
    VerificationError,
)
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.operands import Operands, sampled_operands
from nibblemac.synth.activity import count_activity
from nibblemac.synth.boolean import parse
from nibblemac.synth.cells import (
    Arc,
    Cell,
    CellLibrary,
    Corner,
    FlipFlop,
    InputPin,
    OutputPin,
    WireLoad,
)
from nibblemac.synth.delay_conditions import NO_DRIVER, Conditions
from nibblemac.synth.energy import energy_of
from nibblemac.synth.gate_model import gate_model
from nibblemac.synth.gate_simulation import simulate
from nibblemac.synth.library import load_library
from nibblemac.synth.mac_simulation import simulate_mac
from nibblemac.synth.netlist import Instance, Netlist, Port
from nibblemac.synth.power import Power, measure_power
from nibblemac.synth.recipes import find_recipe
from nibblemac.synth.static_timing import analyse
from nibblemac.synth.sweep import Task, make_design

SLEWS, LOADS = (10.0, 30.0), (1.0, 5.0)
CLOCK, A = 2, 3


def plane(constant, slew=0.0, load=0.0):
    """A table that is linear in slew and load, so that bilinear values are exact."""
    return tuple(constant + slew * s + load * c for s in SLEWS for c in LOADS)


def line(constant, slew=0.0):
    return tuple(constant + slew * s for s in SLEWS)


def arc(pin, energy, kind="combinational"):
    flat = plane(20.0)  # every slew in the netlist is 20 ps
    return Arc(
        pin=pin,
        kind=kind,
        sense="non_unate",
        rise_delay=flat,
        fall_delay=flat,
        rise_transition=flat,
        fall_transition=flat,
        energy=energy,
    )


def pin(name, capacitance, rise=(), fall=(), *, clock=False, quiet=False):
    return InputPin(
        name=name,
        capacitance=capacitance,
        clock=clock,
        quiet=quiet,
        rise_energy=rise,
        fall_energy=fall,
        setup=(),
    )


def out(name, function, *arcs):
    return OutputPin(name=name, function=parse(function), max_capacitance=None, arcs=arcs)


INV = Cell(
    name="INV",
    area=1.0,
    leakage=1.0,
    inputs=(pin("A", 2.0),),
    outputs=(out("Y", "!A", arc("A", plane(1.0, 0.1, 0.5))),),
)
XOR = Cell(
    name="XOR",
    area=2.0,
    leakage=2.0,
    inputs=(
        pin("A", 3.0, line(0.5, 0.01), line(0.25), quiet=True),
        pin("B", 4.0, line(0.75), line(0.125), quiet=True),
    ),
    outputs=(out("Y", "A^B", arc("A", plane(2.0, 0, 0.1)), arc("B", plane(4.0, 0, 0.1))),),
)
DFF = Cell(
    name="DFF",
    area=4.0,
    leakage=5.0,
    inputs=(
        pin("CK", 1.0, line(6.0), line(2.0), clock=True, quiet=True),
        pin("D", 1.5, line(0.3), line(0.7)),
    ),
    outputs=(out("Q", "IQ", arc("CK", plane(10.0, 0, 0.2), "rising_edge")),),
    flip_flop=FlipFlop(
        clocked_on=parse("CK"), next_state=parse("D"), clear=None, preset=None, both=""
    ),
)
LIBRARY = CellLibrary(
    name="made up",
    corner=Corner(process=1.0, voltage=2.0, temperature=25.0, slew_lower=20.0, slew_upper=80.0),
    slews=SLEWS,
    loads=LOADS,
    cells=(DFF, INV, XOR),
    wire_load=WireLoad(points=((1, 0.5),), slope=0.25, resistance=0.0),
)
CONDITIONS = Conditions(load_ff=5.0, driver=NO_DRIVER, input_slew_ps=20.0, clock_slew_ps=20.0)


def cell(name, kind, **pins):
    return Instance(name=name, cell=kind, pins=pins)


def netlist(*instances, output, inputs=True):
    return Netlist(
        top="t",
        ports=(
            Port(name="clk", direction="input", nets=(CLOCK,)),
            Port(name="a", direction="input", nets=(A,)),
            Port(name="y", direction="output", nets=(output,)),
        ),
        instances=instances,
    )


def energies(design, values, library=LIBRARY, conditions=CONDITIONS, lanes=1):
    """The energies without and with glitches, input by input cycle."""
    settled = simulate(gate_model(design, library), {"a": [[value] for value in values]}, lanes)
    resolved = conditions.resolve(library)
    timing = analyse(design, library, resolved)
    return [
        energy_of(design, library, activity, timing, resolved)
        for activity in count_activity(settled, 0)
    ]


CHAIN = netlist(cell("i", "INV", A=A, Y=5), cell("j", "INV", A=5, Y=6), output=6)


def test_a_chain_of_inverters():
    # Loads: nets a and 5 an input of 2 fF and 0.5 fF of wire; net 6 the output's 5 fF and 0.5 fF.
    # Each of the three nets changes twice in three clock edges; 1/2 C V^2 is 2 C.
    for energy in energies(CHAIN, [0, 1, 1, 0]):
        first, second = 1 + 0.1 * 20 + 0.5 * 2.5, 1 + 0.1 * 20 + 0.5 * 5.5
        assert energy.internal_fj == pytest.approx(2 * (first + second) / 3)
        assert energy.switching_fj == pytest.approx(2 * (2 * 2.5 + 2 * 5.5) / 3)
        assert energy.input_fj == pytest.approx(2 * 2 * 2.5 / 3)
        assert energy.clock_fj == 0
        assert energy.toggles == pytest.approx(6 / 3)
        assert energy.total_fj == pytest.approx((20 + 32 + 10) / 3)


def test_lanes_are_averaged():
    one, _ = energies(CHAIN, [0, 1, 1, 0])
    both, _ = energies(CHAIN, [0b00, 0b01, 0b01, 0b00], lanes=2)
    assert both.total_fj == pytest.approx(one.total_fj / 2)


def test_wire_loads_are_a_condition():
    energy, _ = energies(CHAIN, [0, 1], conditions=replace(CONDITIONS, wires=False))
    assert energy.switching_fj == pytest.approx(2 * 2.0 + 2 * 5.0)
    bare, _ = energies(CHAIN, [0, 1], library=replace(LIBRARY, wire_load=None))
    assert bare == energy


def test_a_toggling_flip_flop():
    design = netlist(cell("r", "DFF", CK=CLOCK, D=6, Q=5), cell("i", "INV", A=5, Y=6), output=5)
    # Q drives 2 fF, the output's 5 fF and the wire of two inputs, 0.75 fF; the inverter 1.5 + 0.5.
    for energy in energies(design, [0] * 5, lanes=3):
        at_q, at_inverter, at_d = 10 + 0.2 * 7.75, 1 + 2 + 0.5 * 2, (0.3 + 0.7) / 2
        assert energy.internal_fj == pytest.approx(at_q + at_inverter + at_d)
        assert energy.switching_fj == pytest.approx(2 * 7.75 + 2 * 2)
        # The clock: C V^2 of 1.5 fF, the falling edge; the rising one is in Q's table.
        assert energy.clock_fj == pytest.approx(4 * 1.5 + 2)
        assert energy.toggles == 2


def test_an_idle_flip_flop():
    design = netlist(cell("r", "DFF", CK=CLOCK, D=5, Q=5), output=5)
    for energy in energies(design, [0] * 5):
        assert (energy.internal_fj, energy.switching_fj) == (0, 0)
        assert energy.clock_fj == pytest.approx(4 * 1.5 + 2 + 6)


def test_clock_pins_that_are_not_quiet_always_count():
    loud = replace(DFF, inputs=(replace(DFF.inputs[0], quiet=False), DFF.inputs[1]))
    design = netlist(cell("r", "DFF", CK=CLOCK, D=6, Q=5), cell("i", "INV", A=5, Y=6), output=5)
    energy, _ = energies(design, [0] * 5, library=replace(LIBRARY, cells=(loud, INV, XOR)))
    assert energy.clock_fj == pytest.approx(4 * 1.5 + 2 + 6)


def test_glitches_cost():
    """y = a ^ !!a is silent without delays; with them, each change of a pulses it."""
    design = netlist(
        cell("i", "INV", A=A, Y=5),
        cell("j", "INV", A=5, Y=6),
        cell("x", "XOR", A=A, B=6, Y=7),
        output=7,
    )
    zero, unit = energies(design, [0, 1, 0])
    loads = {A: 2 + 3 + 0.75, 5: 2.5, 6: 4.5, 7: 5.5}
    inverters = 2 * (1 + 2 + 0.5 * loads[5]) + 2 * (1 + 2 + 0.5 * loads[6])
    wires = 2 * 2 * (loads[5] + loads[6])
    # Without delays both inputs' quiet energies: A rises and falls at 20 ps, B too.
    quiet = (0.5 + 0.01 * 20) + 0.25 + 0.75 + 0.125
    assert zero.internal_fj == pytest.approx((inverters + quiet) / 2)
    assert zero.switching_fj == pytest.approx(wires / 2)
    # With them A's arc and B's arc twice each, nothing quiet, and four changes of y.
    pulses = 2 * (2 + 0.1 * 5.5) + 2 * (4 + 0.1 * 5.5)
    assert unit.internal_fj == pytest.approx((inverters + pulses) / 2)
    assert unit.switching_fj == pytest.approx((wires + 4 * 2 * 5.5) / 2)
    assert unit.input_fj == zero.input_fj == pytest.approx(2 * 2 * loads[A] / 2)


def test_inputs_that_change_together_share_an_output():
    """Both inputs change in every counted edge that changes y: the mean of both arcs."""
    majority = replace(XOR, name="AND", outputs=(replace(XOR.outputs[0], function=parse("A*B")),))
    design = netlist(cell("x", "AND", A=A, B=A, Y=5), output=5)
    library = replace(LIBRARY, cells=(majority, DFF, INV))
    zero, _ = energies(design, [0, 1, 0], library=library)
    assert zero.internal_fj == pytest.approx((2 + 4) / 2 + 0.1 * 5.5)


def test_libraries_without_energies_are_refused():
    silent = [
        replace(
            one,
            inputs=tuple(replace(p, rise_energy=(), fall_energy=()) for p in one.inputs),
            outputs=tuple(
                replace(p, arcs=tuple(replace(a, energy=()) for a in p.arcs)) for p in one.outputs
            ),
        )
        for one in (DFF, INV)
    ]
    with pytest.raises(LibraryError, match=r"no internal energy for INV or any other comb"):
        energies(CHAIN, [0, 1], library=replace(LIBRARY, cells=(DFF, silent[1])))
    flop = netlist(cell("r", "DFF", CK=CLOCK, D=5, Q=5), output=5)
    with pytest.raises(LibraryError, match=r"no internal energy for DFF or any other flip-flop"):
        energies(flop, [0, 1], library=replace(LIBRARY, cells=(silent[0], INV)))


MACS = [
    ("INT3", "signed", {}),
    ("E2M1+SP", "shift-add", {}),
    ("SF3", "table", {"terms": 17}),
    ("E2M0", "table", {"terms": 1}),
    ("INT3", "sign-magnitude", {"enable": True, "registered_product": True, "terms": 5}),
]


@pytest.fixture(scope="module", params=MACS, ids=lambda case: f"{case[0]}-{case[1]}")
def mac(request, flow):
    name, architecture, options = request.param
    one = find_format(name)
    spec = MacSpec(weight=one, activation=one, **options)
    (mapped,) = flow.run([Task(design=make_design(spec, architecture), recipe=find_recipe("amap"))])
    return spec, mapped.graph


def test_accumulators_toggle_as_the_reference_says(mac):
    spec, graph = mac
    operands = sampled_operands(spec, lanes=21)
    settled = simulate_mac(graph, load_library(), spec, operands)
    # One dot product after the other, each bit of each sum against that of the sum before: lanes
    # cover every pair once, and the last wraps around to the first.
    sums = operands.sums(spec).numpy().reshape(-1)
    changes = sums ^ np.roll(sums, -1)
    for activity in count_activity(settled, spec.latency):
        assert activity.transitions == sums.size
        for bit, net in enumerate(graph.port("accumulator").nets):
            assert activity.toggles(net) == int((changes >> bit & 1).sum())
        for name, codes in (("weight", operands.weight), ("activation", operands.activation)):
            flat = codes.numpy().reshape(-1)
            for bit, net in enumerate(graph.port(name).nets):
                # Inputs run ahead of the accumulator, along the same ring.
                assert activity.toggles(net) == int(((flat ^ np.roll(flat, -1)) >> bit & 1).sum())
        (net,) = graph.port("clear").nets
        assert activity.toggles(net) == (0 if spec.terms == 1 else 2 * 21)


def test_records(mac):
    spec, graph = mac
    library = load_library()
    operands = sampled_operands(spec, lanes=8)
    power = measure_power(graph, library, spec, operands, megahertz=250)
    assert power == measure_power(graph, library, spec, operands, megahertz=250)
    assert Power.from_json(json.loads(json.dumps(power.to_json()))) == power
    assert power.energy_fj == pytest.approx(power.unit_delay.total_fj + power.leakage_nw / 250)
    # 1 fJ at 250 MHz is 0.25 µW.
    assert power.power_uw == pytest.approx(power.energy_fj * 0.25)
    assert 0 <= power.glitch_share < 1
    assert power.unit_delay.clock_fj == power.zero_delay.clock_fj > 0
    assert power.unit_delay.input_fj == power.zero_delay.input_fj > 0
    assert power.products == 8 * spec.terms
    assert power.voltage == library.corner.voltage
    leakage = sum(library.cell(instance.cell).leakage for instance in graph.instances)
    assert power.leakage_nw == pytest.approx(leakage)


def test_energy_follows_the_data(flow):
    one = find_format("INT3")
    spec = MacSpec(weight=one, activation=one)
    task = Task(design=make_design(spec, "signed"), recipe=find_recipe("amap"))
    (mapped,) = flow.run([task])
    zeros = torch.zeros((4, spec.terms), dtype=torch.uint8)
    still = measure_power(
        mapped.graph,
        load_library(),
        spec,
        Operands(weight=zeros, activation=zeros, description="0"),
    )
    busy = measure_power(mapped.graph, load_library(), spec, sampled_operands(spec, lanes=4))
    # All that is left with zeros are the clock and the beat of clear.
    assert still.unit_delay.clock_fj == pytest.approx(busy.unit_delay.clock_fj)
    assert still.zero_delay.toggles < 0.3
    assert busy.zero_delay.toggles > 10
    assert busy.energy_fj > 1.2 * still.energy_fj


def swapped(graph, library):
    """The netlist with one NAND or NOR made into the other, at each place in turn."""
    pairs = (("nand2_1", "nor2_1"), ("nor2_1", "nand2_1"))
    for index, one in enumerate(graph.instances):
        for old, new in pairs:
            if one.cell.endswith(old):
                other = replace(one, cell=one.cell.replace(old, new))
                yield replace(
                    graph,
                    instances=(*graph.instances[:index], other, *graph.instances[index + 1 :]),
                )


def test_wrong_netlists_have_no_power(mac):
    spec, graph = mac
    # Codes that no quantizer produces belong to it too: E2M0's negative zero.
    shape = (4096 // spec.terms + 1, spec.terms)
    generator = torch.Generator().manual_seed(1)
    weight, activation = (
        torch.randint(2**one.bits, shape, generator=generator, dtype=torch.uint8)
        for one in (spec.weight, spec.activation)
    )
    operands = Operands(weight=weight, activation=activation, description="all codes")
    found = 0
    for wrong in swapped(graph, load_library()):
        with pytest.raises(VerificationError, match=r"is no MAC of .* instead of"):
            measure_power(wrong, load_library(), spec, operands)
        found += 1
        if found == 6:
            break
    assert found


def test_questions_without_a_meaning(mac):
    spec, graph = mac
    for megahertz in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="positive number"):
            measure_power(graph, load_library(), spec, megahertz=megahertz)
    other = MacSpec(weight=spec.weight, activation=spec.activation, terms=spec.terms + 1)
    with pytest.raises(UsageError, match="dot products of"):
        measure_power(graph, load_library(), spec, sampled_operands(other, lanes=2))


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.pop("method"),
        lambda record: record.update(extra=1),
        lambda record: record.update(megahertz=0),
        lambda record: record.update(lanes=1.5),
        lambda record: record.update(leakage_nw="1"),
        lambda record: record.update(leakage_nw=float("nan")),
        lambda record: record.update(zero_delay=None),
        lambda record: record["unit_delay"].pop("toggles"),
        lambda record: record["unit_delay"].update(toggles=True),
        lambda record: record.update(conditions={}),
        lambda record: record.update(data=3),
    ],
)
def test_damaged_records_are_refused(mac, change):
    spec, graph = mac
    operands = sampled_operands(spec, lanes=1)
    record = measure_power(graph, load_library(), spec, operands).to_json()
    change(record)
    with pytest.raises(DataError):
        Power.from_json(record)
    with pytest.raises(DataError):
        Power.from_json([record])
