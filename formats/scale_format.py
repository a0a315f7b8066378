"""How hardware stores scales: FP16, E8M0, E4M3 on a tensor scale, integers on a channel scale.

A scale that a block needs becomes the stored one in three steps.

1. Parent: below a tensor's or a channel's own scale, the needed scale is divided by it. The parent
   maps the largest scale of its blocks to ``parent_target``.
2. Rounding: to the nearest stored value (ties to even), or by one of the power-of-two rules.
3. Range: to ``smallest`` from below, to ``largest`` from above, so that no scale is 0 or infinite.

Sources: OCP Microscaling Formats (MX) Specification 1.0 for E8M0 and its FLOOR rule; torchao
(``mx_formats``) for CEIL, RCEIL, EVEN and for NVFP4's two levels; Dai et al., "VS-Quant", MLSys
2021, for integers on a channel scale; arXiv 2501.04052 for E3M3.
"""

import enum
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .errors import UsageError
from .exact import shown

if TYPE_CHECKING:
    from torch import Tensor

    from .blocks import BlockLayout


class Parent(enum.StrEnum):
    """What shares the second scale, in FP32, below which block scales are stored."""

    NONE = "none"
    CHANNEL = "channel"
    TENSOR = "tensor"


class PowerRule(enum.StrEnum):
    """How a scale becomes a power of two; amax is the block's largest magnitude.

    FLOOR: 2^⌊log2 amax − emax⌋, emax being the exponent of the format's largest level; CEIL:
    2^⌈log2 amax − emax⌉; RCEIL: amax ÷ largest level, up to a power of two; EVEN: FLOOR after
    amax has been rounded as the format rounds beyond its largest level, if there were a next one.
    """

    FLOOR = "floor"
    CEIL = "ceil"
    RCEIL = "rceil"
    EVEN = "even"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleFormat:
    """The positive numbers that a block's scale can be.

    ``mantissa_bits`` fraction bits above the exponent ``min_exponent``, and steps of
    2**(min_exponent − mantissa_bits) below it; from ``smallest`` to ``largest``. ``bits`` are what
    these numbers need, ``spare_bits`` what their container has besides (a sign bit), which may
    hold a sign or select a block's variant. With ``power_rule``, scales are powers of two.

    Raises :class:`UsageError` for fields that contradict each other.
    """

    name: str
    bits: int
    spare_bits: int = 0
    mantissa_bits: int
    min_exponent: int
    smallest: float
    largest: float
    parent: Parent = Parent.NONE
    parent_target: float | None = None
    power_rule: PowerRule | None = None

    def __post_init__(self) -> None:
        if not 0 < self.smallest < self.largest:
            raise UsageError(
                f"The scale format {self.name}: smallest is {self.smallest} and largest "
                f"{self.largest}; they must be positive and in ascending order."
            )
        if (self.parent is Parent.NONE) != (self.parent_target is None):
            raise UsageError(
                f"The scale format {self.name}: a parent and its target go together; give both "
                "or neither."
            )
        if self.power_rule is not None and (self.mantissa_bits or self.parent is not Parent.NONE):
            raise UsageError(
                f"The scale format {self.name}: a power-of-two rule is for scales without "
                "mantissa bits and without a parent."
            )

    @property
    def container_bits(self) -> int:
        """The bits that one scale takes in memory."""
        return self.bits + self.spare_bits

    def stored(self, scales: "Tensor", parents: "Tensor | None" = None) -> "Tensor":
        """Return the stored values nearest to positive scales, times their parents.

        ``parents`` has a shape that broadcasts against ``scales``; None without a parent. What is
        not finite stays so.
        """
        import torch  # noqa: PLC0415 - over a second, and records are wanted without it

        needed = _wide(scales if parents is None else scales / parents)
        steps = (torch.frexp(needed).exponent - 1).clamp(min=self.min_exponent) - self.mantissa_bits
        step = _two_to(steps)
        rounded = (torch.round(needed / step) * step).clamp(self.smallest, self.largest)
        kept = torch.where(needed.isfinite(), rounded, needed).to(scales.device, scales.dtype)
        if parents is None:
            return kept
        info = torch.finfo(scales.dtype)
        return torch.clamp(kept * parents, min=info.tiny * info.eps)

    def powers(self, largest: "Tensor", level: float) -> "Tensor":
        """Return the power-of-two scale for blocks of largest magnitude ``largest``, by the rule.

        ``level`` is the level that the largest magnitude is meant for. What is 0 gets 1, what is
        not finite stays so.
        """
        import torch  # noqa: PLC0415

        wide = _wide(largest)
        fraction, exponents = torch.frexp(wide)
        emax = math.frexp(level)[1] - 1
        match self.power_rule:
            case PowerRule.EVEN:
                beyond = (level + 2.0 ** (emax + 1)) / 2
                exponents = exponents - 1 - emax + (fraction * 2 >= beyond / 2.0**emax).int()
            case PowerRule.RCEIL:
                fraction, exponents = torch.frexp(wide / level)
                exponents = exponents - (fraction == 0.5).int()
            case PowerRule.CEIL:
                exponents = exponents - (fraction == 0.5).int() - emax
            case _:
                exponents = exponents - 1 - emax
        powers = torch.where(wide > 0, _two_to(exponents), 1.0).clamp(self.smallest, self.largest)
        return torch.where(wide.isfinite(), powers, wide).to(largest.device, largest.dtype)

    def block_bits(self, block: int, *, selector_bits: int = 0, signed: bool = False) -> float:
        """Return the bits an element that a block's scale, sign and selector take."""
        beside = max(self.spare_bits, selector_bits + int(signed))
        return (self.bits + beside) / block


def unsigned_integer(bits: int) -> ScaleFormat:
    """Return UINT scales of 2 to 16 bits on a channel's scale, as VS-Quant stores them."""
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 16:
        raise UsageError(f"An integer scale of {shown(bits)} bits is not possible; give 2 to 16.")
    return ScaleFormat(
        name=f"UINT{bits}",
        bits=bits,
        mantissa_bits=bits,
        min_exponent=bits,
        smallest=1.0,
        largest=2.0**bits - 1,
        parent=Parent.CHANNEL,
        parent_target=2.0**bits - 1,
    )


FP16 = ScaleFormat(
    name="FP16",
    bits=15,
    spare_bits=1,
    mantissa_bits=10,
    min_exponent=-14,
    smallest=2.0**-24,
    largest=65504.0,
)
E8M0 = ScaleFormat(
    name="E8M0",
    bits=8,
    mantissa_bits=0,
    min_exponent=-127,
    smallest=2.0**-127,
    largest=2.0**127,
    power_rule=PowerRule.FLOOR,
)
E8M0_CEIL = replace(E8M0, name="E8M0-ceil", power_rule=PowerRule.CEIL)
E8M0_RCEIL = replace(E8M0, name="E8M0-rceil", power_rule=PowerRule.RCEIL)
E8M0_EVEN = replace(E8M0, name="E8M0-even", power_rule=PowerRule.EVEN)
E4M3 = ScaleFormat(
    name="E4M3",
    bits=7,
    spare_bits=1,
    mantissa_bits=3,
    min_exponent=-6,
    smallest=2.0**-9,
    largest=448.0,
    parent=Parent.TENSOR,
    parent_target=448.0,
)
E4M3_256 = replace(E4M3, name="E4M3-256", parent_target=256.0)
E3M3 = ScaleFormat(
    name="E3M3",
    bits=6,
    spare_bits=2,
    mantissa_bits=3,
    min_exponent=-2,
    smallest=2.0**-5,
    largest=28.0,
    parent=Parent.TENSOR,
    parent_target=28.0,
)

SCALE_FORMATS = (
    FP16,
    E8M0,
    E8M0_CEIL,
    E8M0_RCEIL,
    E8M0_EVEN,
    E4M3,
    E4M3_256,
    E3M3,
    unsigned_integer(4),
    unsigned_integer(6),
    unsigned_integer(8),
)


def find_scale_format(name: str) -> ScaleFormat:
    """Return the scale format of that name, or ``UINT`` with 2 to 16 bits.

    Raises :class:`UsageError`, with the names that there are, for any other.
    """
    key = name.strip().casefold()
    for known in SCALE_FORMATS:
        if known.name.casefold() == key:
            return known
    match = re.fullmatch(r"uint(\d{1,2})", key, re.ASCII)
    if match:
        return unsigned_integer(int(match[1]))
    raise UsageError(
        f"The scale format {shown(name)} is unknown; give one of "
        + ", ".join(known.name for known in SCALE_FORMATS)
        + ", or UINT with 2 to 16 bits."
    )


def _wide(tensor: "Tensor") -> "Tensor":
    """Return a tensor as float64, on the CPU where its device has none."""
    import torch  # noqa: PLC0415

    return (tensor.cpu() if tensor.device.type == "mps" else tensor).to(torch.float64)


def _two_to(exponents: "Tensor") -> "Tensor":
    """Return exact powers of two as float64, from 2**−1022 to 2**1023."""
    import torch  # noqa: PLC0415

    bits = (exponents.long().clamp(-1022, 1023) + 1023) << 52
    return bits.view(torch.float64)


def parent_scales(
    needed: "list[Tensor]", store: ScaleFormat, layout: "BlockLayout"
) -> "list[Tensor]":
    """Return each row's parent scale, of ``needed``'s shapes, from the scales that blocks need.

    ``needed`` are columns beside :meth:`.BlockLayout.split`'s rows. The parent is the largest of
    a tensor's or channel's needed scales divided by ``store.parent_target``, never 0.
    """
    import torch  # noqa: PLC0415

    if store.parent_target is None:
        raise UsageError(f"The scale format {store.name} has no parent scale.")
    whole = layout.join_scales(needed)
    if store.parent is Parent.TENSOR or layout.axis is None:
        shared = whole.amax()
    else:
        shared = whole.amax(dim=layout.axis, keepdim=True)
    info = torch.finfo(shared.dtype)
    parents = (shared / store.parent_target).clamp(min=info.tiny * info.eps)
    return layout.split_scales(torch.where(shared > 0, parents, 1).expand(whole.shape))
