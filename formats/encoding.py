"""Code assignment: the same levels under other codes.

A format whose levels come from a table may give any code to any level: the values of quantized
tensors stay the same, the decoding logic does not. An order says which old code's level each new
code gets: ``new.grid[code] = old.grid[order[code]]``.
"""

import math
import re
from collections.abc import Sequence

from .errors import FormatError
from .exact import shown
from .record import Format, Rounding

_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_SUFFIX = re.compile(r"(?P<base>.+)-codes(?P<digits>[0-9a-v]*)", re.IGNORECASE | re.ASCII)
MAX_NAME = 64
_Pairing = tuple[float, float, tuple[int, ...]]
_IMPOSSIBLE: _Pairing = (math.inf, math.inf, ())


def recode(format: Format, order: Sequence[int], *, name: str | None = None) -> Format:  # noqa: A002
    """Return the format with ``order[code]``'s level for each code.

    Unless ``name`` is given, the new name tells the order: ``NF4-codes7…``, one digit a code
    (0-9, a-v), which :func:`.find_format` reads; of a recoded format the orders are combined, and
    the original order has the original name. Raises :class:`FormatError` for an order that is no
    permutation of the codes, for a format with selector bits, for one of more than 5 bits or of a
    long name without ``name``, and where rounding looks at the codes (``ties-to-even``) and would
    change.
    """
    if format.selector_bits:
        raise FormatError(
            f"{format.name}'s top code bits select a variant for a block, so that its codes are "
            "what they are; only formats without such bits take another order."
        )
    order = tuple(order)
    codes = range(2**format.bits)
    if any(isinstance(code, bool) or not isinstance(code, int) for code in order) or sorted(
        order
    ) != list(codes):
        raise FormatError(
            f"{format.name}: the order {shown(order)} is no permutation of the codes 0 to "
            f"{codes[-1]}; give each code once."
        )
    result = Format(
        name=_recoded_name(format, order) if name is None else name,
        bits=format.bits,
        grid=tuple(format.grid[code] for code in order),
        unit=format.unit,
        rounding=format.rounding,
        description=format.description,
        source=format.source,
    )
    if format.rounding is Rounding.TIES_TO_EVEN and _parities(result) != _parities(format):
        raise FormatError(
            f"{format.name} rounds ties to even codes, so that this order would change what is "
            "rounded where; only formats that round ties to the lower level take any order."
        )
    return result


def split_recoded_name(name: str) -> tuple[str, tuple[int, ...]] | None:
    """Return a recoded format's original name and its order, or None for any other name.

    The order may be no permutation; :func:`recode` tells.
    """
    match = _SUFFIX.fullmatch(name) if len(name) <= MAX_NAME else None
    if match is None:
        return None
    return match["base"], tuple(_DIGITS.index(digit) for digit in match["digits"].lower())


def sign_magnitude_like(format: Format, *, name: str | None = None) -> Format:  # noqa: A002
    """Return the format in the order of :func:`sign_magnitude_order`; for names see :func:`recode`.

    Example: NF4 on top 11 becomes ±{0, 1, 2, 3, 4, 6, 8, 11} with +5 for negative zero.
    """
    return recode(format, sign_magnitude_order(format), name=name)


def sign_magnitude_order(format: Format) -> tuple[int, ...]:  # noqa: A002 - the field's word
    """Return the order in which the top bit is the sign and the other bits rank the magnitude.

    Positive and negative levels that share their lower bits have magnitudes as alike as can be:
    of all pairings in ascending order the one with the fewest differing magnitude bits, then the
    smallest differences. Zeros and levels without a partner are paired with each other, the
    smaller magnitude under sign 0: so NF4's zero stands at code 0, and its eighth positive level
    at negative zero. A format in sign-magnitude order keeps it.
    """
    grid = format.grid

    def magnitude(code: int) -> tuple[int, int]:
        return abs(grid[code]), code

    zeros = [code for code, value in enumerate(grid) if value == 0]
    sides = [
        sorted((code for code, value in enumerate(grid) if value * sign > 0), key=magnitude)
        for sign in (1, -1)
    ]
    swapped = len(sides[0]) < len(sides[1])
    longer, shorter = reversed(sides) if swapped else sides
    matched = _align([abs(grid[c]) for c in longer], [abs(grid[c]) for c in shorter])
    pairs = [
        (shorter[i], longer[j]) if swapped else (longer[j], shorter[i])
        for i, j in enumerate(matched)
    ]
    rest = zeros + [code for j, code in enumerate(longer) if j not in set(matched)]
    rest.sort(key=magnitude)
    half = len(rest) // 2
    pairs += zip(rest[:half], rest[half:], strict=True)
    pairs.sort(key=lambda pair: magnitude(pair[0]))
    return (*(lower for lower, _ in pairs), *(upper for _, upper in pairs))


def _align(longer: Sequence[int], shorter: Sequence[int]) -> tuple[int, ...]:
    """Return for each of ``shorter`` its partner's index in ``longer``, ascending.

    Both ascend. The sum over the pairs of (differing bits, difference) is least, compared in that
    order; of equals the one that leaves out the smallest of ``longer``.
    """
    # best[j]: the least cost of pairing all of shorter so far with the first j of longer.
    best: list[_Pairing] = [(0, 0, ())] * (len(longer) + 1)
    for value in shorter:
        row = [_IMPOSSIBLE]
        for j, partner in enumerate(longer):
            bits, differences, partners = best[j]
            bits += (value ^ partner).bit_count()
            paired = (bits, differences + abs(value - partner), (*partners, j))
            row.append(paired if paired[:2] <= row[-1][:2] else row[-1])
        best = row
    return best[-1][2]


def _parities(format: Format) -> list[int]:  # noqa: A002
    return [code % 2 for code in format.canonical_codes]


def _recoded_name(format: Format, order: tuple[int, ...]) -> str:  # noqa: A002
    if len(order) > len(_DIGITS):
        raise FormatError(
            f"{format.name} has {format.bits} bits, too many for a name that tells the order; "
            "give the recoded format a name."
        )
    base = format.name
    before = split_recoded_name(base)
    if before is not None and sorted(before[1]) == sorted(order):
        base = before[0]
        order = tuple(before[1][code] for code in order)
    if order == tuple(range(len(order))):
        return base
    return longer_name(base, f"-codes{''.join(_DIGITS[code] for code in order)}")


def longer_name(base: str, suffix: str) -> str:
    """Return a version's name; raises :class:`FormatError` where that would be too long."""
    if len(base) + len(suffix) > MAX_NAME:
        raise FormatError(
            f"A version of the format {base} would be called {base}{suffix}, of "
            f"{len(base) + len(suffix)} characters, and {MAX_NAME} are possible; give the format a "
            "shorter name."
        )
    return base + suffix
