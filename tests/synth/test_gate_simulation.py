"""Simulated netlists: states, toggles and glitches, by hand and against one lane at a time."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibblemac.formats.errors import LibraryError, SimulationError, SynthesisError
from nibblemac.synth.activity import count_activity
from nibblemac.synth.boolean import parse
from nibblemac.synth.gate_functions import compile_function
from nibblemac.synth.gate_model import gate_model
from nibblemac.synth.gate_simulation import simulate
from nibblemac.synth.library import load_liberty
from nibblemac.synth.netlist import Instance, Netlist, Port

TINY = Path(__file__).parent / "data" / "tiny.lib"
CLOCK, A, B = 2, 3, 4


@pytest.fixture(scope="module")
def library():
    return load_liberty([TINY])


def cell(name, kind, **pins):
    return Instance(name=name, cell=kind, pins=pins)


def netlist(*instances, outputs, inputs=(A,)):
    names = "abcdefgh"
    return Netlist(
        top="t",
        ports=(
            Port(name="clk", direction="input", nets=(CLOCK,)),
            *(Port(name=names[i], direction="input", nets=(n,)) for i, n in enumerate(inputs)),
            Port(name="y", direction="output", nets=tuple(outputs)),
        ),
        instances=instances,
    )


def run(library, design, lanes, **inputs):
    """Simulate single-bit inputs, given cycle by cycle as lanes."""
    feeds = {name: [[value] for value in values] for name, values in inputs.items()}
    return simulate(gate_model(design, library), feeds, lanes)


@given(st.integers(0, 2**20 - 1), st.integers(0, 2**20 - 1), st.integers(0, 2**20 - 1))
def test_functions_are_the_expressions(a, b, c):
    mask = 2**20 - 1
    for text in (
        "A",
        "!A",
        "A*B",
        "A+B+C",
        "A^B^C",
        "!(A*B+!C)",
        "(A^B)*(C+!A)",
        "0",
        "1",
        "!(A^B)",
    ):
        expression = parse(text)
        function = compile_function(expression, {"A": 0, "B": 1, "C": 2}, mask)
        assert function([a, b, c]) == expression.evaluate({"A": a, "B": b, "C": c}, mask), text


def counter():
    """Two bits with inverted outputs: net 5 changes every cycle, net 6 every other one."""
    return netlist(
        cell("low", "DFFQN", CK=CLOCK, D=5, QN=5),
        cell("carry", "XOR2", A=5, B=6, Y=7),
        cell("high", "DFFQN", CK=CLOCK, D=8, QN=6),
        cell("not", "INV", A=7, Y=8),
        outputs=(5, 6),
        inputs=(),
    )


def lane(bits, number):
    return [value >> number & 1 for value in bits]


def test_a_counter_counts(library):
    # The stored bits are the outputs' complements: 5 starts at 1, and follows its own inverse.
    design = replace(
        counter(), ports=(*counter().ports, Port(name="u", direction="input", nets=(9,)))
    )
    settled = run(library, design, 3, u=[0] * 9)
    low = [values[0] for values in settled.port("y")]
    high = [values[1] for values in settled.port("y")]
    assert low == [7, 0] * 4 + [7]
    # 6's flip-flop takes !(5 ^ 6) and shows its complement, 5 ^ 6.
    assert high == [7, 0, 0, 7, 7, 0, 0, 7, 7]
    zero, unit = count_activity(settled, 0)
    assert zero.transitions == unit.transitions == 3 * 8
    for activity in (zero, unit):
        assert (activity.rises[5], activity.falls[5]) == (3 * 4, 3 * 4)
        assert (activity.rises[6], activity.falls[6]) == (3 * 2, 3 * 2)


def test_toggles_of_an_exclusive_or(library):
    design = netlist(cell("x", "XOR2", A=A, B=B, Y=5), outputs=(5,), inputs=(A, B))
    # Lane 0: a 0011, b 0101; y 0110. Lane 1: a 0000, b 0110; y 0110.
    settled = run(library, design, 2, a=[0b00, 0b00, 0b01, 0b01], b=[0b00, 0b11, 0b10, 0b01])
    assert [lane([y for (y,) in settled.port("y")], n) for n in (0, 1)] == [
        [0, 1, 1, 0],
        [0, 1, 1, 0],
    ]
    zero, unit = count_activity(settled, 0)
    for activity in (zero, unit):
        assert (activity.rises[A], activity.falls[A]) == (1, 0)
        assert (activity.rises[B], activity.falls[B]) == (3, 2)
        assert (activity.rises[5], activity.falls[5]) == (2, 2)
        # In the second step of lane 0 both change and y does not; only A's energy depends on it.
        assert activity.unanswered == {("x", "A"): (1, 0)}
        assert activity.caused == {("x", "Y", "B"): 4}
        assert activity.total == 10
    # Later steps alone.
    later, _ = count_activity(settled, 2)
    assert later.transitions == 2
    assert later.toggles(5) == 2


def test_unequal_paths_glitch(library):
    """y = a ^ a, once through two inverters: silent without delays, two changes with them."""
    design = netlist(
        cell("i", "INV", A=A, Y=5),
        cell("j", "INV", A=5, Y=6),
        cell("x", "XOR2", A=A, B=6, Y=7),
        outputs=(7,),
    )
    settled = run(library, design, 1, a=[0, 1, 1, 0])
    zero, unit = count_activity(settled, 0)
    assert zero.toggles(7) == 0
    assert zero.unanswered == {("x", "A"): (1, 1)}
    assert (unit.rises[7], unit.falls[7]) == (2, 2)
    # A's change raises y, B's lowers it two units later.
    assert unit.caused == {
        ("i", "Y", "A"): 2, ("j", "Y", "A"): 2, ("x", "Y", "A"): 2, ("x", "Y", "B"): 2,
    }  # fmt: skip
    assert unit.unanswered == {}
    assert unit.toggles(A) == unit.toggles(5) == unit.toggles(6) == 2


def test_balanced_paths_do_not_glitch(library):
    design = netlist(
        cell("i", "INV", A=A, Y=5),
        cell("j", "INV", A=B, Y=6),
        cell("x", "XOR2", A=5, B=6, Y=7),
        outputs=(7,),
        inputs=(A, B),
    )
    _, unit = count_activity(run(library, design, 1, a=[0, 1, 0], b=[0, 1, 0]), 0)
    assert unit.toggles(7) == 0


KINDS = [("INV", "A", "Y"), ("NAND2", "A B", "Y"), ("XOR2", "A B", "Y"), ("FA", "A B CI", "CO S")]


@st.composite
def networks(draw):
    """A random network of gates that read any earlier nets, and inputs for a few cycles."""
    nets, gates = [0, 1, A, B, 5], []
    for index in range(draw(st.integers(1, 12))):
        kind, inputs, outputs = draw(st.sampled_from(KINDS))
        pins = {pin: draw(st.sampled_from(nets)) for pin in inputs.split()}
        new = [10 + 2 * index + n for n in range(len(outputs.split()))]
        pins.update(zip(outputs.split(), new, strict=True))
        gates.append(cell(f"g{index}", kind, **pins))
        nets += new
    seed = draw(st.integers(0, 2**32))
    return netlist(*gates, outputs=(nets[-1],), inputs=(A, B, 5)), seed


@settings(max_examples=60, deadline=None)
@given(networks(), st.integers(1, 19), st.integers(2, 6))
def test_lanes_are_what_one_lane_at_a_time_gives(library, network, lanes, cycles):
    design, seed = network
    source = random.Random(seed)  # noqa: S311
    feeds = {name: [source.getrandbits(lanes) for _ in range(cycles)] for name in "abc"}
    settled = run(library, design, lanes, **feeds)
    zero, unit = count_activity(settled, 0)
    expected_zero: dict[int, int] = {}
    expected_unit: dict[int, int] = {}
    for number in range(lanes):
        previous = None
        for cycle in range(cycles):
            inputs = {
                net: feeds[name][cycle] >> number & 1
                for net, name in ((A, "a"), (B, "b"), (5, "c"))
            }
            current = settle(library, design, inputs)
            for net, index in settled.model.nets.items():
                if net != CLOCK:
                    assert settled.values[cycle][index] >> number & 1 == current[net]
            if previous is not None:
                for net, value in current.items():
                    expected_zero[net] = expected_zero.get(net, 0) + (value != previous[net])
                glitches(library, design, previous, inputs, expected_unit)
            previous = current
    for net in settled.model.nets:
        assert zero.toggles(net) == expected_zero.get(net, 0)
        assert unit.toggles(net) == expected_unit.get(net, 0)


def settle(library, design, inputs):
    values = {0: 0, 1: 1, **inputs}
    for gate in design.instances:
        values.update(answers(library, gate, values))
    return values


def answers(library, gate, values):
    kind = library.cell(gate.cell)
    pins = {pin.name: values[gate.pins[pin.name]] for pin in kind.inputs}
    return {gate.pins[pin.name]: pin.function.evaluate(pins) for pin in kind.outputs}


def glitches(library, design, before, inputs, counts):
    """All gates at once answer what they saw one unit ago, until nothing changes."""
    values = {**before, **inputs}
    for net in inputs:
        counts[net] = counts.get(net, 0) + (values[net] != before[net])
    while True:
        new = dict(values)
        for gate in design.instances:
            new.update(answers(library, gate, values))
        if new == values:
            return
        for net, value in new.items():
            counts[net] = counts.get(net, 0) + (value != values[net])
        values = new


def test_enables_hold_the_state(library):
    design = netlist(cell("r", "DFFE", CK=CLOCK, D=A, E=B, Q=5), outputs=(5,), inputs=(A, B))
    settled = run(library, design, 1, a=[1, 0, 0, 1], b=[1, 0, 1, 1])
    assert [y for (y,) in settled.port("y")] == [0, 1, 1, 0]


def test_resets_that_act_are_refused(library):
    def design(reset):
        return netlist(cell("r", "DFFRS", CK=CLOCK, D=A, RN=reset, SN=1, Q=5, QN=6), outputs=(5, 6))

    settled = run(library, design(1), 1, a=[1, 0, 0])
    assert settled.port("y") == [[0, 1], [1, 0], [0, 1]]
    with pytest.raises(SimulationError, match="r in t is cleared or preset"):
        run(library, design(0), 1, a=[1, 0])


@pytest.mark.parametrize(
    ("gates", "error", "message"),
    [
        ([cell("i", "INV", A=9, Y=5)], SimulationError, "Nothing drives the pin 'A' of i"),
        ([cell("i", "INV", Y=5)], SimulationError, "Nothing drives the pin 'A' of i"),
        ([cell("i", "INV", A=A, Y=6)], SimulationError, "a bit of t's output 'y'"),
        ([cell("i", "INV", A=A, Y=5), cell("j", "INV", A=5, Y=A)], SimulationError, "second side"),
        ([cell("i", "INV", A=A, Y=5), cell("j", "INV", A=5, Y=1)], SimulationError, "second side"),
        ([cell("i", "INV", A=A, Y=5), cell("j", "INV", A=A, Y=5)], SynthesisError, "twice"),
        ([cell("i", "INV", A=5, Y=5)], SynthesisError, "loop"),
        ([cell("i", "INV", A=CLOCK, Y=5)], SimulationError, "clock reaches the pin 'A' of i"),
        ([cell("r", "DFFQN", CK=A, D=A, QN=5)], SimulationError, "not clocked by the rising edge"),
        ([cell("r", "DFFQN", D=A, QN=5)], SimulationError, "not clocked by the rising edge"),
        ([cell("i", "INV", A=A, Y=5, Z=7)], SimulationError, "no pin 'Z'"),
        ([cell("i", "INX", A=A, Y=5)], LibraryError, "no cell 'INX'"),
    ],
)  # fmt: skip
def test_damaged_netlists_are_refused(library, gates, error, message):
    with pytest.raises(error, match=message):
        gate_model(netlist(*gates, outputs=(5,)), library)


def test_stimuli_that_do_not_fit_are_refused(library):
    design = netlist(cell("i", "INV", A=A, Y=5), outputs=(5,))
    model = gate_model(design, library)
    for feeds, message in (
        ({}, "has the inputs"),
        ({"a": [[0]], "b": [[0]]}, "has the inputs"),
        ({"a": []}, "no cycles"),
        ({"a": [[0, 0]]}, "does not fit"),
        ({"a": [[4]]}, "does not fit"),
        ({"a": [[-1]]}, "does not fit"),
    ):
        with pytest.raises(SimulationError, match=message):
            simulate(model, feeds, 2)
    with pytest.raises(SimulationError, match="no transition"):
        count_activity(simulate(model, {"a": [[0]]}, 2), 0)
    with pytest.raises(SimulationError, match="no clock"):
        gate_model(design, library, clock="y")
    with pytest.raises(SynthesisError, match="no port 'ck'"):
        gate_model(design, library, clock="ck")
