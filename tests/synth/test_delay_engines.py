"""The engines against each other, and distilled libraries against the full Liberty files."""

import functools
from pathlib import Path

import pytest
from nibblemac.formats.errors import ToolError, UsageError
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.resolve import find_format
from nibblemac.synth import distill as distilling
from nibblemac.synth.cache import Cache
from nibblemac.synth.delay import measure_delay
from nibblemac.synth.delay_conditions import Conditions
from nibblemac.synth.liberty import read_liberty
from nibblemac.synth.library import load_library
from nibblemac.synth.netlist import Netlist
from nibblemac.synth.opensta import critical_path, find_opensta
from nibblemac.synth.recipes import find_recipe
from nibblemac.synth.sweep import Flow, Task, make_design

FILES = {"sky130hd": "sky130hd_*.lib.gz", "sg13g2": "sg13g2_*.lib.gz", "asap7": "asap7_*.lib.gz"}
MACS = (("INT4", "sign-magnitude", "adders"), ("E2M1", "shift-add", "amap"))

needs_sta = pytest.mark.skipif(
    find_opensta() is None, reason="no OpenSTA (sta) on PATH to compare with"
)


@pytest.fixture(scope="module", params=FILES)
def library(request):
    return load_library(request.param)


@pytest.fixture(scope="module", params=MACS, ids=lambda mac: mac[0])
def netlist(request, library, yosys, cache_folder):
    name, architecture, recipe = request.param
    form = find_format(name)
    design = make_design(MacSpec(weight=form, activation=form), architecture)
    flow = Flow(library=library, yosys=yosys, cache=Cache(cache_folder), jobs=1)
    (mapped,) = flow.run([Task(design=design, recipe=find_recipe(recipe))])
    return mapped.graph


@functools.cache
def full_files(shared, name):
    files = [read_liberty(path) for path in sorted((shared / "liberty").glob(FILES[name]))]
    assert files
    return files


def conditions_for(library, wires):
    buffer = library.with_truth_table(1, 0b10)[0].name
    return [
        Conditions(wires=wires),
        Conditions(driver="", input_slew_ps=100, wires=wires),
        Conditions(driver=buffer, load_ff=20, clock_slew_ps=30, wires=wires),
    ]


@needs_sta
@pytest.mark.parametrize(("wires", "tolerance"), [(False, 1e-4), (True, 0.03)])
def test_tables_agree_with_opensta(netlist, library, wires, tolerance):
    for conditions in conditions_for(library, wires):
        ours = measure_delay(netlist, library, conditions, engine="tables")
        theirs = measure_delay(netlist, library, conditions, engine="opensta")
        assert ours.ps == pytest.approx(theirs.ps, rel=tolerance)
        assert ours.setup_ps == pytest.approx(theirs.setup_ps, rel=0.1, abs=0.01)
        assert (ours.kind, theirs.method[:7]) == (theirs.kind, "OpenSTA")
        if not wires:
            assert (ours.start, ours.end) == (theirs.start, theirs.end)


@needs_sta
def test_distilled_agrees_with_full_liberty(netlist, library, shared):
    files = full_files(shared, library.name)
    for conditions in conditions_for(library, wires=True):
        distilled = measure_delay(netlist, library, conditions, engine="tables")
        full = measure_delay(netlist, library, conditions, engine="opensta", liberty=files)
        assert distilled.ps == pytest.approx(full.ps, rel=0.1)


@functools.cache
def fine_library(shared, name):
    """The files' own tables on a grid of eleven slews by nine loads, all that the MACs span."""
    usual = load_library(name)
    slews = tuple(usual.slews[1] * 1.7**n / 4 for n in range(11))
    loads = tuple(usual.loads[0] * 1.6**n / 2 for n in range(9))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distilling, "_grid", lambda logics: (slews, loads))
        return distilling.distill(full_files(shared, name), name=name)


def test_distilled_agrees_with_a_fine_grid(netlist, library, shared):
    fine = fine_library(shared, library.name)
    assert (len(fine.slews), len(fine.loads)) == (11, 9)
    slew = library.slews[1]
    conditions = Conditions(input_slew_ps=slew, clock_slew_ps=slew)
    small = measure_delay(netlist, library, conditions, engine="tables")
    large = measure_delay(netlist, fine, conditions, engine="tables")
    assert small.ps == pytest.approx(large.ps, rel=0.05)
    # The setup time of a fine library is read at another clock slew.
    assert small.setup_ps == pytest.approx(large.setup_ps, rel=0.3, abs=1)


@needs_sta
def test_cells_that_files_lack_are_an_error(netlist, library, shared):
    other = "sg13g2" if library.name != "sg13g2" else "sky130hd"
    files = full_files(shared, other)
    with pytest.raises(ToolError, match="black box"):
        measure_delay(netlist, library, engine="opensta", liberty=files)


def test_full_files_need_opensta(netlist, library):
    with pytest.raises(UsageError, match="Only OpenSTA"):
        measure_delay(netlist, library, engine="tables", liberty=[object()])


def fake_sta(folder: Path, script: str) -> None:
    path = folder / "sta"
    path.write_text(f'#!/bin/sh\nif [ "$1" = -version ]; then echo 2.0.17; exit; fi\n{script}\n')
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 3", "ended with code 3: no message"),
        ("echo 'Error: library.lib, line 1 syntax error'; echo timing done", "line 1 syntax error"),
        ("echo timing done", "without a report"),
        ("echo nonsense > report.txt; echo timing done", "reported no path but 'nonsense"),
        ("sleep 60", "ran longer than 1 s"),
    ],
)
def test_a_broken_opensta_is_an_error(tmp_path, monkeypatch, script, message):
    library = load_library()
    netlist = Netlist(top="t", ports=(), instances=())
    fake_sta(tmp_path, script)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    tool = find_opensta()
    assert tool is not None
    with pytest.raises(ToolError, match=message):
        critical_path(tool, netlist, library, Conditions().resolve(library), timeout=1)


def test_another_program_called_sta_is_not_used(netlist, library, tmp_path, monkeypatch):
    path = tmp_path / "sta"
    path.write_text("#!/bin/sh\necho Some Tax Assistant 3\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_opensta() is None
    assert measure_delay(netlist, library).method.startswith("tables")
    with pytest.raises(ToolError, match="no OpenSTA"):
        measure_delay(netlist, library, engine="opensta")


def test_paths_end_in_the_accumulator(netlist, library):
    delay = measure_delay(netlist, library, engine="tables")
    assert delay.end.startswith("accumulator[")
    assert delay.kind.endswith("to register")
    # The longest path runs through more than one gate for each of the product's bits.
    gate = min(
        min(arc.rise_delay)
        for cell in library.cells
        for o in cell.outputs
        for arc in o.arcs
        if arc.rise_delay
    )
    assert delay.ps > 8 * gate
