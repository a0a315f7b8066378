"""Emission: RTLIL without any Yosys, Verilog through Amaranth's."""

import hashlib
import re
import textwrap
from collections.abc import Sequence

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain

from ..formats.mac import MacSpec
from .architectures import find_architecture
from .mac import Mac
from .names import plain_names
from .ports import ports
from .yosys import rtlil_to_verilog, yosys_version

# Amaranth's Yosys makes a combinational always block run at time zero by reading this register.
_START = re.compile(r"\\\$auto\$verilog_backend[^\s]* ")

# One file holds all modules, and widths are cut and extended as Verilog defines it.
_LINT_OFF = """\
/* verilator lint_save */
/* verilator lint_off DECLFILENAME */
/* verilator lint_off UNUSEDSIGNAL */
/* verilator lint_off WIDTHEXPAND */
"""
_LINT_ON = "/* verilator lint_restore */\n"


def top_name(spec: MacSpec, architecture: str) -> str:
    """Return the top module's name, which is also the stem of the files' names."""
    return f"{spec.name}_{architecture.replace('-', '_')}"


def to_rtlil(spec: MacSpec, architecture: str) -> str:
    """Return the MAC as RTLIL, the input of Yosys; the same text at every run, without a Yosys.

    Modules are ``TOP``, ``TOP_accumulator``, ``TOP_multiplier`` and, below the latter,
    ``TOP_multiplier_…`` (decoders). The ports of ``TOP`` are clk and the members of :class:`Mac`.
    Raises :class:`ArchitectureError` for an unknown architecture, or one that refuses ``spec``.
    """
    text = rtlil.convert(
        Mac(spec, architecture),
        name=top_name(spec, architecture),
        emit_src=False,
        missing_domain=lambda name: ClockDomain(name, reset_less=True),
    )
    return plain_names(text)


def design_digest(text: str) -> str:
    """Return the SHA-256 of a design's RTLIL, as a key for caches."""
    return hashlib.sha256(text.encode()).hexdigest()


def to_verilog(spec: MacSpec, architecture: str) -> str:
    """Return the MAC as Verilog-2005. Of several, :func:`to_verilog_many` is much faster."""
    return to_verilog_many([(spec, architecture)])[0]


def to_verilog_many(designs: Sequence[tuple[MacSpec, str]]) -> list[str]:
    """Return the Verilog of each (spec, architecture), the same as :func:`to_verilog`'s.

    Raises :class:`ArchitectureError` for an unknown architecture, or one that refuses its spec,
    and :class:`ToolError` where Amaranth's Yosys is missing or fails.
    """
    bodies = rtlil_to_verilog([to_rtlil(spec, architecture) for spec, architecture in designs])
    return [
        "\n".join(
            [_header(spec, architecture), _LINT_OFF, _START.sub("at_time_zero", body), _LINT_ON]
        )
        for (spec, architecture), body in zip(designs, bodies, strict=True)
    ]


def _header(spec: MacSpec, architecture: str) -> str:
    top = top_name(spec, architecture)
    kind = find_architecture(architecture)
    low, high = spec.product_range
    lines = [
        f"{top}: multiply-accumulate, {spec.weight.name} x {spec.activation.name}, "
        f"{spec.terms} terms",
        "",
        "At each rising edge of clk:",
        "  accumulator <= (clear ? 0 : accumulator) + grid[weight] * grid[activation]",
        "No reset: the first clear defines the state. "
        f"Latency: {spec.latency} clock edge{'s' if spec.latency > 1 else ''}.",
        f"Products are {low} to {high}; {spec.accumulator_bits} bits hold every sum of "
        f"{spec.terms}.",
        f"Multiplier: {kind.name} ({kind.description}).",
        "",
    ]
    for port in ports(spec):
        width = f"{port.width:2} bit{'s' if port.width > 1 else ' '}"
        sign = "signed  " if port.signed else "unsigned"
        lines.append(f"  {port.direction:6} {port.name:11} {width} {sign}  {port.meaning}")
    for role, number_format in (("weight", spec.weight), ("activation", spec.activation)):
        lines += ["", f"{role} {number_format.name}: level = grid * {number_format.unit}; by code:"]
        grid = " ".join(map(str, number_format.grid))
        lines += textwrap.wrap(grid, 90, initial_indent="  ", subsequent_indent="  ")
    lines += ["", f"Written by nibblemac with Amaranth's Yosys {yosys_version()}."]
    return "".join(f"// {line}".rstrip() + "\n" for line in lines)
