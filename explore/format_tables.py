"""The catalogue and single formats as text."""

from collections.abc import Sequence

from ..formats.block_format import block_format_of, own_mac
from ..formats.metrics import METRICS
from ..formats.record import Format
from .text_table import Column, TextTable


def catalogue_table(formats: Sequence[Format]) -> TextTable:
    """Return one row a format: bits, grid range, unit, accumulator width, description."""
    rows = []
    for item in formats:
        spec = own_mac(item)
        rows.append(
            (
                item.name,
                str(item.stored_bits),
                f"{block_format_of(item).bits_per_element:g}",
                f"{min(item.grid)}…{max(item.grid)}",
                str(item.unit),
                str(spec.accumulator_bits),
                item.description,
            )
        )
    columns = (
        Column(label="format", numeric=False),
        Column(label="bits"),
        Column(label=METRICS["bits_per_element"].label, meaning="with the block's scale"),
        Column(label="grid", meaning="smallest and largest integer"),
        Column(label="unit", meaning="the value of one grid step"),
        Column(label="accumulator (bits)", meaning="for 256 terms"),
        Column(label="description", numeric=False),
    )
    return TextTable(columns=columns, rows=tuple(rows))


def code_table(item: Format) -> TextTable:
    """Return one row a code: bits, grid, level, and whether the quantizer produces it."""
    produced = {
        (selector << item.stored_bits) | code
        for selector, variant in enumerate(item.variants)
        for code in variant.canonical_codes
    }
    rows = [
        (
            str(code),
            f"{code:0{item.bits}b}",
            str(value),
            str(value * item.unit),
            f"{float(value * item.unit):.6g}",
            "" if code in produced else "decoded only",
        )
        for code, value in enumerate(item.grid)
    ]
    columns = (
        Column(label="code"),
        Column(label="bits"),
        Column(label="grid"),
        Column(label="level"),
        Column(label="decimal"),
        Column(label="", numeric=False),
    )
    return TextTable(columns=columns, rows=tuple(rows))


def facts_of(item: Format) -> list[str]:
    """Return what else there is to say of a format, as lines of text."""
    spec = own_mac(item)
    low, high = spec.product_range
    lines = [
        f"unit {item.unit}; rounding {item.rounding.value}; saturating; no NaN, no infinities",
        f"products {low} to {high} grid steps of {spec.unit}; accumulator for {spec.terms} terms: "
        f"{spec.accumulator_bits} bits",
    ]
    blocks = block_format_of(item)
    lines.append(
        f"blocks of {blocks.block} elements with {blocks.scale_format.name} scales: "
        f"{blocks.bits_per_element:g} bits an element"
    )
    if item.selector_bits:
        lines.append(
            f"the top {item.selector_bits} of {item.bits} code bits are stored once a block; they "
            f"select one of {len(item.variants)} variants"
        )
    if item.description:
        lines.append(item.description)
    if item.source:
        lines.append(f"source: {item.source}")
    return lines
