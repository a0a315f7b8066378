"""Code assignment: other codes for the same levels, and the orders that a search tries."""

import dataclasses
import itertools
import math
from collections import Counter
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.catalog import CATALOG, E2M1, INT4, LOOKUPS, NF4, SF4, SUPERNORMALS
from nibblemac.formats.encoding import (
    recode,
    sign_magnitude_like,
    sign_magnitude_order,
    split_recoded_name,
)
from nibblemac.formats.encoding_moves import moves, neighbours
from nibblemac.formats.errors import FormatError, UsageError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.quantizer import quantize
from nibblemac.formats.record import Format, Rounding
from nibblemac.formats.scale import ScaleSpec
from nibblemac.formats.tops import hardware_version

BLOCK = ScaleSpec(granularity="block", block=16)  # type: ignore[arg-type]
SIGN_MAGNITUDE = [f for f in CATALOG if f.name[0] in "EA"]
names = pytest.mark.parametrize("known", LOOKUPS, ids=lambda known: known.name)


def grids(bits: int) -> st.SearchStrategy[tuple[int, ...]]:
    value = st.integers(-200, 200)
    return st.lists(value, min_size=2**bits, max_size=2**bits).map(tuple)


def made(grid: tuple[int, ...]) -> Format:
    return Format(name="F", bits=len(grid).bit_length() - 1, grid=grid, unit=Fraction(1, 7))


any_format = st.integers(2, 5).flatmap(grids).filter(lambda grid: len(set(grid)) > 1).map(made)


@given(
    known=st.sampled_from([*LOOKUPS, *SUPERNORMALS]),
    random=st.randoms(use_true_random=False),
    seed=st.integers(0, 1000),
)
def test_recoding_keeps_every_quantized_value_and_permutes_the_codes(known, random, seed) -> None:
    order = random.sample(range(2**known.bits), 2**known.bits)
    other = recode(known, order)
    assert sorted(other.grid) == sorted(known.grid)
    values = torch.randn(4, 64, generator=torch.Generator().manual_seed(seed))
    # Exact ties as well: half-way between neighbouring grid values.
    middles = [float(a + b) / 2 for a, b in itertools.pairwise(known.sorted_grid)]
    values[0, : len(middles)] = torch.tensor(middles)
    for spec in (ScaleSpec(), BLOCK):
        plain, recoded = quantize(values, known, spec), quantize(values, other, spec)
        assert torch.equal(plain.dequantize(), recoded.dequantize())
        assert torch.equal(plain.scales, recoded.scales)
        level_of = torch.tensor(order)[recoded.codes.long()]
        assert torch.equal(level_of, plain.codes.long())


@given(known=any_format, random=st.randoms(use_true_random=False))
def test_orders_invert_and_names_tell_the_order(known, random) -> None:
    order = random.sample(range(2**known.bits), 2**known.bits)
    other = recode(known, order)
    assert other.grid == tuple(known.grid[code] for code in order)
    inverse = sorted(range(len(order)), key=order.__getitem__)
    assert recode(other, inverse) == known
    if order != sorted(order):
        assert split_recoded_name(other.name) == (known.name, tuple(order))
        again = random.sample(range(len(order)), len(order))
        assert recode(other, again) == recode(known, [order[code] for code in again])


@given(known=any_format)
def test_sign_magnitude_like_of_any_grid(known: Format) -> None:
    order = sign_magnitude_order(known)
    half = 2 ** (known.bits - 1)
    assert sorted(order) == list(range(2 * half))
    lower = [known.grid[code] for code in order[:half]]
    upper = [known.grid[code] for code in order[half:]]
    negative, positive = sum(v < 0 for v in known.grid), sum(v > 0 for v in known.grid)
    # With room for each sign in its half, no negative level has sign 0, and of the positive ones
    # only those that find no room beside the zeros have sign 1.
    if positive <= half and negative <= half:
        assert all(v >= 0 for v in lower)
    matched = [(a, b) for a, b in zip(lower, upper, strict=True) if a > 0 > b]
    assert len(matched) == min(negative, positive)
    # Both sides of the pairs ascend in magnitude.
    assert [a for a, _ in matched] == sorted(a for a, _ in matched)
    assert [-b for _, b in matched] == sorted(-b for _, b in matched)
    # A second pass changes nothing.
    again = sign_magnitude_like(sign_magnitude_like(known))
    assert again.grid == sign_magnitude_like(known).grid


@given(
    longer=st.lists(st.integers(1, 127), min_size=1, max_size=7).map(sorted),
    data=st.data(),
)
def test_the_pairing_is_the_best_of_all(longer: list[int], data: st.DataObject) -> None:
    size = st.integers(0, len(longer))
    shorter = sorted(data.draw(st.lists(st.integers(1, 127), max_size=data.draw(size))))
    padding = 16 - len(longer) - len(shorter)
    known = made((*longer, *(-value for value in shorter), *[0] * padding))
    grid = sign_magnitude_like(known).grid
    pairs = [(a, -b) for a, b in zip(grid[:8], grid[8:], strict=True) if a > 0 > b]

    def cost(pairs: list[tuple[int, int]]) -> tuple[int, int]:
        return sum((a ^ b).bit_count() for a, b in pairs), sum(abs(a - b) for a, b in pairs)

    best = min(
        cost(list(zip(chosen, shorter, strict=True)))
        for chosen in itertools.combinations(longer, len(shorter))
    )
    assert cost(pairs) == best


def test_nf4_on_top_11_by_hand() -> None:
    ascending = made((-11, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 8, 11))
    expected = (0, 1, 2, 3, 4, 6, 8, 11, 5, -1, -2, -3, -4, -6, -8, -11)
    assert sign_magnitude_like(ascending).grid == expected
    mirrored = made(tuple(-value for value in ascending.grid))
    assert sign_magnitude_like(mirrored).grid == (
        *expected[:8],
        *(-value for value in (5, 1, 2, 3, 4, 6, 8, 11)),
    )
    assert sign_magnitude_like(INT4_LEVELS).grid == (*range(8), -8, *range(-1, -8, -1))


INT4_LEVELS = made(tuple(range(-8, 8)))


@pytest.mark.parametrize("known", SIGN_MAGNITUDE, ids=lambda known: known.name)
def test_a_sign_magnitude_format_keeps_its_order(known: Format) -> None:
    assert sign_magnitude_order(known) == tuple(range(2**known.bits))
    assert recode(known, range(2**known.bits)) == known


@pytest.mark.parametrize(
    ("family", "top"),
    [(family, top) for family in ("NF4", "SF4", "SF4-nu3") for top in (13, 31, 127)]
    + [("NF4", 7), ("NF4", 11), ("SF4", 11), ("NF3", 5), ("NF5", 31), ("NF5", 127), ("NF8", 8191)],
)
def test_hardware_versions_have_the_sign_in_the_top_bit(family: str, top: int) -> None:
    known = find_format(f"{family}-top{top}")
    half = 2 ** (known.bits - 1)
    assert known.grid[0] == 0
    assert all(value >= 0 for value in known.grid[:half])
    assert all(value <= 0 for value in known.grid[half + 1 :])
    assert list(known.grid[:half]) == sorted(known.grid[:half])
    assert list(known.grid[half + 1 :]) == sorted(known.grid[half + 1 :], reverse=True)
    assert known.grid[half - 1] == -known.grid[-1] == top


@pytest.mark.parametrize(
    "order",
    [range(15), range(1, 17), [0] * 16, [*range(15), True], [*range(15), 15.0], "0123", []],
    ids=str,
)
def test_what_is_no_permutation_is_refused(order: object) -> None:
    with pytest.raises(FormatError, match=r"NF4: the order .* is no permutation"):
        recode(NF4, order)  # type: ignore[arg-type]


def test_ties_to_even_may_not_move_between_odd_and_even_codes() -> None:
    with pytest.raises(FormatError, match="INT4 rounds ties to even codes"):
        sign_magnitude_like(made_even(tuple(range(-8, 8))))
    swapped = [2, 1, 0, *range(3, 16)]
    other = recode(INT4, swapped)
    assert other.rounding is Rounding.TIES_TO_EVEN
    values = torch.arange(-9, 9, 0.25)
    spec = ScaleSpec()
    assert torch.equal(
        quantize(values, INT4, spec).dequantize(), quantize(values, other, spec).dequantize()
    )
    with pytest.raises(FormatError, match="E2M1 rounds ties to even codes"):
        recode(E2M1, [1, 0, *range(2, 16)])


def made_even(grid: tuple[int, ...]) -> Format:
    """Ascending codes: the even levels have even codes, in sign-magnitude order 8 stays even."""
    return Format(
        name="INT4",
        bits=4,
        grid=grid[1:] + grid[:1],
        unit=Fraction(1),
        rounding=Rounding.TIES_TO_EVEN,
    )


def test_names_too_long_for_the_order_are_told() -> None:
    known = Format(name="Z" * 54, bits=2, grid=(0, 1, 2, -1), unit=Fraction(1))
    assert recode(known, (1, 0, 2, 3)).name == "Z" * 54 + "-codes1023"
    longer = dataclasses.replace(known, name="Z" * 55)
    with pytest.raises(FormatError, match=r"of 65 characters, .* shorter name"):
        recode(longer, (1, 0, 2, 3))
    with pytest.raises(FormatError, match="shorter name"):
        hardware_version(dataclasses.replace(known, name="Z" * 60), 11)


def test_names_of_wide_formats_must_be_given() -> None:
    wide = find_format("NF6")
    order = (1, 0, *range(2, 64))
    with pytest.raises(FormatError, match="NF6 has 6 bits"):
        recode(wide, order)
    assert recode(wide, order, name="Mine").grid[:2] == (wide.grid[1], wide.grid[0])


@names
def test_single_moves_are_permutations(known: Format) -> None:
    codes = tuple(range(2**known.bits))
    found = moves(known.bits)
    assert len(set(found)) == len(found)
    assert codes not in found
    assert all(tuple(sorted(order)) == codes for order in found)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_the_moves_that_the_docstring_names_are_there(bits: int) -> None:
    found, codes = set(moves(bits)), range(2**bits)
    half = 2 ** (bits - 1)
    for a, b in itertools.combinations(codes, 2):
        order = list(codes)
        order[a], order[b] = b, a
        assert tuple(order) in found
    for a, b in itertools.combinations(range(half), 2):
        order = list(codes)
        order[a], order[b], order[a + half], order[b + half] = b, a, b + half, a + half
        assert tuple(order) in found
    for a, b in itertools.combinations(range(half), 2):
        order = list(codes)
        order.insert(a, order.pop(b))
        spilled = [*order[:a], half, *order[a + 1 : half], b, *order[half + 1 :]]
        assert tuple(spilled) in found
    for bit in range(bits):
        assert tuple(code ^ (1 << bit) for code in codes) in found
    assert tuple(code ^ (code >> 1) for code in codes) in found


@given(known=any_format, seed=st.integers(0, 99), count=st.integers(0, 300))
def test_neighbours_differ_are_permutations_and_repeat(known, seed, count) -> None:
    found = list(neighbours(known, seed, count))
    arranged = {tuple(known.grid[code] for code in order) for order in found}
    assert len(arranged) == len(found)
    assert known.grid not in arranged
    assert all(sorted(order) == list(range(2**known.bits)) for order in found)
    copies = math.prod(math.factorial(n) for n in Counter(known.grid).values())
    assert len(found) == min(count, math.factorial(2**known.bits) // copies - 1)
    assert found == list(neighbours(known, seed, count))
    assert found[: count // 2] == list(neighbours(known, seed, count // 2))


def test_every_arrangement_of_two_bits_is_reached() -> None:
    found = set(neighbours(find_format("NF2"), 3, 10**6))
    assert found == set(itertools.permutations(range(4))) - {(0, 1, 2, 3)}


def test_seeds_differ_and_count_may_not_be_negative() -> None:
    assert list(neighbours(SF4, 1, 50)) != list(neighbours(SF4, 2, 50))
    with pytest.raises(UsageError, match="count is -1"):
        next(neighbours(SF4, 0, -1))
