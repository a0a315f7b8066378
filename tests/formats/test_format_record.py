"""The format record: validation in full sentences, derived properties, round trip."""

import dataclasses
import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.catalog import CATALOG, E2M1, INT4
from nibblemac.formats.errors import FormatError
from nibblemac.formats.exact import shown
from nibblemac.formats.record import Format, Rounding

GOOD = {
    "name": "X",
    "bits": 2,
    "grid": (0, 1, 2, -1),
    "unit": Fraction(1, 2),
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, ["name ''"]),
        ({"name": "a b"}, ["name 'a b'"]),
        ({"name": "a/b"}, ["name 'a/b'"]),
        ({"name": "é"}, ["name 'é'"]),
        ({"name": "x\n"}, ["not allowed"]),
        ({"name": "x" * 65}, ["1 to 64"]),
        ({"name": 4}, ["name 4"]),
        ({"name": "+-_."}, ["at least one letter"]),
        ({"name": "x" + "+" * 11}, ["too long", "67 characters", "64"]),
        ({"name": "a." * 32}, ["too long", "192 characters"]),
        ({"bits": 1}, ["bits is 1"]),
        ({"bits": 9}, ["bits is 9"]),
        ({"bits": True}, ["bits is True"]),
        ({"bits": 2.0}, ["bits is 2.0"]),
        ({"grid": [0, 1, 2, 3]}, ["tuple"]),
        ({"grid": (0, 1, 2)}, ["3 grid values", "need 4"]),
        ({"grid": (0, 1, 2, 3, 4)}, ["5 grid values", "need 4"]),
        ({"grid": (0, 1, True, 3)}, ["code 2", "True"]),
        ({"grid": (0, 1, 2.0, 3)}, ["code 2", "2.0"]),
        ({"grid": (0, 1, 2, 2**23)}, ["code 3", "8388608", "24 signed bits"]),
        ({"grid": (0, 1, 2, -(10**9000))}, ["code 3", "an integer of 29898 bits"]),
        ({"grid": (7, 7, 7, 7)}, ["all 4", "7"]),
        ({"unit": Fraction(0)}, ["unit is 0"]),
        ({"unit": Fraction(-1)}, ["unit is -1"]),
        ({"unit": 1}, ["unit is 1"]),
        ({"unit": Fraction(10**30)}, ["unit", "1e18"]),
        ({"unit": Fraction(1, 10**30)}, ["unit", "1e-18"]),
        ({"rounding": "up"}, ["rounding is 'up'", "ties-to-even"]),
        ({"description": "two\nlines"}, ["description", "one line"]),
        ({"description": "x" * 501}, ["description", "500"]),
        ({"source": "\x7f"}, ["source", "printable"]),
        ({"source": None}, ["source is None"]),
    ],
    ids=lambda value: None if isinstance(value, list) else shown(value),
)
def test_wrong_fields_are_refused_in_a_sentence(
    change: dict[str, object], words: list[str]
) -> None:
    Format(**GOOD)  # type: ignore[arg-type]
    with pytest.raises(FormatError) as caught:
        Format(**{**GOOD, **change})  # type: ignore[arg-type]
    assert all(word in str(caught.value) for word in words), caught.value
    assert str(caught.value).endswith(".")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("known", CATALOG, ids=lambda known: known.name)
def test_json_round_trip_of_the_catalogue(known: Format) -> None:
    again = Format.from_json(json.loads(json.dumps(known.to_json())))
    assert again == known
    assert again.digest == known.digest


@given(
    bits=st.integers(2, 8),
    data=st.data(),
    unit=st.fractions(Fraction(1, 10**18), 10**18, max_denominator=10**18),
    rounding=st.sampled_from(Rounding),
)
def test_json_round_trip_of_any_format(
    bits: int, data: st.DataObject, unit: Fraction, rounding: Rounding
) -> None:
    value = st.integers(1 - 2**23, 2**23 - 1)
    grid = data.draw(st.lists(value, min_size=2**bits, max_size=2**bits, unique=True))
    made = Format(name="A.b+c-d_1", bits=bits, grid=tuple(grid), unit=unit, rounding=rounding)
    assert Format.from_json(json.loads(json.dumps(made.to_json()))) == made


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": None}, ["name None"]),
        ({"grid": 3}, ["malformed"]),
        ({"grid": "0123456789abcdef"}, ["code 0", "'0'"]),
        ({"unit": "1/0"}, ["unit", "division by zero"]),
        ({"unit": "1e999999999"}, ["unit", "must be a number"]),
        ({"unit": float("inf")}, ["unit", "float"]),
        ({"unit": "x"}, ["unit", "'x'"]),
        ({"rounding": "nearest"}, ["malformed", "nearest"]),
    ],
)
def test_malformed_json_is_refused(change: dict[str, object], words: list[str]) -> None:
    with pytest.raises(FormatError) as caught:
        Format.from_json({**INT4.to_json(), **change})
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("key", ["name", "bits", "grid", "unit"])
def test_a_missing_json_key_is_named(key: str) -> None:
    record = INT4.to_json()
    del record[key]
    with pytest.raises(FormatError, match=f"'{key}'"):
        Format.from_json(record)


@pytest.mark.parametrize("record", [None, [], "INT4", 4])
def test_json_that_is_no_object_is_refused(record: object) -> None:
    with pytest.raises(FormatError, match="JSON object"):
        Format.from_json(record)


def test_derived_properties_of_e2m1() -> None:
    assert E2M1.sorted_grid == (-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12)
    # Zero is code 0, never code 8.
    assert E2M1.canonical_codes == (15, 14, 13, 12, 11, 10, 9, 0, 1, 2, 3, 4, 5, 6, 7)
    assert E2M1.largest_level == 6
    assert not E2M1.is_asymmetric
    assert INT4.largest_level == 8
    assert INT4.is_asymmetric


@pytest.mark.parametrize(
    ("name", "identifier"),
    [("E2M1+SR", "e2m1_plus_sr"), ("SF4-nu2.5", "sf4_nu2_dot_5"), ("A_b", "a_b")],
)
def test_identifiers(name: str, identifier: str) -> None:
    assert dataclasses.replace(INT4, name=name).identifier == identifier


def test_the_digest_depends_on_arithmetic_alone() -> None:
    same = dataclasses.replace(INT4, name="other", description="d", source="s")
    assert same.digest == INT4.digest
    for change in (
        {"unit": Fraction(2)},
        {"rounding": Rounding.TIES_TO_LOWER},
        {"grid": tuple(reversed(INT4.grid))},
    ):
        assert dataclasses.replace(INT4, **change).digest != INT4.digest
