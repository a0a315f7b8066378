"""Decoders, and the truth tables and number forms below them."""

from fractions import Fraction

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st
from nibblemac.formats.lookup import all_formats, find_format
from nibblemac.formats.record import Format
from nibblemac.rtl import lookup
from nibblemac.rtl.decoder import Decoder, SignMagnitudeDecoder
from nibblemac.rtl.shift_add_decoder import FloatDecoder, TwoPowersDecoder
from nibblemac.rtl.structure import (
    float_form,
    two_powers_form,
    without_float_form,
    without_two_powers,
)

CATALOGUE = pytest.mark.parametrize("number_format", all_formats(), ids=lambda f: f.name)


def table_of(component, code, *outputs) -> list[tuple[int, ...]]:
    """Simulate a combinational component for every code."""
    rows = []

    async def testbench(ctx):
        for value in range(2 ** len(code)):
            ctx.set(code, value)
            rows.append(tuple(ctx.get(output) for output in outputs))

    simulator = Simulator(component)
    simulator.add_testbench(testbench)
    simulator.run()
    return rows


@CATALOGUE
def test_decoder(number_format):
    decoder = Decoder(number_format)
    assert [v for (v,) in table_of(decoder, decoder.code, decoder.value)] == list(
        number_format.grid
    )


@pytest.mark.parametrize(
    ("grid", "width", "signed"),
    [((0, 1, 2, 3), 2, False), ((-4, -3, -2, -1), 3, True), ((-1, 0, 0, 0), 1, True)],
)
def test_decoder_is_as_narrow_as_the_grid(grid, width, signed):
    decoder = Decoder(Format(name="f", bits=2, grid=grid, unit=Fraction(1)))
    assert (decoder.value.shape().width, decoder.value.shape().signed) == (width, signed)
    assert [v for (v,) in table_of(decoder, decoder.code, decoder.value)] == list(grid)


@CATALOGUE
def test_sign_magnitude_decoder(number_format):
    decoder = SignMagnitudeDecoder(number_format)
    rows = table_of(decoder, decoder.code, decoder.sign, decoder.magnitude)
    assert [(-magnitude if sign else magnitude) for sign, magnitude in rows] == list(
        number_format.grid
    )


def test_sign_of_sign_magnitude_codes_is_a_wire():
    # E2M1's negative zero may take the sign of its code, so that no logic is left.
    signs = [None if value == 0 else int(value < 0) for value in find_format("E2M1").grid]
    assert lookup.free_bits(4, 1, signs) == []


@CATALOGUE
def test_float_decoder(number_format):
    form = float_form(number_format)
    if form is None:
        code = without_float_form(number_format)
        value = abs(number_format.grid[code])
        assert all(m << e != value for m in range(4) for e in range(24))
        return
    decoder = FloatDecoder(number_format, form)
    rows = table_of(decoder, decoder.code, decoder.sign, decoder.mantissa, decoder.exponent)
    values = [
        (-1) ** sign * mantissa * Fraction(2) ** (exponent - decoder.bias)
        for sign, mantissa, exponent in rows
    ]
    assert values == list(number_format.grid)


@CATALOGUE
def test_two_powers_decoder(number_format):
    code = without_two_powers(number_format)
    if code is not None:
        assert bin(abs(number_format.grid[code])).count("1") > 2
        assert two_powers_form(number_format) is None
        return
    form = two_powers_form(number_format)
    assert form is not None
    decoder = TwoPowersDecoder(number_format, form)
    rows = table_of(decoder, decoder.code, decoder.sign, decoder.first, decoder.second)

    def power(one_hot: int, exponents: tuple[int, ...]) -> int:
        assert one_hot.bit_count() <= 1
        return sum(1 << exponents[i] for i in range(len(exponents)) if one_hot >> i & 1)

    values = [
        (-1) ** sign * (power(first, form.first_set) + power(second, form.second_set))
        for sign, first, second in rows
    ]
    assert values == list(number_format.grid)


def test_apot_falls_into_the_two_sets_that_it_was_made_from():
    # Levels are sums of {0, 2**-1, 2**-2, 2**-4} and {0, 2**-3}, in grid steps of 2**-4.
    form = two_powers_form(find_format("APoT4"))
    assert form is not None
    assert form.first_set == (0, 2, 3)
    assert form.second_set == (1,)


def test_two_powers_where_no_two_sets_are_disjoint():
    # 3 = 1 + 2, 6 = 2 + 4 and 5 = 1 + 4 form a triangle: some power must be in both sets.
    form = two_powers_form(Format(name="t", bits=2, grid=(3, 5, 6, 0), unit=Fraction(1)))
    assert form is not None
    sums = [
        (0 if a is None else 1 << a) + (0 if b is None else 1 << b)
        for a, b in zip(form.first, form.second, strict=True)
    ]
    assert sums == [3, 5, 6, 0]


class Table(wiring.Component):
    def __init__(self, code_bits: int, width: int, values: list[int | None]) -> None:
        self._values = values
        super().__init__({"code": In(code_bits), "output": Out(width)})

    def elaborate(self, platform):
        m = Module()
        lookup.drive(m, self.output, self.code, self._values)
        return m


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_truth_table(data):
    code_bits = data.draw(st.integers(1, 4))
    width = data.draw(st.integers(1, 5))
    entry = st.none() | st.integers(0, 2**width - 1)
    values = data.draw(st.lists(entry, min_size=2**code_bits, max_size=2**code_bits))
    table = Table(code_bits, width, values)
    rows = [value for (value,) in table_of(table, table.code, table.output)]
    wrong = [(c, got) for c, got in enumerate(rows) if values[c] not in (None, got)]
    assert not wrong


def test_wires_are_found():
    # Bit 0 copies code bit 1, bit 1 inverts code bit 0, bit 2 is 1, bit 3 is their AND.
    values = [(c >> 1 & 1) | (~c & 1) << 1 | 4 | (c == 3) << 3 for c in range(4)]
    assert lookup.free_bits(2, 4, values) == [3]
