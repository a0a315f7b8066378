"""The Lloyd-Max limit: published tables, brute force, what no format and no codebook beats."""

import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibblemac.formats import lloyd_max
from nibblemac.formats.block_theory import BlockTheory
from nibblemac.formats.catalog import CATALOG, E2M1_SR, INT3, INT4
from nibblemac.formats.clipped_limit import best_found_levels, codebook
from nibblemac.formats.density import density_of
from nibblemac.formats.distribution import LAPLACE, NORMAL, STUDENT_5, Distribution
from nibblemac.formats.errors import UsageError
from nibblemac.formats.integrated_quality import unit_levels
from nibblemac.formats.lloyd_max import (
    Histogram,
    best_division,
    block_histogram,
    levels_error,
    lloyd_max_levels_unscaled,
    optimal_levels,
)
from nibblemac.formats.measured_quality import BlockedPart, BlockHistogram, MeasuredError
from nibblemac.formats.scale import Clipping, Granularity, ScaleSpec
from nibblemac.formats.weighted_cells import CellMoments, middles

DISTRIBUTIONS = (NORMAL, STUDENT_5, LAPLACE, Distribution(nu=2.2))


@functools.cache
def theory(distribution: Distribution, block: int, signed: bool = False) -> BlockTheory:
    return BlockTheory(distribution, block=block, signed=signed)


@functools.cache
def limit(distribution: Distribution, block: int, count: int, signed: bool = False) -> np.ndarray:
    return optimal_levels(block_histogram(theory(distribution, block, signed)), count)


def unscaled_error(distribution: Distribution, levels: np.ndarray) -> float:
    """Return E[(x − q(x))²] by a sum over a fine grid, nearest by search."""
    density = density_of(distribution)
    x = np.linspace(-40, 40, 100_001)
    nearest = levels[_rank(levels, x)]
    return float(np.trapezoid((x - nearest) ** 2 * density.at(np.abs(x)), x))


def _rank(levels: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.searchsorted(middles(levels), x)


# Jayant and Noll, Digital Coding of Waveforms (1984), table 4.4; the normal's from Max (1960).
@pytest.mark.parametrize(
    ("distribution", "bits", "sqnr"),
    [
        *((NORMAL, bits, db) for bits, db in ((1, 4.40), (2, 9.30), (3, 14.62), (4, 20.22))),
        *((LAPLACE, bits, db) for bits, db in ((1, 3.01), (2, 7.54), (3, 12.64), (4, 18.13))),
        (NORMAL, 5, 26.01),
        (LAPLACE, 5, 23.87),
    ],
    ids=str,
)
def test_textbook_limits_without_blocks(distribution, bits: int, sqnr: float) -> None:
    levels = lloyd_max_levels_unscaled(distribution, 2**bits)
    error = unscaled_error(distribution, levels)
    assert 10 * math.log10(density_of(distribution).variance / error) == pytest.approx(
        sqnr, abs=0.006
    )


# Max, IRE Trans. Information Theory 6 (1960), table I: the positive levels.
@pytest.mark.parametrize(
    ("count", "levels"),
    [
        (2, [0.7980]),
        (4, [0.4528, 1.510]),
        (8, [0.2451, 0.7560, 1.344, 2.152]),
        (16, [0.1284, 0.3881, 0.6568, 0.9424, 1.256, 1.618, 2.069, 2.733]),
    ],
)
def test_levels_of_the_normal_are_maxs(count: int, levels) -> None:
    found = lloyd_max_levels_unscaled(NORMAL, count)
    assert len(found) == count
    assert found[count // 2 :] == pytest.approx(levels, abs=6e-4)
    assert found == pytest.approx(-found[::-1], abs=2e-4)


def test_two_levels_are_the_mean_magnitude() -> None:
    # E|X| of t(5): 2·√5·Γ(3) ÷ (√π·Γ(2.5)·4).
    mean = 2 * math.sqrt(5) * math.gamma(3) / (math.sqrt(math.pi) * math.gamma(2.5) * 4)
    assert lloyd_max_levels_unscaled(STUDENT_5, 2) == pytest.approx([-mean, mean], abs=1e-4)


@settings(max_examples=80, deadline=None)
@given(
    weights=st.lists(st.floats(0.01, 10), min_size=2, max_size=9),
    count=st.integers(1, 4),
    seed=st.integers(0, 999),
)
def test_the_division_is_the_best_of_all(weights, count: int, seed: int) -> None:
    places = np.sort(np.random.default_rng(seed).uniform(-1, 1, len(weights)))
    weight = np.array(weights)
    cells = CellMoments(weight=weight, first=weight * places, second=weight * places**2)
    least = math.inf
    for cuts in itertools.combinations(range(1, len(weights)), min(count, len(weights)) - 1):
        total = 0.0
        for low, high in itertools.pairwise((0, *cuts, len(weights))):
            w, y = weight[low:high], places[low:high]
            total += float((w * (y - (w * y).sum() / w.sum()) ** 2).sum())
        least = min(least, total)
    levels = best_division(cells, count)
    assert len(levels) <= count
    found = float((weight * np.abs(places[:, None] - levels).min(axis=1) ** 2).sum())
    assert found <= least + 1e-12


def test_an_even_density_gets_even_levels() -> None:
    edges = np.linspace(-1, 1, 801)
    ends = [np.diff(edges**power / power) for power in (1, 2, 3)]
    cells = CellMoments(weight=ends[0], first=ends[1], second=ends[2])
    for count in (1, 4, 7):
        histogram = Histogram(edges=edges, cells=cells)
        levels = optimal_levels(histogram, count)
        assert levels == pytest.approx((2 * np.arange(count) + 1) / count - 1, abs=1e-9)
        assert levels_error(histogram, levels) == pytest.approx(2 / 3 / count**2, rel=1e-9)


@pytest.mark.parametrize(
    ("distribution", "block"),
    [
        (NORMAL, 16),
        (STUDENT_5, 128),
        *(
            pytest.param(one, block, marks=pytest.mark.fuzz)
            for one in DISTRIBUTIONS
            for block in (2, 32, 256, 1000)
        ),
    ],
    ids=str,
)
def test_no_format_beats_the_limit(distribution, block: int) -> None:
    one = theory(distribution, block)
    for known in CATALOG:
        if known.bits > 5 and (block, distribution) != (16, NORMAL):
            continue
        least = one.noise(limit(distribution, block, 2**known.bits)).value
        assert one.noise(unit_levels(known, signed=False)).value > least * (1 + 1e-6)


@pytest.mark.parametrize("known", [INT3, INT4, E2M1_SR], ids=lambda known: known.name)
def test_no_format_beats_the_limit_with_signed_scales(known) -> None:
    for block in (64,):
        one = theory(NORMAL, block, True)
        least = one.noise(limit(NORMAL, block, 2**known.bits, True)).value
        assert one.noise(unit_levels(known, signed=True)).value > least
        # To choose the sign helps the best codebook, too.
        assert least < theory(NORMAL, block).noise(limit(NORMAL, block, 2**known.bits)).value


@settings(max_examples=30, deadline=None)
@given(
    inner=st.lists(st.floats(-1, 1), min_size=14, max_size=14),
    wiggle=st.floats(0, 0.05),
    seed=st.integers(0, 99),
)
def test_no_codebook_beats_the_limit(inner, wiggle: float, seed: int) -> None:
    one = theory(STUDENT_5, 32)
    best = limit(STUDENT_5, 32, 16)
    least = one.noise(best).value
    assert one.noise(np.sort(np.array([-1, *inner, 1]))).value >= least
    moved = best + wiggle * np.random.default_rng(seed).standard_normal(16)
    assert one.noise(np.sort(moved)).value >= least * (1 - 1e-9)


@pytest.mark.parametrize(
    ("distribution", "signed", "count"),
    [(STUDENT_5, False, 16), (NORMAL, True, 8), (LAPLACE, False, 8)],
    ids=str,
)
def test_levels_are_the_means_of_their_cells(distribution, signed, count) -> None:
    levels = limit(distribution, 64, count, signed)
    cells = theory(distribution, 64, signed).cells(middles(levels)).moments[0]
    assert len(levels) == count
    assert levels == pytest.approx(cells.first / cells.weight, abs=1e-6)


def test_a_coarser_program_ends_at_the_same_levels(monkeypatch) -> None:
    for distribution, block in ((STUDENT_5, 128), (NORMAL, 16)):
        fine = limit(distribution, block, 16)
        with monkeypatch.context() as patch:
            patch.setattr(lloyd_max, "_PROGRAM_CELLS", 300)
            coarse = optimal_levels(block_histogram(theory(distribution, block)), 16)
        assert coarse == pytest.approx(fine, abs=1e-4)


def test_the_limit_rises_with_levels_and_falls_with_the_block() -> None:
    def noise(block: int, count: int) -> float:
        return theory(STUDENT_5, block).noise(limit(STUDENT_5, block, count)).value

    by_count = [noise(128, count) for count in (4, 15, 16)]
    assert by_count == sorted(by_count, reverse=True)
    by_block = [noise(block, 16) for block in (2, 32, 128)]
    assert by_block == sorted(by_block)
    # One large block is nearly no scaling at all: t(5) by itself, whose tail one level covers.
    whole = unscaled_error(NORMAL, lloyd_max_levels_unscaled(NORMAL, 16))
    assert theory(NORMAL, 10**6).noise(limit(NORMAL, 10**6, 16)).value == pytest.approx(
        whole, rel=0.1
    )


def test_the_limit_of_samples_is_that_of_their_distribution() -> None:
    spec = ScaleSpec(granularity=Granularity.BLOCK, block=64)
    part = BlockedPart.of(STUDENT_5.sample(2**13, 64, seed=4), spec)
    for signed in (False, True):
        gathered = BlockHistogram()
        part.gather(gathered, signed=signed)
        histogram = gathered.result()
        levels = optimal_levels(histogram, 16)
        found = levels_error(histogram, levels) / 2**19
        expected = theory(STUDENT_5, 64, signed).noise(limit(STUDENT_5, 64, 16, signed)).value
        assert found == pytest.approx(expected, rel=0.02)
        # What the cells say is what the codebook does.
        known = codebook(levels / np.abs(levels).max(), 4)
        direct = _direct(part, levels, signed=signed)
        assert direct == pytest.approx(found, rel=1e-5)
        assert known.bits == 4


def _direct(part: BlockedPart, levels: np.ndarray, *, signed: bool) -> float:
    rows = part.matrix.double().numpy()
    units = np.abs(rows).max(axis=1, keepdims=True)
    if signed:
        turned = rows.max(axis=1, keepdims=True) < -rows.min(axis=1, keepdims=True)
        units = np.where(turned, -units, units)
    y = rows / units
    return float((((y - levels[_rank(levels, y)]) * units) ** 2).mean())


def test_nothing_that_is_clipped_beats_the_best_found() -> None:
    sample = STUDENT_5.sample(2**9, 64, seed=2)
    spec = ScaleSpec(granularity=Granularity.BLOCK, block=64, clipping=Clipping.MSE)
    part = BlockedPart.of(sample, spec)

    def noise(known) -> float:
        done = MeasuredError(known, spec)
        done.add(part, "sample")
        return done.noise

    start = limit(STUDENT_5, 64, 16)
    found = best_found_levels(sample, start, bits=4, signed=False)
    least = noise(found)
    assert least <= noise(codebook(start, 4))
    for known in CATALOG:
        if known.bits == 4:
            assert noise(known) > least


@pytest.mark.parametrize("count", [0, 257, True, 2.0])
def test_counts_out_of_range_are_refused(count) -> None:
    with pytest.raises(UsageError, match="levels were asked"):
        optimal_levels(block_histogram(theory(NORMAL, 16)), count)


def test_data_without_weight_are_refused() -> None:
    with pytest.raises(UsageError, match="no weight"):
        optimal_levels(BlockHistogram().result(), 4)


def test_few_different_values_get_as_many_levels() -> None:
    spec = ScaleSpec(granularity=Granularity.BLOCK, block=4)
    gathered = BlockHistogram()
    rows = np.array([[1.0, -1.0, 0.5, 0.0]] * 3, dtype=np.float32)
    import torch

    BlockedPart.of(torch.from_numpy(rows), spec).gather(gathered, signed=False)
    levels = optimal_levels(gathered.result(), 16)
    assert levels == pytest.approx([-1, 0, 0.5, 1], abs=1e-4)
    assert levels_error(gathered.result(), levels) == pytest.approx(0, abs=1e-7)
