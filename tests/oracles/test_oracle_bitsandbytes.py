"""NF4 and FP4 (our E2M1-B) against bitsandbytes: codebooks, and its CPU quantizer's codes.

Both quantizers divide a block by its largest magnitude and take the nearest level. They differ in
float32 rounding only: bitsandbytes multiplies by a rounded reciprocal and compares with midpoints
rounded to float32, we divide once and compare with exact midpoints. So they may part where a
quotient lies within a few last places of a midpoint, and nowhere else. Such elements (a handful in
a million) are looked at one by one: each side's decision must be what its arithmetic says.
"""

import itertools
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from nibblemac.formats.codec import midpoints
from nibblemac.formats.derive import normal_float
from nibblemac.formats.lookup import find_format, real_valued
from nibblemac.formats.packing import unpack_codes
from nibblemac.formats.quantizer import Quantized, quantize
from nibblemac.formats.record import Format, Rounding
from nibblemac.formats.scale import ScaleSpec

functional = pytest.importorskip("bitsandbytes.functional")

# Our NF4 before it takes an integer grid, exact to 24 bits; FP4 is E2M1-B on its own grid.
OURS = {"nf4": real_valued(find_format("NF4")), "fp4": find_format("E2M1-B")}
BLOCKS = (32, 64, 128, 256, 512, 1024, 2048, 4096)
SEEDS = range(10)
LAST_PLACE = Fraction(1, 2**23)


def codebook(kind: str) -> torch.Tensor:
    return functional.get_4bit_type(kind, device="cpu")


def test_codebook_of_nf4(compared) -> None:
    """Theirs went through a float32 linspace of probabilities, which costs up to 2e-7."""
    theirs = codebook("nf4").double().tolist()
    errors = [abs(a - b) for a, b in zip(theirs, normal_float(4), strict=True)]
    assert max(errors) < 2e-7
    assert [theirs[code] for code in (0, 7, 15)] == [-1, 0, 1]
    compared(16)


def test_codebook_of_nf4_computed_anew(compared) -> None:
    theirs = sorted(set(functional.create_normal_map().double().tolist()))
    assert max(abs(a - b) for a, b in zip(theirs, normal_float(4), strict=True)) < 2e-7
    compared(16)


def test_integer_grids_of_nf4(compared) -> None:
    """On an integer grid the two are the same, whatever the top, up to all that a table takes."""
    theirs = [Fraction(level) for level in codebook("nf4").tolist()]
    parted = []
    for top in range(1, 8192):
        grid = sorted(find_format(f"NF4-top{top}").grid)
        for level, ours in zip(theirs, grid, strict=True):
            if round(level * top) != ours:
                parted.append(top)
                # A level that lies half-way between two integers, to within its 2e-7.
                assert abs(abs(level * top - ours) - Fraction(1, 2)) < Fraction(2, 10**7) * top
    assert min(parted) == 832
    assert len(parted) == 34
    compared(16 * 8191)


def test_codebook_of_fp4(compared) -> None:
    """Scaled to 1, E2M1-B has its levels exactly, each as the nearest float32."""
    ours = find_format("E2M1-B")
    theirs = sorted(codebook("fp4").tolist())
    expected = sorted(float(np.float32(float(level / 12))) for level in ours.levels)
    assert theirs == expected
    compared(16)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Both quantizations of one tensor; ``ranks`` count distinct levels in ascending order."""

    theirs: torch.Tensor
    ours: torch.Tensor
    absmax: torch.Tensor
    made: Quantized


def both(values: torch.Tensor, kind: str, block: int) -> Pair:
    packed, state = functional.quantize_4bit(values, blocksize=block, quant_type=kind)
    # Two codes a byte; theirs has the first in the high nibble, ours in the low one.
    swapped = (packed.flatten() >> 4) | (packed.flatten() << 4)
    codes = unpack_codes(swapped, values.numel())
    levels, ranks = torch.unique(codebook(kind), return_inverse=True)
    known = OURS[kind]
    assert len(levels) == len(known.sorted_grid)
    made = quantize(values, known, ScaleSpec(granularity="block", block=block))
    own = torch.tensor([known.sorted_grid.index(value) for value in known.grid])
    return Pair(
        theirs=ranks[codes.long()],
        ours=own[made.codes.long()],
        absmax=state.absmax,
        made=made,
    )


def bounds(kind: str) -> list[Fraction]:
    """Return the midpoints that bitsandbytes compares with, as their float32 arithmetic has it."""
    levels = np.unique(codebook(kind).numpy())
    assert levels.dtype == np.float32
    return [
        Fraction(float((low + high) / np.float32(2))) for low, high in itertools.pairwise(levels)
    ]


def exact_midpoints(known: Format) -> list[tuple[Fraction, bool]]:
    """Return our midpoints relative to the largest level, and whether a tie goes up."""
    return [(middle / known.largest_level, up) for middle, up in midpoints(known)]


def near_a_midpoint(quotients: torch.Tensor, kind: str) -> torch.Tensor:
    """Say which exact quotients (float64) lie so near a midpoint that float32 may decide."""
    found = torch.zeros_like(quotients, dtype=torch.bool)
    for (exact, _), theirs in zip(exact_midpoints(OURS[kind]), bounds(kind), strict=True):
        # Each side rounds twice: 2 · 2^-24 of the midpoint, and the midpoints differ themselves.
        low, high = sorted((exact, theirs))
        slack = LAST_PLACE * abs(exact)
        found |= (quotients >= float(low - slack)) & (quotients <= float(high + slack))
    return found


def explain(pair: Pair, values: torch.Tensor, index: int, block: int, kind: str) -> None:
    """Assert that each side decided one element as its own arithmetic says."""
    value = values[index].numpy()
    largest = pair.absmax[index // block].numpy()
    is_short = len(values) - index // block * block < block
    # The last block, where it is shorter, is divided by theirs too.
    scaled = Fraction(float(value / largest if is_short else value * (np.float32(1) / largest)))
    assert int(pair.theirs[index]) == sum(scaled > bound for bound in bounds(kind))
    known = OURS[kind]
    scale = largest / np.float32(float(known.largest_level))
    quotient = Fraction(float(value / scale))
    upwards = [quotient > middle or (up and quotient == middle) for middle, up in midpoints(known)]
    assert int(pair.ours[index]) == sum(upwards)


def check(values: torch.Tensor, kind: str, block: int) -> tuple[int, int]:
    """Compare one tensor; return how many elements were near a midpoint, and how many parted."""
    pair = both(values, kind, block)
    rows = -(-values.numel() // block)
    assert pair.absmax.numel() == pair.made.scales.numel() == rows
    largest = torch.tensor(float(OURS[kind].largest_level))
    assert torch.equal(pair.made.scales.flatten(), pair.absmax / largest)
    quotients = values.double() / pair.absmax.double().repeat_interleave(block)[: values.numel()]
    near = near_a_midpoint(quotients, kind)
    assert torch.equal(pair.theirs[~near], pair.ours[~near])
    assert int((pair.theirs - pair.ours).abs().max()) <= 1
    for index in near.nonzero().flatten().tolist():
        explain(pair, values, index, block, kind)
    return int(near.sum()), int((pair.theirs != pair.ours).sum())


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("kind", OURS)
def test_codes_of_random_tensors(kind: str, block: int, compared) -> None:
    near = parted = total = 0
    for seed in SEEDS:
        generator = torch.Generator().manual_seed(1000 * block + seed)
        # Most of these lengths leave a shorter last block, some an odd one.
        values = torch.randn(2**16 + seed, generator=generator)
        if seed % 2:
            values = values * torch.exp(3 * torch.randn(values.shape, generator=generator))
        found = check(values, kind, block)
        near, parted, total = near + found[0], parted + found[1], total + values.numel()
    # What float32 may decide is rare, so that little is left to it.
    assert parted <= near < total / 50_000
    compared(total)


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_codes_of_half_precision_tensors(kind: str, dtype: torch.dtype, compared) -> None:
    for block in BLOCKS:
        values = torch.randn(2**14, generator=torch.Generator().manual_seed(block)).to(dtype)
        pair = both(values, kind, block)
        single = both(values.float(), kind, block)
        assert torch.equal(pair.theirs, single.theirs)
        assert torch.equal(pair.ours, single.ours)
        check(values.float(), kind, block)
    compared(2**14 * len(BLOCKS))


@pytest.mark.parametrize("exponent", [-100, -3, 0, 4, 100])
def test_exact_ties_of_fp4(exponent: int, compared) -> None:
    """Theirs go to the lower level, ours to the even code; by their rule ours agree."""
    known = OURS["fp4"]
    ties = [float(middle) for middle, _ in midpoints(known)]
    values = torch.tensor([12.0, *ties, -12.0, *[0.0] * 16]) * 2.0**exponent
    pair = both(values, "fp4", 32)
    assert pair.theirs[1:15].tolist() == list(range(14))
    goes_up = [up for _, up in midpoints(known)]
    assert sum(goes_up) == 7
    assert pair.ours[1:15].tolist() == [rank + up for rank, up in enumerate(goes_up)]
    lower = replace(known, rounding=Rounding.TIES_TO_LOWER)
    made = quantize(values, lower, ScaleSpec(granularity="block", block=32))
    ranks = [known.sorted_grid.index(known.grid[code]) for code in made.codes]
    assert ranks == pair.theirs.tolist()
    compared(14 + len(ranks))
