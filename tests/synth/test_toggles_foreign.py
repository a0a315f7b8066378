"""Toggles of a mapped MAC against Verilator's, on the same netlist and the same stimulus."""

import re
import subprocess

import numpy as np
import pytest
from nibblemac.formats.errors import ToolError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.operands import sampled_operands
from nibblemac.sim.simulators import find_simulator
from nibblemac.synth.activity import count_activity
from nibblemac.synth.cell_models import cell_models
from nibblemac.synth.library import load_library
from nibblemac.synth.mac_simulation import simulate_mac
from nibblemac.synth.netlist_verilog import to_verilog
from nibblemac.synth.recipes import find_recipe
from nibblemac.synth.sweep import Task, make_design

BENCH = """
module bench(input clk);
  reg [8:0] stimulus [0:{last}];
  reg [3:0] weight = 0, activation = 0;
  reg clear = 0;
  wire [{top}:0] accumulator;
  integer cycle = 0;
  {name} dut(.clk(clk), .weight(weight), .activation(activation), .clear(clear),
    .accumulator(accumulator));
  initial begin
    $readmemh("stimulus.hex", stimulus);
  end
  always @(posedge clk) begin
    {{clear, weight, activation}} <= stimulus[cycle];
    cycle <= cycle + 1;
  end
endmodule
"""

# Time 10 n is the rising edge number n, counted from 0.
MAIN = """
#include "Vbench.h"
#include "verilated.h"
#include "verilated_vcd_c.h"
int main() {{
  Verilated::traceEverOn(true);
  Vbench bench;
  VerilatedVcdC trace;
  bench.trace(&trace, 99);
  trace.open("dump.vcd");
  bench.clk = 0; bench.eval();
  for (int edge = 0; edge <= {last}; ++edge) {{
    bench.clk = 1; bench.eval(); trace.dump(10 * edge);
    bench.clk = 0; bench.eval(); trace.dump(10 * edge + 5);
  }}
  trace.close();
  return 0;
}}
"""


def test_toggles_are_verilators(flow, tmp_path):
    try:
        verilator = find_simulator("verilator")
    except ToolError as error:
        pytest.skip(str(error))
    one = find_format("E2M1+SP")
    spec = MacSpec(weight=one, activation=one)
    task = Task(design=make_design(spec, "shift-add"), recipe=find_recipe("amap"))
    (mapped,) = flow.run([task])
    operands = sampled_operands(spec, lanes=1)
    settled = simulate_mac(mapped.graph, load_library(), spec, operands)
    zero, _ = count_activity(settled, spec.latency)

    order = np.arange(settled.cycles) % spec.terms
    weight, activation = operands.weight.numpy()[0], operands.activation.numpy()[0]
    lines = [
        f"{(index == 0) << 8 | int(weight[index]) << 4 | int(activation[index]):03x}"
        for index in order
    ]
    (tmp_path / "stimulus.hex").write_text("\n".join(lines) + "\n")
    (tmp_path / "bench.sv").write_text(
        BENCH.format(last=len(lines) - 1, top=spec.accumulator_bits - 1, name=mapped.top)
    )
    (tmp_path / "main.cpp").write_text(MAIN.format(last=len(lines) - 1))
    (tmp_path / "netlist.v").write_text(to_verilog(mapped.graph))
    (tmp_path / "cells.v").write_text(cell_models(load_library(), mapped.cells))
    command = [
        verilator.path, "--cc", "--exe", "--build", "--no-timing", "--trace", "-Wno-lint",
        "-Wno-style", "-Wno-TIMESCALEMOD", "-Wno-UNOPTFLAT", "-CFLAGS", "-O0", "--top-module",
        "bench", "-j", "1", "bench.sv", "netlist.v", "cells.v", "main.cpp",
    ]  # fmt: skip
    environment = verilator.child_environment()
    for step in (command, ["obj_dir/Vbench"]):
        done = subprocess.run(
            step, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    # Line n of the stimulus is in force after edge n: cycle n. The first counted transition is
    # from cycle latency to the next.
    found = changes((tmp_path / "dump.vcd").read_text(), 10 * (spec.latency + 1))
    driven = mapped.graph.drivers(load_library())
    assert len(driven) > 100
    for net in driven:
        assert found["dut", f"n{net}"] == zero.toggles(net), net


def changes(text, first):
    """Count each variable's value changes from a time on, by scope and name."""
    scopes, codes, counts, values, time = [], {}, {}, {}, 0
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "$scope":
            scopes.append(words[2])
        elif words[0] == "$upscope":
            scopes.pop()
        elif words[0] == "$var":
            codes[scopes[-1], words[4]] = words[3]
        elif line[0] == "#":
            time = int(line[1:])
        elif re.fullmatch(r"[01x]\S+", line):
            value, code = line[0], line[1:]
            if code in values and values[code] != value and time >= first:
                counts[code] = counts.get(code, 0) + 1
            values[code] = value
    return {name: counts.get(code, 0) for name, code in codes.items()}
