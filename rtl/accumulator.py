"""The accumulator register and its adder."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Accumulator(wiring.Component):
    """``accumulator ← (clear ? 0 : accumulator) + product + negate`` at each clock edge.

    Two's complement, wrapping. No reset: the first ``clear`` defines the state. Latency one clock
    edge, one product a clock. With ``delayed_clear``, ``clear`` takes effect one edge later, beside
    a product that is registered before it comes here. With ``enable`` low, every register holds.

    Members
    -------
    product : In(signed(product_bits))
    negate : In(1), where ``negate`` is asked for
    clear : In(1)
    enable : In(1), where ``enable`` is asked for
    accumulator : Out(signed(accumulator_bits))
    """

    def __init__(
        self,
        *,
        product_bits: int,
        accumulator_bits: int,
        negate: bool = False,
        enable: bool = False,
        delayed_clear: bool = False,
    ) -> None:
        self._negate = negate
        self._enable = enable
        self._delayed_clear = delayed_clear
        members = {"product": In(signed(product_bits)), "clear": In(1)}
        if negate:
            members["negate"] = In(1)
        if enable:
            members["enable"] = In(1)
        members["accumulator"] = Out(signed(accumulator_bits))
        super().__init__(members)

    def elaborate(self, _platform: object) -> Module:
        """Build the adder and the registers."""
        m = Module()
        width = len(self.accumulator)
        state = Signal(signed(width), reset_less=True)
        clear = self.clear
        registers = []
        if self._delayed_clear:
            clear = Signal(reset_less=True, name="clear_delayed")
            registers.append(clear.eq(self.clear))
        kept = Mux(clear, 0, state)
        if self._negate:
            # One adder with a carry-in: a bit of weight one half on either side, whose sum
            # carries where negate is set. A third operand would cost a second adder.
            total = Cat(Const(1, 1), kept).as_signed() + Cat(self.negate, self.product).as_signed()
            total = total[1:]
        else:
            total = kept + self.product
        registers.append(state.eq(total))
        m.d.comb += self.accumulator.eq(state)
        if self._enable:
            with m.If(self.enable):
                m.d.sync += registers
        else:
            m.d.sync += registers
        return m
