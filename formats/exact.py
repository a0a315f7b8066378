"""Exact numbers from untrusted input, and their safe display in an error's sentence."""

import re
from decimal import Decimal
from fractions import Fraction

from .errors import FormatError

MAX_DIGITS = 40
MAX_EXPONENT = 18
_SHOWN_CHARACTERS = 60
_RATIO = re.compile(r"[+-]?\d{1,40}(?:/\d{1,40})?", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?", re.ASCII)


def shown(value: object) -> str:
    """Return a value as an error message shows it: its repr, never long and never failing."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS:
        return repr(value[:_SHOWN_CHARACTERS]) + "…"
    try:
        text = str(value) if isinstance(value, (Decimal, Fraction)) else repr(value)
    except ValueError:  # Python refuses to print integers of thousands of digits
        return f"{_kind(value)} with a number too long to print"
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def exact_number(value: object, where: str) -> Fraction:
    """Return an int, a finite Decimal, a Fraction, or text such as ``0.1`` and ``1/10``, exactly.

    ``where`` starts the error's sentence. Raises :class:`FormatError` for anything else, and for
    magnitudes other than 0 outside 1e-18 to 1e18 or more than 40 digits, which no hardware grid
    can mean and which would cost unbounded memory.
    """
    if isinstance(value, str):
        if not (_RATIO.fullmatch(value) or _DECIMAL.fullmatch(value)):
            raise FormatError(
                f"{where} is {shown(value)}; it must be a number such as 0.1 or 1/10."
            )
        if "/" in value:
            numerator, denominator = value.split("/")
            if int(denominator) == 0:
                raise FormatError(f"{where} is {shown(value)}, a division by zero.")
            return _bounded(Fraction(int(numerator), int(denominator)), value, where)
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, (int, Decimal, Fraction)):
        raise FormatError(
            f"{where} is {shown(value)}, which is {_kind(value)}; it must be an exact number: an "
            "integer, a decimal, or text such as 1/10."
        )
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise FormatError(f"{where} is {value}; it must be finite.")
        if value == 0:
            return Fraction(0)
        if abs(value.adjusted()) > MAX_EXPONENT or len(value.as_tuple().digits) > MAX_DIGITS:
            raise _out_of_bounds(value, where)
    return _bounded(Fraction(value), value, where)


def _bounded(number: Fraction, value: object, where: str) -> Fraction:
    limit = 10**MAX_EXPONENT
    too_long = max(abs(number.numerator), number.denominator) >= 10**MAX_DIGITS
    if too_long or (number != 0 and not Fraction(1, limit) <= abs(number) <= limit):
        raise _out_of_bounds(value, where)
    return number


def _out_of_bounds(value: object, where: str) -> FormatError:
    return FormatError(
        f"{where} is {shown(value)}; a magnitude must be 0 or from 1e-{MAX_EXPONENT} to "
        f"1e{MAX_EXPONENT}, with at most {MAX_DIGITS} digits."
    )


def _kind(value: object) -> str:
    kinds = {
        bool: "a boolean",
        str: "text",
        list: "a list",
        dict: "a table",
        float: "a binary float",
    }
    return kinds.get(type(value), f"of type {type(value).__name__}")
