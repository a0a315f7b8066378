"""The MAC's arithmetic as pure integers: ranges and widths, without hardware.

One product a clock is added to a signed accumulator, which must hold ``terms`` products without
loss. Its width is the narrowest two's complement that holds both ``terms × smallest product`` and
``terms × largest product``.
"""

from dataclasses import dataclass
from fractions import Fraction

from .errors import UsageError
from .record import Format

PAPER_TERMS = 256
MAX_TERMS = 2**20


def signed_bits(low: int, high: int) -> int:
    """Return the narrowest two's complement width that holds every integer in [low, high]."""
    return max(_signed_bits_of(low), _signed_bits_of(high))


def _signed_bits_of(value: int) -> int:
    return (value if value >= 0 else ~value).bit_length() + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class MacSpec:
    """What a MAC computes, whatever its architecture.

    ``enable`` adds an input without which the accumulator holds; ``registered_product`` adds one
    cycle of latency. Raises :class:`UsageError` for ``terms`` outside 1 to 2**20.
    """

    weight: Format
    activation: Format
    terms: int = PAPER_TERMS
    enable: bool = False
    registered_product: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.terms, bool) or not isinstance(self.terms, int):
            raise UsageError(f"terms is {self.terms!r}; it must be an integer.")
        if not 1 <= self.terms <= MAX_TERMS:
            raise UsageError(f"terms is {self.terms}; it must be from 1 to {MAX_TERMS}.")

    @property
    def product_range(self) -> tuple[int, int]:
        """The smallest and the largest product, in grid steps."""
        corners = [
            w * a
            for w in (min(self.weight.grid), max(self.weight.grid))
            for a in (min(self.activation.grid), max(self.activation.grid))
        ]
        return min(corners), max(corners)

    @property
    def product_bits(self) -> int:
        """The narrowest two's complement width of one product."""
        return signed_bits(*self.product_range)

    @property
    def accumulator_range(self) -> tuple[int, int]:
        """The smallest and the largest sum of 1 to ``terms`` products, in grid steps."""
        low, high = self.product_range
        return min(low, low * self.terms), max(high, high * self.terms)

    @property
    def accumulator_bits(self) -> int:
        """The narrowest two's complement width that holds every sum of ``terms`` products."""
        return signed_bits(*self.accumulator_range)

    @property
    def unit(self) -> Fraction:
        """The value of one accumulator step, before the scales."""
        return self.weight.unit * self.activation.unit

    @property
    def latency(self) -> int:
        """Clock edges from an input to the accumulator that contains it."""
        return 2 if self.registered_product else 1

    @property
    def name(self) -> str:
        """The Verilog module's name without the architecture."""
        parts = ["mac", self.weight.identifier]
        if self.activation.digest != self.weight.digest or self.activation.name != self.weight.name:
            parts += ["x", self.activation.identifier]
        if self.terms != PAPER_TERMS:
            parts.append(f"n{self.terms}")
        if self.enable:
            parts.append("en")
        if self.registered_product:
            parts.append("reg")
        return "_".join(parts)

    def product(self, weight_code: int, activation_code: int) -> int:
        """Return the integer product of two codes."""
        return self.weight.grid[weight_code] * self.activation.grid[activation_code]
