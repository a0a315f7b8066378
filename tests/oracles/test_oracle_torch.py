"""INT3, INT4, INT5 and INT8 against torch: round and clamp, fake quantization."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from nibblemac.formats.codec import decode, encode
from nibblemac.formats.lookup import find_format
from nibblemac.formats.quantizer import quantize
from nibblemac.formats.record import Format
from nibblemac.formats.scale import ScaleSpec

INTEGERS = [find_format(name) for name in ("INT3", "INT4", "INT5", "INT8")]
by_name = pytest.mark.parametrize("known", INTEGERS, ids=lambda known: known.name)


def limits(known: Format) -> tuple[int, int]:
    half = 2 ** (known.bits - 1)
    return -half, half - 1


def expected(values: torch.Tensor, known: Format) -> torch.Tensor:
    """Return two's complement codes of torch's rounding."""
    low, high = limits(known)
    rounded = torch.clamp(torch.round(values), low, high).to(torch.int64)
    return (rounded % 2**known.bits).to(torch.uint8)


@by_name
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_round_and_clamp_of_every_16_bit_float(known: Format, dtype: torch.dtype, compared) -> None:
    values = torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(dtype)
    values = values[values.isfinite()]
    assert torch.equal(encode(values, known), expected(values.float(), known))
    compared(len(values))


@by_name
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_round_and_clamp_of_ties_and_random_values(
    known: Format, dtype: torch.dtype, compared
) -> None:
    low, high = limits(known)
    ties = torch.arange(low - 2, high + 3, dtype=dtype) + 0.5
    generator = torch.Generator().manual_seed(known.bits)
    drawn = torch.randn(100_000, dtype=dtype, generator=generator) * high
    ends = (torch.tensor(math.inf, dtype=dtype), torch.tensor(-math.inf, dtype=dtype))
    values = torch.cat([ties, drawn, *(torch.nextafter(ties, end) for end in ends)])
    assert torch.equal(encode(values, known), expected(values, known))
    compared(len(values))


@by_name
@pytest.mark.parametrize("exponent", [-12, -3, 0, 5])
def test_fake_quantization_with_a_power_of_two(known: Format, exponent: int, compared) -> None:
    """Such a scale divides exactly, so that nothing is left to rounding."""
    low, high = limits(known)
    scale = 2.0**exponent
    ties = torch.arange(low - 2, high + 3) + 0.5
    generator = torch.Generator().manual_seed(known.bits)
    values = torch.cat([ties, torch.randn(50_000, generator=generator) * high]) * scale
    theirs = torch.fake_quantize_per_tensor_affine(values, scale, 0, low, high)
    ours = decode(encode(values / scale, known), known) * scale
    assert torch.equal(ours, theirs + 0.0)
    compared(len(values))


@by_name
@pytest.mark.parametrize("block", [16, 128])
def test_fake_quantization_with_our_scales(known: Format, block: int, compared) -> None:
    """Torch multiplies by a rounded reciprocal, we divide: only quotients beside a tie may part."""
    low, high = limits(known)
    values = torch.randn(2000, block, generator=torch.Generator().manual_seed(block))
    made = quantize(values, known, ScaleSpec(granularity="channel"))
    scales = made.scales.flatten()
    zeros = torch.zeros(len(scales), dtype=torch.int32)
    theirs = torch.fake_quantize_per_channel_affine(values, scales, zeros, 0, low, high)
    theirs = (theirs / made.scales).round()
    ours = made.levels()
    quotients = values.double() / made.scales.double()
    ties = quotients.floor() + 0.5
    near = (quotients - ties).abs() <= ties.abs() * 2**-22
    assert torch.equal(theirs[~near] + 0.0, ours[~near])
    assert int(near.sum()) < values.numel() / 1000
    for row, column in near.nonzero().tolist():
        value, scale = values[row, column].numpy(), scales[row].numpy()
        product = value * (np.float32(1) / scale)
        assert float(theirs[row, column]) == min(max(round(Fraction(float(product))), low), high)
        quotient = Fraction(float(value / scale))
        assert float(ours[row, column]) == min(max(round(quotient), low), high)
    compared(values.numel())
