"""The compiled kernel: what it returns does the same, by the cells' own truth tables."""

import itertools
import math
import os
import random
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibblemac.formats.errors import SynthesisError
from nibblemac.synth.anneal import Annealer, Goal
from nibblemac.synth.annealing import anneal
from nibblemac.synth.cache import ENVIRONMENT, CacheWarning
from nibblemac.synth.gates import MUX, XOR2, gate_library
from nibblemac.synth.kernel import anneal_natively, can_anneal, engine, kernel
from nibblemac.synth.library import load_library
from nibblemac.synth.network import Network, input_values

NAMES = ("sky130hd", "asap7", "sg13g2")
GATES = {name: gate_library(load_library(name)) for name in NAMES}
SKY = GATES["sky130hd"]
COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")

needs_compiler = pytest.mark.skipif(not COMPILER, reason="no C++ compiler is here")


@pytest.fixture(scope="module")
def native(cache_folder: Path):
    found = kernel()
    assert found is not None
    return found


def values_of(gates, network):
    """Every signal over all patterns, row by row of the cells' truth tables."""
    mask = network.mask
    known = {index: network.values[index] for index in range(network.inputs)}
    known |= {signal: mask * bit for signal, bit in network.constants.items()}
    for signal in network.order():
        gate, fan_ins = network.gates[signal]
        cell = gates.library.cell(gate.cell)
        at = dict(zip(gate.pins, fan_ins, strict=True))
        literals = [known[at[pin]] for pin in cell.input_names]
        table, result = cell.truth_table(gate.output), 0
        for row in range(1 << len(literals)):
            if table >> row & 1:
                term = mask
                for index, value in enumerate(literals):
                    term &= value if row >> index & 1 else mask ^ value
                result |= term
        known[signal] = result
    return known


def outputs_of(gates, network):
    known = values_of(gates, network)
    return [known[signal] for signal in network.outputs]


def area_of(gates, network):
    cells = [gates.library.cell(network.gates[signal][0].cell) for signal in network.order()]
    return math.fsum(cell.area for cell in cells)


def exact(network):
    return Goal(wanted=tuple(network.output_values()), mask=network.mask)


def run(native, gates, network, goal=None, *, steps=400, seed=1, hot=0.55, cold=0.02):
    return anneal_natively(
        native,
        network.copy(),
        goal or exact(network),
        gates,
        steps=steps,
        seed=seed,
        hot=hot,
        cold=cold,
    )


def is_sound(gates, network):
    """Nothing idle, no loop, and values that are those of the cells."""
    assert set(network.order()) == set(network.gates)
    signals = {*range(network.inputs), *network.constants, *network.gates}
    assert set(network.values) == signals
    assert network.values == values_of(gates, network)
    return True


def same(one, other):
    """Two results with the same gates; objects of one gate are the same object."""
    return (
        one.area == other.area
        and one.network.outputs == other.network.outputs
        and one.network.gates == other.network.gates
    )


@st.composite
def networks(draw, most_inputs=12):
    """A library, and a network of any of its cells that read any earlier signals.

    Most cells are not the cheapest of their function. Some gates may be idle; outputs may be
    inputs, constants and the same signal twice.
    """
    gates = GATES[draw(st.sampled_from(NAMES))]
    able = [gates.by_cell[cell] for cell in sorted(gates.by_cell)]
    count = draw(st.integers(1, most_inputs))
    network = Network(input_values(count), 1 << count)
    for value in draw(st.sampled_from([(), (0,), (network.mask,), (0, network.mask)])):
        network.add_constant(value)
    source = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311
    for _ in range(draw(st.integers(1, 40))):
        gate = source.choice(able)
        signals = sorted(network.values)
        # Late signals more often, so that there is some depth.
        chosen = [
            source.choice(signals if source.random() < 0.5 else signals[-8:]) for _ in gate.pins
        ]
        network.add(gate, chosen)
    leaving = st.sampled_from(sorted(network.values))
    network.outputs = draw(st.lists(leaving, max_size=3))
    network.outputs += sorted(network.gates)[-draw(st.integers(1, 4)) :]
    return gates, network


@needs_compiler
@settings(max_examples=120, deadline=None)
@given(networks(), st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 7, 400]))
def test_the_function_stays_and_nothing_grows(native, found, seed, steps):
    gates, network = found
    before = outputs_of(gates, network)
    assert network.output_values() == before
    result = run(native, gates, network, steps=steps, seed=seed)
    assert is_sound(gates, result.network)
    assert outputs_of(gates, result.network) == before
    assert result.network.constants == network.constants
    assert result.area == pytest.approx(area_of(gates, result.network))
    assert result.area <= area_of(gates, network) + 1e-9
    if not steps:
        assert result.area == pytest.approx(area_of(gates, network))
    assert same(result, run(native, gates, network, steps=steps, seed=seed))
    # A second run goes on from the first one's result, and so does the Python engine.
    again = run(native, gates, result.network, steps=20, seed=seed)
    assert outputs_of(gates, again.network) == before
    assert again.area <= result.area + 1e-9
    rng = random.Random(seed)  # noqa: S311
    python = Annealer(result.network.copy(), exact(network).correct, gates, rng).run(3)
    assert outputs_of(gates, python.network) == before
    assert is_sound(gates, python.network)


@needs_compiler
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", range(1, 13))
def test_every_number_of_words(native, name, count):
    """Fewer than 64 patterns are repeated to fill a word; 4096 are 64 words."""
    gates = GATES[name]
    source = random.Random(f"{name} {count}")  # noqa: S311
    network = Network(input_values(count), 1 << count)
    able = list(gates.cheapest.values())
    for _ in range(30):
        gate = source.choice(able)
        network.add(gate, [source.choice(sorted(network.values)) for _ in gate.pins])
    network.outputs = sorted(network.gates)[-3:]
    assert can_anneal(network)
    result = run(native, gates, network, steps=500)
    assert is_sound(gates, result.network)
    assert outputs_of(gates, result.network) == outputs_of(gates, network)
    assert result.area < area_of(gates, network)


@pytest.mark.parametrize(
    ("patterns", "able"), [(1, True), (2, True), (3, False), (4096, True), (8192, False)]
)
def test_only_powers_of_two_up_to_4096_patterns(patterns, able):
    network = Network([0], patterns)
    assert can_anneal(network) is able


def test_other_numbers_of_patterns_are_annealed_in_python():
    network = Network([0b011, 0b101], 3)
    first = network.add(SKY.cheapest[(2,), (False, False), True], [0, 1])
    network.outputs = [network.add(SKY.inverter, [first])]
    assert outputs_of(SKY, network) == [0b001]
    found = anneal(network.copy(), exact(network), SKY, steps=200, seed=1)
    assert outputs_of(SKY, found.network) == [0b001]
    assert found.area == SKY.cheapest[(2,), (False, False), False].area < network.area


def row_sum(values, row, bits):
    """A number and, behind it, perhaps a carry-in, in one pattern."""
    place = [1 << index for index in range(bits)] + [1]
    return sum(weight * (v >> row & 1) for weight, v in zip(place, values, strict=False)) % 2**bits


@needs_compiler
@settings(max_examples=60, deadline=None)
@given(networks(most_inputs=7), st.booleans(), st.integers(0, 2**32))
def test_sums_stay_and_may_be_divided_otherwise(native, found, carry, seed):
    gates, network = found
    bits = len(network.outputs) - carry
    if not bits:
        return
    rows = range(network.mask.bit_length())
    sums = [row_sum(outputs_of(gates, network), row, bits) for row in rows]
    wanted = tuple(
        sum((total >> bit & 1) << row for row, total in enumerate(sums)) for bit in range(bits)
    )
    goal = Goal(wanted=wanted, mask=network.mask, is_sum=True)
    result = run(native, gates, network, goal, seed=seed)
    assert is_sound(gates, result.network)
    after = outputs_of(gates, result.network)
    assert len(after) == bits + carry
    assert [row_sum(after, row, bits) for row in rows] == sums
    assert result.area <= area_of(gates, network) + 1e-9
    if not carry:
        assert after == list(wanted)


def negation(gates):
    """``s ? -a : a`` of three bits, in four, as ``a ^ c`` and a carry-in ``c`` that a = 0 resets.

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
    network.outputs = [network.add(exclusive, [bit, carry]) for bit in number]
    network.outputs += [carry, carry]
    sums = [(-(row & 7) if row >> 3 else row & 7) % 16 for row in range(16)]
    wanted = tuple(sum((s >> bit & 1) << row for row, s in enumerate(sums)) for bit in range(4))
    return network, Goal(wanted=wanted, mask=0xFFFF, is_sum=True)


@needs_compiler
@pytest.mark.parametrize("name", NAMES)
def test_the_freedom_of_a_sum_is_used(native, name):
    gates = GATES[name]
    network, goal = negation(gates)
    fixed = run(native, gates, network, steps=4000)
    free = run(native, gates, network, goal, steps=4000)
    # The carry-in is the sign itself.
    assert free.area <= 3 * gates.cheapest[XOR2, (False, False), False].area + 1e-9
    assert free.area < fixed.area < network.area
    assert goal.correct(outputs_of(gates, free.network)) == goal.mask


@needs_compiler
@pytest.mark.parametrize("name", NAMES)
def test_heat_does_not_spoil_what_was_good(native, name):
    """The smallest network met is returned, not the last one."""
    gates = GATES[name]
    network, goal = negation(gates)
    small = run(native, gates, network, goal, steps=4000)
    for seed in range(5):
        heated = run(native, gates, small.network, goal, steps=200, seed=seed, hot=4.0, cold=4.0)
        assert heated.area <= small.area + 1e-9
        assert heated.area == pytest.approx(area_of(gates, heated.network))
        assert goal.correct(outputs_of(gates, heated.network)) == goal.mask


@needs_compiler
@pytest.mark.parametrize("name", NAMES)
def test_known_optima_are_reached(native, name):
    gates = GATES[name]

    def nand(network, a, b):
        return network.add(gates.cheapest[(2,), (False, False), True], [a, b])

    network = Network(input_values(3), 8)
    a, b, c = range(3)
    left, right = (nand(network, one, nand(network, a, b)) for one in (a, b))
    network.outputs = [nand(network, left, right)]
    assert run(native, gates, network).area <= gates.cheapest[XOR2, (False, False), False].area
    # Of a multiplexer whose sources are equal a wire remains.
    mux = gates.cheapest.get((MUX, (False,) * 3, False))
    network = Network(input_values(3), 8)
    a1 = nand(network, nand(network, a, b), nand(network, a, nand(network, b, b)))
    network.outputs = [a1 if mux is None else network.add(mux, [a1, a, c])]
    result = run(native, gates, network)
    assert (result.network.outputs, result.network.gates) == ([0], {})


@needs_compiler
def test_dear_gates_become_cheap_ones(native):
    for gates in GATES.values():
        dearest = max(
            (g for g in gates.by_cell.values() if g.form == gates.inverter.form),
            key=lambda gate: gate.area,
        )
        assert dearest.area > 2 * gates.inverter.area
        network = Network(input_values(2), 4)
        network.outputs = [network.add(dearest, [0])]
        before = outputs_of(gates, network)
        result = run(native, gates, network, steps=200)
        assert outputs_of(gates, result.network) == before
        assert result.area <= gates.inverter.area


@needs_compiler
def test_gates_that_only_read_constants(native):
    """Nothing is left that a gate in their place could read."""
    for seed in range(20):
        network = Network([], 1)
        one = network.add_constant(1)
        nand = next(g for g in SKY.cheapest.values() if g.form == (2,) and g.output_inverted)
        first = network.add(nand, (one, one))
        network.outputs = [network.add(nand, (first, one)), first]
        goal = Goal(wanted=tuple(network.output_values()), mask=network.mask)
        found = anneal_natively(native, network, goal, SKY, steps=50, seed=seed, hot=90, cold=9)
        assert found.network.output_values() == list(goal.wanted)


@needs_compiler
def test_constants_stay_outputs_and_are_not_read_for_nothing(native):
    """A gate that need not read a constant goes; an output that is one stays."""
    gates = GATES["sg13g2"]
    nand = gates.cheapest[(2,), (False, False), True]
    assert gates.inverter.area < nand.area
    network = Network(input_values(2), 4)
    one, zero = network.add_constant(15), network.add_constant(0)
    network.outputs = [network.add(nand, [0, one]), one, zero, network.add(nand, [1, zero]), 0]
    a = network.values[0]
    assert outputs_of(gates, network) == [15 ^ a, 15, 0, 15, a]
    result = run(native, gates, network)
    assert outputs_of(gates, result.network) == [15 ^ a, 15, 0, 15, a]
    assert result.network.outputs[1:3] == [one, zero]
    assert result.network.gates[result.network.outputs[0]] == (gates.inverter, (0,))


@needs_compiler
@pytest.mark.parametrize("wrong", [0b0001, 0b1000, 0b1111])
@pytest.mark.parametrize("is_sum", [False, True])
def test_a_wrong_start_is_refused(native, wrong, is_sum):
    network = Network(input_values(2), 4)
    network.outputs = [network.add(SKY.inverter, [0])]
    goal = Goal(wanted=(network.output_values()[0] ^ wrong,), mask=15, is_sum=is_sum)
    with pytest.raises(SynthesisError, match="not correct to begin with"):
        run(native, SKY, network, goal)
    with pytest.raises(SynthesisError, match="not correct to begin with"):
        anneal(network, goal, SKY, steps=10, seed=1)


@needs_compiler
def test_threads_do_not_disturb_each_other(native):
    network, goal = negation(SKY)
    alone = [run(native, SKY, network, goal, steps=3000, seed=seed) for seed in range(6)]
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda seed: run(native, SKY, network, goal, steps=3000, seed=seed), range(6))
        )
    assert all(same(one, other) for one, other in zip(alone, found, strict=True))


@needs_compiler
def test_seeds_and_steps_matter(native):
    """A harder function: seeds part company before they may meet at an optimum."""
    gates = SKY
    source = random.Random(5)  # noqa: S311
    network = Network(input_values(6), 64)
    for _ in range(40):
        gate = source.choice(list(gates.cheapest.values()))
        network.add(gate, [source.choice(sorted(network.values)) for _ in gate.pins])
    network.outputs = sorted(network.gates)[-6:]
    short = [run(native, gates, network, steps=60, seed=seed) for seed in range(5)]
    assert not all(same(one, other) for one, other in itertools.combinations(short, 2))
    long = run(native, gates, network, steps=20_000)
    assert long.area < max(one.area for one in short)


# ---- Where there is no compiler, or one that is no good ----


@pytest.fixture
def again():
    """Let the next call look for a compiler anew, and the one after the test too."""
    kernel.cache_clear()
    yield
    kernel.cache_clear()


def python_result(seed=7):
    network, goal = negation(SKY)
    rng = random.Random(f"anneal {seed}")  # noqa: S311
    return Annealer(network, goal.correct, SKY, rng).run(40)


def is_python(seed=7):
    network, goal = negation(SKY)
    return same(anneal(network, goal, SKY, steps=40, seed=seed), python_result(seed))


def test_without_a_compiler_python_anneals(again, monkeypatch, tmp_path):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    # Warnings are errors here: there is none.
    assert kernel() is None
    assert engine() == "python"
    assert is_python()
    network, goal = negation(SKY)
    wrong = Goal(wanted=(0, *goal.wanted[1:]), mask=goal.mask, is_sum=True)
    with pytest.raises(SynthesisError, match="not correct to begin with"):
        anneal(network, wrong, SKY, steps=5, seed=1)


def test_a_compiler_that_is_nowhere_warns_once(again, monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", str(tmp_path / "nowhere"))
    with pytest.warns(CacheWarning, match=r"could not be compiled with .*nowhere .*Python") as said:
        assert kernel() is None
    assert len(said) == 1
    assert kernel() is None
    assert engine() == "python"
    assert is_python()


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


#: Answers --version; else counts the call, and goes on with the compiler's output in $out.
FAKE = """
if [ "$1" = --version ]; then echo fake 1; exit 0; fi
echo compiled >> "{log}"
while [ "$1" != -o ]; do shift; done
out="$2"
"""


@pytest.fixture
def fake(monkeypatch, tmp_path, again):
    """A compiler that ends as it is told, and a cache of its own."""
    log = tmp_path / "log"
    log.touch()
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "cache"))

    def make(text):
        path = script(tmp_path / "fake-c++", FAKE.format(log=log) + text)
        monkeypatch.setenv("CXX", path)
        return log

    return make


@pytest.mark.parametrize(
    "text",
    ["echo no >&2; exit 1\n", "echo part > $out; exit 1\n", "exit 0\n", "echo no library > $out\n"],
    ids=["fails", "fails half-way", "writes nothing", "writes nonsense"],
)
def test_a_compiler_that_fails_warns_and_python_anneals(fake, tmp_path, text):
    fake(text)
    with pytest.warns(CacheWarning, match=r"could not be compiled with .*fake-c\+\+"):
        assert kernel() is None
    assert engine() == "python"
    assert is_python()
    # Nothing half-made is left, and nothing that a better compiler's library would hide behind.
    assert [path.name for path in (tmp_path / "cache").rglob("*")] == ["kernel"]


def test_a_cache_that_cannot_be_written_warns(fake, monkeypatch, tmp_path):
    fake("exit 0\n")
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv(ENVIRONMENT, str(blocked))
    with pytest.warns(CacheWarning, match="could not be compiled"):
        assert kernel() is None


def compiled_file(folder):
    (found,) = (folder / "kernel").glob("*.so")
    return found


@needs_compiler
def test_the_library_is_written_whole_and_used_again(native, cache_folder, fake, tmp_path):
    real = next((cache_folder / "kernel").glob("*.so"))
    folder = tmp_path / "cache" / "kernel"
    # While it is being compiled, nothing has the final name.
    log = fake(f'ls "{folder}"/*.so >> "{tmp_path}/seen" 2>/dev/null\ncp "{real}" "$out"\n')
    assert kernel() is not None
    assert engine().startswith("native ")
    network, goal = negation(SKY)
    assert same(run(kernel(), SKY, network, goal), run(native, SKY, network, goal))
    assert log.read_text() == "compiled\n"
    assert (tmp_path / "seen").read_text() == ""
    made = compiled_file(tmp_path / "cache")
    assert list(folder.iterdir()) == [made]
    assert made.read_bytes() == real.read_bytes()
    # Another process would find it; here the memory of it is dropped.
    kernel.cache_clear()
    assert kernel() is not None
    assert log.read_text() == "compiled\n"


@needs_compiler
def test_another_compiler_compiles_again(native, cache_folder, fake, tmp_path):
    real = next((cache_folder / "kernel").glob("*.so"))
    fake(f'cp "{real}" "$out"\n')
    assert kernel() is not None
    path = tmp_path / "fake-c++"
    path.write_text(path.read_text().replace("fake 1", "fake 2"), encoding="utf-8")
    kernel.cache_clear()
    assert kernel() is not None
    assert len(list((tmp_path / "cache" / "kernel").glob("*.so"))) == 2


@needs_compiler
def test_a_compiler_with_arguments(native, cache_folder, fake, monkeypatch, tmp_path):
    """As in ``CXX="ccache g++"``; a path with a space is one word."""
    real = next((cache_folder / "kernel").glob("*.so"))
    fake(f'cp "{real}" "$out"\n')
    wrapper = script(tmp_path / "wrap", 'exec "$@"\n')
    monkeypatch.setenv("CXX", f"{wrapper} {tmp_path / 'fake-c++'}")
    assert kernel() is not None
    spaced = tmp_path / "a folder"
    spaced.mkdir()
    shutil.copy(tmp_path / "fake-c++", spaced / "c++")
    monkeypatch.setenv("CXX", str(spaced / "c++"))
    kernel.cache_clear()
    assert kernel() is not None


ONE = """
from nibblemac.synth.kernel import engine
print(engine())
"""


@needs_compiler
def test_two_processes_compile_at_once(native, cache_folder, fake, tmp_path):
    real = next((cache_folder / "kernel").glob("*.so"))
    # Each waits, for a while, until the other one has begun too.
    log = fake(
        "for i in 1 2 3 4 5 6 7 8 9 10; do\n"
        f'  [ "$(wc -l < "{tmp_path}/log")" -ge 2 ] && break; sleep 0.3\ndone\n'
        f'cp "{real}" "$out"\n'
    )
    started = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", ONE], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[0].decode().strip() for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert log.read_text() == "compiled\n" * 2
    assert said == [engine()] * 2
    made = compiled_file(tmp_path / "cache")
    assert list(made.parent.iterdir()) == [made]
