import json

import pytest
from nibblemac.formats.errors import UsageError
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.resolve import find_format
from nibblemac.synth.cache import Cache
from nibblemac.synth.delay import measure_delay
from nibblemac.synth.delay_conditions import Conditions
from nibblemac.synth.flow import Mapped
from nibblemac.synth.library import load_library
from nibblemac.synth.sweep import Flow, make_design
from nibblemac.synth.timed import (
    area_delay_curve,
    map_for_speed,
    meet_period,
    non_dominated,
    size,
)
from nibblemac.synth.timed_recipes import FULL_ADDERS, TIMED_RECIPES, TimedRecipe

RECIPES = (
    TimedRecipe(adder=FULL_ADDERS, script="area"),
    TimedRecipe(adder="ripple", script="area"),
    TimedRecipe(adder="sklansky", script="fast"),
)


@pytest.fixture(scope="module", params=["sky130hd", "sg13g2", "asap7"])
def timed_flow(request, yosys, cache_folder):
    library = load_library(request.param)
    return Flow(library=library, yosys=yosys, cache=Cache(cache_folder), jobs=2)


@pytest.fixture(scope="module")
def starts(timed_flow):
    form = find_format("E2M1")
    design = make_design(MacSpec(weight=form, activation=form), "sign-magnitude")
    seen = []
    found, failures = map_for_speed(
        timed_flow, [design], RECIPES, progress=lambda *step: seen.append(step)
    )
    assert not failures
    assert [step[:2] for step in seen] == [(1, 3), (2, 3), (3, 3)]
    return found


@pytest.fixture(scope="module")
def delays(starts, timed_flow):
    return [measure_delay(one.graph, timed_flow.library, engine="tables").ps for one in starts]


@pytest.fixture(scope="module")
def curve(starts, delays, timed_flow):
    periods = [1.01 * max(delays), 0.7 * max(delays), 1.01 * min(delays), 0.1 * min(delays)]
    return area_delay_curve(timed_flow, starts, periods, engine="tables")


def test_faster_recipes_are_faster(delays):
    assert delays[2] < 0.8 * delays[0]


def test_recipes_have_names_of_their_own():
    assert len({recipe.name for recipe in TIMED_RECIPES}) == len(TIMED_RECIPES)


def test_a_relaxed_period_takes_the_smallest(starts, delays, timed_flow):
    result = meet_period(timed_flow, starts, 1.01 * max(delays), engine="tables")
    assert result.met
    assert result.area_um2 <= min(one.mapped.area_um2 for one in starts)
    assert result.slack_ps == pytest.approx(result.period_ps - result.delay.ps, abs=1e-3)


def test_a_period_between_is_met_by_sizing(starts, delays, timed_flow):
    period = 0.93 * min(delays[:2])
    result = meet_period(timed_flow, starts, period, engine="tables")
    assert result.met
    assert result.area_um2 <= starts[2].mapped.area_um2


def test_an_impossible_period_says_by_how_much(starts, delays, timed_flow):
    result = meet_period(timed_flow, starts, 0.1 * min(delays), engine="tables")
    assert not result.met
    assert result.slack_ps < 0
    assert result.delay.ps <= min(delays)


def test_results_agree_with_themselves(curve, timed_flow):
    library = timed_flow.library
    for result in curve:
        mapped = result.mapped
        assert mapped.graph is not None
        again = measure_delay(mapped.graph, library, Conditions(), engine="tables")
        assert again == result.delay
        total = sum(library.cell(one.cell).area for one in mapped.graph.instances)
        assert (result.area_um2, mapped.area_um2) == pytest.approx((total, total))
        assert sum(mapped.cells.values()) == len(mapped.graph.instances)
        assert Mapped.from_json(json.loads(json.dumps(mapped.to_json()))) == mapped


def test_the_curve_falls(curve):
    assert len(curve) >= 3
    assert curve == sorted(curve, key=lambda one: one.delay.ps)
    assert [one.area_um2 for one in curve] == sorted((c.area_um2 for c in curve), reverse=True)
    assert non_dominated([*curve, *curve]) == curve


def test_every_netlist_of_the_curve_passes_the_testbench(curve, timed_flow, cache_folder):
    from nibblemac.sim.design import Design
    from nibblemac.sim.verify import verify
    from nibblemac.synth.cell_models import cell_models

    designs = [
        Design(
            spec=one.design.spec,
            architecture=one.design.architecture,
            level="netlist",
            top=one.design.top,
            sources=(one.mapped.netlist, cell_models(timed_flow.library, one.mapped.cells)),
        )
        for one in curve
    ]
    # One folder for all libraries: Verilator's runtime is compiled once.
    folder = cache_folder / "timed-models"
    folder.mkdir(parents=True, exist_ok=True)
    assert all(verdict.passed for verdict in verify(designs, workdir=folder, jobs=2))


def test_a_slower_engine_is_aimed_at(starts, delays, timed_flow, monkeypatch):
    """Where the figure that counts is 2 % above the tables', sizing goes 2 % below."""
    import dataclasses

    from nibblemac.synth import timed

    def slower(*arguments):
        delay = measure_delay(*arguments[:3], "tables")
        return dataclasses.replace(delay, ps=1.02 * delay.ps)

    monkeypatch.setattr(timed, "measure_delay", slower)
    period = 0.97 * min(delays[:2])
    assert meet_period(timed_flow, starts, period, engine="tables").met


def test_sizing_is_cached_and_bounded(starts, timed_flow, tmp_path):
    library = timed_flow.library
    conditions = Conditions().resolve(library)
    cache = Cache(tmp_path)
    graph = starts[2].graph
    found = size(graph, library, conditions, 1e6, cache=cache)
    assert size(graph, library, conditions, 1e6, cache=cache) == found
    assert len(list(tmp_path.rglob("*.json"))) == 1
    assert size(graph, library, conditions, 1.0, bound=1.0) is None


@pytest.mark.parametrize("period", [0, -1, float("nan"), float("inf")])
def test_periods_without_meaning_are_refused(starts, timed_flow, period):
    with pytest.raises(UsageError, match="clock period is"):
        meet_period(timed_flow, starts, period, engine="tables")


def test_no_mapping_is_an_error(timed_flow):
    with pytest.raises(UsageError, match="No mapping"):
        meet_period(timed_flow, [], 1000, engine="tables")
