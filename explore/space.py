"""The formats of an exploration: what was asked for, on each top, in each order of codes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..formats.encoding import recode, sign_magnitude_like, split_recoded_name
from ..formats.errors import UsageError
from ..formats.lookup import all_formats, real_valued
from ..formats.mac import MacSpec
from ..formats.record import Format, Rounding
from ..formats.tops import hardware_version

_TOP = re.compile(r".*-top\d+", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A MAC to explore, and the format that was asked for (its weight's)."""

    asked: Format
    spec: MacSpec

    @property
    def format(self) -> Format:
        """The weight's format."""
        return self.spec.weight

    @property
    def top(self) -> int | None:
        """The largest grid value of a lookup format, or None."""
        return max(map(abs, self.format.grid)) if is_lookup(self.asked) else None

    @property
    def encoding(self) -> str:
        """The order of codes, as the format's name has it, or nothing."""
        recoded = split_recoded_name(self.format.name)
        return "" if recoded is None else self.format.name.rpartition("-codes")[2]

    @property
    def real(self) -> Format:
        """What the format's error is measured against."""
        return real_valued(self.asked)


def is_lookup(format: Format) -> bool:  # noqa: A002 - the field's word
    """Return whether a format's levels come from a table that may be put on another grid.

    NF and SF, and a user's format that rounds ties to the lower level.
    """
    if real_valued(format) is not format:
        return True
    if format.selector_bits:
        return False
    known = {one.name for one in all_formats()}
    return format.name not in known and format.rounding is Rounding.TIES_TO_LOWER


def places(specs: Sequence[MacSpec], tops: Sequence[int] = ()) -> tuple[Place, ...]:
    """Return the MACs asked for, each on every one of the tops, where there are any.

    Raises :class:`UsageError` for tops of a format that has none or is on one already, and
    :class:`FormatError` for a top out of range.
    """
    found = []
    for spec in specs:
        asked = spec.weight
        if not tops:
            found.append(Place(asked=asked, spec=spec))
            continue
        if not is_lookup(asked):
            raise UsageError(
                f"{asked.name} has no top: its levels are its grid. Give --top with lookup "
                "formats only, such as NF4 and SF4."
            )
        if _TOP.fullmatch(asked.name) or split_recoded_name(asked.name) is not None:
            raise UsageError(
                f"{asked.name} is on a top or in an order of codes already; give --top with the "
                "format itself, such as NF4."
            )
        for top in dict.fromkeys(tops):
            version = hardware_version(asked, top)
            found.append(Place(asked=asked, spec=_with(spec, version)))
    return tuple(found)


def start_of_orders(place: Place) -> Place:
    """Return the place in the sign-magnitude-like order, from which orders are searched.

    Raises :class:`UsageError` for a format whose codes cannot be reordered.
    """
    if place.format.rounding is Rounding.TIES_TO_EVEN:
        raise UsageError(
            f"{place.format.name} rounds ties to even codes, so that its codes are what they are; "
            "give --encoding with lookup formats only, such as NF4-top11."
        )
    return Place(asked=place.asked, spec=_with(place.spec, sign_magnitude_like(place.format)))


def in_order(place: Place, order: Sequence[int]) -> Place:
    """Return the place with its codes in another order (see :func:`.recode`)."""
    return Place(asked=place.asked, spec=_with(place.spec, recode(place.format, order)))


def _with(spec: MacSpec, weight: Format) -> MacSpec:
    """Return a MAC with another weight format, and activation where both were the same."""
    same = spec.activation == spec.weight
    return replace(spec, weight=weight, activation=weight if same else spec.activation)
