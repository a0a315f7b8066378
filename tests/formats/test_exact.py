"""Exact numbers from text and TOML, bounded in size; values shown without risk."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.errors import FormatError
from nibblemac.formats.exact import exact_number, shown


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, Fraction(3)),
        ("0.1", Fraction(1, 10)),
        ("1/10", Fraction(1, 10)),
        ("-2/4", Fraction(-1, 2)),
        (".5", Fraction(1, 2)),
        ("1e-3", Fraction(1, 1000)),
        (Decimal("0.1"), Fraction(1, 10)),
        (Decimal("-0.0"), Fraction(0)),
        (Decimal("0e999999"), Fraction(0)),
        (Fraction(1, 3), Fraction(1, 3)),
    ],
)
def test_exact_values(value: object, expected: Fraction) -> None:
    assert exact_number(value, "x") == expected


@given(st.decimals(min_value="-1e18", max_value="1e18", places=12))
def test_decimals_are_exact(value: Decimal) -> None:
    if value == 0 or abs(value) >= Decimal("1e-18"):
        assert exact_number(value, "x") == Fraction(value)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (True, "boolean"),
        (0.5, "float"),
        (None, "NoneType"),
        ([1], "list"),
        ("", "number"),
        ("1/", "number"),
        ("1 /2", "number"),
        ("nan", "number"),
        ("0x10", "number"),
        ("١", "number"),
        ("1/0", "zero"),
        ("9" * 41, "number"),
        ("1e19", "1e18"),
        ("1e-19", "1e-18"),
        ("1e999", "1e18"),
        (10**19, "1e18"),
        (10**9000, "an integer of 29898 bits"),
        (Decimal("nan"), "finite"),
        (Decimal("-inf"), "finite"),
        (Decimal("1e999999999"), "1e18"),
        (Decimal("0." + "1" * 41), "40 digits"),
        (Fraction(1, 3**100), "1e-18"),
        (Fraction(3**90, 3**90 + 2), "40 digits"),
    ],
    ids=shown,
)
def test_everything_else_is_refused(value: object, word: str) -> None:
    with pytest.raises(FormatError, match=word) as caught:
        exact_number(value, "The place")
    assert str(caught.value).startswith("The place is ")


@pytest.mark.parametrize(
    "value",
    [
        *("x" * 10_000, 10**10_000, [0] * 10_000, {"a": "b" * 99}, [10**9000]),
        *(Decimal("1." + "1" * 1000), Fraction(1, 10**9000)),
    ],
    ids=shown,
)
def test_shown_values_are_short(value: object) -> None:
    assert len(shown(value)) <= 64
