"""How often codes are used: entropy, shares by integration and by counting."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.block_format import BlockFormat, find_block_format
from nibblemac.formats.block_theory import BlockTheory
from nibblemac.formats.catalog import CATALOG, E2M1, E2M1_SR, INT3, INT4
from nibblemac.formats.code_use import CodeUse
from nibblemac.formats.distribution import NORMAL, STUDENT_5
from nibblemac.formats.errors import DataError
from nibblemac.formats.integrated_quality import integrated_quality
from nibblemac.formats.measured_quality import BlockedPart, MeasuredError
from nibblemac.formats.quantizer import quantize
from nibblemac.formats.scale import Granularity, ScaleSpec


@pytest.mark.parametrize(
    ("counts", "entropy", "unused"),
    [
        ([5, 5, 5, 5], 2, 0),
        ([8, 0, 0, 0], 0, 3),
        ([2, 1, 1, 0], 1.5, 1),
        ([1] * 16, 4, 0),
    ],
)
def test_entropy_of_counts(counts, entropy, unused) -> None:
    use = CodeUse.of_counts(counts)
    assert use.entropy == pytest.approx(entropy, abs=1e-12)
    assert math.copysign(1, use.entropy) == 1
    assert use.unused == unused


@given(st.lists(st.integers(0, 10**9), min_size=4, max_size=256).filter(any))
def test_entropy_is_between_zero_and_all_bits(counts) -> None:
    use = CodeUse.of_counts(counts)
    assert 0 <= use.entropy <= math.log2(len(counts)) + 1e-9
    assert math.fsum(use.shares) == pytest.approx(1)


@pytest.mark.parametrize("shares", [(), (0.5, 0.6), (1.5, -0.5), (math.nan, 1.0), (0.0, 0.0)])
def test_shares_that_are_none_are_refused(shares) -> None:
    with pytest.raises(DataError, match="add"):
        CodeUse(shares=shares)


def test_nothing_counted_has_no_shares() -> None:
    with pytest.raises(DataError, match="No code"):
        CodeUse.of_counts([0, 0])


@pytest.mark.parametrize("known", CATALOG, ids=lambda known: known.name)
@pytest.mark.parametrize("block", [32])
def test_integrated_shares_are_those_of_samples(known, block: int) -> None:
    found = integrated_quality(BlockFormat(format=known), BlockTheory(STUDENT_5, block=block))
    tensor = STUDENT_5.sample(2**18 // block, block, seed=5)
    codes = quantize(tensor, known, ScaleSpec(granularity=Granularity.BLOCK, block=block)).codes
    _compare(found.use, codes, block)


@pytest.mark.parametrize("known", [INT3, INT4, E2M1_SR], ids=lambda known: known.name)
def test_integrated_shares_with_signed_scales(known) -> None:
    theory = BlockTheory(NORMAL, block=16, signed=True)
    found = integrated_quality(BlockFormat(format=known), theory)
    spec = ScaleSpec(granularity=Granularity.BLOCK, block=16, signed=True)
    _compare(found.use, quantize(NORMAL.sample(2**15, 16, seed=5), known, spec).codes, 16)
    # The extreme is always on the larger side.
    largest = max(range(len(known.grid)), key=lambda code: abs(known.grid[code]))
    assert found.use.shares[largest] > 1 / 16


def _compare(use: CodeUse, codes: torch.Tensor, block: int) -> None:
    """Blocks are independent, elements of a block are not: the spread is taken between blocks."""
    blocks = codes.reshape(-1, block)
    for code, share in enumerate(use.shares):
        means = (blocks == code).double().mean(dim=1)
        error = float(means.std()) / math.sqrt(len(means))
        assert abs(float(means.mean()) - share) < 5 * error + 1e-6


def test_negative_zero_is_never_used() -> None:
    found = integrated_quality(BlockFormat(format=E2M1), BlockTheory(NORMAL, block=32))
    assert found.use.shares[8] == 0
    assert found.use.unused == 1
    # E2M1 is symmetric, and so is the data.
    shares = np.array(found.use.shares)
    assert shares[1:8] == pytest.approx(shares[9:], rel=1e-9)


def test_codes_of_variants_are_counted_as_they_are_stored() -> None:
    entry = find_block_format("BitMoD-FP4")
    done = MeasuredError(entry.format, entry.spec())
    done.add(BlockedPart.of(STUDENT_5.sample(64, 256), entry.spec()), "tensor")
    assert len(done.use.shares) == 16
    assert done.use.unused == 0
