from dataclasses import replace
from pathlib import Path

import pytest
from nibblemac.explore.verification import (
    models_folder,
    netlist_designs,
    rtl_designs,
    verify_designs,
)
from nibblemac.formats.lookup import all_formats, find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.rtl.architectures import ARCHITECTURES, serving
from nibblemac.rtl.verilog import to_verilog
from nibblemac.synth.area import map_candidates, plan
from nibblemac.synth.cache import Cache
from nibblemac.synth.recipes import find_recipe
from nibblemac.synth.sweep import Flow

SPECS = [MacSpec(weight=item, activation=item) for item in all_formats()]


def test_whole_catalogue_at_the_level_of_verilog(cache_folder: Path) -> None:
    pairs = [(spec, name) for spec in SPECS for name in serving(spec)]
    designs = rtl_designs(pairs, Cache(cache_folder))
    results = verify_designs(designs, Cache(cache_folder))
    assert [result.describe() for result in results if not result.passed] == []
    assert len(results) == len(pairs) >= 3 * len(SPECS)
    # All pairs of codes come at least twice.
    for (spec, _), result in zip(pairs, results, strict=True):
        assert result.cases > 2 * 2 ** (spec.weight.bits + spec.activation.bits)
        assert result.full_length


def test_whole_catalogue_at_the_level_of_netlists(flow: Flow) -> None:
    """Each format in one of its architectures, each architecture for several formats."""
    tasks = []
    for index, spec in enumerate(SPECS):
        names = serving(spec)
        tasks += plan([spec], [names[index % len(names)]], [find_recipe("adders")])
    assert {task.design.architecture for task in tasks} == set(ARCHITECTURES)
    candidates, failures = map_candidates(flow, tasks)
    assert failures == []
    results = verify_designs(netlist_designs(candidates, flow.library), flow.cache)
    assert [result.describe() for result in results if not result.passed] == []
    assert len(results) == len(tasks)
    assert {result.level for result in results} == {"netlist"}


@pytest.mark.parametrize("library", ["asap7", "sg13g2"])
@pytest.mark.parametrize("recipe", ["default", "amap", "adders", "adders-deepsyn"])
def test_other_libraries_and_recipes(flow: Flow, library: str, recipe: str) -> None:
    from nibblemac.synth.library import load_library

    other = replace(flow, library=load_library(library))
    tasks = plan([SPECS[0]], ("sign-magnitude", "table"), [find_recipe(recipe)])
    candidates, failures = map_candidates(other, tasks)
    assert failures == []
    results = verify_designs(netlist_designs(candidates, other.library), other.cache)
    assert [result.passed for result in results] == [True] * len(tasks)


def test_a_wrong_netlist_is_caught(flow: Flow, tmp_path: Path) -> None:
    tasks = plan([SPECS[0]], ("sign-magnitude",), [find_recipe("amap")])
    (candidate,), _ = map_candidates(flow, tasks)
    netlist = candidate.mapped.netlist
    # One NAND becomes a NOR: the least that a broken mapping could do.
    wrong = netlist.replace("sky130_fd_sc_hd__nand2_1 ", "sky130_fd_sc_hd__nor2_1 ", 1)
    assert wrong != netlist
    cells = {**candidate.mapped.cells, "sky130_fd_sc_hd__nor2_1": 1}
    broken = replace(candidate, mapped=replace(candidate.mapped, netlist=wrong, cells=cells))
    (result,) = verify_designs(netlist_designs([broken], flow.library), Cache(tmp_path))
    assert not result.passed
    assert result.wrong > 0
    assert "INT3, sign-magnitude, netlist" in result.describe()
    assert "expected" in result.describe()


def test_verilog_comes_from_the_cache(tmp_path: Path, monkeypatch) -> None:
    from nibblemac.explore import verification

    pair = (MacSpec(weight=find_format("INT3"), activation=find_format("E2M0")), "signed")
    (first,) = rtl_designs([pair], Cache(tmp_path))
    assert first.sources == (to_verilog(*pair),)
    monkeypatch.setattr(verification, "to_verilog_many", lambda missing: [] if not missing else 1)
    (second,) = rtl_designs([pair], Cache(tmp_path))
    assert second == first


def test_passes_come_from_the_cache(flow: Flow, cache_folder: Path) -> None:
    pair = (SPECS[0], "signed")
    designs = rtl_designs([pair], Cache(cache_folder))
    (first,) = verify_designs(designs, Cache(cache_folder))
    (second,) = verify_designs(designs, Cache(cache_folder))
    assert second == first


def test_cache_folders_that_cannot_hold_models(tmp_path: Path) -> None:
    """Models are made elsewhere then, and nothing is left there."""
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "with space", tmp_path / "file" / "cache"):
        with models_folder(Cache(folder)) as found:
            assert found.is_dir()
            assert not found.is_relative_to(tmp_path)
            assert not any(character.isspace() for character in str(found))
        assert not found.exists()
    with models_folder(Cache(tmp_path / "plain")) as found:
        assert found.is_relative_to(tmp_path / "plain")
