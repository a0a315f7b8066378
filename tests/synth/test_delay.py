"""Delays by hand: a library whose tables are linear, so that every figure is a short sum."""

import dataclasses
import json

import pytest
from nibblemac.formats.errors import DataError, LibraryError, SynthesisError, UsageError
from nibblemac.synth import boolean
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
from nibblemac.synth.delay import Delay, measure_delay, register_names
from nibblemac.synth.delay_conditions import Conditions
from nibblemac.synth.netlist import ONE, Instance, Netlist, Port
from nibblemac.synth.static_timing import FALL, RISE, analyse, net_loads

SLEWS, LOADS = (10.0, 50.0), (1.0, 5.0)
CLOCK_SLEW = 50.0


def table(constant, by_slew, by_load):
    return tuple(constant + by_slew * slew + by_load * load for slew in SLEWS for load in LOADS)


def arc(pin, sense, kind="combinational"):
    """Rise: 10 + 0.1 slew + 2 load; fall: 20 + 0.2 slew + 3 load; slews 5 and 7 + 4 load."""
    return Arc(
        pin=pin,
        kind=kind,
        sense=sense,
        rise_delay=table(10, 0.1, 2),
        fall_delay=table(20, 0.2, 3),
        rise_transition=table(5, 0, 4),
        fall_transition=table(7, 0, 4),
        energy=(),
    )


def pin_(name, capacitance=1.0, clock=False, setup=()):
    return InputPin(
        name=name,
        capacitance=capacitance,
        clock=clock,
        quiet=False,
        rise_energy=(),
        fall_energy=(),
        setup=setup,
    )


def output(name, function, *arcs):
    return OutputPin(
        name=name, function=boolean.parse(function), max_capacitance=None, arcs=tuple(arcs)
    )


def cell(name, inputs, outputs, flip_flop=None):
    return Cell(
        name=name, area=1.0, leakage=0.0, inputs=inputs, outputs=outputs, flip_flop=flip_flop
    )


INV = cell("INV", (pin_("A"),), (output("Y", "!A", arc("A", "negative_unate")),))
BUF = cell("BUF", (pin_("A"),), (output("Y", "A", arc("A", "positive_unate")),))
XOR = cell(
    "XOR",
    (pin_("A", 2.0), pin_("B", 3.0)),
    (output("Y", "A^B", arc("A", "non_unate"), arc("B", "non_unate")),),
)
FF = cell(
    "FF",
    (pin_("C", clock=True), pin_("D", 1.5, setup=(12.0, 20.0))),
    (output("Q", "IQ", arc("C", "non_unate", "rising_edge")),),
    FlipFlop(
        clocked_on=boolean.pin("C"), next_state=boolean.pin("D"), clear=None, preset=None, both=""
    ),
)
LIBRARY = CellLibrary(
    name="hand",
    corner=Corner(process=1, voltage=1, temperature=25, slew_lower=20, slew_upper=80),
    slews=SLEWS,
    loads=LOADS,
    cells=(BUF, FF, INV, XOR),
)
IDEAL = Conditions(driver="", input_slew_ps=30, load_ff=2)


def inputs(**nets):
    return tuple(Port(name=name, direction="input", nets=(net,)) for name, net in nets.items())


def out(net, name="y"):
    return Port(name=name, direction="output", nets=(net,))


def place(name, cell_name, **pins):
    return Instance(name=name, cell=cell_name, pins=pins)


def tables(netlist, conditions=IDEAL, library=LIBRARY):
    return measure_delay(netlist, library, conditions, engine="tables")


CHAIN = Netlist(
    top="chain",
    ports=(*inputs(a=2), out(4)),
    instances=(place("u", "INV", A=2, Y=3), place("v", "INV", A=3, Y=4)),
)


def test_inverter_chain():
    # u drives 1 fF: rise 10+3+2 = 15, slew 9; fall 20+6+3 = 29, slew 11 (input slew 30).
    # v drives 2 fF. Its rise follows u's fall: 29 + 10 + 1.1 + 4 = 44.1, its fall u's rise:
    # 15 + 20 + 1.8 + 6 = 42.8.
    delay = tables(CHAIN)
    assert delay.ps == pytest.approx(44.1)
    assert (delay.start, delay.end, delay.kind) == ("a", "y", "input to output")
    assert delay.setup_ps == 0
    timing = analyse(CHAIN, LIBRARY, IDEAL.resolve(LIBRARY))
    assert timing.arrivals[4] == pytest.approx((44.1, 42.8))
    assert timing.slews[4] == pytest.approx((13, 15))
    path = timing.path(timing.ends[0])
    assert [(step.net, step.edge, step.instance) for step in path] == [
        (2, RISE, None),
        (3, FALL, "u"),
        (4, RISE, "v"),
    ]


def test_non_unate_takes_either_edge_and_the_larger_slew():
    # A comes straight from the port (slew 30, time 0), B through an inverter that drives 3 fF:
    # rise 10+3+6 = 19, slew 17; fall 20+6+9 = 35, slew 19. XOR drives 2 fF:
    # rise after B's fall 35 + 10 + 1.9 + 4 = 50.9; fall 35 + 20 + 3.8 + 6 = 64.8.
    netlist = Netlist(
        top="t",
        ports=(*inputs(a=2), out(4)),
        instances=(place("u", "INV", A=2, Y=3), place("x", "XOR", A=2, B=3, Y=4)),
    )
    timing = analyse(netlist, LIBRARY, IDEAL.resolve(LIBRARY))
    assert timing.arrivals[4] == pytest.approx((50.9, 64.8))
    assert timing.loads[2] == pytest.approx(1 + 2)
    assert [step.net for step in timing.path(timing.ends[0])] == [2, 3, 4]


def toggle(instances=(), data=3):
    """A register r, whose output bit q also feeds what computes its next state."""
    return Netlist(
        top="toggle",
        ports=(*inputs(clk=9), out(2, "q")),
        instances=(place("r", "FF", C=9, D=data, Q=2), *instances),
    )


def test_register_to_register_counts_clock_to_output_and_setup():
    # r drives the inverter (1 fF) and q (2 fF): rise 10+5+6 = 21, slew 17; fall 20+10+9 = 39,
    # slew 19. The inverter drives D (1.5): rise 39 + 10 + 1.9 + 3 = 53.9, slew 11; fall
    # 21 + 20 + 3.4 + 4.5 = 48.9, slew 13. Setup: 12 + (11-10)/40*8 = 12.2.
    delay = tables(toggle([place("u", "INV", A=2, Y=3)]))
    assert delay.ps == pytest.approx(53.9 + 12.2)
    assert delay.setup_ps == pytest.approx(12.2)
    assert (delay.start, delay.end, delay.kind) == ("q", "q", "register to register")
    assert delay.conditions.clock_slew_ps == CLOCK_SLEW
    assert delay.megahertz == pytest.approx(1e6 / 66.1)


def test_inputs_come_from_flip_flops_by_default():
    # The driver is FF into 1 fF: rise 10+5+2 = 17, slew 9; fall 20+10+3 = 33, slew 11; then u
    # into 4 inverters' load: rise 33 + 10 + 1.1 + 8 = 52.1, fall 17 + 20 + 1.8 + 12 = 50.8.
    netlist = Netlist(
        top="t", ports=(*inputs(a=2), out(3)), instances=(place("u", "INV", A=2, Y=3),)
    )
    delay = tables(netlist, Conditions())
    assert delay.ps == pytest.approx(52.1)
    assert (delay.conditions.driver, delay.conditions.load_ff) == ("FF", 4)
    assert delay.start == "a"


def test_inputs_may_come_from_a_buffer():
    # BUF into 1 fF after slew 30: rise 10+3+2 = 15, slew 9; fall 20+6+3 = 29, slew 11; then u into
    # 2 fF: rise 29 + 10 + 1.1 + 4 = 44.1.
    netlist = Netlist(
        top="t", ports=(*inputs(a=2), out(3)), instances=(place("u", "INV", A=2, Y=3),)
    )
    assert tables(netlist, dataclasses.replace(IDEAL, driver="BUF")).ps == pytest.approx(44.1)


def test_wires_load_nets_and_delay_pins():
    # 0.5 fF a pin, 2 kΩ for each fF, so 1 kΩ. u's A (1 fF) sees the port after 1.5 ps; u drives
    # 1 + 0.5 fF: fall 1.5 + 20 + 6 + 4.5 = 32, slew 13, at v 33.5. v drives 2 + 0.5 fF: rise
    # 33.5 + 10 + 1.3 + 5 = 49.8, and its wire adds 1 kΩ x 2.5 fF = 2.5.
    library = dataclasses.replace(LIBRARY, wire_load=WireLoad(points=(), slope=0.5, resistance=2))
    assert tables(CHAIN, library=library).ps == pytest.approx(52.3)
    assert tables(CHAIN, dataclasses.replace(IDEAL, wires=False), library).ps == 44.1
    loads = net_loads(CHAIN, library, IDEAL.resolve(library))
    assert loads == pytest.approx({2: 1.5, 3: 1.5, 4: 2.5})


def test_values_go_on_beyond_the_tables():
    # 100 fF and a slew of 200: 20 + 0.2 x 200 + 3 x 100 falls after the input's rise.
    netlist = Netlist(
        top="t", ports=(*inputs(a=2), out(3)), instances=(place("u", "INV", A=2, Y=3),)
    )
    far = Conditions(driver="", input_slew_ps=200, load_ff=100)
    assert tables(netlist, far).ps == pytest.approx(360)


def test_constants_start_no_path():
    netlist = Netlist(
        top="t",
        ports=(*inputs(a=2), out(3), out(4, "z")),
        instances=(place("x", "XOR", A=2, B=ONE, Y=3), place("u", "INV", A=ONE, Y=4)),
    )
    delay = tables(netlist)
    assert (delay.end, delay.start) == ("y", "a")
    assert delay.ps == pytest.approx(20 + 6 + 6)


def test_registers_are_called_after_the_bit_they_drive():
    hidden = place("s", "FF", C=9, D=2, Q=7)
    inverted = toggle([place("u", "INV", A=2, Y=3), hidden])
    assert register_names(inverted, LIBRARY) == {"r": "q"}
    behind = Netlist(
        top="t",
        ports=(*inputs(clk=9), Port(name="q", direction="output", nets=(6, 5))),
        instances=(place("r", "FF", C=9, D=2, Q=3), place("u", "INV", A=3, Y=5)),
    )
    assert register_names(behind, LIBRARY) == {"r": "q[1]"}


def test_gated_clocks_are_refused():
    netlist = Netlist(
        top="t",
        ports=(*inputs(a=2), out(4)),
        instances=(place("u", "INV", A=2, Y=3), place("r", "FF", C=3, D=2, Q=4)),
    )
    with pytest.raises(SynthesisError, match="clock of r in t is no input port"):
        tables(netlist)


def test_a_netlist_without_paths_is_refused():
    with pytest.raises(SynthesisError, match="t has no path to measure"):
        tables(Netlist(top="t", ports=(), instances=()))


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (Conditions(load_ff=-1), "load_ff is -1"),
        (Conditions(load_ff=float("nan")), "load_ff is nan"),
        (Conditions(clock_slew_ps=float("inf")), "clock_slew_ps is inf"),
        (Conditions(driver="XOR"), "XOR cannot drive the inputs"),
    ],
)
def test_conditions_without_meaning_are_refused(conditions, message):
    with pytest.raises(UsageError, match=message):
        tables(CHAIN, conditions)


def test_unknown_drivers_and_untimed_libraries_are_refused():
    with pytest.raises(LibraryError, match="no cell 'NOPE'"):
        tables(CHAIN, Conditions(driver="NOPE"))
    with pytest.raises(LibraryError, match="hand lacks delays"):
        tables(CHAIN, library=dataclasses.replace(LIBRARY, slews=(), loads=()))


def test_unknown_engines_are_refused():
    with pytest.raises(UsageError, match="engine 'magic' is unknown"):
        measure_delay(CHAIN, LIBRARY, engine="magic")


def test_json_round_trip():
    delay = tables(CHAIN)
    assert Delay.from_json(json.loads(json.dumps(delay.to_json()))) == delay


@pytest.mark.parametrize(
    "change",
    [
        {"ps": "1"},
        {"ps": float("nan")},
        {"ps": True},
        {"start": 3},
        {"conditions": None},
        {"conditions": {}},
        {"extra": 1},
    ],
)
def test_other_records_are_refused(change):
    with pytest.raises(DataError, match="delay"):
        Delay.from_json({**tables(CHAIN).to_json(), **change})


def test_incomplete_records_are_refused():
    record = tables(CHAIN).to_json()
    record["conditions"]["driver"] = 1
    with pytest.raises(DataError, match="driver is 1"):
        Delay.from_json(record)
    with pytest.raises(DataError, match="JSON object"):
        Delay.from_json([])
