"""The whole search with a tiny budget: right MACs, the same ones wherever and whenever it runs."""

import math
import threading
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace

import pytest
from nibblemac.explore.verification import netlist_designs, verify_designs
from nibblemac.formats.errors import ArchitectureError, SynthesisError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.operands import sampled_operands
from nibblemac.synth import search as searching
from nibblemac.synth.area import SEARCHED, SearchSetup, candidate_of, plan, survey
from nibblemac.synth.cache import Cache
from nibblemac.synth.effort import Effort
from nibblemac.synth.gates import gate_library
from nibblemac.synth.jobs import processes
from nibblemac.synth.library import load_library
from nibblemac.synth.mac_simulation import simulate_mac
from nibblemac.synth.netlist import Netlist
from nibblemac.synth.one_hot import line_count, one_hot_start
from nibblemac.synth.recipes import find_recipe
from nibblemac.synth.search import Search
from nibblemac.synth.search_steps import search_product

TINY = Effort(
    name="tiny",
    description="seconds for a format",
    starts=2,
    seeds=1,
    first_steps=500,
    finalists=2,
    second_steps=500,
    accumulators=1,
    low_steps=500,
    windows=4,
    window_steps=5,
    passes=2,
)
ARCHITECTURES = ("sign-magnitude", "shift-add")


def spec_of(name):
    number_format = find_format(name)
    return MacSpec(weight=number_format, activation=number_format)


INT3, E2M0 = map(spec_of, ("INT3", "E2M0"))
SPECS = (INT3, E2M0)


class Refusing(Executor):
    """For runs that must not compute anything."""

    def submit(self, *_arguments, **_options):
        raise AssertionError("a job was submitted")


class Noting(ThreadPoolExecutor):
    """Notes the names of the functions that it is given."""

    def __init__(self, workers):
        super().__init__(workers)
        self.names = []

    def submit(self, function, /, *arguments, **options):
        self.names.append(function.__name__)
        return super().submit(function, *arguments, **options)


def search_of(flow, **options):
    return Search(
        **{"library": flow.library, "yosys": flow.yosys, "cache": flow.cache, "effort": TINY}
        | options
    )


@pytest.fixture(scope="module")
def searched(flow):
    """All formats' results in order, and what the progress callback was told."""
    told = []
    with ThreadPoolExecutor(2) as executor:
        found, failures = search_of(flow).run(
            SPECS, ARCHITECTURES, executor, lambda *facts: told.append(facts)
        )
    assert not failures
    return found, told


def test_what_is_found_is_described(flow, searched):
    found, _told = searched
    assert [one.spec for one in found] == list(SPECS)
    for one in found:
        assert one.design.architecture in ARCHITECTURES
        assert one.design.spec == one.spec
        assert (one.effort, one.seed) == ("tiny", 1)
        assert 0 < one.seconds < 600
        mapped = one.mapped
        assert mapped.top == mapped.graph.top == one.design.top
        assert one.design.architecture in mapped.script.splitlines()[0]
        cells = [flow.library.cell(cell.cell) for cell in mapped.graph.instances]
        assert mapped.area_um2 == pytest.approx(math.fsum(cell.area for cell in cells))
        assert len(mapped.graph.flip_flops(flow.library)) == one.spec.accumulator_bits


def test_what_is_found_computes_the_sums(flow, searched):
    """On other data than the search's own check saw."""
    for one in searched[0]:
        operands = sampled_operands(one.spec, lanes=64, seed=77)
        simulate_mac(one.mapped.graph, flow.library, one.spec, operands)


@pytest.mark.fuzz
def test_what_is_found_passes_the_testbench(flow, searched):
    candidates = [candidate_of(one) for one in searched[0]]
    results = verify_designs(netlist_designs(candidates, flow.library), flow.cache)
    assert [(result.format, result.level) for result in results] == [
        (name, "netlist") for name in ("INT3", "E2M0")
    ]
    assert all(result.passed for result in results)


def test_progress_counts_each_stage_to_its_end(searched):
    stages = {}
    for name, done, total in searched[1]:
        stages.setdefault(name, []).append((done, total))
    assert list(stages) == [
        "starting points",
        "product blocks",
        "best product blocks",
        "accumulators",
        "whole MACs",
        "whole MACs, pass 2",
    ]
    for counts in stages.values():
        total = len(counts)
        assert counts == [(done, total) for done in range(1, total + 1)]


def test_a_finished_search_computes_nothing(flow, searched, monkeypatch):
    monkeypatch.setattr(searching, "finish", None)
    again, failures = search_of(flow).run(SPECS, ARCHITECTURES, Refusing())
    assert not failures
    assert again == searched[0]
    # Alone, a format's result is the same as among others.
    (alone,), _ = search_of(flow).run([E2M0], ARCHITECTURES, Refusing())
    assert alone == searched[0][1]


def test_a_search_that_is_interrupted_goes_on_and_finds_the_same(flow, searched, tmp_path):
    """In one thread up to its middle, then in two processes; from an empty cache."""
    search = search_of(flow, cache=Cache(tmp_path))

    def stop(stage, done, total):
        if (stage, done) == ("accumulators", total):
            raise KeyboardInterrupt

    with Noting(1) as first, pytest.raises(KeyboardInterrupt):
        search.run([E2M0], ARCHITECTURES, first, stop)
    assert {"map_products", "search_product", "search_accumulator"} <= set(first.names)
    assert "search_mac" not in first.names
    told = []
    with processes(2) as executor:
        (found,), _ = search.run([E2M0], ARCHITECTURES, executor, lambda *facts: told.append(facts))
    with Noting(1) as second:
        search.run([E2M0], ARCHITECTURES, second)
    assert second.names == []
    expected = searched[0][1]
    assert found.mapped.netlist == expected.mapped.netlist
    assert found.mapped.graph == expected.mapped.graph
    assert found.design == expected.design


def test_what_was_interrupted_is_not_computed_twice(flow, searched, tmp_path, monkeypatch):
    """Each step's work is counted where it is done, over both runs."""
    calls = []

    def counted(name):
        real = getattr(searching, name)

        def step(*arguments):
            calls.append((name, repr(arguments[:2])))
            return real(*arguments)

        monkeypatch.setattr(searching, name, step)

    for name in ("search_product", "search_accumulator", "search_mac", "polish_mac"):
        counted(name)
    # The starts are there already, so that only the search itself is done.
    search = search_of(flow, seed=5)

    def stop(stage, done, total):
        if (stage, done) == ("best product blocks", total):
            raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as executor, pytest.raises(KeyboardInterrupt):
        search.run([E2M0], ARCHITECTURES, executor, stop)
    before = len(calls)
    assert before
    with ThreadPoolExecutor(1) as executor:
        (found,), failures = search.run([E2M0], ARCHITECTURES, executor)
    assert not failures
    assert len(calls) > before
    assert {name for name, _ in calls[before:]} >= {"search_mac"}
    assert "search_product" not in {name for name, _ in calls[before:]}
    assert found.seed == 5
    simulate_mac(found.mapped.graph, flow.library, E2M0, sampled_operands(E2M0, lanes=16))


def test_a_search_without_time_still_finds_a_mac(flow, searched):
    """Late from the start: starts, an accumulator and one pass over the whole, no more."""
    late = threading.Event()
    late.set()
    told = []
    with Noting(2) as executor:
        (found,), failures = search_of(flow, late=late, seed=9).run(
            [E2M0], ARCHITECTURES, executor, lambda *facts: told.append(facts)
        )
    assert not failures
    assert not {"search_product", "polish_mac"} & set(executor.names)
    simulate_mac(found.mapped.graph, flow.library, E2M0, sampled_operands(E2M0, lanes=64))
    assert found.mapped.area_um2 > 0.9 * searched[0][1].mapped.area_um2


def test_a_mac_that_nothing_serves_is_refused(flow):
    with pytest.raises(ArchitectureError, match="cannot serve INT4 × INT4"):
        search_of(flow).run([E2M0, spec_of("INT4")], ["shift-add"], Refusing())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"enable": True}, "without enable"),
        ({"registered_product": True}, "without a registered product"),
        ({"terms": 2**14 + 1}, "at most 16384 terms"),
    ],
)
def test_macs_that_a_search_cannot_make_fail_at_once(flow, changes, said):
    """And do not stop the others."""
    odd = replace(E2M0, **changes)
    found, failures = search_of(flow).run([odd], ARCHITECTURES, Refusing())
    assert found == []
    ((spec, error),) = failures
    assert spec == odd
    with pytest.raises(SynthesisError, match=said):
        raise error


def test_a_tool_that_fails_is_a_failure_of_each_mac(flow, tmp_path):
    broken = replace(flow.yosys, command=("false",))
    search = search_of(flow, yosys=broken, cache=Cache(tmp_path))
    with ThreadPoolExecutor(2) as executor:
        found, failures = search.run([INT3, E2M0], ARCHITECTURES, executor)
    assert found == []
    assert [spec for spec, _ in failures] == [INT3, E2M0]
    assert all(isinstance(error, SynthesisError) for _, error in failures)


@pytest.mark.fuzz
def test_a_library_of_many_odd_cells(flow, tmp_path):
    """Of asap7's cells ABC takes some that no search can hold."""
    asap7 = load_library("asap7")
    search = search_of(flow, library=asap7, cache=Cache(tmp_path), effort=replace(TINY, passes=1))
    with ThreadPoolExecutor(2) as executor:
        (found,), failures = search.run([INT3], ["sign-magnitude"], executor)
    assert not failures
    simulate_mac(found.mapped.graph, asap7, INT3, sampled_operands(INT3, lanes=64))
    assert {one.cell for one in found.mapped.graph.instances} <= set(asap7.by_name)


def test_lines_of_any_codes_are_searched(build_block):
    """Also where the block's sign of a zero is not that of sign-magnitude codes."""
    library = load_library()
    gates = gate_library(library)
    own = replace(find_format("E2M0"), name="own", grid=(0, 1, 2, -2, -1, 0, 0, -4))
    spec = MacSpec(weight=own, activation=own)
    products = [w * a for a in own.grid for w in own.grid]
    signs = [int(product < 0) for product in products]
    numbers = [product - sign for product, sign in zip(products, signs, strict=True)]
    width = spec.product_bits + 1
    columns = [[number >> bit & 1 for number in numbers] for bit in range(width)]
    block = build_block(gates, spec, {"product": columns, "negate": [signs]})
    start = one_hot_start(block, spec, gates)
    record = search_product(start.to_json(), spec, library, (500, 1, 0.5))
    found = Netlist.from_json(record["netlist"])
    assert len(found.port("lines").nets) == line_count(spec)
    assert record["area"] < sum(library.cell(one.cell).area for one in start.instances)


def test_a_survey_takes_the_search_among_its_candidates(flow, searched):
    """Each has the same figures there, and is chosen where it is the smallest."""
    specs, recipes = [E2M0, INT3], [find_recipe("amap")]
    with ThreadPoolExecutor(2) as executor:
        found = survey(
            flow,
            specs,
            ARCHITECTURES,
            recipes,
            search=SearchSetup(effort=TINY, executor=executor),
        )
    assert not found.failures
    assert [one.task.design.spec for one in found.chosen] == specs
    assert [result.format for result in found.results] == ["E2M0", "INT3"]
    results = dict(zip(("INT3", "E2M0"), searched[0], strict=True))
    count = len(plan(specs, ARCHITECTURES, recipes))
    assert len(found.candidates) == count + len(specs)
    assert [one.task.recipe for one in found.candidates[count:]] == [SEARCHED] * 2
    for result, chosen in zip(found.results, found.chosen, strict=True):
        own = results[result.format]
        mapped = [
            one.mapped.area_um2
            for one in found.candidates
            if one.task.design.spec == chosen.task.design.spec and one.task.recipe is not SEARCHED
        ]
        assert own.mapped.area_um2 <= min(mapped)
        assert (result.recipe, result.effort) == ("search", "tiny")
        assert result.search_seconds == pytest.approx(own.seconds, abs=1e-3)
        assert result.area_um2 == pytest.approx(own.mapped.area_um2)
        assert result.architecture == own.design.architecture
        assert result.multiplier_um2 + result.accumulator_um2 == pytest.approx(result.area_um2)
        assert result.multiplier_um2 > 0
        assert result.accumulator_um2 > result.sequential_um2 > 0
        assert result.delay_ps > 0


def test_a_survey_survives_a_search_that_fails(flow):
    odd = replace(INT3, enable=True)
    with ThreadPoolExecutor(1) as executor:
        found = survey(
            flow,
            [odd],
            ["sign-magnitude"],
            [find_recipe("amap")],
            search=SearchSetup(effort=TINY, executor=executor),
        )
    ((failure,), (result,)) = found.failures, found.results
    assert failure.task.recipe is SEARCHED
    assert "without enable" in str(failure.error)
    assert (result.recipe, result.effort) == ("amap", "quick")
