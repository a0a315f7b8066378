"""The accumulator as gates: full adders below the product's sign, a toggle chain from there on.

Above its sign ``s`` the product only repeats it, and only a carry (``s`` = 0) or a borrow
(``s`` = 1) runs: bit ``i`` toggles where ``t[i]``, and ``t[i+1] = t[i] & (s ^ bit[i])``, with
``t`` = ``s ^ carry`` at the sign's place. With ``clear`` all of these bits become the first ``t``:
the chain is stopped at its start, and each bit takes the first ``t`` instead, in place of an AND in
front of each bit. Chain signals alternate in polarity, so that each link is one inverting gate.

Bit 0 has no full adder. With ``m = product[0] ^ negate`` it toggles where ``m``, and its carry is
``m ? bit : negate``.
"""

from dataclasses import dataclass

from ..formats.errors import LibraryError
from .adders import FullAdder, find_full_adder
from .builder import Builder
from .cells import Cell, FlipFlop
from .gates import GateLibrary
from .netlist import Net, Netlist, Port


@dataclass(frozen=True, kw_only=True, slots=True)
class AccumulatorShape:
    """What an accumulator is built for: the product's bits with its sign, the sum's bits.

    ``negate`` is the product's carry-in; without it products leave in two's complement. Product
    and carry-in together have to fit the product's bits: at a clear their sum's sign is repeated.
    With ``full_adders`` the library's full-adder cell is used where it has one.
    """

    product_bits: int
    accumulator_bits: int
    negate: bool
    full_adders: bool = True


def build_accumulator(shape: AccumulatorShape, gates: GateLibrary) -> Netlist:
    """Return the accumulator with the ports clk, clear, product, negate and accumulator.

    Raises :class:`LibraryError` for a library without a D flip-flop.
    """
    builder = Builder(gates, "a")
    library = gates.library
    clock, clear = builder.net(), builder.net()
    product = [builder.net() for _ in range(shape.product_bits)]
    negate = builder.net() if shape.negate else None
    state = [builder.net() for _ in range(shape.accumulator_bits)]
    adder = find_full_adder(library) if shape.full_adders else None
    next_state = _next_state(
        builder, adder, state=state, product=product, negate=negate, clear=clear
    )
    flip_flop = library.best_flip_flop
    for bit, following in zip(state, next_state, strict=True):
        add_flip_flop(builder, flip_flop, clock, following, bit)
    ports = [
        Port(name="clk", direction="input", nets=(clock,)),
        Port(name="clear", direction="input", nets=(clear,)),
        Port(name="product", direction="input", nets=tuple(product)),
    ]
    if negate is not None:
        ports.append(Port(name="negate", direction="input", nets=(negate,)))
    ports.append(Port(name="accumulator", direction="output", nets=tuple(state)))
    return builder.netlist("accumulator", ports)


def _next_state(
    builder: Builder,
    adder: FullAdder | None,
    *,
    state: list[Net],
    product: list[Net],
    negate: Net | None,
    clear: Net,
) -> list[Net]:
    width = len(state)
    low = min(len(product), width) - 1
    following: list[Net] = []
    carry = negate
    for index in range(low):
        kept = builder.gate((2,), [(state[index], False), (clear, True)])
        if carry is None:
            following.append(builder.exclusive_or((kept, False), (product[0], False)))
            carry = builder.gate((2,), [(kept, False), (product[0], False)])
        elif index == 0:
            odd = builder.exclusive_or((product[0], False), (carry, False))
            following.append(builder.exclusive_or((kept, False), (odd, False)))
            carry = builder.gate((2, 2), [(odd, False), (kept, False), (odd, True), (carry, False)])
        else:
            total, carry = _full_adder(builder, adder, kept, product[index], carry)
            following.append(total)
    sign = product[low]
    first = sign if carry is None else builder.exclusive_or((sign, False), (carry, False))
    chain = builder.gate((2,), [(first, False), (clear, True)])
    cleared = builder.gate((2,), [(first, False), (clear, False)])
    rising = True
    for index in range(low, width):
        bit = state[index]
        following.append(_toggled(builder, bit, chain, rising=rising, clear=clear, cleared=cleared))
        if index < width - 1:
            chain = _link(builder, bit, sign, chain, rising)
            rising = not rising
    return following


def _toggled(
    builder: Builder, bit: Net, chain: Net, *, rising: bool, clear: Net, cleared: Net
) -> Net:
    """Return the bit's next value: ``clear ? cleared : bit ^ chain``, where clear stops the chain.

    ``rising`` says whether the chain is active high here.
    """
    if rising:
        stays = builder.gate(
            (2, 1, 1),
            [(bit, False), (clear, True), (chain, False), (cleared, False)],
            inverted=True,
        )
        return builder.gate((2, 1), [(bit, False), (chain, False), (stays, False)], inverted=True)
    goes = builder.gate(
        (3, 1),
        [(bit, False), (chain, False), (clear, True), (cleared, False)],
        inverted=True,
    )
    return builder.gate((2, 1), [(bit, True), (chain, True), (goes, True)])


def _link(builder: Builder, bit: Net, sign: Net, chain: Net, rising: bool) -> Net:
    """Return the next chain signal, ``chain & (sign ^ bit)``, in the other polarity."""
    both = builder.gate((2,), [(bit, False), (sign, False)], inverted=True)
    if rising:
        return builder.gate((2, 1, 1), [(bit, True), (sign, True), (both, True), (chain, True)])
    neither = builder.gate((2,), [(bit, True), (sign, True)])
    return builder.gate(
        (2, 1, 1),
        [(bit, False), (sign, False), (neither, False), (chain, False)],
        inverted=True,
    )


def _full_adder(
    builder: Builder, adder: FullAdder | None, a: Net, b: Net, c: Net
) -> tuple[Net, Net]:
    """Return sum and carry."""
    if adder is None:
        half = builder.exclusive_or((a, False), (b, False))
        carry = builder.gate((2, 2), [(half, False), (c, False), (half, True), (b, False)])
        return builder.exclusive_or((half, False), (c, False)), carry
    total, carry = builder.net(), builder.net()
    pins = dict(zip(adder.cell.input_names, (a, b, c), strict=True))
    builder.cell(adder.cell.name, {**pins, adder.total: total, adder.carry: carry})
    return (
        builder.invert(total) if adder.total_inverted else total,
        builder.invert(carry) if adder.carry_inverted else carry,
    )


def add_flip_flop(builder: Builder, cell: Cell, clock: Net, data: Net, output: Net) -> None:
    """Place a D flip-flop of which one output gives ``output``, with an inverter where needed."""
    state = _state(cell)
    inverting = state.next_state.operator == "!"
    source = state.next_state.operands[0] if inverting else state.next_state
    straight, turned = ("IQN", "IQ") if inverting else ("IQ", "IQN")
    pins = {source.name: data, state.clocked_on.name: clock}
    by_function = {pin.function.name: pin.name for pin in cell.outputs}
    ties = _inactive(cell)
    if straight in by_function:
        builder.cell(cell.name, {**pins, **ties, by_function[straight]: output})
        return
    inner = builder.net()
    builder.cell(cell.name, {**pins, **ties, by_function[turned]: inner})
    builder.drive_inverted(inner, output)


def _state(cell: Cell) -> FlipFlop:
    if cell.flip_flop is None:
        raise LibraryError(f"{cell.name} is no flip-flop.")
    return cell.flip_flop


def _inactive(cell: Cell) -> dict[str, Net]:
    """Return the constants that keep a flip-flop's clear and preset from acting."""
    state = _state(cell)
    ties: dict[str, Net] = {}
    for control in (state.clear, state.preset):
        if control is not None:
            inverted = control.operator == "!"
            pin = control.operands[0] if inverted else control
            ties[pin.name] = int(inverted)
    return ties
