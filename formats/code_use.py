"""How often each code of a format is produced, and the entropy of the codes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import DataError
from .exact import shown
from .record import Format


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeUse:
    """The share of all elements that each code stands for, by code; the shares add up to 1.

    Raises :class:`DataError` for shares that are negative, not finite, or add up to anything else.
    """

    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        total = math.fsum(self.shares)
        if any(not 0 <= share <= 1 for share in self.shares) or abs(total - 1) > 1e-6:
            raise DataError(
                f"The use of {len(self.shares)} codes adds up to {shown(total)}; the shares must "
                "be from 0 to 1 and add up to 1."
            )

    @classmethod
    def of_counts(cls, counts: Sequence[int]) -> "CodeUse":
        """Return the use of codes that were counted, by code; at least one must be."""
        total = sum(counts)
        if total < 1:
            raise DataError("No code was counted, so that none has a share.")
        return cls(shares=tuple(count / total for count in counts))

    @classmethod
    def of_levels(cls, format: Format, shares: Sequence[float]) -> "CodeUse":  # noqa: A002
        """Return the use of a format's codes from that of its levels in ascending order."""
        total = math.fsum(shares)
        by_code = [0.0] * 2**format.bits
        for code, share in zip(format.canonical_codes, shares, strict=True):
            by_code[code] = share / total
        return cls(shares=tuple(by_code))

    @property
    def entropy(self) -> float:
        """−Σ p·log2 p in bits: what a code needs at least where codes are compressed."""
        return -math.fsum(p * math.log2(p) for p in self.shares if p > 0) + 0.0

    @property
    def unused(self) -> int:
        """How many codes never occur."""
        return sum(share == 0 for share in self.shares)
