"""A multiplier with a register behind it."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .multiplier import Multiplier


class RegisteredMultiplier(wiring.Component):
    """The outputs of ``core``, one clock edge later; no reset. With ``enable`` low they hold.

    Members
    -------
    weight, activation, product, negate
        As those of ``core``.
    enable : In(1), where ``enable`` is asked for
    """

    def __init__(self, core: Multiplier, *, enable: bool = False) -> None:
        self._core = core
        self._enable = enable
        self.has_negate = core.has_negate
        members = {
            "weight": In(core.weight.shape()),
            "activation": In(core.activation.shape()),
            "product": Out(core.product.shape()),
        }
        if self.has_negate:
            members["negate"] = Out(1)
        if enable:
            members["enable"] = In(1)
        super().__init__(members)

    def elaborate(self, _platform: object) -> Module:
        """Build the core and the registers."""
        m = Module()
        m.submodules.core = core = self._core
        m.d.comb += [core.weight.eq(self.weight), core.activation.eq(self.activation)]
        registers = []
        for name in ("product", "negate") if self.has_negate else ("product",):
            source = getattr(core, name)
            register = Signal(source.shape(), name=f"{name}_register", reset_less=True)
            registers.append(register.eq(source))
            m.d.comb += getattr(self, name).eq(register)
        if self._enable:
            with m.If(self.enable):
                m.d.sync += registers
        else:
            m.d.sync += registers
        return m
