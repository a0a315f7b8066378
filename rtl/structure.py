"""What shift-and-add needs to know of a format: its magnitudes as few powers of two.

Two forms serve. Floating: magnitude = mantissa × 2**exponent with a mantissa of at most two bits;
one bit makes it a power of two. Two powers: magnitude = the sum of at most two powers of two, one
from each of two sets.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..formats.record import Format


def signs(number_format: Format) -> tuple[int | None, ...]:
    """Return the sign bit by code; None for zero, whose sign does not matter."""
    return tuple(None if value == 0 else int(value < 0) for value in number_format.grid)


def magnitudes(number_format: Format) -> tuple[int, ...]:
    """Return the magnitude by code, in grid steps."""
    return tuple(abs(value) for value in number_format.grid)


@dataclass(frozen=True, kw_only=True, slots=True)
class FloatForm:
    """By code: magnitude = mantissa × 2**exponent. The exponent of a zero is None: any will do."""

    mantissa_bits: int
    mantissas: tuple[int, ...]
    exponents: tuple[int | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TwoPowersForm:
    """By code: magnitude = 2**first + 2**second, either of which may be absent (None).

    ``first_set`` and ``second_set`` are the exponents that occur, ascending.
    """

    first: tuple[int | None, ...]
    second: tuple[int | None, ...]
    first_set: tuple[int, ...]
    second_set: tuple[int, ...]

    @property
    def shifts(self) -> int:
        """How many shifted copies of the other operand there are to choose from."""
        return len(self.first_set) + len(self.second_set)


def float_form(number_format: Format) -> FloatForm | None:
    """Return the format's floating form with the narrowest mantissa, or None."""
    values = magnitudes(number_format)
    for mantissa_bits in (1, 2):
        # The widest mantissa gives the smallest exponent, hence the shortest shifter.
        exponents = [max(value.bit_length() - mantissa_bits, 0) for value in values]
        pairs = list(zip(values, exponents, strict=True))
        if all(value >> exponent << exponent == value for value, exponent in pairs):
            return FloatForm(
                mantissa_bits=mantissa_bits,
                mantissas=tuple(value >> exponent for value, exponent in pairs),
                exponents=tuple(exponent if value else None for value, exponent in pairs),
            )
    return None


def without_float_form(number_format: Format) -> int:
    """Return the first code whose magnitude is no two-bit mantissa times a power of two."""
    return next(
        code
        for code, value in enumerate(magnitudes(number_format))
        if value and (value // (value & -value)) > 3
    )


def without_two_powers(number_format: Format) -> int | None:
    """Return the first code whose magnitude is no sum of at most two powers of two, or None."""
    return next(
        (c for c, value in enumerate(magnitudes(number_format)) if value.bit_count() > 2), None
    )


def two_powers_form(number_format: Format) -> TwoPowersForm | None:
    """Return each magnitude as a power from a first set plus a power from a second, or None."""
    if without_two_powers(number_format) is not None:
        return None
    values = magnitudes(number_format)
    second_only = _second_set(values)
    first: list[int | None] = []
    second: list[int | None] = []
    for value in values:
        bits = [bit for bit in range(value.bit_length()) if value >> bit & 1]
        if second_only is None:
            # Some powers must stand in both sets: the larger of a pair goes first.
            chosen = [*reversed(bits), None, None][:2]
        else:
            chosen = [
                next((bit for bit in bits if bit not in second_only), None),
                next((bit for bit in bits if bit in second_only), None),
            ]
        first.append(chosen[0])
        second.append(chosen[1])
    return TwoPowersForm(
        first=tuple(first),
        second=tuple(second),
        first_set=tuple(sorted({bit for bit in first if bit is not None})),
        second_set=tuple(sorted({bit for bit in second if bit is not None})),
    )


def _second_set(values: Iterable[int]) -> frozenset[int] | None:
    """Split the powers so that every pair is torn apart; None where no such split exists.

    A two-colouring of the graph whose edges are the pairs. The smaller colour of each component
    becomes second, which for APoT recovers the two sets that the format was made from.
    """
    edges: dict[int, set[int]] = {}
    for value in values:
        if value.bit_count() == 2:
            low, high = (value & -value).bit_length() - 1, value.bit_length() - 1
            edges.setdefault(low, set()).add(high)
            edges.setdefault(high, set()).add(low)
    colour: dict[int, int] = {}
    second: set[int] = set()
    for start in sorted(edges):
        if start in colour:
            continue
        colour[start] = 0
        component = [start]
        for node in component:
            for neighbour in sorted(edges[node]):
                if neighbour not in colour:
                    colour[neighbour] = 1 - colour[node]
                    component.append(neighbour)
                elif colour[neighbour] == colour[node]:
                    return None
        groups = [[n for n in component if colour[n] == c] for c in (0, 1)]
        second.update(groups[0] if len(groups[0]) < len(groups[1]) else groups[1])
    return frozenset(second)
