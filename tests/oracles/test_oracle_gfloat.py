"""Level tables and rounding against gfloat.

OCP's E2M1 and INT8 are gfloat's own records; E3M0, E2M0 and the narrower integers are described
to it by their widths and bias, and decoded, rounded and encoded by its code.
"""

import itertools
import math
from fractions import Fraction

import pytest
import torch
from nibblemac.formats.codec import encode
from nibblemac.formats.lookup import find_format

gfloat = pytest.importorskip("gfloat")
formats = pytest.importorskip("gfloat.formats")


def integer(bits: int) -> object:
    """Describe two's complement to gfloat, as its INT8, with the binary point at the right end."""
    return gfloat.FormatInfo(
        name=f"int{bits}",
        k=bits,
        precision=bits,
        bias=2 - bits,
        is_signed=True,
        domain=gfloat.Domain.Finite,
        has_nz=False,
        num_high_nans=0,
        has_subnormals=True,
        is_twos_complement=True,
    )


def power_of_two(bits: int, bias: int) -> object:
    """Describe a sign and an exponent, code 0 being zero, to gfloat."""
    return gfloat.FormatInfo(
        name=f"e{bits - 1}m0",
        k=bits,
        precision=1,
        bias=bias,
        is_signed=True,
        domain=gfloat.Domain.Finite,
        has_nz=True,
        num_high_nans=0,
        has_subnormals=True,
        is_twos_complement=False,
    )


# Our format, gfloat's, and how many of our units gfloat's unit is.
PAIRS = {
    "E2M1": (formats.format_info_ocp_e2m1, 1),
    "INT8": (formats.format_info_ocp_int8, 64),  # OCP's INT8 has six fraction bits
    "INT3": (integer(3), 1),
    "INT4": (integer(4), 1),
    "INT5": (integer(5), 1),
    "E2M0": (power_of_two(3, 1), 1),
    "E3M0": (power_of_two(4, 3), 1),
}


@pytest.mark.parametrize("name", PAIRS)
def test_level_of_every_code(name: str, compared) -> None:
    theirs, factor = PAIRS[name]
    ours = find_format(name)
    assert theirs.k == ours.bits
    for code, level in enumerate(ours.levels):
        assert Fraction(gfloat.decode_float(theirs, code).fval) * factor == level
    compared(2**ours.bits)


def check(name: str, values: torch.Tensor) -> int:
    theirs, factor = PAIRS[name]
    codes = encode(values, find_format(name)).tolist()
    zero = {0, gfloat.encode_float(theirs, -0.0)}
    for value, code in zip(values.double().tolist(), codes, strict=True):
        rounded = gfloat.round_float(theirs, value / factor, sat=True)
        found = gfloat.encode_float(theirs, rounded)
        assert code == (0 if found in zero else found), value
    return len(codes)


@pytest.mark.parametrize("name", PAIRS)
def test_rounding_of_every_tie_and_its_neighbours(name: str, compared) -> None:
    levels = sorted(set(find_format(name).levels))
    ties = torch.tensor([float((low + high) / 2) for low, high in itertools.pairwise(levels)])
    ends = (torch.tensor(math.inf), torch.tensor(-math.inf))
    around = [ties, *(torch.nextafter(ties, end) for end in ends)]
    compared(check(name, torch.cat(around)))


@pytest.mark.parametrize("name", PAIRS)
def test_rounding_of_random_values(name: str, compared) -> None:
    generator = torch.Generator().manual_seed(3)
    largest = float(find_format(name).largest_level)
    inside = (torch.rand(5000, generator=generator) - 0.5) * 2.5 * largest
    wide = torch.randn(1000, generator=generator) * 2.0 ** torch.randint(
        -60, 60, (1000,), generator=generator
    )
    compared(check(name, torch.cat([inside, wide])))


def test_rounding_of_every_sixteenth_float16_to_e2m1(compared) -> None:
    every = torch.arange(0, 2**16, 16, dtype=torch.int32).to(torch.int16).view(torch.float16)
    compared(check("E2M1", every[every.isfinite()]))
