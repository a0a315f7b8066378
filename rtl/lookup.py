"""A truth table as hardware: bits that copy an input bit become wires, the rest one ``switch``."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Signal, Value


def free_bits(code_bits: int, width: int, values: Sequence[int | None]) -> list[int]:
    """Return the output bits that are no constant and no copy of a code bit, straight or inverted.

    ``values`` are the outputs by code, as two's complement; None means that any output will do.
    """
    return [bit for bit in range(width) if _wire(code_bits, _column(values, bit)) is None]


def drive(m: Module, output: Signal, code: Value, values: Sequence[int | None]) -> None:
    """Drive ``output`` with ``values[code]``, two's complement; None means any output will do."""
    code_bits = len(code)
    free = free_bits(code_bits, len(output), values)
    if len(free) == len(output):
        looked_up = output
    else:
        looked_up = Signal(len(free), name=f"{output.name}_table")
        parts = []
        for bit in range(len(output)):
            source = _wire(code_bits, _column(values, bit))
            parts.append(looked_up[free.index(bit)] if source is None else _value(code, source))
        m.d.comb += output.eq(Cat(parts))
    if not free:
        return
    rows: dict[int, list[int]] = {}
    columns = [_filled(_column(values, bit)) for bit in free]
    for index, row in enumerate(zip(*columns, strict=True)):
        rows.setdefault(sum(bit << place for place, bit in enumerate(row)), []).append(index)
    with m.Switch(code):
        for row_value, indices in rows.items():
            with m.Case(*indices):
                m.d.comb += looked_up.eq(row_value)


def _column(values: Sequence[int | None], bit: int) -> list[int | None]:
    return [None if value is None else value >> bit & 1 for value in values]


def _filled(column: Sequence[int | None]) -> list[int]:
    """Give each free entry the value of the nearest code, so that fewer boundaries remain."""
    return [
        next(
            value
            for distance in range(len(column))
            if (value := column[code ^ distance]) is not None
        )
        for code in range(len(column))
    ]


def _wire(code_bits: int, column: Sequence[int | None]) -> tuple[int | None, int] | None:
    """Return (code bit or None, inversion or constant) that gives the column, or None."""
    for inversion in (0, 1):
        if all(want in (None, inversion) for want in column):
            return None, inversion
    for bit in range(code_bits):
        for inversion in (0, 1):
            if all(want in (None, code >> bit & 1 ^ inversion) for code, want in enumerate(column)):
                return bit, inversion
    return None


def _value(code: Value, source: tuple[int | None, int]) -> Value:
    bit, inversion = source
    if bit is None:
        return Const(inversion, 1)
    return ~code[bit] if inversion else code[bit]
