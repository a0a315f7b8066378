"""Emission: RTLIL without any Yosys, Verilog through Amaranth's."""

import hashlib
import re
from collections.abc import Sequence

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain

from ..formats.mac import MacSpec
from .mac import Mac
from .names import plain_names
from .yosys import rtlil_to_verilog, yosys_version

# Amaranth's Yosys makes a combinational always block run at time zero by reading this register.
_START = re.compile(r"\\\$auto\$verilog_backend[^\s]* ")


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
        _header(spec, architecture) + "\n" + _START.sub("at_time_zero ", body)
        for (spec, architecture), body in zip(designs, bodies, strict=True)
    ]


def _header(spec: MacSpec, architecture: str) -> str:
    lines = [
        f"{top_name(spec, architecture)}: {spec.weight.name} x {spec.activation.name} "
        "multiply-accumulate",
        f"Written by nibblemac with Amaranth's Yosys {yosys_version()}.",
    ]
    return "\n".join(f"// {line}" for line in lines) + "\n"
