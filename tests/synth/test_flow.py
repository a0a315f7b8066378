import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from nibblemac.formats.errors import SynthesisError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.synth.flow import FlowLibrary, Mapped, flow_script, synthesise
from nibblemac.synth.library import library_names, load_library
from nibblemac.synth.recipes import RECIPES, find_recipe, find_recipes
from nibblemac.synth.sweep import Design, make_design
from nibblemac.synth.yosys import NATIVE, Yosys

AMAP = find_recipe("amap")


def design(name: str = "INT3", architecture: str = "sign-magnitude") -> Design:
    item = find_format(name)
    return make_design(MacSpec(weight=item, activation=item), architecture)


def run(one: Design, yosys: Yosys, workdir: Path, library: str = "sky130hd", **options) -> Mapped:
    recipe = options.pop("recipe", AMAP)
    prepared = FlowLibrary.of(load_library(library))
    return synthesise(one.rtlil, one.top, prepared, recipe, yosys, workdir=workdir, **options)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("library", library_names())
def test_every_recipe_maps_on_every_library(library, recipe, yosys, tmp_path) -> None:
    mapped = run(design(), yosys, tmp_path, library, recipe=recipe)
    cells = load_library(library).by_name
    assert mapped.area_um2 == pytest.approx(sum(n * cells[c].area for c, n in mapped.cells.items()))
    flip_flops = sum(n for c, n in mapped.cells.items() if cells[c].flip_flop is not None)
    assert (
        flip_flops
        == MacSpec(weight=find_format("INT3"), activation=find_format("INT3")).accumulator_bits
    )
    assert 0 < mapped.sequential_um2 < mapped.area_um2
    assert f"module {mapped.top}(" in mapped.netlist
    assert Mapped.from_json(json.loads(json.dumps(mapped.to_json()))) == mapped
    assert not list(tmp_path.iterdir())


def test_same_result_twice_and_in_other_folders(yosys, tmp_path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    recipe = find_recipe("adders-deepsyn")
    first = run(design("E2M1"), yosys, tmp_path / "a", recipe=recipe)
    second = run(design("E2M1"), yosys, tmp_path / "b", recipe=recipe)
    assert replace(first, seconds=0) == replace(second, seconds=0)


def test_split_keeps_multiplier_and_accumulator(yosys, tmp_path) -> None:
    mapped = run(design("E2M1", "shift-add"), yosys, tmp_path, split=True)
    parts = {name: area for name, area in mapped.modules.items() if name != mapped.top}
    assert sorted(parts) == [f"{mapped.top}_accumulator", f"{mapped.top}_multiplier"]
    assert sum(parts.values()) == pytest.approx(mapped.area_um2)
    assert parts[f"{mapped.top}_accumulator"] > mapped.sequential_um2


def test_adders_place_the_librarys_full_adders(yosys, tmp_path) -> None:
    mapped = run(design("INT4"), yosys, tmp_path, recipe=find_recipe("adders"))
    # Below the product's sign each bit is a full adder, but for the lowest, which has the carry-in.
    assert mapped.cells["sky130_fd_sc_hd__fa_1"] >= 6


def test_recipes_differ_in_name_and_digest() -> None:
    assert len(RECIPES) >= 3
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)
    assert len({recipe.digest for recipe in RECIPES}) == len(RECIPES)
    assert find_recipes("all") == RECIPES
    with pytest.raises(ValueError, match="no recipe 'fast'; there are default, amap"):
        find_recipe("fast")


def test_script_is_the_recipe_between_load_and_checks() -> None:
    lines = flow_script("top", load_library(), AMAP, split=False).splitlines()
    start = lines.index("synth -top top -flatten -noalumacc")
    assert lines[start + 1].startswith("dfflibmap -liberty library.lib -dont_use sky130_fd_sc_hd__")
    assert lines[start + 2] == "abc -liberty abc.lib -script abc.script"
    assert len(AMAP.passes) == 3
    assert any(line.startswith("check -mapped -assert") for line in lines[start:])


CELLS = {"sky130_fd_sc_hd__nand2_1": 2, "sky130_fd_sc_hd__dfxtp_1": 1}
INSTANCES = {
    f"u{index}": {"type": name, "connections": {}}
    for index, name in enumerate(name for name, count in CELLS.items() for _ in range(count))
}
GRAPH = {"modules": {"t": {"ports": {}, "cells": INSTANCES}}}
CELL_LINES = [f"  {one['type']} {name} (\n  );" for name, one in INSTANCES.items()]
NETLIST = "\n".join(["module t();", *CELL_LINES, "endmodule", ""])


def fake(
    folder: Path,
    stat_json: object,
    netlist: str = NETLIST,
    status: int = 0,
    graph: object = GRAPH,
) -> Yosys:
    """A Yosys that writes what it is told, whatever the script."""
    (folder / "bin").mkdir()
    path = folder / "bin" / "yosys"
    text = stat_json if isinstance(stat_json, str) else json.dumps(stat_json)
    path.write_text(
        f"#!/bin/sh\ncat > stat.json <<'END'\n{text}\nEND\ncat > netlist.v <<'END'\n{netlist}\n"
        f"END\ncat > netlist.json <<'END'\n{json.dumps(graph)}\nEND\nexit {status}\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Yosys(kind=NATIVE, version="0.70", command=(os.fspath(path),))


def figures(**changes: object) -> dict[str, object]:
    areas = {name: load_library().cell(name).area for name in CELLS}
    facts = {
        "area": sum(n * areas[c] for c, n in CELLS.items()),
        "sequential_area": areas["sky130_fd_sc_hd__dfxtp_1"],
        "num_cells_by_type": CELLS,
        **changes,
    }
    return {"modules": {"\\t": facts}, "design": facts}


def test_good_figures_of_a_fake_yosys_are_taken(tmp_path) -> None:
    one = replace(design(), top="t")
    assert run(one, fake(tmp_path, figures()), tmp_path).cells["sky130_fd_sc_hd__nand2_1"] == 2


@pytest.mark.parametrize(
    ("stat_json", "message"),
    [
        ("", "ended without a result"),
        ("garbage", "ended without a result"),
        ({}, "figures lack 'modules'"),
        ({"modules": []}, "figures lack"),
        (figures(area="much"), "figures lack"),
        (figures(area=0.0), "area is 0"),
        (figures(area=float("nan")), "area is nan"),
        (figures(sequential_area=1.0), "sequential area is 1"),
        (
            figures(num_cells_by_type={"$_NAND_": 2, "sky130_fd_sc_hd__dfxtp_1": 1}),
            r"not in the library: \$_NAND_",
        ),
        (figures(num_cells_by_type={"sky130_fd_sc_hd__dfxtp_1": 2}), "cells add up to"),
    ],
)
def test_untrustworthy_results_are_errors(tmp_path, stat_json: object, message: str) -> None:
    one = replace(design(), top="t")
    with pytest.raises(SynthesisError, match=message) as caught:
        run(one, fake(tmp_path, stat_json), tmp_path)
    assert "recipe amap on sky130hd" in str(caught.value)
    # The run is kept for a look.
    assert [path.name[:2] for path in tmp_path.iterdir() if path.name != "bin"] == ["t_"]


@pytest.mark.parametrize("end", range(0, len(NETLIST) - 2, 7))
def test_netlist_that_is_cut_is_an_error(tmp_path, end: int) -> None:
    with pytest.raises(SynthesisError, match=r"without the top module|not whole"):
        run(replace(design(), top="t"), fake(tmp_path, figures(), NETLIST[:end]), tmp_path)


def test_netlist_without_the_top_is_an_error(tmp_path) -> None:
    with pytest.raises(SynthesisError, match="without the top module"):
        run(replace(design(), top="t"), fake(tmp_path, figures(), "module other("), tmp_path)


@pytest.mark.parametrize("graph", [{}, {"modules": {"t": {"ports": {}, "cells": {}}}}])
def test_graph_that_is_not_the_netlist_is_an_error(tmp_path, graph: object) -> None:
    with pytest.raises(SynthesisError, match=r"netlist of t cannot be read|counts other cells"):
        run(replace(design(), top="t"), fake(tmp_path, figures(), graph=graph), tmp_path)


def test_unmapped_cell_is_an_error(yosys, tmp_path) -> None:
    unmapped = replace(AMAP, passes=tuple(p for p in AMAP.passes if not p.startswith("dfflibmap")))
    with pytest.raises(SynthesisError, match=r"ended with code 1|not in the library"):
        run(design(), yosys, tmp_path, recipe=unmapped)


def test_abc_without_a_result_is_an_error(yosys, tmp_path) -> None:
    broken = replace(AMAP, abc=("strash", "no_such_command", "quit"))
    with pytest.raises(SynthesisError, match="failed: "):
        run(design(), yosys, tmp_path, recipe=broken)


def test_time_limit(yosys, tmp_path) -> None:
    with pytest.raises(SynthesisError, match=r"longer than 0.01 s"):
        run(design(), yosys, tmp_path, timeout=0.01)


def test_full_liberty_gives_the_distilled_area(shared, yosys, tmp_path) -> None:
    """Yosys on the Liberty file as it is, no reduced library between, maps to the same area."""
    import gzip

    source = shared / "liberty" / "sky130hd_tt.lib.gz"
    one = design("E2M1", "shift-add")
    ours = run(one, yosys, tmp_path, recipe=AMAP)
    folder = tmp_path / "full"
    folder.mkdir()
    for name in ("library.lib", "abc.lib"):
        (folder / name).write_bytes(gzip.decompress(source.read_bytes()))
    (folder / "design.il").write_text(one.rtlil)
    (folder / "abc.script").write_text("; ".join(AMAP.abc) + "\n")
    limits = " -dont_use *lpflow* -dont_use *probe* -dont_use *sparecell*"
    script = flow_script(one.top, load_library(), AMAP, split=False)
    for command in ("dfflibmap -liberty library.lib", "abc -liberty abc.lib"):
        assert command in script
        script = script.replace(command, f"{command}{limits}")
    (folder / "s.ys").write_text(script)
    yosys.run("s.ys", folder)
    full = json.loads((folder / "stat.json").read_text())["design"]
    assert full["area"] == pytest.approx(ours.area_um2, rel=0.005)
