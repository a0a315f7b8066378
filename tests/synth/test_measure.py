"""Delay and power from the cache: complete keys, and reasons where there is no figure."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from nibblemac.formats.errors import ToolError, UsageError, VerificationError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.operands import sampled_operands, tensor_operands
from nibblemac.synth import measure as measuring
from nibblemac.synth.area import survey
from nibblemac.synth.cache import Cache, CacheWarning
from nibblemac.synth.delay_conditions import Conditions
from nibblemac.synth.flow import Mapped
from nibblemac.synth.measure import MeasureSetup, lanes_of, measure
from nibblemac.synth.netlist import Netlist
from nibblemac.synth.power import measure_power
from nibblemac.synth.recipes import find_recipe
from nibblemac.synth.sweep import Flow, Task, make_design

INT3 = find_format("INT3")
SPEC = MacSpec(weight=INT3, activation=INT3, terms=64)


@pytest.fixture(scope="module")
def netlist(flow: Flow) -> Netlist:
    (mapped,) = flow.run([Task(design=make_design(SPEC, "signed"), recipe=find_recipe("amap"))])
    assert isinstance(mapped, Mapped)
    assert mapped.graph is not None
    return mapped.graph


@pytest.fixture
def computed(monkeypatch) -> list[str]:
    """What is really measured, and not found in the cache."""
    calls: list[str] = []
    for name in ("measure_delay", "measure_power"):
        real = getattr(measuring, name)

        def counted(*args: object, _name: str = name, _real=real, **options: object) -> object:
            calls.append(_name)
            return _real(*args, **options)

        monkeypatch.setattr(measuring, name, counted)
    return calls


BOTH = ["measure_delay", "measure_power"]


def test_figures_are_the_engines_own(flow: Flow, netlist: Netlist, tmp_path: Path) -> None:
    setup = MeasureSetup(engine="tables", megahertz=50.0)
    found = measure(netlist, flow.library, SPEC, Cache(tmp_path), setup)
    power = measure_power(netlist, flow.library, SPEC, megahertz=50.0)
    assert found.unmeasured == ""
    assert found.delay is not None
    assert found.delay_ps == found.delay.ps > 0
    assert found.delay_method == "tables 1"
    assert found.power == power
    assert found.energy_fj == pytest.approx(power.unit_delay.total_fj + power.leakage_nw / 50)
    assert found.power_uw == pytest.approx(found.energy_fj * 50 / 1000)
    assert found.energy_zero_delay_fj == pytest.approx(power.zero_delay.total_fj)
    assert found.megahertz == 50
    assert "1.8 V, 25 °C" in found.conditions["corner"]
    assert "64 terms" in found.conditions["data"]


def test_the_second_time_comes_from_the_cache(
    flow: Flow, netlist: Netlist, tmp_path: Path, computed: list[str]
) -> None:
    cache = Cache(tmp_path)
    first = measure(netlist, flow.library, SPEC, cache)
    assert computed == BOTH
    assert measure(netlist, flow.library, SPEC, cache) == first
    other = measure(netlist, flow.library, SPEC, cache, MeasureSetup(megahertz=200.0))
    assert computed == BOTH
    assert first.power is not None
    assert other.power == replace(first.power, megahertz=200.0)


def test_damaged_records_are_measured_again(
    flow: Flow, netlist: Netlist, tmp_path: Path, computed: list[str]
) -> None:
    cache = Cache(tmp_path)
    first = measure(netlist, flow.library, SPEC, cache)
    for path in (tmp_path / "records").rglob("*.json"):
        cache.put(path.stem, {"no": "record"})
    with pytest.warns(CacheWarning, match="damaged"):
        assert measure(netlist, flow.library, SPEC, cache) == first
    assert computed == 2 * BOTH


_Change = tuple[dict[str, object], list[str]]


def _tensors(spec: MacSpec):
    return tensor_operands(spec, torch.linspace(-1, 1, 4096).reshape(8, 512), name="ramp")


@pytest.mark.parametrize(
    "change",
    [
        ({"conditions": Conditions(load_ff=50.0)}, BOTH),
        ({"operands": _tensors}, ["measure_power"]),
        ({"operands": lambda spec: sampled_operands(spec, seed=2)}, ["measure_power"]),
        ({"megahertz": 1.0}, []),
    ],
)
def test_other_circumstances_are_measured_again(
    flow: Flow, netlist: Netlist, tmp_path: Path, computed: list[str], change: _Change
) -> None:
    changes, again = change
    cache = Cache(tmp_path)
    measure(netlist, flow.library, SPEC, cache)
    computed.clear()
    measure(netlist, flow.library, SPEC, cache, MeasureSetup(**changes))
    assert computed == again


def test_another_library_netlist_or_format_is_measured_again(
    flow: Flow, netlist: Netlist, tmp_path: Path, computed: list[str]
) -> None:
    cache = Cache(tmp_path)
    measure(netlist, flow.library, SPEC, cache)
    corner = replace(flow.library.corner, voltage=1.6)
    measure(netlist, replace(flow.library, corner=corner), SPEC, cache)
    assert computed == 2 * BOTH
    measure(replace(netlist, instances=netlist.instances[::-1]), flow.library, SPEC, cache)
    assert computed == 3 * BOTH
    # The same grid with another rounding is other data in the same hardware.
    rounding = find_format("NF4").rounding
    assert rounding != INT3.rounding
    tied = replace(INT3, rounding=rounding)
    measure(netlist, flow.library, replace(SPEC, weight=tied, activation=tied), cache)
    assert computed == [*3 * BOTH, "measure_power"]


def test_a_netlist_without_a_graph_is_not_measured(
    flow: Flow, tmp_path: Path, computed: list[str]
) -> None:
    found = measure(None, flow.library, SPEC, Cache(tmp_path))
    assert (found.delay_ps, found.energy_fj, found.conditions, computed) == (None, None, {}, [])
    assert "no graph" in found.unmeasured


def test_a_library_without_timing_says_so(flow: Flow, netlist: Netlist, tmp_path: Path) -> None:
    blind = replace(flow.library, slews=())
    found = measure(netlist, blind, SPEC, Cache(tmp_path))
    assert found.delay is None
    assert found.power is None
    assert "lacks delays" in found.unmeasured


def test_a_tool_that_fails_leaves_the_rest(
    flow: Flow, netlist: Netlist, tmp_path: Path, monkeypatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ToolError("OpenSTA ended with code 1.")

    monkeypatch.setattr(measuring, "measure_delay", broken)
    found = measure(netlist, flow.library, SPEC, Cache(tmp_path))
    assert found.delay is None
    assert found.power is not None
    assert found.unmeasured == "OpenSTA ended with code 1."
    assert found.conditions["corner"]


def test_sums_too_long_to_simulate_have_a_delay_only(
    flow: Flow, netlist: Netlist, tmp_path: Path
) -> None:
    found = measure(netlist, flow.library, replace(SPEC, terms=2**15), Cache(tmp_path))
    assert found.delay is not None
    assert found.power is None
    assert "at most 16384 terms" in found.unmeasured


@pytest.mark.parametrize(
    ("terms", "lanes"), [(1, 256), (256, 256), (1024, 256), (2**14, 16), (2**20, 1)]
)
def test_long_sums_have_fewer_lanes(terms: int, lanes: int) -> None:
    assert lanes_of(replace(SPEC, terms=terms)) == lanes


def test_a_wrong_netlist_has_no_power(flow: Flow, netlist: Netlist, tmp_path: Path) -> None:
    swapped = replace(INT3, grid=(INT3.grid[1], INT3.grid[0], *INT3.grid[2:]))
    with pytest.raises(VerificationError, match="is no MAC of"):
        measure(netlist, flow.library, replace(SPEC, weight=swapped), Cache(tmp_path))


@pytest.mark.parametrize(
    "changes", [{"megahertz": 0.0}, {"megahertz": float("nan")}, {"engine": "x"}]
)
def test_setups_without_a_meaning_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        MeasureSetup(**changes)


def test_a_survey_measures_what_it_chose(flow: Flow) -> None:
    setup = MeasureSetup(megahertz=250.0, engine="tables")
    found = survey(flow, [SPEC], ["signed"], [find_recipe("amap")], setup=setup)
    (result,) = found.results
    graph = found.chosen[0].mapped.graph
    measured = measure(graph, flow.library, SPEC, flow.cache, setup)
    assert (result.delay_ps, result.delay_method) == (measured.delay_ps, "tables 1")
    assert (result.energy_fj, result.power_uw) == (measured.energy_fj, measured.power_uw)
    assert result.megahertz == 250
    assert result.conditions == measured.conditions
    assert (result.unmeasured, result.effort) == ("", "quick")
    assert result.search_seconds == result.seconds > 0


def test_a_wrong_netlist_is_a_failure_of_the_survey(flow: Flow, monkeypatch) -> None:
    from nibblemac.synth import area

    def wrong(*_: object) -> None:
        raise VerificationError("The netlist computes nonsense.")

    monkeypatch.setattr(area, "measure", wrong)
    found = survey(flow, [SPEC], ["signed"], [find_recipe("amap")])
    assert (list(found.results), list(found.chosen)) == ([], [])
    assert [str(failure.error) for failure in found.failures] == ["The netlist computes nonsense."]
