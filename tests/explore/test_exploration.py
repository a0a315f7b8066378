"""Explorations of a two-bit format: the same anywhere, resumed, bounded, stored."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nibblemac.explore.exploration import Exploration, explore
from nibblemac.explore.exploration_files import exploration_files
from nibblemac.explore.explored import designs_from_csv, designs_from_json
from nibblemac.explore.objective import find_objective
from nibblemac.explore.request import Request
from nibblemac.formats.errors import SynthesisError, UsageError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.synth.area import SearchSetup
from nibblemac.synth.cache import Cache
from nibblemac.synth.effort import Effort
from nibblemac.synth.jobs import processes
from nibblemac.synth.recipes import find_recipe
from nibblemac.synth.store import Store
from nibblemac.synth.sweep import Flow
from nibblemac.synth.timed_recipes import TIMED_RECIPES

TINY = Effort(
    name="tiny",
    description="for tests",
    starts=1,
    seeds=1,
    first_steps=500,
    finalists=1,
    second_steps=500,
    accumulators=1,
    low_steps=500,
    windows=2,
    window_steps=5,
)
NF2 = find_format("NF2")


def request_of(**changes: Any) -> Request:
    facts: dict[str, Any] = {
        "specs": [MacSpec(weight=NF2, activation=NF2, terms=4)],
        "architectures": ["signed", "table"],
        "recipes": [find_recipe("adders")],
        "objective": find_objective("all"),
        "tops": (3, 7),
    }
    return Request(**{**facts, **changes})


class InProcess(Executor):
    """Runs every job at once, in this process; counts them, and may be interrupted."""

    def __init__(self, interrupt_after: int | None = None) -> None:
        self.calls: Counter[str] = Counter()
        self.left = interrupt_after
        self.before: Callable[[str], None] = lambda _name: None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        name = fn.__name__
        self.before(name)
        if self.left is not None:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
        self.calls[name] += 1
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except SynthesisError as error:
            future.set_exception(error)
        return future


def run(
    flow: Flow,
    folder: Path,
    executor: Executor,
    request: Request,
    effort: Effort = TINY,
    **options: Any,
) -> Exploration:
    own = replace(flow, cache=Cache(folder))
    search = options.pop("search", SearchSetup(effort=effort))
    return explore(request, flow=own, search=search, executor=executor, **options)


def figures(exploration: Exploration) -> list[object]:
    """All but the seconds, which differ from run to run."""
    return [replace(one, seconds=0.0) for one in exploration.designs]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exploration")


@pytest.fixture(scope="module")
def whole(flow: Flow, cache: Path) -> tuple[Exploration, Counter[str]]:
    """The exploration of the tests, and the jobs that it took."""
    executor = InProcess()
    found = run(flow, cache, executor, request_of())
    return found, executor.calls


def test_designs_of_the_whole_space(whole) -> None:
    found, calls = whole
    assert not found.failures
    assert not found.late
    assert {one.format for one in found.designs} == {"NF2-top3", "NF2-top7"}
    assert {(one.source, one.architecture) for one in found.designs} >= {
        ("recipe", "signed"),
        ("recipe", "table"),
    }
    assert calls["_map"] == 4
    assert calls["search_mac"] == 2
    assert any(one.source == "search" for one in found.designs)
    for one, mapped in zip(found.designs, found.mapped, strict=True):
        assert one.area_um2 == pytest.approx(mapped.area_um2)
        assert one.delay_ps
        assert one.energy_fj
        assert one.sqnr_loss_normal_db is not None
    # A finer grid cannot be far worse; the coarser one is what saves area.
    errors = {one.top: one.sqnr_normal_db for one in found.designs}
    assert errors[7] > errors[3] - 0.5
    assert any(one.non_dominated for one in found.designs)


def test_processes_give_the_same(whole, flow: Flow, tmp_path: Path) -> None:
    with processes(2) as executor:
        found = run(flow, tmp_path, executor, request_of())
    assert figures(found) == figures(whole[0])
    assert [one.netlist for one in found.mapped] == [one.netlist for one in whole[0].mapped]


def test_known_results_are_not_computed_again(whole, flow: Flow, cache: Path) -> None:
    executor = InProcess()
    found = run(flow, cache, executor, request_of())
    assert not executor.calls
    assert found.designs == whole[0].designs


@pytest.mark.parametrize("after", [2, pytest.param(7, marks=pytest.mark.fuzz)])
def test_interrupted_exploration_goes_on(whole, flow: Flow, tmp_path: Path, after: int) -> None:
    first = InProcess(interrupt_after=after)
    with pytest.raises(KeyboardInterrupt):
        run(flow, tmp_path, first, request_of())
    second = InProcess()
    found = run(flow, tmp_path, second, request_of())
    assert figures(found) == figures(whole[0])
    # What was finished is not done twice; the jobs of an interrupted batch may be lost.
    assert first.calls["_map"] + second.calls["_map"] <= whole[1]["_map"] + after
    if after == 7:
        assert not second.calls["_map"]


def test_no_time_means_no_search_but_a_result(whole, flow: Flow, tmp_path: Path) -> None:
    setup = SearchSetup(effort=TINY)
    setup.late.set()
    executor = InProcess()
    found = run(flow, tmp_path, executor, request_of(), search=setup)
    assert found.late
    assert {one.source for one in found.designs} == {"recipe"}
    assert executor.calls == {"_map": 4}


@pytest.mark.fuzz
def test_time_that_ends_in_the_search(whole, flow: Flow, tmp_path: Path) -> None:
    setup = SearchSetup(effort=TINY)
    executor = InProcess()

    def end(name: str) -> None:
        if name == "search_product":
            setup.late.set()

    executor.before = end
    store = Store([tmp_path / "store"])
    found = run(flow, tmp_path / "a", executor, request_of(), search=setup, store=store)
    assert found.late
    assert executor.calls["search_product"] < whole[1]["search_product"]
    searched = [one for one in found.designs if one.source == "search"]
    assert {one.effort for one in searched} <= {"tiny, cut short"}
    # So that a later search is not kept from doing better.
    again = InProcess()
    run(flow, tmp_path / "b", again, request_of(), store=store)
    assert again.calls["search_mac"]


def test_store_spares_the_search(whole, flow: Flow, cache: Path, tmp_path: Path) -> None:
    store = Store([tmp_path / "store"])
    first = run(flow, cache, InProcess(), request_of(), store=store)
    assert figures(first) == figures(whole[0])
    smallest = {
        one.top: min(d.area_um2 for d in first.designs if d.top == one.top) for one in first.designs
    }
    executor = InProcess()
    found = run(flow, tmp_path / "cache", executor, request_of(), store=store)
    for one in found.designs:
        assert one.area_um2 >= smallest[one.top]
    assert {one.top: one.area_um2 for one in found.designs if one.area_um2 == smallest[one.top]}
    stored = [one for one in found.designs if one.source == "store" or one.effort == "tiny"]
    assert stored
    best_was_searched = {
        one.top for one in first.designs
        if one.source == "search" and one.area_um2 == smallest[one.top]
    }  # fmt: skip
    assert executor.calls["search_mac"] == 2 - len(best_was_searched)


def test_orders_of_codes(flow: Flow, cache: Path) -> None:
    request = request_of(tops=(3,), orders=3, architectures=["table"])
    found = run(flow, cache, InProcess(), request, replace(TINY, searched=False))
    grids = {find_format(one.format).grid for one in found.designs}
    assert len(grids) == 4
    assert len({tuple(sorted(grid)) for grid in grids}) == 1
    assert len({one.sqnr_normal_db for one in found.designs}) == 1
    assert {one.version for one in found.designs} == {"NF2-top3"}
    assert [one.encoding for one in found.designs if not one.encoding]


def test_clock_periods(flow: Flow, cache: Path) -> None:
    request = request_of(
        tops=(3,), periods_ps=(20000.0, 10.0), timed_recipes=TIMED_RECIPES[:2],
        architectures=["table"],
    )  # fmt: skip
    found = run(flow, cache, InProcess(), request, replace(TINY, searched=False))
    timed = {one.period_ps: one for one in found.designs if one.source == "clock period"}
    assert set(timed) == {20000.0, 10.0}
    assert timed[20000.0].met is True
    assert timed[20000.0].delay_ps <= 20000.0
    assert timed[10.0].met is False
    assert timed[10.0].delay_ps > 10.0
    assert timed[10.0].delay_ps <= timed[20000.0].delay_ps
    assert timed[10.0].area_um2 >= timed[20000.0].area_um2
    again = InProcess()
    same = run(flow, cache, again, request, replace(TINY, searched=False))
    assert not again.calls
    assert same.designs == found.designs


def test_wrong_requests() -> None:
    for period in (0.0, -1000.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="positive number"):
            request_of(periods_ps=(period,))
    with pytest.raises(UsageError, match="orders of codes"):
        request_of(orders=-1)


def test_orders_of_a_format_that_has_none(flow: Flow, tmp_path: Path) -> None:
    int3 = find_format("INT3")
    request = request_of(specs=[MacSpec(weight=int3, activation=int3)], tops=(), orders=2)
    executor = InProcess()
    with pytest.raises(UsageError, match="ties to even"):
        run(flow, tmp_path, executor, request)
    assert not executor.calls


def test_files(whole) -> None:
    found, _ = whole
    files = exploration_files(found)
    assert designs_from_csv(files["exploration.csv"].decode()) == tuple(found.designs)
    assert designs_from_json(files["exploration.json"].decode()) == tuple(found.designs)
    best = designs_from_csv(files["frontier.csv"].decode())
    assert best == tuple(one for one in found.designs if one.non_dominated)
    netlists = [name for name in files if name.endswith(".v")]
    assert len(netlists) == len(best)
    assert {files[name].decode() for name in netlists} == {
        mapped.netlist
        for one, mapped in zip(found.designs, found.mapped, strict=True)
        if one.non_dominated
    }
    for stem in ("area-delay", "area-error-NF2"):
        assert files[f"{stem}.png"].startswith(b"\x89PNG")
        assert b"<svg" in files[f"{stem}.svg"]
    index = files["index.md"].decode()
    for name in files:
        assert name == "index.md" or f"]({name})" in index
    assert list(files)[-1] == "index.md"
    assert exploration_files(found) == files


def test_progress_is_told(whole, flow: Flow, cache: Path) -> None:
    seen: list[tuple[str, int, int, str]] = []
    run(flow, cache, InProcess(), request_of(), progress=lambda *facts: seen.append(facts))
    stages: dict[str, Sequence[tuple[int, int]]] = {}
    for stage, done, total, _ in seen:
        stages.setdefault(stage, []).append((done, total))  # type: ignore[attr-defined]
    assert {"synthesis", "whole MACs", "delay and power"} <= set(stages)
    for steps in stages.values():
        assert steps[-1][0] == steps[-1][1]
