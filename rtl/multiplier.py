"""What all multiplier architectures share: ports, the sign, the refusal."""

from typing import ClassVar, Self

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..formats.errors import ArchitectureError
from ..formats.mac import MacSpec


class Multiplier(wiring.Component):
    """``grid_w[weight] × grid_a[activation] = product + negate``, combinational.

    An architecture subclasses this, sets :attr:`name` and :attr:`description`, and may refuse a
    spec. :class:`ArchitectureError` is raised where it does.

    Members
    -------
    weight : In(weight bits), activation : In(activation bits)
        Codes.
    product : Out(signed)
        The product, or its one's complement where ``negate`` is 1.
    negate : Out(1)
        Present where :meth:`ones_complement` says so: the accumulator's carry-in.
    """

    name: ClassVar[str]
    description: ClassVar[str]

    def __new__(cls, spec: MacSpec, *, src_loc_at: int = 0) -> Self:
        """Refuse before there is an object, which Amaranth would report as never used."""
        reason = cls.refusal(spec)
        if reason is not None:
            raise ArchitectureError(reason)
        return super().__new__(cls, src_loc_at=src_loc_at + 1)  # type: ignore[no-any-return]

    def __init__(self, spec: MacSpec) -> None:
        self.spec = spec
        self.has_negate = self.ones_complement(spec)
        width = spec.product_bits
        if self.has_negate:
            low, high = spec.product_range
            # The one's complement of a negative product is one less than the product.
            width = max(abs(low), high).bit_length() + 1
        members = {
            "weight": In(spec.weight.bits),
            "activation": In(spec.activation.bits),
            "product": Out(signed(width)),
        }
        if self.has_negate:
            members["negate"] = Out(1)
        super().__init__(members)

    @classmethod
    def refusal(cls, _spec: MacSpec) -> str | None:
        """Return a full sentence why this architecture cannot serve ``spec``, or None."""
        return None

    @classmethod
    def ones_complement(cls, _spec: MacSpec) -> bool:
        """Return whether negative products leave as one's complement, with ``negate``."""
        return False

    def drive_product(self, m: Module, sign: Value, magnitude: Value) -> None:
        """Drive the outputs with ``(-1)**sign × magnitude`` in one's complement and ``negate``."""
        width = len(self.product)
        padded = Cat(magnitude, Const(0, width))[:width]
        if self.has_negate:
            # A signal of its own: an expression would be built once for each bit it is used in.
            negative = Signal()
            m.d.comb += [
                negative.eq(sign),
                self.product.eq(padded ^ negative.replicate(width)),
                self.negate.eq(negative),
            ]
        else:
            m.d.comb += self.product.eq(padded)
