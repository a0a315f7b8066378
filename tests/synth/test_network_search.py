"""Networks, the candidates for one of their gates, and annealing, against one pattern at a time."""

import math
import random
from pathlib import Path
from unittest import mock

import nibblemac.synth.anneal
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibblemac.synth.anneal import Annealer
from nibblemac.synth.gates import MUX, XOR2, gate_library
from nibblemac.synth.library import load_liberty, load_library
from nibblemac.synth.network import Network, input_values
from nibblemac.synth.refine import same_function
from nibblemac.synth.replacement import Replacements

POOR = Path(__file__).parent / "data" / "poor.lib"
NAMES = ("sky130hd", "asap7", "sg13g2", "poor")
GATES = {
    name: gate_library(load_liberty([POOR]) if name == "poor" else load_library(name))
    for name in NAMES
}
libraries = st.sampled_from(NAMES)


def rng(seed):
    return random.Random(seed)  # noqa: S311


@st.composite
def networks(draw, most_inputs=5, most_gates=14):
    """A library, and a network of its gates that read any earlier signals."""
    gates = GATES[draw(libraries)]
    able = list({gate.cell: gate for gate in gates.by_cell.values()}.values())
    count = draw(st.integers(1, most_inputs))
    network = Network(input_values(count), 1 << count)
    for value in (0, network.mask):
        if draw(st.booleans()):
            network.add_constant(value)
    for _ in range(draw(st.integers(1, most_gates))):
        gate = draw(st.sampled_from(able))
        signals = st.sampled_from(sorted(network.values))
        network.add(gate, [draw(signals) for _ in gate.pins])
    leaving = st.sampled_from(sorted(network.values))
    network.outputs = draw(st.lists(leaving, min_size=1, max_size=4))
    network.outputs.append(max(network.values))
    return gates, network


def settle(gates, network, pattern):
    """Every signal's bit for one pattern of the inputs, from the cells' own functions."""
    known = {index: pattern >> index & 1 for index in range(network.inputs)}
    known.update(network.constants)

    def bit(signal):
        if signal not in known:
            gate, fan_ins = network.gates[signal]
            pins = {pin: bit(fan_in) for pin, fan_in in zip(gate.pins, fan_ins, strict=True)}
            known[signal] = (
                gates.library.cell(gate.cell).output(gate.output).function.evaluate(pins)
            )
        return known[signal]

    for signal in network.values:
        bit(signal)
    return known


def outputs(gates, network):
    """The outputs' bits, pattern by pattern; the network's values have to say the same."""
    found = []
    for pattern in range(1 << network.inputs):
        known = settle(gates, network, pattern)
        for signal, value in network.values.items():
            assert value >> pattern & 1 == known[signal]
        found.append([known[signal] for signal in network.outputs])
    assert all(0 <= value <= network.mask for value in network.values.values())
    return found


def area(gates, network):
    return math.fsum(gates.library.cell(gate.cell).area for gate, _ in network.gates.values())


@pytest.mark.parametrize("count", range(9))
def test_inputs_run_through_all_patterns(count):
    values = input_values(count)
    assert len(values) == count
    for index, value in enumerate(values):
        assert value == sum((row >> index & 1) << row for row in range(1 << count))


@given(networks())
def test_values_order_prune_and_copy(found):
    gates, network = found
    before = outputs(gates, network)
    assert network.area == pytest.approx(area(gates, network))
    copy = network.copy()
    order = copy.prune()
    assert len(order) == len(set(order)) == len(copy.gates)
    seen = set(range(network.inputs)) | set(network.constants)
    for signal in order:
        assert seen.issuperset(copy.gates[signal][1])
        seen.add(signal)
    assert seen == set(copy.values)
    read = {fan_in for _, ins in copy.gates.values() for fan_in in ins} | set(copy.outputs)
    assert set(order) <= read
    assert outputs(gates, copy) == before
    # Values computed again are the same, and the copy's later changes are its own.
    for signal in order:
        copy.values[signal] = 0
    copy.evaluate(order)
    assert outputs(gates, copy) == before
    kept = dict(network.values), dict(network.gates), list(network.outputs)
    copy.add(gates.inverter, [0])
    copy.add_constant(0)
    copy.outputs.clear()
    copy.prune()
    assert (network.values, network.gates, network.outputs) == kept


def test_new_signals_never_take_a_number_in_use():
    gates = GATES["sky130hd"]
    network = Network(input_values(1), 2)
    idle, *used = [network.add(gates.inverter, [0]) for _ in range(3)]
    network.outputs = used
    assert network.prune() == used
    assert idle not in network.values
    constant = network.add_constant(network.mask)
    assert constant not in (0, *used)
    assert [network.values[signal] for signal in used] == [0b01, 0b01]
    assert network.values[constant] == 0b11


@settings(max_examples=80, deadline=None)
@given(networks(most_gates=10), st.data())
def test_candidates_agree_wherever_it_matters(found, data):
    gates, network = found
    mask = network.mask
    divisors = sorted(network.values.items())
    care = data.draw(st.integers(1, mask))
    target = data.draw(
        st.one_of(
            st.integers(0, mask),
            # Functions of the divisors themselves, so that there is something to find.
            st.lists(st.sampled_from(divisors), min_size=1, max_size=3).map(
                lambda some: some[0][1] & some[-1][1] ^ some[len(some) // 2][1]
            ),
        )
    )
    budget = data.draw(st.sampled_from([0.0, gates.inverter.area, 1e9]))
    known = dict(divisors)
    names = {gate.cell for gate in gates.cheapest.values()}
    for seed in range(5):
        candidates = Replacements(
            gates,
            divisors=divisors,
            target=target,
            care=care,
            mask=mask,
            budget=budget,
            rng=rng(seed),
        )
        for gate, fan_ins in candidates.all():
            assert known.keys() >= set(fan_ins)
            if gate is None:
                (wire,) = fan_ins
                assert not (known[wire] ^ target) & care
                continue
            # The inverter in place of a signal is worth it at any price.
            assert gate.area <= budget or gate is gates.inverter
            assert gate.cell in names
            function = gates.library.cell(gate.cell).output(gate.output).function
            pins = {pin: known[f] for pin, f in zip(gate.pins, fan_ins, strict=True)}
            assert not (function.evaluate(pins, mask) ^ target) & care


def candidates_of(name, inputs, target, draws=60):
    """All candidates that some seed yields for a function of all patterns of some inputs."""
    gates = GATES[name]
    values = input_values(inputs)
    mask = (1 << (1 << inputs)) - 1
    found = set()
    for seed in range(draws):
        one = Replacements(
            gates,
            divisors=list(enumerate(values)),
            target=target(*values),
            care=mask,
            mask=mask,
            budget=1e9,
            rng=rng(seed),
        )
        found |= {(gate and gate.form, frozenset(ins)) for gate, ins in one.all()}
    return found


@pytest.mark.parametrize(
    ("form", "inputs", "target"),
    [
        (None, 2, lambda a, b: b),
        ((1,), 2, lambda a, b: a ^ 0b1111),
        ((2,), 2, lambda a, b: a | b),
        ((3,), 3, lambda a, b, c: a & b & ~c),
        ((4,), 4, lambda a, b, c, d: a & b & c & d),
        (XOR2, 2, lambda a, b: a ^ b),
        (MUX, 3, lambda a, b, c: c & a | ~c & b),
        ((2, 1), 3, lambda a, b, c: a & b | c),
        ((2, 1, 1), 4, lambda a, b, c, d: a & b | c | d),
        ((2, 2), 4, lambda a, b, c, d: a & b | c & d),
        ((2, 2, 1), 5, lambda a, b, c, d, e: a & b | c & d | e),
    ],
    ids=lambda value: "" if callable(value) else str(value),
)
def test_every_kind_of_candidate_is_found(form, inputs, target):
    mask = (1 << (1 << inputs)) - 1
    found = candidates_of("sky130hd", inputs, lambda *values: target(*values) & mask)
    assert form in {kind for kind, ins in found}


def anneal(gates, network, seed, *, steps=60, correct=None, divisors=90):
    wanted = correct or same_function(network.output_values(), network.mask)
    with mock.patch.object(nibblemac.synth.anneal, "_MOST_DIVISORS", divisors):
        return Annealer(network.copy(), wanted, gates, rng(seed)).run(steps)


@settings(max_examples=60, deadline=None)
@given(networks(), st.integers(0, 2**32), st.sampled_from([1, 3, 6, 90]))
def test_annealing_keeps_the_function_and_never_grows(found, seed, divisors):
    """With all signals as candidates, or with the nearest few alone, as in large networks."""
    gates, network = found
    before = outputs(gates, network)
    result = anneal(gates, network, seed, divisors=divisors)
    assert outputs(gates, network) == before
    assert outputs(gates, result.network) == before
    assert result.area == pytest.approx(area(gates, result.network))
    assert result.area <= area(gates, network) + 1e-9
    assert result.network.prune() == result.network.order()
    assert result.area == pytest.approx(result.network.area)
    assert 0 <= result.changes <= result.steps <= 60
    again = anneal(gates, network, seed, divisors=divisors)
    assert (again.area, again.changes) == (result.area, result.changes)
    assert again.network.gates == result.network.gates
    assert again.network.outputs == result.network.outputs


@settings(max_examples=40, deadline=None)
@given(networks(), st.integers(0, 2**32), st.data())
def test_only_what_the_predicate_asks_for_is_kept(found, seed, data):
    """Outputs that matter in some patterns only."""
    gates, network = found
    before = outputs(gates, network)
    cares = [data.draw(st.integers(0, network.mask)) for _ in network.outputs]
    wanted = network.output_values()

    def correct(values):
        right = network.mask
        for value, expected, care in zip(values, wanted, cares, strict=True):
            right &= ~((value ^ expected) & care)
        return right

    result = anneal(gates, network, seed, correct=correct)
    for pattern, row in enumerate(outputs(gates, result.network)):
        for value, expected, care in zip(row, before[pattern], cares, strict=True):
            assert value == expected or not care >> pattern & 1


def negation(gates):
    """A 3-bit number ``a``, negated where ``s`` and ``a`` is not 0: all its bits XOR ``c``, and c.

    Where ``a`` is 0 the sum does not depend on ``c``.
    """
    network = Network(input_values(4), 16)
    *number, sign = range(4)
    some = number[0]
    for bit in number[1:]:
        neither = network.add(gates.cheapest[(2,), (True, True), False], [some, bit])
        some = network.add(gates.inverter, [neither])
    neither = network.add(gates.cheapest[(2,), (False, False), True], [sign, some])
    carry = network.add(gates.inverter, [neither])
    exclusive = gates.cheapest[XOR2, (False, False), False]
    result = [network.add(exclusive, [bit, carry]) for bit in number]
    network.outputs = [*result, carry, carry]
    return network


@pytest.mark.parametrize("name", ["sky130hd", "asap7", "sg13g2"])
def test_a_relation_is_kept_and_used(name):
    gates = GATES[name]
    network = negation(gates)
    wanted = [(-(row & 7) if row >> 3 else row & 7) % 16 for row in range(16)]

    def total(bits):
        return (sum(bit << index for index, bit in enumerate(bits[:4])) + bits[4]) % 16

    def correct(values):
        return sum(
            (total([value >> row & 1 for value in values]) == wanted[row]) << row
            for row in range(16)
        )

    exact = anneal(gates, network, 3, steps=400)
    free = anneal(gates, network, 3, steps=400, correct=correct)
    assert [total(bits) for bits in outputs(gates, free.network)] == wanted
    # Without the zeros' exception the carry is the sign itself, which is an input.
    assert free.area <= 3 * gates.cheapest[XOR2, (False, False), False].area + 1e-9
    assert free.area < exact.area < network.area


def test_a_start_that_is_wrong_is_refused():
    gates = GATES["sky130hd"]
    network = Network(input_values(1), 2)
    network.outputs = [network.add(gates.inverter, [0])]
    with pytest.raises(ValueError, match="not correct to begin with"):
        Annealer(network, same_function([0b10], 0b11), gates, rng(0))
    with pytest.raises(ValueError, match="not correct to begin with"):
        # One pattern of two is right.
        Annealer(network, same_function([0b00], 0b11), gates, rng(0))


def wasteful(gates, kind):
    """A tiny function from NANDs and inverters, and a bound on its area."""

    def nand(a, b):
        return network.add(gates.cheapest[(2,), (False, False), True], [a, b])

    def price(form, flips, inverted):
        return gates.cheapest[form, flips, inverted].area

    network = Network(input_values(3), 8)
    a, b, c = range(3)
    if kind == "exclusive or":
        middle = nand(a, b)
        network.outputs = [nand(nand(a, middle), nand(b, middle))]
        return network, price(XOR2, (False, False), False)
    if kind == "wire":
        network.outputs = [nand(nand(a, b), nand(a, nand(b, b)))]
        return network, 0.0
    if kind == "inverter":
        network.outputs = [nand(nand(nand(a, b), nand(a, nand(b, b))), a)]
        return network, gates.inverter.area
    if kind == "two of one":
        # The same function twice, by other gates.
        network.outputs = [nand(a, b), nand(nand(nand(a, a), nand(a, a)), b)]
        return network, price((2,), (False, False), True)
    # (a & b | c) complemented.
    network.outputs = [nand(nand(nand(a, b), nand(c, c)), nand(nand(a, b), nand(c, c)))]
    return network, price((2, 1), (False, False, False), True)


@pytest.mark.parametrize("kind", ["exclusive or", "wire", "inverter", "two of one", "and-or"])
@pytest.mark.parametrize("name", ["sky130hd", "asap7", "sg13g2"])
def test_waste_shrinks_to_the_known_optimum(name, kind):
    gates = GATES[name]
    network, bound = wasteful(gates, kind)
    before = outputs(gates, network)
    result = anneal(gates, network, 1, steps=400)
    assert outputs(gates, result.network) == before
    assert result.area <= bound + 1e-9 < network.area
    if kind == "wire":
        assert result.network.outputs == [0]
        assert not result.network.gates


def test_stop_ends_a_run():
    gates = GATES["sky130hd"]
    network, _ = wasteful(gates, "exclusive or")
    correct = same_function(network.output_values(), network.mask)
    assert Annealer(network.copy(), correct, gates, rng(0)).run(1000, stop=lambda: True).steps == 64
    none = Annealer(network.copy(), correct, gates, rng(0)).run(0)
    assert (none.steps, none.changes, none.area) == (0, 0, network.area)
