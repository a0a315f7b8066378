"""Products that are powers of two, as one line for each: no adder is needed.

Where every product is 0 or ±2**i, the product block gives a line for each ``i`` (active low) and a
sign; adding ``±2**i`` starts a toggle chain at bit ``i``, up to which nothing changes. As in
:mod:`.accumulate`, bit ``i`` toggles where ``t[i]``, and ``t[i+1] = t[i] & (s ^ bit[i])``; a line
sets ``t`` too. With ``clear`` a bit counts as 0 in both.
"""

from dataclasses import dataclass

from ..formats.mac import MacSpec
from .accumulate import add_flip_flop
from .anneal import Goal
from .builder import Builder
from .gates import GateLibrary, Values
from .netlist import Instance, Net, Netlist, Port
from .product_search import LINES, NEGATE, PRODUCT, product_values


@dataclass(frozen=True, kw_only=True, slots=True)
class OneHotShape:
    """What an accumulator of lines is built for: how many lines, and the sum's bits."""

    lines: int
    accumulator_bits: int


def line_count(spec: MacSpec) -> int | None:
    """Return how many lines a MAC's products need, or None where one is no power of two."""
    products = {abs(w * a) for w in spec.weight.grid for a in spec.activation.grid} - {0}
    if not products or any(product & (product - 1) for product in products):
        return None
    return max(products).bit_length()


def one_hot_start(block: Netlist, spec: MacSpec, gates: GateLibrary) -> Netlist | None:
    """Return a block with lines, from one with a one's complement and ``negate``.

    Its sign is the other's, and line ``i`` is bit ``i`` where the sign is not set, or its
    complement. None for a block without ``negate`` or lines.
    """
    count = line_count(spec)
    ports = {port.name: port for port in block.ports}
    if count is None or NEGATE not in ports:
        return None
    (sign,) = ports[NEGATE].nets
    builder = Builder(gates, "h")
    free = 2 + max(
        [1, *(net for one in block.instances for net in one.pins.values())]
        + [net for port in block.ports for net in port.nets]
    )
    builder.skip(free)
    lines = [
        builder.gate("xor2", [(net, False), (sign, False)], inverted=True)
        if ("xor2", (False, False), True) in gates.cheapest
        else builder.invert(builder.exclusive_or((net, False), (sign, False)))
        for net in ports[PRODUCT].nets[:count]
    ]
    instances = [
        Instance(name=f"p{index}", cell=one.cell, pins=one.pins)
        for index, one in enumerate((*block.instances, *builder.instances))
    ]
    return Netlist(
        top="product",
        ports=(
            *block.inputs,
            Port(name=LINES, direction="output", nets=tuple(lines)),
            Port(name=NEGATE, direction="output", nets=(sign,)),
        ),
        instances=tuple(instances),
    )


def one_hot_goal(spec: MacSpec, lines: int, sign: Values | None = None) -> Goal:
    """Return what a block with lines has to do.

    The sign of a product of 0 is free; it is taken from ``sign``, such as that of the block to
    begin with, or without one it is the exclusive or of whether each level's code is in its
    format's upper half, which for sign-magnitude codes needs no look at the value.
    """
    count = len(spec.weight.grid) * len(spec.activation.grid)
    mask = (1 << count) - 1
    bits = product_values(spec, spec.product_bits + lines + 1)
    negative = bits[-1]
    wanted = []
    below = 0
    for index in range(lines):
        # The lowest set bit of ±2**i is bit i.
        lowest = bits[index] & ~below
        wanted.append(mask ^ lowest)
        below |= bits[index]
    wanted_sign = 0
    for pair in range(count):
        weight, activation = pair & (len(spec.weight.grid) - 1), pair >> spec.weight.bits
        upper = (weight >> (spec.weight.bits - 1)) ^ (activation >> (spec.activation.bits - 1))
        free = upper if sign is None else sign >> pair & 1
        zero = not below >> pair & 1
        wanted_sign |= (free if zero else negative >> pair & 1) << pair
    return Goal(wanted=(*wanted, wanted_sign), mask=mask)


def build_one_hot_accumulator(shape: OneHotShape, gates: GateLibrary) -> Netlist:
    """Return the accumulator with the ports clk, clear, lines, negate and accumulator."""
    builder = Builder(gates, "a")
    clock, clear = builder.net(), builder.net()
    lines = [builder.net() for _ in range(shape.lines)]
    sign = builder.net()
    state = [builder.net() for _ in range(shape.accumulator_bits)]
    # With clear, s ^ bit becomes s: this is what masks a set bit where s is not set.
    masked = builder.exclusive_or((clear, False), (sign, False))
    following: list[Net] = []
    chain: Net | None = None
    rising = False
    for index, bit in enumerate(state):
        if index < shape.lines:
            if chain is None:
                toggle = builder.invert(lines[index])
            else:
                toggle = builder.gate((2,), [(lines[index], False), (chain, False)], inverted=True)
            rising = True
        elif chain is not None:
            toggle = chain
        following.append(_toggled(builder, bit, toggle, rising=rising, clear=clear))
        if index < shape.accumulator_bits - 1:
            chain = _link(builder, bit, toggle, rising=rising, sign=sign, masked=masked)
            rising = not rising
    for bit, value in zip(state, following, strict=True):
        add_flip_flop(builder, gates.library.best_flip_flop, clock, value, bit)
    return builder.netlist(
        "accumulator",
        [
            Port(name="clk", direction="input", nets=(clock,)),
            Port(name="clear", direction="input", nets=(clear,)),
            Port(name=LINES, direction="input", nets=tuple(lines)),
            Port(name=NEGATE, direction="input", nets=(sign,)),
            Port(name="accumulator", direction="output", nets=tuple(state)),
        ],
    )


def _toggled(builder: Builder, bit: Net, toggle: Net, *, rising: bool, clear: Net) -> Net:
    """Return ``(bit & ~clear) ^ toggle``; ``rising`` says whether toggle is active high."""
    if rising:
        neither = builder.gate(
            (2, 1), [(bit, False), (clear, True), (toggle, False)], inverted=True
        )
        return builder.gate(
            (3, 1),
            [(bit, False), (clear, True), (toggle, False), (neither, False)],
            inverted=True,
        )
    off = builder.gate((2,), [(bit, False), (clear, True)], inverted=True)
    return builder.exclusive_or((off, False), (toggle, False))


def _link(builder: Builder, bit: Net, toggle: Net, *, rising: bool, sign: Net, masked: Net) -> Net:
    """Return the next chain signal, ``toggle & (sign ^ bit)``, in the other polarity."""
    if rising:
        other = builder.gate((2,), [(bit, False), (masked, False)], inverted=True)
        return builder.gate((2, 1, 1), [(bit, True), (sign, True), (other, True), (toggle, True)])
    neither = builder.gate((2,), [(bit, True), (sign, True)])
    return builder.gate(
        (2, 1, 1),
        [(bit, False), (masked, False), (neither, False), (toggle, False)],
        inverted=True,
    )
