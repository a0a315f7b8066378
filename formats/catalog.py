"""The formats that nibblemac knows by name: constants and lists only, one constant a format.

Levels by code. Two's complement for INT; sign-magnitude for the E and APoT formats, whose top bit
is the sign, and whose negative zero (the sign bit alone) decodes to 0 unless the format spends it
on an extra level (+SR, +SP); NF and SF are lookup tables, their codes in ascending order, and on
a coarser grid (-top) in the sign-magnitude-like order of :mod:`.encoding`.

No code is NaN or infinite; values beyond the largest level saturate. Ties go to the even code in
INT and E formats (for INT that is the even integer, for E2M1 the even mantissa), and to the lower
level in lookup, supernormal (+SR, +SP) and APoT formats, as bitsandbytes and the paper's code
decide with ``x > midpoint``.

Sources: the paper is Dotzel et al., "Learning from Students", ICML 2024, arXiv 2405.03103. The NF
and SF grids are ``round(level × top)`` of :mod:`.derive`'s levels, top 127 unless the name says
otherwise, SF with five degrees of freedom. Why these tops: ``docs/lookup.md``.
"""

from fractions import Fraction

from .record import Format, Rounding

_PAPER = "Dotzel et al., ICML 2024 (arXiv 2405.03103)"
_TABLE_15 = f"{_PAPER}, Table 15"
_ALGORITHM_1 = f"{_PAPER}, Algorithm 1"
_REPOSITORY = "cornell-zhang/llm-datatypes weight_only.py, commit f3d42dace893"
_OCP = "OCP Microscaling Formats (MX) Specification 1.0, FP4"
_TWOS_COMPLEMENT = "two's complement integers"

INT3 = Format(
    name="INT3",
    bits=3,
    grid=(0, 1, 2, 3, -4, -3, -2, -1),
    unit=Fraction(1),
    rounding=Rounding.TIES_TO_EVEN,
    description="two's complement, -4 to 3",
    source=_TWOS_COMPLEMENT,
)

INT4 = Format(
    name="INT4",
    bits=4,
    grid=(0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1),
    unit=Fraction(1),
    rounding=Rounding.TIES_TO_EVEN,
    description="two's complement, -8 to 7",
    source=_TWOS_COMPLEMENT,
)

INT5 = Format(
    name="INT5",
    bits=5,
    grid=(
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        11,
        12,
        13,
        14,
        15,
        -16,
        -15,
        -14,
        -13,
        -12,
        -11,
        -10,
        -9,
        -8,
        -7,
        -6,
        -5,
        -4,
        -3,
        -2,
        -1,
    ),
    unit=Fraction(1),
    rounding=Rounding.TIES_TO_EVEN,
    description="two's complement, -16 to 15",
    source=_TWOS_COMPLEMENT,
)

INT8 = Format(
    name="INT8",
    bits=8,
    grid=(*range(128), *range(-128, 0)),
    unit=Fraction(1),
    rounding=Rounding.TIES_TO_EVEN,
    description="two's complement, -128 to 127",
    source=_TWOS_COMPLEMENT,
)

E2M0 = Format(
    name="E2M0",
    bits=3,
    grid=(0, 1, 2, 4, 0, -1, -2, -4),
    unit=Fraction(1),
    rounding=Rounding.TIES_TO_EVEN,
    description="sign and two exponent bits; code 4 (negative zero) decodes to 0",
    source=_PAPER,
)

E2M1 = Format(
    name="E2M1",
    bits=4,
    grid=(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12),
    unit=Fraction(1, 2),
    rounding=Rounding.TIES_TO_EVEN,
    description="sign, two exponent bits, one mantissa bit; code 8 (negative zero) decodes to 0",
    source=_OCP,
)

E2M1_SR = Format(
    name="E2M1+SR",
    bits=4,
    grid=(0, 1, 2, 3, 4, 6, 8, 12, 16, -1, -2, -3, -4, -6, -8, -12),
    unit=Fraction(1, 2),
    rounding=Rounding.TIES_TO_LOWER,
    description="E2M1 with +8 for negative zero (super-range)",
    source=f"{_REPOSITORY}, list FP4_RANGE",
)

E2M1_SP = Format(
    name="E2M1+SP",
    bits=4,
    grid=(0, 1, 2, 3, 4, 6, 8, 12, 10, -1, -2, -3, -4, -6, -8, -12),
    unit=Fraction(1, 2),
    rounding=Rounding.TIES_TO_LOWER,
    description="E2M1 with +5 for negative zero (super-precision)",
    source=f"{_REPOSITORY}, list FP4_PREC2",
)

E2M1_NS = Format(
    name="E2M1-NS",
    bits=4,
    grid=(0, 3, 4, 6, 8, 12, 16, 24, 0, -3, -4, -6, -8, -12, -16, -24),
    unit=Fraction(1, 4),
    rounding=Rounding.TIES_TO_EVEN,
    description="E2M1 with ±0.75 for ±0.5 (no subnormal)",
    source=_TABLE_15,
)

E2M1_I = Format(
    name="E2M1-I",
    bits=4,
    grid=(0, 1, 16, 24, 32, 48, 64, 96, 0, -1, -16, -24, -32, -48, -64, -96),
    unit=Fraction(1, 16),
    rounding=Rounding.TIES_TO_EVEN,
    description="E2M1 with ±0.0625 for ±0.5 (Intel neural compressor)",
    source=_TABLE_15,
)

E2M1_B = Format(
    name="E2M1-B",
    bits=4,
    grid=(0, 1, 32, 48, 64, 96, 128, 192, 0, -1, -32, -48, -64, -96, -128, -192),
    unit=Fraction(1, 16),
    rounding=Rounding.TIES_TO_EVEN,
    description="E2M1 doubled, with ±0.0625 for the subnormal (bitsandbytes)",
    source=_TABLE_15,
)

E3M0 = Format(
    name="E3M0",
    bits=4,
    grid=(0, 1, 2, 4, 8, 16, 32, 64, 0, -1, -2, -4, -8, -16, -32, -64),
    unit=Fraction(1, 4),
    rounding=Rounding.TIES_TO_EVEN,
    description="sign and three exponent bits: powers of two from 0.25 to 16",
    source=_TABLE_15,
)

APOT4 = Format(
    name="APoT4",
    bits=4,
    grid=(0, 1, 2, 3, 4, 6, 8, 10, 0, -1, -2, -3, -4, -6, -8, -10),
    unit=Fraction(1, 10),
    rounding=Rounding.TIES_TO_LOWER,
    description="sums of {0, 1/2, 1/4, 1/16} and {0, 1/8}, divided by the largest",
    source=_TABLE_15,
)

APOT4_SP = Format(
    name="APoT4+SP",
    bits=4,
    grid=(0, 1, 2, 3, 4, 6, 8, 10, 5, -1, -2, -3, -4, -6, -8, -10),
    unit=Fraction(1, 10),
    rounding=Rounding.TIES_TO_LOWER,
    description="APoT4 with +0.5 for negative zero (super-precision)",
    source=_TABLE_15,
)

NF3 = Format(
    name="NF3",
    bits=3,
    grid=(-127, -68, -31, 0, 23, 49, 79, 127),
    unit=Fraction(1, 127),
    rounding=Rounding.TIES_TO_LOWER,
    description="lookup of 8 quantiles of the normal distribution, grid ±127",
    source=_ALGORITHM_1,
)

NF4 = Format(
    name="NF4",
    bits=4,
    grid=(-127, -88, -67, -50, -36, -23, -12, 0, 10, 20, 31, 43, 56, 71, 92, 127),
    unit=Fraction(1, 127),
    rounding=Rounding.TIES_TO_LOWER,
    description="lookup of 16 quantiles of the normal distribution, grid ±127",
    source=_ALGORITHM_1,
)

NF5 = Format(
    name="NF5",
    bits=5,
    grid=(
        -127,
        -98,
        -83,
        -72,
        -63,
        -55,
        -48,
        -41,
        -36,
        -30,
        -25,
        -19,
        -14,
        -10,
        -5,
        0,
        4,
        9,
        14,
        18,
        23,
        28,
        33,
        38,
        44,
        50,
        57,
        65,
        74,
        85,
        100,
        127,
    ),
    unit=Fraction(1, 127),
    rounding=Rounding.TIES_TO_LOWER,
    description="lookup of 32 quantiles of the normal distribution, grid ±127",
    source=_ALGORITHM_1,
)

SF3 = Format(
    name="SF3",
    bits=3,
    grid=(-127, -62, -28, 0, 21, 44, 73, 127),
    unit=Fraction(1, 127),
    rounding=Rounding.TIES_TO_LOWER,
    description="lookup of 8 quantiles of Student's t with 5 degrees of freedom, grid ±127",
    source=_ALGORITHM_1,
)

SF4 = Format(
    name="SF4",
    bits=4,
    grid=(-127, -80, -58, -42, -30, -19, -10, 0, 8, 17, 26, 36, 48, 62, 83, 127),
    unit=Fraction(1, 127),
    rounding=Rounding.TIES_TO_LOWER,
    description="lookup of 16 quantiles of Student's t with 5 degrees of freedom, grid ±127",
    source=_ALGORITHM_1,
)

SF5 = Format(
    name="SF5",
    bits=5,
    grid=(
        -127,
        -88,
        -71,
        -59,
        -51,
        -44,
        -38,
        -33,
        -28,
        -23,
        -19,
        -15,
        -11,
        -7,
        -4,
        0,
        3,
        7,
        10,
        14,
        18,
        22,
        26,
        30,
        35,
        40,
        46,
        53,
        61,
        72,
        89,
        127,
    ),
    unit=Fraction(1, 127),
    rounding=Rounding.TIES_TO_LOWER,
    description="lookup of 32 quantiles of Student's t with 5 degrees of freedom, grid ±127",
    source=_ALGORITHM_1,
)

NF4_TOP11 = Format(
    name="NF4-top11",
    bits=4,
    grid=(0, 1, 2, 3, 4, 6, 8, 11, 5, -1, -2, -3, -4, -6, -8, -11),
    unit=Fraction(1, 11),
    rounding=Rounding.TIES_TO_LOWER,
    description="NF4 on the grid ±11, sign-magnitude codes, code 8 (negative zero) is 5 steps",
    source=_ALGORITHM_1,
)

NF4_TOP30 = Format(
    name="NF4-top30",
    bits=4,
    grid=(0, 2, 7, 10, 13, 17, 22, 30, 5, -3, -6, -9, -12, -16, -21, -30),
    unit=Fraction(1, 30),
    rounding=Rounding.TIES_TO_LOWER,
    description="NF4 on the grid ±30, sign-magnitude codes, code 8 (negative zero) is 5 steps",
    source=_ALGORITHM_1,
)

NF4_TOP43 = Format(
    name="NF4-top43",
    bits=4,
    grid=(0, 7, 11, 15, 19, 24, 31, 43, 3, -4, -8, -12, -17, -23, -30, -43),
    unit=Fraction(1, 43),
    rounding=Rounding.TIES_TO_LOWER,
    description="NF4 on the grid ±43, sign-magnitude codes, code 8 (negative zero) is 3 steps",
    source=_ALGORITHM_1,
)

SF4_TOP13 = Format(
    name="SF4-top13",
    bits=4,
    grid=(0, 1, 2, 3, 4, 6, 9, 13, 5, -1, -2, -3, -4, -6, -8, -13),
    unit=Fraction(1, 13),
    rounding=Rounding.TIES_TO_LOWER,
    description="SF4 on the grid ±13, sign-magnitude codes, code 8 (negative zero) is 5 steps",
    source=_ALGORITHM_1,
)

SF4_TOP27 = Format(
    name="SF4-top27",
    bits=4,
    grid=(0, 2, 4, 6, 8, 13, 18, 27, 10, -2, -4, -6, -9, -12, -17, -27),
    unit=Fraction(1, 27),
    rounding=Rounding.TIES_TO_LOWER,
    description="SF4 on the grid ±27, sign-magnitude codes, code 8 (negative zero) is 10 steps",
    source=_ALGORITHM_1,
)

SF4_TOP42 = Format(
    name="SF4-top42",
    bits=4,
    grid=(0, 3, 6, 9, 12, 21, 28, 42, 16, -3, -6, -10, -14, -19, -26, -42),
    unit=Fraction(1, 42),
    rounding=Rounding.TIES_TO_LOWER,
    description="SF4 on the grid ±42, sign-magnitude codes, code 8 (negative zero) is 16 steps",
    source=_ALGORITHM_1,
)

INTEGERS = (INT3, INT4, INT5, INT8)
MINIFLOATS = (E2M0, E2M1, E2M1_NS, E2M1_I, E2M1_B, E3M0)
SUPERNORMALS = (E2M1_SR, E2M1_SP, APOT4_SP)
ADDITIVE_POWERS_OF_TWO = (APOT4,)
LOOKUPS = (NF3, NF4, NF5, SF3, SF4, SF5)
LOOKUP_HARDWARE = (NF4_TOP11, NF4_TOP30, NF4_TOP43, SF4_TOP13, SF4_TOP27, SF4_TOP42)

CATALOG = (
    INT3,
    INT4,
    INT5,
    INT8,
    E2M0,
    E2M1,
    E2M1_SR,
    E2M1_SP,
    E2M1_NS,
    E2M1_I,
    E2M1_B,
    E3M0,
    APOT4,
    APOT4_SP,
    NF3,
    NF4,
    NF5,
    SF3,
    SF4,
    SF5,
    *LOOKUP_HARDWARE,
)
