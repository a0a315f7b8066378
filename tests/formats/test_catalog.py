"""The catalogue against the published levels, DESIGN's widths, and derivation."""

import itertools
import math
from fractions import Fraction

import pytest
from nibblemac.formats import catalog, derive
from nibblemac.formats.encoding import sign_magnitude_like
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.record import Rounding

BY_NAME = {known.name: known for known in catalog.CATALOG}

# Sixteen (eight, thirty-two) levels by code. E and APoT: Dotzel et al., ICML 2024, Table 15, and
# the lists of cornell-zhang/llm-datatypes weight_only.py, commit f3d42dace893; sign-magnitude.
E2M1_POSITIVE = ["0", "0.5", "1", "1.5", "2", "3", "4", "6"]
POSITIVE_LEVELS = {
    "E2M0": ["0", "1", "2", "4"],
    "E2M1": E2M1_POSITIVE,
    "E2M1+SR": E2M1_POSITIVE,
    "E2M1+SP": E2M1_POSITIVE,
    "E2M1-NS": ["0", "0.75", "1", "1.5", "2", "3", "4", "6"],
    "E2M1-I": ["0", "0.0625", "1", "1.5", "2", "3", "4", "6"],
    "E2M1-B": ["0", "0.0625", "2", "3", "4", "6", "8", "12"],
    "E3M0": ["0", "0.25", "0.5", "1", "2", "4", "8", "16"],
    "APoT4": ["0", "0.1", "0.2", "0.3", "0.4", "0.6", "0.8", "1"],
    "APoT4+SP": ["0", "0.1", "0.2", "0.3", "0.4", "0.6", "0.8", "1"],
}
NEGATIVE_ZERO = {"E2M1+SR": "8", "E2M1+SP": "5", "APoT4+SP": "0.5"}

HARDWARE = [*(f"NF4-top{top}" for top in (11, 30, 43)), *(f"SF4-top{top}" for top in (13, 27, 42))]

# Accumulator widths for 256 terms, from the project's design page.
ACCUMULATOR_BITS = {
    "INT4": 16,
    "INT5": 18,
    "E2M1": 17,
    "E2M1+SR": 18,
    "E2M1+SP": 17,
    "E2M1-I": 23,
    "E2M1-B": 25,
    "E3M0": 22,
    "APoT4": 16,
    "APoT4+SP": 16,
    "NF4": 23,
    "SF4": 23,
}


def test_the_catalogue_is_complete_and_its_names_and_identifiers_differ() -> None:
    integers = [f"INT{bits}" for bits in (3, 4, 5, 8)]
    lookups = [f"{family}{bits}" for family in ("NF", "SF") for bits in (3, 4, 5)]
    assert sorted(BY_NAME) == sorted([*integers, *POSITIVE_LEVELS, *lookups, *HARDWARE])
    assert len({known.name.casefold() for known in catalog.CATALOG}) == len(catalog.CATALOG)
    assert len({known.identifier for known in catalog.CATALOG}) == len(catalog.CATALOG)


def test_the_groups_partition_the_catalogue() -> None:
    groups = [
        *catalog.INTEGERS,
        *catalog.MINIFLOATS,
        *catalog.SUPERNORMALS,
        *catalog.ADDITIVE_POWERS_OF_TWO,
        *catalog.LOOKUPS,
        *catalog.LOOKUP_HARDWARE,
    ]
    assert sorted(known.name for known in groups) == sorted(BY_NAME)


@pytest.mark.parametrize("name", POSITIVE_LEVELS)
def test_sign_magnitude_levels_by_code(name: str) -> None:
    positive = [Fraction(text) for text in POSITIVE_LEVELS[name]]
    negative_zero = Fraction(NEGATIVE_ZERO.get(name, "0"))
    expected = [*positive, negative_zero, *(-level for level in positive[1:])]
    assert list(BY_NAME[name].levels) == expected


@pytest.mark.parametrize("bits", [3, 4, 5, 8])
def test_integers_are_twos_complement(bits: int) -> None:
    known = BY_NAME[f"INT{bits}"]
    for code, level in enumerate(known.levels):
        raw = code.to_bytes(1, "big") if bits == 8 else (code << (8 - bits)).to_bytes(1, "big")
        assert level == Fraction(int.from_bytes(raw, "big", signed=True), 2 ** (8 - bits))


@pytest.mark.parametrize("bits", [3, 4, 5])
def test_lookup_grids_are_the_derived_levels_on_127(bits: int) -> None:
    for name, levels in (
        (f"NF{bits}", derive.normal_float(bits)),
        (f"SF{bits}", derive.student_float(bits, 5)),
    ):
        derived = derive.lookup_format(name, levels, 127)
        assert BY_NAME[name].grid == derived.grid
        assert BY_NAME[name].unit == Fraction(1, 127)
        assert BY_NAME[name].digest == derived.digest
        assert list(BY_NAME[name].grid) == sorted(set(derived.grid))


@pytest.mark.parametrize("name", HARDWARE)
def test_hardware_versions_are_the_derived_levels_on_their_top(name: str) -> None:
    family, top = name.split("-top")
    levels = derive.normal_float(4) if family == "NF4" else derive.student_float(4, 5)
    known = BY_NAME[name]
    # The grid by hand: ascending within each sign, but for negative zero's level.
    by_value = {round(level * int(top)) for level in levels}
    assert set(known.grid) == by_value
    assert len(by_value) == 16
    assert list(known.grid[:8]) == sorted(value for value in known.grid[:8])
    assert list(known.grid[9:]) == sorted((v for v in by_value if v < 0), reverse=True)
    assert known.grid[0] == 0 < known.grid[8]
    assert known.unit == Fraction(1, int(top))
    # Code for code what the name's rule gives.
    rule = sign_magnitude_like(derive.lookup_format("X", levels, int(top)))
    assert known.digest == rule.digest


@pytest.mark.parametrize("name", BY_NAME)
def test_units_are_minimal(name: str) -> None:
    known = BY_NAME[name]
    if name not in {item.name for item in (*catalog.LOOKUPS, *catalog.LOOKUP_HARDWARE)}:
        steps = [Fraction(value) * known.unit for value in known.grid if value]
        # No coarser step divides every level: the multiples of the unit share no factor.
        assert all(step.denominator == 1 for step in (level / known.unit for level in steps))
        assert math.gcd(*(int(level / known.unit) for level in steps)) == 1


@pytest.mark.parametrize("name", BY_NAME)
def test_rounding_rules(name: str) -> None:
    even = name.startswith("INT") or (name[0] == "E" and "+" not in name)
    expected = Rounding.TIES_TO_EVEN if even else Rounding.TIES_TO_LOWER
    assert BY_NAME[name].rounding is expected


@pytest.mark.parametrize("name", BY_NAME)
def test_even_rounding_always_has_one_even_code_to_choose(name: str) -> None:
    known = BY_NAME[name]
    if known.rounding is Rounding.TIES_TO_EVEN:
        codes = known.canonical_codes
        assert all((a + b) % 2 == 1 for a, b in itertools.pairwise(codes))


@pytest.mark.parametrize(("name", "bits"), ACCUMULATOR_BITS.items())
def test_accumulator_widths_for_256_terms(name: str, bits: int) -> None:
    spec = MacSpec(weight=BY_NAME[name], activation=BY_NAME[name])
    assert spec.terms == 256
    assert spec.accumulator_bits == bits


@pytest.mark.parametrize("name", BY_NAME)
def test_every_format_says_what_it_is_and_where_it_is_from(name: str) -> None:
    assert BY_NAME[name].description
    assert BY_NAME[name].source
