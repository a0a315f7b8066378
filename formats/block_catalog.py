"""The block formats that nibblemac knows by name: elements, block and scale, one constant each.

Levels of E2M1's codes are the same in all of them. Where the negative zero (code 8) is spent on a
special value that each block chooses, the choice is the top bits of the code, which the decoder
gets as an input beside the element's own four: weight[3:0] is stored with the element,
weight[5:4] with the block's scale. Among equals the first choice wins; ties between two levels go
to the lower one, as with the paper's supernormal formats.

Sources: MXFP4, OCP Microscaling Formats (MX) Specification 1.0. NVFP4, torchao
``nvfp4_tensor.py``. Four-over-six, arXiv 2512.02010 and mit-han-lab/fouroversix. BitMoD, HPCA
2025 (yc2367/BitMoD-HPCA-25). RaZeR, arXiv 2501.04052v2 (yc2367/NVFP4-RaZeR).
"""

from dataclasses import replace
from fractions import Fraction

from .block_format import BlockFormat
from .catalog import E2M1
from .record import Format, Rounding
from .scale_format import E3M3, E4M3, E4M3_256, E8M0, FP16


def _with_specials(name: str, specials: tuple[int, ...], description: str, source: str) -> Format:
    """Return E2M1 with one of ``specials`` (in levels) for negative zero, chosen per block."""
    selector_bits = (len(specials) - 1).bit_length()
    return Format(
        name=name,
        bits=E2M1.bits + selector_bits,
        grid=tuple(
            value * 2 if code == 8 else level
            for value in specials
            for code, level in enumerate(E2M1.grid)
        ),
        unit=E2M1.unit,
        rounding=Rounding.TIES_TO_LOWER,
        description=description,
        source=source,
        selector_bits=selector_bits,
    )


_RAZER_SOURCE = "arXiv 2501.04052v2; yc2367/NVFP4-RaZeR"

MXFP4 = BlockFormat(
    format=replace(
        E2M1,
        name="MXFP4",
        description="E2M1 in blocks of 32 with power-of-two scales (E8M0)",
        source="OCP Microscaling Formats (MX) Specification 1.0",
    ),
    block=32,
    scale_format=E8M0,
)

NVFP4 = BlockFormat(
    format=replace(
        E2M1,
        name="NVFP4",
        description="E2M1 in blocks of 16 with E4M3 scales below a tensor scale",
        source="torchao nvfp4_tensor.py",
    ),
    block=16,
    scale_format=E4M3,
)

FOUR_OVER_SIX = BlockFormat(
    format=replace(
        E2M1,
        name="Four-over-six",
        description="NVFP4 whose blocks map their largest magnitude to 6 or to 4",
        source="arXiv 2512.02010; mit-han-lab/fouroversix",
    ),
    block=16,
    scale_format=E4M3_256,
    targets=(Fraction(6), Fraction(4)),
)

BITMOD_FP4 = BlockFormat(
    format=_with_specials(
        "BitMoD-FP4",
        (5, -5, 8, -8),
        "E2M1 with +5, -5, +8 or -8 for negative zero, chosen per group",
        "BitMoD, HPCA 2025; yc2367/BitMoD-HPCA-25",
    ),
    block=128,
    scale_format=FP16,
)

RAZER_A = BlockFormat(
    format=_with_specials(
        "RaZeR-A",
        (5, -5),
        "activations: NVFP4 with +5 or -5 for negative zero, chosen per block",
        _RAZER_SOURCE,
    ),
    block=16,
    scale_format=E4M3,
)

RAZER_W = BlockFormat(
    format=_with_specials(
        "RaZeR-W",
        (5, -5, 8, -8),
        "weights: E2M1 with +5, -5, +8 or -8 for negative zero, chosen per block, E3M3 scales",
        _RAZER_SOURCE,
    ),
    block=16,
    scale_format=E3M3,
    activation=RAZER_A,
)

BLOCK_CATALOG = (MXFP4, NVFP4, FOUR_OVER_SIX, BITMOD_FP4, RAZER_W, RAZER_A)
