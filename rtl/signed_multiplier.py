"""Signed multiplication of the decoded operands."""

from amaranth.hdl import Module

from .decoder import Decoder
from .multiplier import Multiplier


class SignedMultiplier(Multiplier):
    """Both codes are decoded to two's complement and multiplied; serves every format.

    For formula and members see :class:`Multiplier`; there is no ``negate``.
    """

    name = "signed"
    description = "decode both operands to two's complement and multiply them"

    def elaborate(self, _platform: object) -> Module:
        """Build decoders and product."""
        m = Module()
        m.submodules.weight_decoder = weight = Decoder(self.spec.weight)
        m.submodules.activation_decoder = activation = Decoder(self.spec.activation)
        m.d.comb += [
            weight.code.eq(self.weight),
            activation.code.eq(self.activation),
            self.product.eq(weight.value * activation.value),
        ]
        return m
