"""The full product table."""

from amaranth.hdl import Cat, Module

from ..formats.mac import MacSpec
from . import lookup
from .multiplier import Multiplier

MAX_CODE_BITS = 12


class TableMultiplier(Multiplier):
    """The product of every pair of codes, looked up; the logic minimiser finds the structure.

    For formula and members see :class:`Multiplier`; there is no ``negate``.
    """

    name = "table"
    description = "look the product up in the table of all code pairs"

    @classmethod
    def refusal(cls, spec: MacSpec) -> str | None:
        """Refuse tables of more than 4096 rows."""
        bits = spec.weight.bits + spec.activation.bits
        if bits <= MAX_CODE_BITS:
            return None
        return (
            f"The architecture {cls.name} cannot serve {spec.weight.name} × "
            f"{spec.activation.name}: {bits} code bits make a table of {2**bits} products, and "
            f"at most {MAX_CODE_BITS} bits ({2**MAX_CODE_BITS} products) are supported."
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the table."""
        m = Module()
        weight, activation = self.spec.weight, self.spec.activation
        lookup.drive(
            m,
            self.product,
            Cat(self.activation, self.weight),
            [w * a for w in weight.grid for a in activation.grid],
        )
        return m
