"""Formats by name: the catalogue, NF and SF at any width, ν and grid, and other code orders.

Names are compared without regard to case. ``NF<b>`` and ``SF<b>`` take b from 2 to 8, then
``-nu<ν>`` (SF only; the paper's ``SF4(nu=5)`` is accepted too) and ``-top<T>``: ``NF4-top31``,
``SF5-nu2.5``, ``SF4-nu7-top11``. The default ν = 5 is left out of :attr:`Format.name`, so that
``SF4-nu5`` is SF4.

Without ``-top`` the format is the published one: codes in ascending order of the levels, grid ±127.
With ``-top`` it is a hardware version, whose codes are the hardware's choice: the order of
:func:`.sign_magnitude_order`. ``NF4-top127`` has NF4's levels under those codes.

``-codes…`` at the end of any name is :func:`.recode`'s, one digit a code.
"""

import difflib
import re
from decimal import Decimal
from fractions import Fraction

from .block_catalog import BLOCK_CATALOG
from .catalog import CATALOG
from .derive import DEFAULT_NU, DEFAULT_TOP, MAX_NU, MAX_TOP, MIN_NU
from .derive import lookup_format as _lookup_format
from .derive import normal_float as _normal_float
from .derive import student_float as _student_float
from .encoding import recode, sign_magnitude_like, split_recoded_name
from .errors import FormatError
from .exact import shown
from .record import MAX_BITS, MAX_GRID_BITS, MIN_BITS, Format

_BY_NAME = {
    known.name.casefold(): known for known in (*CATALOG, *(item.format for item in BLOCK_CATALOG))
}
_DERIVED = re.compile(
    r"(?P<family>[NS]F)(?P<bits>\d{1,3})(?:-nu(?P<nu>[^-()]*)|\((?:nu|ν)=(?P<paper_nu>[^()]*)\))?"
    r"(?:-top(?P<top>.*))?",
    re.IGNORECASE | re.ASCII,
)
_REAL_TOP = 2 ** (MAX_GRID_BITS - 1) - 1
_NU = re.compile(r"\d{1,4}(\.\d{1,4})?", re.ASCII)
_TOP = re.compile(r"\d{1,4}", re.ASCII)


def all_formats() -> tuple[Format, ...]:
    """Return the catalogue of number formats, in its order.

    Of the block formats (:data:`.BLOCK_CATALOG`), whose elements :func:`find_format` knows too,
    three have elements of their own.
    """
    return CATALOG


def find_format(name: str, *, hint: bool = True) -> Format:
    """Return the format of that name.

    Raises :class:`FormatError` for an unknown name, with the names closest to it (``hint``; to find
    them takes long where many names are asked for), for an NF or SF name whose bits, ν or top is
    out of range, and for codes in an order that :func:`.recode` refuses.
    """
    if not isinstance(name, str):
        raise FormatError(f"A format's name must be text, not {shown(name)}.")
    found = _BY_NAME.get(name.strip().casefold())
    if found is not None:
        return found
    recoded = split_recoded_name(name.strip())
    if recoded is not None:
        return recode(find_format(recoded[0], hint=hint), recoded[1])
    match = _DERIVED.fullmatch(name.strip())
    if match is not None:
        return _derived(name, match)
    known = {**{key: f.name for key, f in _BY_NAME.items()}, "all": "all"}
    key = name.strip().casefold()[:80]
    close = difflib.get_close_matches(key, known, n=3, cutoff=0.5) if hint else []
    guess = f" Did you mean {' or '.join(known[key] for key in close)}?" if close else ""
    raise FormatError(
        f"The format {shown(name)} is unknown.{guess} `nibblemac formats` lists the catalogue; "
        "NF and SF also take -nu and -top, as in SF4-nu7-top31; for a format of your own give the "
        "path of a TOML file."
    )


def real_valued(format: Format) -> Format:  # noqa: A002 - the field's word
    """Return NF or SF, of any top and code order, with its real levels, exact to 24 bits.

    Of any other format the levels are what they are: it is returned as it is.
    """
    name = format.name
    recoded = split_recoded_name(name)
    match = _DERIVED.fullmatch(name if recoded is None else recoded[0])
    if match is None:
        return format
    levels = _real_levels(match["family"], int(match["bits"]), _nu(name, match["family"], match))
    return Format(
        name=f"{name}-real",
        bits=format.bits,
        grid=tuple(round(level * _REAL_TOP) for level in levels),
        unit=Fraction(1, _REAL_TOP),
        rounding=format.rounding,
        description=f"{name} before rounding to a grid",
        source=format.source,
    )


def _real_levels(family: str, bits: int, nu: Decimal) -> tuple[float, ...]:
    return _normal_float(bits) if family == "NF" else _student_float(bits, float(nu))


def _derived(name: str, match: re.Match[str]) -> Format:
    family = match["family"].upper()
    bits = int(match["bits"])
    if match["bits"].startswith("0") or not MIN_BITS <= bits <= MAX_BITS:
        raise FormatError(
            f"The format {shown(name)} has {match['bits']} bits; {family} takes {MIN_BITS} to "
            f"{MAX_BITS}, as in {family}4."
        )
    nu = _nu(name, family, match)
    top = _top(name, match["top"])
    parts = [f"{family}{bits}"]
    if family == "SF" and nu != DEFAULT_NU:
        parts.append(f"nu{nu}")
    if match["top"] is not None:
        parts.append(f"top{top}")
    canonical = "-".join(parts)
    if canonical.casefold() in _BY_NAME:
        return _BY_NAME[canonical.casefold()]
    distribution = "the normal distribution"
    if family == "SF":
        degrees = "degree" if nu == 1 else "degrees"
        distribution = f"Student's t with {nu} {degrees} of freedom"
    ascending = _lookup_format(
        canonical,
        _real_levels(family, bits, nu),
        top,
        description=f"lookup of {2**bits} quantiles of {distribution}, grid ±{top}",
        source="Dotzel et al., ICML 2024 (arXiv 2405.03103), Algorithm 1",
    )
    return ascending if match["top"] is None else sign_magnitude_like(ascending, name=canonical)


def _nu(name: str, family: str, match: re.Match[str]) -> Decimal:
    text = match["nu"] if match["nu"] is not None else match["paper_nu"]
    if text is None:
        return Decimal(DEFAULT_NU)
    if family == "NF":
        raise FormatError(
            f"The format {shown(name)} sets nu, but NF's normal distribution has none; use SF."
        )
    if not _NU.fullmatch(text) or not MIN_NU <= Decimal(text) <= MAX_NU:
        raise FormatError(
            f"The format {shown(name)} sets nu to {shown(text)}; it must be a number from {MIN_NU} "
            f"to {MAX_NU} with at most four decimals, as in SF4-nu2.5."
        )
    whole, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0")
    return Decimal(f"{int(whole)}.{decimals}" if decimals else str(int(whole)))


def _top(name: str, text: str | None) -> int:
    if text is None:
        return DEFAULT_TOP
    if not _TOP.fullmatch(text) or not 1 <= int(text) <= MAX_TOP:
        raise FormatError(
            f"The format {shown(name)} sets top to {shown(text)}; it must be an integer from 1 to "
            f"{MAX_TOP}, as in NF4-top31."
        )
    return int(text)
