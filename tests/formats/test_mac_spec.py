"""MAC widths: the narrowest that holds every sum, for any pair of formats."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.catalog import CATALOG, E2M1, INT4, INT8, SF4
from nibblemac.formats.errors import UsageError
from nibblemac.formats.mac import MAX_TERMS, MacSpec, signed_bits
from nibblemac.formats.record import Format


@pytest.mark.parametrize(
    ("low", "high", "bits"),
    [
        *((0, 0, 1), (-1, 0, 1), (0, 1, 2), (-2, 1, 2), (-3, 1, 3), (-128, 127, 8)),
        *((0, 128, 9), (-129, 0, 9)),
    ],
)
def test_signed_bits(low: int, high: int, bits: int) -> None:
    assert signed_bits(low, high) == bits


@given(
    weight=st.sampled_from(CATALOG),
    activation=st.sampled_from(CATALOG),
    terms=st.integers(1, MAX_TERMS),
)
def test_the_width_holds_both_extremes_and_one_bit_less_does_not(
    weight: Format, activation: Format, terms: int
) -> None:
    spec = MacSpec(weight=weight, activation=activation, terms=terms)
    every = [w * a for w in weight.grid for a in activation.grid]
    assert spec.product_range == (min(every), max(every))
    extremes = (min(every) * terms, max(every) * terms)
    width = spec.accumulator_bits
    assert all(-(2 ** (width - 1)) <= e < 2 ** (width - 1) for e in extremes)
    assert any(not -(2 ** (width - 2)) <= e < 2 ** (width - 2) for e in extremes)


def test_mixed_formats() -> None:
    spec = MacSpec(weight=SF4, activation=INT8, terms=1)
    assert spec.product_range == (-127 * 128, 127 * 128)
    assert spec.product_bits == 15
    assert spec.unit == Fraction(1, 127)
    assert spec.name == "mac_sf4_x_int8_n1"


@pytest.mark.parametrize("terms", [0, -1, MAX_TERMS + 1, True, 2.0, "256"])
def test_wrong_terms_are_refused(terms: object) -> None:
    with pytest.raises(UsageError, match="terms is"):
        MacSpec(weight=INT4, activation=INT4, terms=terms)  # type: ignore[arg-type]


def test_names_and_latency_of_the_options() -> None:
    plain = MacSpec(weight=E2M1, activation=E2M1)
    full = MacSpec(weight=E2M1, activation=E2M1, terms=9, enable=True, registered_product=True)
    assert (plain.name, plain.latency) == ("mac_e2m1", 1)
    assert (full.name, full.latency) == ("mac_e2m1_n9_en_reg", 2)
