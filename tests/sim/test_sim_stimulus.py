"""The vectors against a MAC written out here in plain integers, and against the torch reference."""

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nibblemac.formats.dot import partial_sums
from nibblemac.formats.errors import DataError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.record import Format
from nibblemac.sim.stimulus import make_vectors
from nibblemac.sim.vectors import CLEAR, ENABLE, Vectors


def around(vectors: Vectors) -> range:
    """Return the steps whose products the sum has that goes around."""
    at = [name for name, _ in vectors.phases].index("around")
    return range(vectors.phases[at][1], vectors.phases[at + 1][1] - 1)


def wrapped(spec: MacSpec, value: int) -> int:
    """Return the low bits of a sum, as many as the accumulator has, as two's complement."""
    bits = spec.accumulator_bits
    low = value & (1 << bits) - 1
    return low - (1 << bits) if low >> bits - 1 else low


def clocked(spec: MacSpec, vectors: Vectors) -> list[int | None]:
    """Return the accumulator after every clock edge: registers, one edge at a time."""
    accumulator: int | None = None
    waiting: tuple[bool, int] | None = None
    after = []
    for weight, activation, control in zip(
        vectors.weight, vectors.activation, vectors.control, strict=True
    ):
        if control & ENABLE:
            new = (
                bool(control & CLEAR),
                spec.weight.grid[weight] * spec.activation.grid[activation],
            )
            arriving, waiting = (waiting, new) if spec.registered_product else (new, waiting)
            if arriving is not None:
                clear, product = arriving
                if clear:
                    accumulator = product
                elif accumulator is not None:
                    accumulator += product
                    accumulator = wrapped(spec, accumulator)
        after.append(accumulator)
    return after


SPECS = [
    ("INT4", "INT4", {}),
    ("INT4", "INT4", {"enable": True}),
    ("E2M1+SR", "E2M1+SR", {"registered_product": True}),
    ("SF4", "INT8", {"enable": True, "registered_product": True}),
    ("INT3", "INT5", {"terms": 1}),
    ("NF4", "NF4", {"terms": 5, "enable": True, "registered_product": True}),
    ("E3M0", "E3M0", {"terms": 4096}),
]


@pytest.fixture(params=SPECS, ids=lambda item: "-".join([*item[:2], *item[2]]))
def spec(request: pytest.FixtureRequest) -> MacSpec:
    weight, activation, options = request.param
    return MacSpec(weight=find_format(weight), activation=find_format(activation), **options)


def test_expected_values_are_those_of_a_clocked_model(spec: MacSpec):
    vectors = make_vectors(spec)
    undefined = spec.latency - 1
    assert list(vectors.expected[undefined:]) == clocked(spec, vectors)[undefined:]


def test_expected_values_are_the_torch_references(spec: MacSpec):
    vectors = make_vectors(spec)
    control = torch.tensor(list(vectors.control))
    # The reference refuses more than ``terms`` products, which one sum of the vectors has.
    sums = partial_sums(
        replace(spec, terms=2**20),
        torch.tensor(list(vectors.weight)),
        torch.tensor(list(vectors.activation)),
        clear=(control & CLEAR) > 0,
        enable=(control & ENABLE) > 0 if spec.enable else None,
    ).tolist()
    sums = [wrapped(spec, total) for total in sums]
    # The reference's value of step t contains t's product; the pipeline's, of the step before.
    if not spec.registered_product:
        assert list(vectors.expected) == sums
        return
    enabled = [step for step in range(len(vectors)) if vectors.control[step] & ENABLE]
    for before, step in itertools.pairwise(enabled):
        assert vectors.expected[step] == sums[before]


def test_every_pair_is_cleared_once_and_added_once(spec: MacSpec):
    vectors = make_vectors(spec)
    phases = dict(vectors.phases)
    steps = list(zip(vectors.weight, vectors.activation, vectors.control, strict=True))
    every = {(w, a) for w in range(2**spec.weight.bits) for a in range(2**spec.activation.bits)}
    cleared = steps[: phases["every pair, added"]]
    assert {(w, a) for w, a, control in cleared if control & CLEAR} == every
    assert len(cleared) == len(every)
    started = phases["clear and enable at any moment" if spec.enable else "clear at any moment"]
    added = [(w, a) for w, a, c in steps[phases["every pair, added"] : started] if not c & CLEAR]
    assert sorted(added) == (sorted(every) if spec.terms > 1 else [])


def test_both_extremes_of_the_accumulator_are_reached_and_but_once_not_passed(spec: MacSpec):
    vectors = make_vectors(spec)
    late = spec.latency - 1
    inside = set(range(len(vectors) - late)) - set(around(vectors))
    defined = [vectors.expected[step + late] for step in inside]
    assert (min(defined), max(defined)) == spec.accumulator_range
    assert vectors.full_length


def test_one_sum_goes_around(spec: MacSpec):
    vectors = make_vectors(spec)
    low, high = spec.accumulator_range
    steps = around(vectors)
    beyond = [vectors.expected[step + spec.latency - 1] for step in steps]
    limit = 2 ** (spec.accumulator_bits - 1)
    assert -limit <= min(beyond) <= max(beyond) < limit
    # Of what no sum of ``terms`` products reaches, no stretch longer than two products is left out.
    largest = max(map(abs, spec.product_range))
    for start, stop in ((high, limit), (-limit, low)):
        met = sorted([start, *(value for value in beyond if start <= value <= stop), stop])
        assert max(after - before for before, after in itertools.pairwise(met)) <= 2 * largest
    # It goes on from an extreme without a clear, and ends with one.
    assert {vectors.control[step] for step in steps} == {ENABLE}
    assert vectors.control[steps.stop] == CLEAR | ENABLE
    assert vectors.expected[steps.start + spec.latency - 2] in spec.accumulator_range


def test_no_other_sum_has_more_than_terms_products(spec: MacSpec):
    vectors = make_vectors(spec)
    longest = length = 0
    for step, control in enumerate(vectors.control):
        if control & ENABLE:
            length = 1 if control & CLEAR else length + 1
            if step not in around(vectors):
                longest = max(longest, length)
    assert longest == spec.terms


def test_clear_and_enable_come_in_every_combination(spec: MacSpec):
    vectors = make_vectors(spec)
    pairs = set(itertools.pairwise(vectors.control))
    usual = {CLEAR | ENABLE, ENABLE}
    controls = usual | ({0, CLEAR} if spec.enable else set())
    assert set(vectors.control) == controls
    # Every control after every other: clear held, clear while enable is low, and so on.
    assert pairs == {(one, other) for one in controls for other in controls}


def test_the_real_data_are_not_uniform_and_come_in_blocks(spec: MacSpec):
    vectors = make_vectors(spec)
    phases = dict(vectors.phases)
    weight = vectors.weight[phases["real data"] : phases["end"]]
    control = vectors.control[phases["real data"] : phases["end"]]
    block = min(128, spec.terms)
    assert len(weight) >= 2048
    starts = [index for index, value in enumerate(control) if value & CLEAR]
    assert starts == list(range(0, len(weight), block))
    if block == 128:
        # Absmax scaling: each block has a code of the largest magnitude, most others are small.
        largest = max(abs(value) for value in spec.weight.grid)
        grid = [abs(spec.weight.grid[code]) for code in weight]
        assert all(
            max(grid[start : start + block]) == largest
            or min(spec.weight.grid) != -max(spec.weight.grid)
            for start in starts
        )
        assert sum(grid) / len(grid) < largest / 2


def test_vectors_depend_on_the_seed_alone():
    spec = MacSpec(weight=find_format("INT4"), activation=find_format("E2M1"))
    again = make_vectors.__wrapped__(spec, 1)
    assert again == make_vectors(spec, 1)
    assert again.digest == make_vectors(spec, 1).digest
    assert make_vectors(spec, 2).digest != again.digest


def test_very_long_sums_are_cut_and_say_so():
    spec = MacSpec(weight=find_format("INT3"), activation=find_format("INT3"), terms=2**20)
    vectors = make_vectors(spec)
    assert not vectors.full_length
    assert max(vectors.expected) == 2**16 * 16


grids = st.lists(st.integers(-(2**23) + 1, 2**23 - 1), min_size=4, max_size=4).filter(
    lambda grid: len(set(grid)) > 1
)


@settings(max_examples=40, deadline=None)
@given(grids, grids, st.integers(1, 40), st.booleans(), st.booleans())
def test_any_grid_gives_vectors_that_hold(weight, activation, terms, enable, registered):
    spec = MacSpec(
        weight=Format(name="W", bits=2, grid=tuple(weight), unit=Fraction(1)),
        activation=Format(name="A", bits=2, grid=tuple(activation), unit=Fraction(1)),
        terms=terms,
        enable=enable,
        registered_product=registered,
    )
    vectors = make_vectors.__wrapped__(spec, 1)
    undefined = spec.latency - 1
    assert list(vectors.expected[undefined:]) == clocked(spec, vectors)[undefined:]
    low, high = spec.accumulator_range
    assert low in vectors.expected[undefined:]
    assert high in vectors.expected[undefined:]
    # The inputs may be held at the end.
    for step in range(len(vectors) - spec.latency, len(vectors)):
        assert vectors.control[step] == CLEAR | ENABLE
    assert vectors.expected[-1] == spec.product(vectors.weight[-1], vectors.activation[-1])
    assert Vectors.from_bytes(vectors.to_bytes()) == vectors


def test_a_damaged_file_of_vectors_is_refused():
    spec = MacSpec(weight=find_format("INT3"), activation=find_format("INT3"))
    data = make_vectors(spec).to_bytes()
    with pytest.raises(DataError, match="steps need"):
        Vectors.from_bytes(data[:-1])
    with pytest.raises(DataError, match="malformed header"):
        Vectors.from_bytes(b"[]\n" + data)
    head, _, body = data.partition(b"\n")
    header = json.loads(head)
    del header["steps"]
    with pytest.raises(DataError, match="malformed header"):
        Vectors.from_bytes(json.dumps(header).encode() + b"\n" + body)


def test_the_source_of_a_value_is_the_last_product_in_it():
    control = bytes([3, 2, 0, 0, 2, 1, 3])
    vectors = Vectors(
        weight_bits=2,
        activation_bits=2,
        accumulator_bits=5,
        latency=1,
        full_length=True,
        phases=(("a", 0), ("b", 4)),
        weight=bytes(7),
        activation=bytes(7),
        control=control,
        expected=(0,) * 7,
    )
    assert [vectors.source(step) for step in range(7)] == [0, 1, 1, 1, 4, 4, 6]
    assert [vectors.phase(step) for step in (0, 3, 4, 6)] == ["a", "a", "b", "b"]


def test_an_accumulator_beyond_the_references_64_bits_still_has_vectors():
    wide = Format(name="W", bits=2, grid=(0, 1, 2**23 - 1, 1 - 2**23), unit=Fraction(1))
    spec = MacSpec(weight=wide, activation=wide, terms=2**20)
    assert spec.accumulator_bits > 64
    vectors = make_vectors.__wrapped__(spec, 1)
    assert list(vectors.expected) == clocked(spec, vectors)
    assert Vectors.from_bytes(vectors.to_bytes()) == vectors


@pytest.mark.parametrize("module", ["bench_mac", "worker", "verify"])
def test_tensors_and_hardware_are_imported_late(module: str):
    code = f"import sys, nibblemac.sim.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "amaranth", "scipy"} & set(done.stdout.split())
