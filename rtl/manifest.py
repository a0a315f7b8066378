"""The JSON manifest beside each Verilog file: what it is, exactly, for programs."""

import hashlib
from importlib.metadata import version

from ..formats.mac import MacSpec
from ..formats.record import Format
from .architectures import find_architecture
from .ports import ports
from .verilog import design_digest, to_rtlil, to_verilog, top_name
from .yosys import yosys_version

SCHEMA = 1


def manifest(spec: MacSpec, architecture: str, verilog: str | None = None) -> dict[str, object]:
    """Return the manifest as JSON types.

    ``verilog`` is :func:`to_verilog`'s text where the caller has it already. Integers count grid
    steps; ``unit`` and ``levels`` are exact fractions as text. ``design`` is the digest of the
    RTLIL, the key under which areas are cached. Raises :class:`ArchitectureError` for an unknown
    architecture, or one that refuses ``spec``.
    """
    kind = find_architecture(architecture)
    if verilog is None:
        verilog = to_verilog(spec, architecture)
    top = top_name(spec, architecture)
    return {
        "schema": SCHEMA,
        "generator": {"name": "nibblemac", "version": version("nibblemac")},
        "top": top,
        "file": f"{top}.v",
        "sha256": hashlib.sha256(verilog.encode()).hexdigest(),
        "design": design_digest(to_rtlil(spec, architecture)),
        "ports": [port.to_json() for port in ports(spec)],
        "formats": {"weight": _format(spec.weight), "activation": _format(spec.activation)},
        "architecture": {"name": kind.name, "description": kind.description},
        "terms": spec.terms,
        "product_range": list(spec.product_range),
        "accumulator_bits": spec.accumulator_bits,
        "accumulator_range": list(spec.accumulator_range),
        "unit": str(spec.unit),
        "latency": spec.latency,
        "options": {"enable": spec.enable, "registered_product": spec.registered_product},
        "tools": {"amaranth": version("amaranth"), "yosys": yosys_version()},
    }


def _format(number_format: Format) -> dict[str, object]:
    return {
        **number_format.to_json(),
        "levels": [str(level) for level in number_format.levels],
        "digest": number_format.digest,
    }
