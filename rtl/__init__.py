"""The hardware, described in Amaranth: decoder, multipliers, accumulator, MAC, and Verilog."""
