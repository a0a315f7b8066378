"""Our accumulator widths beside the paper's, and why they differ."""

from collections.abc import Iterable, Mapping

from ..formats.block_format import own_mac
from ..formats.mac import MacSpec
from ..formats.published import PublishedHardware
from ..formats.record import Format
from .text_table import Column, TextTable, number


def accumulator_table(
    formats: Iterable[Format], published: Mapping[str, PublishedHardware]
) -> TextTable:
    """Return our accumulator widths beside the paper's, and why they differ where they do."""
    rows = []
    for item in formats:
        if item.name not in published:
            continue
        spec = own_mac(item)
        theirs = published[item.name].accumulator_bits
        low, high = spec.accumulator_range
        rows.append(
            (
                item.name,
                number(low, 0),
                number(high, 0),
                str(spec.accumulator_bits),
                str(theirs),
                _why(spec, theirs),
            )
        )
    columns = (
        Column(label="format", numeric=False),
        Column(label="smallest sum", group="256 products, in grid steps"),
        Column(label="largest sum", group="256 products, in grid steps"),
        Column(label="ours (bits)", group="accumulator width"),
        Column(label="the paper's (bits)", group="accumulator width"),
        Column(label="why they differ", group="", numeric=False),
    )
    return TextTable(columns=columns, rows=tuple(rows))


def _why(spec: MacSpec, theirs: int) -> str:
    ours = spec.accumulator_bits
    if theirs == ours:
        return ""
    step = float(spec.unit)
    if theirs > ours:
        return (
            f"Every product is a multiple of {step:g}, and {ours} bits hold all sums exactly; "
            f"{theirs - ours} bits of the paper's are never used."
        )
    low, high = -(2 ** (theirs - 1)), 2 ** (theirs - 1) - 1
    least, largest = spec.product_range
    terms = min(high // largest if largest > 0 else spec.terms, low // least if least < 0 else 256)
    return (
        f"On the grid of products, whose step is {step:g}, {theirs} bits hold no more than {terms} "
        f"of the largest products; {spec.terms} need {ours} bits, or a loss of low bits."
    )
