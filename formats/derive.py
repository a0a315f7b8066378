"""NormalFloat and StudentFloat: levels from quantiles, and their integer grids.

The paper's Algorithm 1 (after QLoRA), for any bit width b: δ = ½(1/2^(b+1) + 1/(2^(b+1) − 2)), for
b = 4 that is ½(1/32 + 1/30); 2^(b−1) evenly spaced probabilities from δ to ½ and 2^(b−1) + 1 from
½ to 1 − δ, the ½ counted once, go through the quantile function; all are divided by the largest
magnitude. The result has one more positive than negative level, an exact 0, and ends at −1 and 1.

Source: Dotzel et al., ICML 2024 (arXiv 2405.03103), Algorithm 1; Dettmers et al., NeurIPS 2023
(arXiv 2305.14314), section 3.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from .errors import FormatError
from .exact import shown
from .record import MAX_BITS, MIN_BITS, Format, Rounding

DEFAULT_NU = 5
MIN_NU, MAX_NU = 0.5, 1000
DEFAULT_TOP = 127
MAX_TOP = 8191


def normal_float(bits: int) -> tuple[float, ...]:
    """Return the ``2**bits`` levels of NF, ascending from −1 to 1.

    Raises :class:`FormatError` for ``bits`` outside 2 to 8.
    """
    from scipy.special import ndtri  # noqa: PLC0415 - half a second to import

    return _levels(bits, lambda p: float(ndtri(p)))


def student_float(bits: int, nu: float = DEFAULT_NU) -> tuple[float, ...]:
    """Return the ``2**bits`` levels of SF with ``nu`` degrees of freedom, ascending from −1 to 1.

    Raises :class:`FormatError` for ``bits`` outside 2 to 8 or ``nu`` outside 0.5 to 1000.
    """
    if isinstance(nu, bool) or not isinstance(nu, (int, float)) or not MIN_NU <= nu <= MAX_NU:
        raise FormatError(
            f"SF: nu is {shown(nu)}; the degrees of freedom must be from {MIN_NU} to {MAX_NU}."
        )
    from scipy.special import stdtrit  # noqa: PLC0415 - half a second to import

    return _levels(bits, lambda p: float(stdtrit(nu, p)))


def _levels(bits: int, quantile: Callable[[float], float]) -> tuple[float, ...]:
    if isinstance(bits, bool) or not isinstance(bits, int) or not MIN_BITS <= bits <= MAX_BITS:
        raise FormatError(
            f"NF and SF: bits is {shown(bits)}; it must be an integer from {MIN_BITS} to "
            f"{MAX_BITS}."
        )
    # Both distributions are symmetric: the upper half is the mirrored lower tail, so that both
    # extremes are exactly ±1 and 1 − p costs no digits.
    delta = (1 / 2 ** (bits + 1) + 1 / (2 ** (bits + 1) - 2)) / 2
    half = 2 ** (bits - 1)
    largest = -quantile(delta)

    def tail(steps: int) -> list[float]:
        return [quantile(delta + (0.5 - delta) * step / steps) / largest for step in range(steps)]

    return (*tail(half - 1), 0.0, *(-level for level in reversed(tail(half))))


def lookup_format(
    name: str,
    levels: Sequence[float | Fraction],
    top: int = DEFAULT_TOP,
    *,
    description: str = "",
    source: str = "",
) -> Format:
    """Return real levels by code on the integer grid ``round(level × top)`` with unit ``1/top``.

    ``top`` is the grid value of level 1. ``round`` is Python's: a level half-way between two grid
    values goes to the even one. Quantizer ties go to the lower level. Raises :class:`FormatError`
    for a number of levels that is no power of two, a level that is not finite, or ``top`` outside
    1 to 8191.
    """
    top = checked_top(top, f"Format {name}")
    bits = len(levels).bit_length() - 1
    if len(levels) != 2**bits or not MIN_BITS <= bits <= MAX_BITS:
        raise FormatError(
            f"Format {name}: {len(levels)} levels given; the number must be a power of two from "
            f"{2**MIN_BITS} to {2**MAX_BITS}."
        )
    for code, level in enumerate(levels):
        if not math.isfinite(level):
            raise FormatError(f"Format {name}: the level of code {code} is {level}, not finite.")
    return Format(
        name=name,
        bits=bits,
        grid=tuple(round(level * top) for level in levels),
        unit=Fraction(1, top),
        rounding=Rounding.TIES_TO_LOWER,
        description=description,
        source=source,
    )


def checked_top(top: object, where: str) -> int:
    """Return ``top``; raises :class:`FormatError`, naming ``where``, unless it is 1 to 8191."""
    if isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= MAX_TOP:
        raise FormatError(
            f"{where}: top is {shown(top)}; it must be an integer from 1 to {MAX_TOP}."
        )
    return top
