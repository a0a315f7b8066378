"""Other code orders near a given one: where a search for cheap decoding logic goes next.

The moves, smallest first in what they change: swap two codes; swap two values of the lower bits
under both signs; give negative zero another level, the levels between moving up or down by one;
complement a lower bit, or the sign bit, under a condition on one other bit;
exchange two bits' places, everywhere or where a third bit is set; Gray codes, that is, add one bit
to another. All but the first three keep the order an affine function of the bits. Exchanging two
bits everywhere and complementing a bit without a condition give the hardware's inputs other names
or inverters only; they are kept since heuristics of logic synthesis depend on both.
"""

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterator

from .errors import UsageError
from .record import Format

Order = tuple[int, ...]


def neighbours(format: Format, seed: int, count: int) -> Iterator[Order]:  # noqa: A002
    """Yield ``count`` orders for :func:`.recode`, none of which gives the format's own grid.

    Each yields another grid, and the same seed the same orders: first all single moves in an order
    drawn with ``seed``, then compositions of two, three and more. There are fewer where the format
    has fewer arrangements. Raises :class:`UsageError` for a negative ``count``.
    """
    if count < 0:
        raise UsageError(f"count is {count}; it must be 0 or more.")
    grid = format.grid
    copies = Counter(grid).values()
    arrangements = math.factorial(len(grid)) // math.prod(map(math.factorial, copies))
    remaining = min(count, arrangements - 1)
    seen = {grid}
    for order in _walk(format.bits, random.Random(seed)):  # noqa: S311 - a search, no secret
        if not remaining:
            return
        arranged = tuple(grid[code] for code in order)
        if arranged not in seen:
            seen.add(arranged)
            remaining -= 1
            yield order


def moves(bits: int) -> tuple[Order, ...]:
    """Return every single move for codes of ``bits`` bits, each once, without the identity."""
    codes = range(2**bits)
    sign, found = bits - 1, []
    for a, b in itertools.combinations(codes, 2):
        found.append(_exchange({a: b, b: a}, codes))
    for a, b in itertools.combinations(range(2**sign), 2):
        top = 1 << sign
        found.append(_exchange({a: b, b: a, a | top: b | top, b | top: a | top}, codes))
    for a, b in itertools.combinations(range(2**sign), 2):
        run = [1 << sign, *range(a, b + 1)]
        found.append(_exchange(dict(zip(run, run[1:] + run[:1], strict=True)), codes))
        found.append(_exchange(dict(zip(run[1:] + run[:1], run, strict=True)), codes))
    for bit in range(bits):
        found.append(tuple(code ^ 1 << bit for code in codes))
        for other in range(bits):
            if other != bit:
                found.append(tuple(code ^ (code >> other & 1) << bit for code in codes))
                found.append(tuple(code ^ (~code >> other & 1) << bit for code in codes))
    for a, b in itertools.combinations(range(bits), 2):
        found.append(tuple(_swap_bits(code, a, b) for code in codes))
        found += [
            tuple(_swap_bits(code, a, b) if code >> other & 1 == value else code for code in codes)
            for other in range(bits)
            if other not in (a, b)
            for value in (0, 1)
        ]
    # The Gray code of the lower bits, under both signs, and of all bits.
    low = 2**sign - 1
    found.append(tuple(code & ~low | (code & low) ^ (code & low) >> 1 for code in codes))
    found.append(tuple(code ^ code >> 1 for code in codes))
    return tuple(order for order in dict.fromkeys(found) if order != tuple(codes))


def _walk(bits: int, generator: random.Random) -> Iterator[Order]:
    """Yield the single moves once, then compositions of more and more, without end."""
    single = list(moves(bits))
    generator.shuffle(single)
    yield from single
    for length in itertools.count(2):
        for _ in range(len(single) ** 2):
            order = generator.choice(single)
            for _ in range(length - 1):
                step = generator.choice(single)
                order = tuple(order[code] for code in step)
            yield order


def _exchange(pairs: dict[int, int], codes: range) -> Order:
    return tuple(pairs.get(code, code) for code in codes)


def _swap_bits(code: int, a: int, b: int) -> int:
    differ = (code >> a ^ code >> b) & 1
    return code ^ (differ << a | differ << b)
