"""The MAC: one multiplier, one accumulator."""

from typing import Self

from amaranth.hdl import Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..formats.errors import ArchitectureError
from ..formats.mac import MacSpec
from .accumulator import Accumulator
from .architectures import find_architecture, refusal
from .registered_multiplier import RegisteredMultiplier


class Mac(wiring.Component):
    """``accumulator ← (clear ? 0 : accumulator) + grid_w[weight] × grid_a[activation]``.

    One product a clock; ``spec.latency`` clock edges from the inputs to the accumulator that
    contains them: one, or two with ``spec.registered_product``, where ``clear`` travels beside its
    product. With ``enable`` low at an edge every register holds, and the inputs of that edge are
    not taken. No reset: the first ``clear`` defines the state. The clock is that of the ``sync``
    domain; its reset, where it has one, is not used.

    Raises :class:`ArchitectureError` for an unknown architecture, or one that refuses ``spec``.

    Members
    -------
    weight : In(weight bits), activation : In(activation bits)
        Codes. Where a block chooses a variant, the top ``selector_bits`` are that choice, and hold
        for the whole block.
    clear : In(1)
        The accumulator starts again from this product.
    enable : In(1), where ``spec.enable``
    accumulator : Out(signed(spec.accumulator_bits))
        In units of ``spec.unit``.
    """

    def __new__(cls, spec: MacSpec, architecture: str = "signed", *, src_loc_at: int = 0) -> Self:
        """Refuse before there is an object, which Amaranth would report as never used."""
        reason = refusal(spec, architecture)
        if reason is not None:
            raise ArchitectureError(reason)
        return super().__new__(cls, src_loc_at=src_loc_at + 1)  # type: ignore[no-any-return]

    def __init__(self, spec: MacSpec, architecture: str = "signed") -> None:
        self.spec = spec
        self.architecture = architecture
        members = {
            "weight": In(spec.weight.bits),
            "activation": In(spec.activation.bits),
            "clear": In(1),
        }
        if spec.enable:
            members["enable"] = In(1)
        members["accumulator"] = Out(signed(spec.accumulator_bits))
        super().__init__(members)

    def elaborate(self, _platform: object) -> Module:
        """Connect multiplier and accumulator."""
        m = Module()
        spec = self.spec
        multiplier = find_architecture(self.architecture)(spec)
        if spec.registered_product:
            multiplier = RegisteredMultiplier(multiplier, enable=spec.enable)
        accumulator = Accumulator(
            product_bits=len(multiplier.product),
            accumulator_bits=spec.accumulator_bits,
            negate=multiplier.has_negate,
            enable=spec.enable,
            delayed_clear=spec.registered_product,
        )
        m.submodules.multiplier = multiplier
        m.submodules.accumulator = accumulator
        m.d.comb += [
            multiplier.weight.eq(self.weight),
            multiplier.activation.eq(self.activation),
            accumulator.product.eq(multiplier.product),
            accumulator.clear.eq(self.clear),
            self.accumulator.eq(accumulator.accumulator),
        ]
        if multiplier.has_negate:
            m.d.comb += accumulator.negate.eq(multiplier.negate)
        if spec.enable:
            m.d.comb += accumulator.enable.eq(self.enable)
            if spec.registered_product:
                m.d.comb += multiplier.enable.eq(self.enable)
        return m
