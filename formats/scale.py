"""How a tensor's elements share scales: the record that the quantizer takes."""

import enum
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from .errors import UsageError
from .exact import shown
from .scale_format import ScaleFormat

PAPER_BLOCK = 128

_Member = TypeVar("_Member", bound=enum.StrEnum)


class Granularity(enum.StrEnum):
    """Which elements share a scale."""

    TENSOR = "tensor"
    CHANNEL = "channel"
    BLOCK = "block"


class Clipping(enum.StrEnum):
    """How a block's scale is chosen."""

    ABSMAX = "absmax"
    MSE = "mse"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleSpec:
    """Granularity, clipping and sign of the scales. The enumerations may be given as text.

    ``axis`` is the reduction axis, along which the dot product runs. TENSOR has one scale;
    CHANNEL one for each run of elements along the whole axis (flatten a convolution's weight to
    two dimensions first); BLOCK one for every ``block`` consecutive elements along the axis, the
    last block being shorter where ``block`` does not divide the axis. ``axis`` is ignored by
    TENSOR, and ``block`` by all but BLOCK.

    ABSMAX maps the block's largest magnitude to the format's largest magnitude. MSE searches the
    clipping with the least squared error (:mod:`.clipping`). ``signed`` is for formats whose
    largest magnitudes differ in sign, such as INT4: the scale may be negative, so that the
    block's extreme can meet the format's.

    ``scale_format`` is how the scales are stored; None keeps them as they are computed. ``targets``
    are the levels that a block's largest magnitude may be mapped to, whichever errs least (the
    first, where they err alike); none stands for the format's largest level. They are for ABSMAX:
    MSE's search includes them.

    Raises :class:`UsageError` for values that have no meaning.
    """

    granularity: Granularity = Granularity.TENSOR
    axis: int = -1
    block: int = PAPER_BLOCK
    clipping: Clipping = Clipping.ABSMAX
    signed: bool = False
    scale_format: ScaleFormat | None = None
    targets: tuple[Fraction, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "granularity", _member(Granularity, self.granularity, "granularity")
        )
        object.__setattr__(self, "clipping", _member(Clipping, self.clipping, "clipping"))
        if isinstance(self.axis, bool) or not isinstance(self.axis, int):
            raise UsageError(f"axis is {shown(self.axis)}; it must be an integer.")
        if isinstance(self.block, bool) or not isinstance(self.block, int) or self.block < 1:
            raise UsageError(f"block is {shown(self.block)}; it must be a positive integer.")
        if not isinstance(self.signed, bool):
            raise UsageError(f"signed is {shown(self.signed)}; it must be True or False.")
        stored = self.scale_format
        if self.signed and stored is not None and not stored.spare_bits:
            raise UsageError(
                f"A signed scale was asked for, but {stored.name} scales have no bit for a sign; "
                "store them as FP16 or E4M3."
            )
        if not isinstance(self.targets, tuple) or any(t <= 0 for t in self.targets):
            raise UsageError(f"targets is {shown(self.targets)}; it must be positive levels.")


def _member(kind: type[_Member], value: object, name: str) -> _Member:
    for member in kind:
        if member == value:
            return member
    choices = ", ".join(member.value for member in kind)
    raise UsageError(f"{name} is {shown(value)}; it must be one of {choices}.")
