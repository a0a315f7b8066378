"""From Verilog to silicon's cost: cell libraries, the Yosys flow, typed results."""
