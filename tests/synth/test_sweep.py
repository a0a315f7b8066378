import threading
from dataclasses import replace
from pathlib import Path

import pytest
from nibblemac.formats.errors import ArchitectureError, SynthesisError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.synth import sweep
from nibblemac.synth.area import plan, smallest, survey
from nibblemac.synth.cache import Cache, CacheWarning
from nibblemac.synth.flow import Mapped
from nibblemac.synth.recipes import RECIPES, find_recipe
from nibblemac.synth.result import AreaResult
from nibblemac.synth.sweep import Flow, Task, make_design


def spec(name: str, activation: str | None = None) -> MacSpec:
    return MacSpec(weight=find_format(name), activation=find_format(activation or name))


AMAP = find_recipe("amap")
TASKS = [
    Task(design=make_design(spec("INT3"), architecture), recipe=recipe)
    for architecture in ("signed", "table")
    for recipe in RECIPES[:2]
]


@pytest.fixture
def counted(monkeypatch) -> list[str]:
    """The tasks that are really computed; only so many, then an error where asked for."""
    calls: list[str] = []

    def compute(rtlil: str, top: str, prepared: object, recipe: object, *_: object, **__: object):
        calls.append(f"{top} {recipe.name}")  # type: ignore[attr-defined]
        return Mapped(
            top=top,
            area_um2=10.0 * len(top) + len(recipe.name),  # type: ignore[attr-defined]
            sequential_um2=1.0,
            modules={f"{top}_multiplier": 1.0, f"{top}_accumulator": 2.0},
            cells={"sky130_fd_sc_hd__inv_1": 1},
            netlist=f"module {top}(",
            graph=None,
            script="",
            seconds=0.1,
        )

    monkeypatch.setattr(sweep, "synthesise", compute)
    monkeypatch.setattr(sweep, "prepare", lambda *_, **__: None)
    return calls


@pytest.fixture
def fresh(flow: Flow, tmp_path: Path) -> Flow:
    return replace(flow, cache=Cache(tmp_path))


def test_results_come_in_order_and_from_the_cache(fresh: Flow, counted: list[str]) -> None:
    first = fresh.run(TASKS)
    assert [m.top for m in first] == [task.design.top for task in TASKS]
    assert len(counted) == len(TASKS)
    assert fresh.run(TASKS) == first
    assert len(counted) == len(TASKS)


def test_key_depends_on_everything(fresh: Flow) -> None:
    task = TASKS[0]
    others = [
        fresh.key(replace(task, recipe=RECIPES[1])),
        fresh.key(replace(task, split=True)),
        fresh.key(TASKS[2]),
        replace(fresh, yosys=replace(fresh.yosys, version="0.1")).key(task),
        replace(fresh, library=replace(fresh.library, name="other")).key(task),
    ]
    assert len({fresh.key(task), *others}) == 1 + len(others)
    renamed = replace(task, recipe=replace(task.recipe, name="x", description="y"))
    assert fresh.key(renamed) == fresh.key(task)


def test_damaged_entry_is_computed_again(fresh: Flow, counted: list[str]) -> None:
    fresh.run(TASKS)
    for path in fresh.cache.folder.rglob("*.json"):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(CacheWarning, match="damaged"):
        again = fresh.run(TASKS)
    assert len(counted) == 2 * len(TASKS)
    assert all(isinstance(result, Mapped) for result in again)


def test_one_failure_does_not_stop_the_others(fresh: Flow, monkeypatch, counted) -> None:
    good = sweep.synthesise

    def sometimes(rtlil: str, top: str, *rest: object, **options: object) -> Mapped:
        if "table" in top:
            raise SynthesisError("It broke.")
        return good(rtlil, top, *rest, **options)

    monkeypatch.setattr(sweep, "synthesise", sometimes)
    found = survey(fresh, [spec("INT3")], ("signed", "table"), RECIPES[:2])
    assert [failure.task.design.architecture for failure in found.failures] == ["table", "table"]
    assert [result.architecture for result in found.results] == ["signed"]


def test_interrupted_sweep_goes_on_where_it_was(fresh: Flow, monkeypatch, counted) -> None:
    good, lock = sweep.synthesise, threading.Lock()

    def interrupted(rtlil: str, top: str, *rest: object, **options: object) -> Mapped:
        with lock:
            if len(counted) == 2:
                raise KeyboardInterrupt
            return good(rtlil, top, *rest, **options)

    monkeypatch.setattr(sweep, "synthesise", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fresh.run(TASKS)
    assert len(counted) == 2
    monkeypatch.setattr(sweep, "synthesise", good)
    assert all(isinstance(result, Mapped) for result in fresh.run(TASKS))
    assert len(counted) == len(TASKS)
    assert len(set(counted)) == len(TASKS)


def test_survey_takes_the_smallest(fresh: Flow, counted: list[str]) -> None:
    found = survey(fresh, [spec("INT3"), spec("E2M1")], ("signed", "sign-magnitude"), RECIPES)
    assert [result.format for result in found.results] == ["INT3", "E2M1"]
    for result in found.results:
        here = [c for c in found.candidates if c.task.design.spec.weight.name == result.format]
        assert len(here) == 2 * len(RECIPES)
        assert result.area_um2 == min(c.mapped.area_um2 for c in here)
    each = smallest(found.candidates, each_architecture=True)
    assert [(c.task.design.spec.weight.name, c.task.design.architecture) for c in each] == [
        (name, architecture)
        for name in ("INT3", "E2M1")
        for architecture in ("signed", "sign-magnitude")
    ]


def test_progress_counts_to_the_end(fresh: Flow, counted: list[str]) -> None:
    seen: list[tuple[str, int, int]] = []
    survey(
        fresh,
        [spec("INT3")],
        ("signed",),
        RECIPES,
        progress=lambda s, d, t, _: seen.append((s, d, t)),
    )
    assert seen == [*(("synthesis", n, 5) for n in range(1, 6)), ("delay and power", 1, 1)]


def test_plan_refuses_with_the_reason() -> None:
    with pytest.raises(ArchitectureError, match="cannot serve INT4 × INT4: INT4's level 7"):
        plan([spec("INT4")], ["shift-add"], [AMAP])
    assert {
        task.design.architecture for task in plan([spec("INT4")], ["shift-add", "table"], [AMAP])
    } == {"table"}


@pytest.mark.parametrize(("weight", "activation"), [("INT3", "INT3"), ("SF4", "INT8")])
def test_real_survey(flow: Flow, weight: str, activation: str) -> None:
    one = spec(weight, activation)
    found = survey(flow, [one], ("sign-magnitude",), [AMAP])
    assert not found.failures
    (result,) = found.results
    assert isinstance(result, AreaResult)
    assert (result.format, result.activation) == (weight, activation)
    assert result.accumulator_bits == one.accumulator_bits
    assert result.area_ge == pytest.approx(result.area_um2 / flow.library.nand2.area, abs=1e-4)
    assert result.multiplier_um2 > 0
    assert result.accumulator_um2 > result.sequential_um2 > 0
