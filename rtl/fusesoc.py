"""The FuseSoC core file (CAPI2) of one MAC.

Reference: https://fusesoc.readthedocs.io/en/stable/ref/capi2.html
"""

from importlib.metadata import version

from ..formats.mac import MacSpec
from .verilog import top_name


def core_name(spec: MacSpec, architecture: str) -> str:
    """Return the core's vendor:library:name:version."""
    return f"nibblemac:mac:{top_name(spec, architecture)}:{version('nibblemac')}"


def to_core(spec: MacSpec, architecture: str) -> str:
    """Return the core file's text: one Verilog file, targets for reuse, lint and simulation.

    Every value is plain text that YAML needs no quotes for, or stands in double quotes; a format's
    name holds letters, digits and + - _ . only.
    """
    top = top_name(spec, architecture)
    description = (
        f"{spec.weight.name} x {spec.activation.name} multiply-accumulate, "
        f"{spec.accumulator_bits}-bit accumulator, {architecture} multiplier"
    )
    return f"""\
CAPI=2:

name: "{core_name(spec, architecture)}"
description: "{description}"

filesets:
  rtl:
    files:
      - {top}.v
    file_type: verilogSource-2005

targets:
  default:
    filesets: [rtl]
    toplevel: {top}

  lint:
    description: "Lint with Verilator"
    filesets: [rtl]
    toplevel: {top}
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]

  sim:
    description: "Build for simulation; a core that depends on this one adds the test bench"
    filesets: [rtl]
    toplevel: {top}
    flow: sim
    flow_options:
      tool: icarus
      iverilog_options: [-g2005, -Wall]
"""
