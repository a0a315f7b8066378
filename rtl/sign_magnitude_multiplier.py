"""Multiplication of magnitudes; the accumulator's carry-in completes the negation."""

from amaranth.hdl import Module

from ..formats.mac import MacSpec
from .decoder import SignMagnitudeDecoder
from .multiplier import Multiplier


class SignMagnitudeMultiplier(Multiplier):
    """``magnitude_w × magnitude_a``, complemented where the signs differ.

    ``-x = ~x + 1``: the product's bits are XORed with the sign, and the sign leaves as ``negate``,
    so that the accumulator's adder does the negation. For members see :class:`Multiplier`.
    """

    name = "sign-magnitude"
    description = "multiply magnitudes; complement by the sign, with +1 as the adder's carry-in"

    @classmethod
    def refusal(cls, spec: MacSpec) -> str | None:
        """Refuse pairs without negative products, which have no sign to treat apart."""
        if spec.product_range[0] < 0:
            return None
        return (
            f"The architecture {cls.name} cannot serve {spec.weight.name} × "
            f"{spec.activation.name}: no product is negative, so there is no sign to treat "
            "apart; use the architecture signed."
        )

    @classmethod
    def ones_complement(cls, _spec: MacSpec) -> bool:
        """Return True."""
        return True

    def elaborate(self, _platform: object) -> Module:
        """Build decoders, product and sign."""
        m = Module()
        m.submodules.weight_decoder = weight = SignMagnitudeDecoder(self.spec.weight)
        m.submodules.activation_decoder = activation = SignMagnitudeDecoder(self.spec.activation)
        m.d.comb += [
            weight.code.eq(self.weight),
            activation.code.eq(self.activation),
        ]
        self.drive_product(
            m, weight.sign ^ activation.sign, weight.magnitude * activation.magnitude
        )
        return m
