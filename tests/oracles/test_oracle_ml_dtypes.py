"""E2M1 against ml_dtypes' float4_e2m1fn: every 16-bit float, every tie, a million float32.

ml_dtypes saturates as we do, rounds to the even mantissa as we do, and turns NaN into a zero and
infinities into ±6, where we raise. Codes agree too, but that it keeps a zero's sign (code 8) and
we never produce that code.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from nibblemac.formats.catalog import E2M1
from nibblemac.formats.codec import decode, encode
from nibblemac.formats.errors import TensorError
from nibblemac.formats.quantizer import quantize
from nibblemac.formats.scale import ScaleSpec

ml_dtypes = pytest.importorskip("ml_dtypes")

NEGATIVE_ZERO = 8
DTYPES = {"float16": (torch.float16, np.float16), "bfloat16": (torch.bfloat16, None)}
FINITE = {"float16": 2**16 - 2 * 2**10, "bfloat16": 2**16 - 2 * 2**7}
TIES = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0]


def patterns(dtype: torch.dtype) -> torch.Tensor:
    """Return all 65,536 bit patterns of a 16-bit float dtype."""
    return torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(dtype)


def foreign(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ml_dtypes' codes, and levels as float32."""
    kinds = {torch.float16: np.float16, torch.bfloat16: ml_dtypes.bfloat16}
    if values.dtype in kinds:
        array = values.view(torch.int16).numpy().view(kinds[values.dtype])
    else:
        array = values.numpy()
    found = array.astype(ml_dtypes.float4_e2m1fn)
    codes = torch.from_numpy(found.view(np.uint8).copy())
    return codes, torch.from_numpy(found.astype(np.float32))


def check(codes: torch.Tensor, values: torch.Tensor) -> int:
    """Hold our codes and their levels against ml_dtypes' of the same values."""
    their_codes, their_levels = foreign(values)
    assert torch.equal(decode(codes, E2M1), their_levels)
    is_zero = their_codes == NEGATIVE_ZERO
    assert torch.equal(codes, their_codes.masked_fill(is_zero, 0))
    return 2 * codes.numel()


@pytest.mark.parametrize("name", DTYPES)
def test_every_finite_value(name: str, compared) -> None:
    values = patterns(DTYPES[name][0])
    values = values[values.isfinite()]
    assert len(values) == FINITE[name]
    compared(check(encode(values, E2M1), values))


@pytest.mark.parametrize("name", DTYPES)
def test_nan_and_infinities_are_errors_of_ours(name: str, compared) -> None:
    values = patterns(DTYPES[name][0])
    values = values[~values.isfinite()]
    assert len(values) == 2**16 - FINITE[name]
    for value in values:
        with pytest.raises(TensorError, match="NaN or infinite"):
            encode(value, E2M1)
    compared(len(values))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_the_quantizer_with_a_scale_of_one(dtype: torch.dtype, compared) -> None:
    """Beside a 6 the scale of a block is 1, so that its other element is rounded as it is."""
    values = patterns(dtype)
    values = values[values.isfinite() & (values.abs() <= 6)]
    made = quantize(
        torch.stack([values, torch.full_like(values, 6.0)], dim=1),
        E2M1,
        ScaleSpec(granularity="channel"),
    )
    assert bool((made.scales == 1).all())
    compared(check(made.codes[:, 0].contiguous(), values))


@pytest.mark.parametrize("block", [2, 16, 128, 1000])
def test_the_quantizer_with_any_scale(block: int, compared) -> None:
    """Divided by our scale, ml_dtypes rounds to our codes."""
    values = torch.randn(64, 2000, generator=torch.Generator().manual_seed(block))
    made = quantize(values, E2M1, ScaleSpec(granularity="block", block=block))
    quotients = values / made.scales.repeat_interleave(block, dim=1)[:, : values.shape[1]]
    compared(check(made.codes.flatten(), quotients.flatten()))


def test_every_tie_and_its_neighbours_in_float32(compared) -> None:
    ties = torch.tensor([sign * tie for sign in (1, -1) for tie in TIES])
    levels = sorted({float(level) for level in E2M1.levels})
    assert sorted(ties.tolist()) == [(low + high) / 2 for low, high in itertools.pairwise(levels)]
    ends = (torch.tensor(math.inf), torch.tensor(-math.inf))
    around = [ties, *(torch.nextafter(ties, end) for end in ends)]
    values = torch.cat(around)
    assert len(set(values.tolist())) == 3 * 14
    compared(check(encode(values, E2M1), values))


def test_a_million_float32(compared) -> None:
    rng = np.random.default_rng(1)
    drawn = [
        rng.integers(0, 2**32, 2**19, dtype=np.uint32).view(np.float32),  # any bit pattern
        rng.uniform(-7, 7, 2**19).astype(np.float32),  # where the levels are
    ]
    values = torch.from_numpy(np.concatenate(drawn))
    values = values[values.isfinite()]
    assert len(values) > 1_000_000
    compared(check(encode(values, E2M1), values))
