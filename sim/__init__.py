"""Bit-exact simulation: simulators, cocotb test benches, and their runner."""
