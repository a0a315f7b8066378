"""Integrated errors against samples, against sums on a grid, and against what is known exactly."""

import functools
import math
from fractions import Fraction

import numpy as np
import pytest
from nibblemac.formats.absmax_error import sampled_errors
from nibblemac.formats.block_format import BlockFormat, find_block_format
from nibblemac.formats.block_theory import BlockTheory
from nibblemac.formats.catalog import CATALOG, E2M1, E2M1_SR, INT3, INT4, NF4, SF4
from nibblemac.formats.density import density_of
from nibblemac.formats.distribution import LAPLACE, NORMAL, STUDENT_5, Distribution
from nibblemac.formats.errors import UsageError
from nibblemac.formats.integrated_quality import integrated_quality, unit_levels
from nibblemac.formats.quantization_error import quantization_error
from nibblemac.formats.record import Format
from nibblemac.formats.scale import Granularity, ScaleSpec

NO_ZERO = Format(name="NO-ZERO", bits=2, grid=(-3, -1, 1, 4), unit=Fraction(1))
HEAVY = Distribution(nu=2.1)
DISTRIBUTIONS = (NORMAL, STUDENT_5, LAPLACE)


@functools.cache
def theory(distribution: Distribution, block: int, signed: bool = False) -> BlockTheory:
    return BlockTheory(distribution, block=block, signed=signed)


@functools.cache
def samples(distribution: Distribution, block: int):
    return sampled_errors(distribution, elements=2**18, block=block, seed=7)


@pytest.mark.parametrize("known", [*CATALOG, NO_ZERO], ids=lambda known: known.name)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda one: one.name)
def test_samples_agree_within_their_standard_error(known, distribution) -> None:
    for block in (16, 128):
        found = integrated_quality(BlockFormat(format=known), theory(distribution, block))
        sampled = samples(distribution, block).error(known)
        assert abs(found.sqnr_db - sampled.sqnr_db) < 5 * sampled.standard_error_db


@pytest.mark.parametrize("known", [INT3, INT4, E2M1_SR], ids=lambda known: known.name)
@pytest.mark.parametrize("block", [4, 64])
def test_signed_scales_agree_with_samples(known, block: int) -> None:
    spec = ScaleSpec(granularity=Granularity.BLOCK, block=block, signed=True)
    for distribution in (NORMAL, STUDENT_5):
        tensor = distribution.sample(2**18 // block, block, seed=3)
        sampled = quantization_error(tensor, known, spec)
        found = theory(distribution, block, signed=True).noise(unit_levels(known, signed=True))
        sqnr = 10 * math.log10(density_of(distribution).variance / found.value)
        assert abs(sqnr - sampled.sqnr_db) < 5 * sampled.standard_error_db


def by_sums(distribution: Distribution, block: int, known: Format) -> float:
    """Return E[(x − q(x))²] by sums over a grid of maxima and of elements, nearest by search."""
    density = density_of(distribution)
    logs = np.linspace(-9, 12 if distribution.nu else 4, 700)
    largest = np.exp(logs)
    inside = 1 - 2 * density.tails(largest)[0]
    chance = block * inside ** (block - 1) * 2 * density.at(largest) * largest
    levels = np.array(sorted({float(level / known.largest_level) for level in known.levels}))
    # Far out the density is a spike at 0 on this scale: cubes put the grid's points there.
    root = np.linspace(-1, 1, 5001)
    y = root**3
    error = np.abs(y[:, None] - levels).min(axis=1) ** 2
    inner = np.array(
        [
            np.trapezoid(error * density.at(np.abs(y) * m) * 3 * root**2, root) * m**3 / share
            for m, share in zip(largest, inside, strict=True)
        ]
    )
    end = sum(float(np.abs(place - levels).min()) ** 2 for place in (-1, 1)) / 2
    return float(np.trapezoid(chance * (end * largest**2 + (block - 1) * inner), logs)) / block


@pytest.mark.parametrize("known", [INT3, E2M1, NF4, NO_ZERO], ids=lambda known: known.name)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda one: one.name)
@pytest.mark.parametrize("block", [pytest.param(2, marks=pytest.mark.fuzz), 32])
def test_sums_on_a_grid_agree(known, distribution, block: int) -> None:
    found = theory(distribution, block).noise(unit_levels(known, signed=False))
    assert found.value == pytest.approx(by_sums(distribution, block, known), rel=1e-4)


@pytest.mark.parametrize("block", [1, 2, 5, 16, 256, 4096])
def test_square_of_the_largest_of_laplace_is_known(block: int) -> None:
    # |X| is exponential: the maximum of B has the mean H_B and the variance Σ 1/k².
    mean = math.fsum(1 / k for k in range(1, block + 1))
    variance = math.fsum(1 / k**2 for k in range(1, block + 1))
    found = theory(LAPLACE, block).square_of_largest
    assert found.value == pytest.approx(mean**2 + variance, rel=1e-11)
    assert found.error < 1e-9 * found.value


def test_square_of_the_larger_of_two_normals_is_known() -> None:
    assert theory(NORMAL, 2).square_of_largest.value == pytest.approx(1 + 2 / math.pi, rel=1e-13)


@pytest.mark.parametrize("distribution", [*DISTRIBUTIONS, HEAVY], ids=lambda one: one.name)
@pytest.mark.parametrize("block", [1, 2, 3, 16, 128, 10**6])
@pytest.mark.parametrize("signed", [False, True])
def test_cells_hold_all_of_the_signal_and_all_elements(distribution, block, signed) -> None:
    cells = theory(distribution, block, signed).cells(np.array([-0.4, 0.1, 0.9]))
    for moments, shares in zip(cells.moments, cells.shares, strict=True):
        assert moments.second.sum() == pytest.approx(density_of(distribution).variance, rel=1e-9)
        assert shares.sum() == pytest.approx(1, rel=1e-12)
        assert (shares >= 0).all()


@pytest.mark.parametrize(
    "distribution",
    [*DISTRIBUTIONS, HEAVY, Distribution(nu=2.01), Distribution(nu=500)],
    ids=lambda one: one.name,
)
def test_half_the_nodes_give_the_same(distribution) -> None:
    for block in (2, 128, 2048):
        for known in (INT4, SF4, NO_ZERO):
            found = theory(distribution, block).noise(unit_levels(known, signed=False))
            assert found.error < 1e-8 * found.value


def test_blocks_of_one_only_err_at_their_extreme() -> None:
    # INT4 maps x to ±8: −8 exists, +8 becomes 7 and errs by an eighth of x.
    half = theory(STUDENT_5, 1).noise(unit_levels(INT4, signed=False))
    assert half.value == pytest.approx(5 / 3 / 64 / 2, rel=1e-12)
    for levels in (unit_levels(E2M1, signed=False), unit_levels(SF4, signed=False)):
        assert theory(NORMAL, 1).noise(levels).value < 1e-15
    assert theory(NORMAL, 1, signed=True).noise(unit_levels(INT4, signed=True)).value < 1e-15


def test_record_of_an_integral() -> None:
    found = integrated_quality(find_block_format("INT4"), theory(NORMAL, 64), limit_mse=0.008)
    assert (found.format, found.bits, found.block, found.scale) == ("INT4", 4, 64, "absmax")
    assert found.bits_per_element == 4 + 16 / 64
    assert found.signal_power == 1
    assert found.uncertainty_db < 1e-6
    # 8 is mapped to 7: an eighth of the largest magnitude, twice the half step between levels.
    assert found.max_error == 1 / 8
    assert found.below_limit_db == pytest.approx(found.limit_db - found.sqnr_db)
    assert found.use.entropy == found.entropy_bits < 4


def test_largest_error_is_that_of_any_value() -> None:
    y = np.linspace(-1, 1, 20001)
    for known in (*CATALOG, NO_ZERO):
        found = integrated_quality(BlockFormat(format=known), theory(NORMAL, 16))
        levels = [float(level / known.largest_level) for level in known.levels]
        by_hand = np.abs(y[:, None] - np.array(levels)).min(axis=1).max()
        assert found.max_error == pytest.approx(by_hand, abs=1e-4)


@pytest.mark.parametrize("block", [0, -1, 2.0, True, 2**33])
def test_a_block_is_a_positive_integer(block) -> None:
    with pytest.raises(UsageError, match="block is"):
        BlockTheory(NORMAL, block=block)


def test_signed_scales_need_a_larger_side() -> None:
    with pytest.raises(UsageError, match="E2M1's largest levels are equal"):
        unit_levels(E2M1, signed=True)


@pytest.mark.parametrize("name", ["BitMoD-FP4", "Four-over-six"])
def test_choices_of_a_block_are_no_integral(name: str) -> None:
    with pytest.raises(UsageError, match="comes from samples"):
        integrated_quality(find_block_format(name), theory(NORMAL, 16))
