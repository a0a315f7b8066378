"""Sets of area results that may stand in one comparison, and the smallest of each format."""

import math
from collections.abc import Iterable, Sequence

from ..formats.errors import DataError
from ..synth.result import AreaResult

INT4 = "INT4"


def check_comparable(areas: Sequence[AreaResult]) -> None:
    """Refuse areas that must not be compared with each other.

    Raises :class:`DataError` where there are none, where an area is not a positive number, or
    where library, tool versions or the number of terms differ, or, of those with a delay or a
    power, the delay's engine, the frequency or other conditions.
    """
    if not areas:
        raise DataError("There are no areas; synthesize at least one format first.")
    first = areas[0]
    for area in areas:
        if not (math.isfinite(area.area_um2) and area.area_um2 > 0):
            raise DataError(
                f"The area of {area.format} ({area.architecture}) is {area.area_um2!r} µm²; it "
                "must be a positive number."
            )
        for what, here, there in (
            ("libraries", area.library, first.library),
            ("versions of a library", area.library_digest, first.library_digest),
            ("tool versions", _tools(area), _tools(first)),
            ("numbers of terms", str(area.terms), str(first.terms)),
        ):
            if here != there:
                raise DataError(
                    f"The areas come from different {what}: {there:.60} for {first.format}, "
                    f"{here:.60} for {area.format}. They cannot be compared; take one of them."
                )
    _check_conditions(areas)


def _check_conditions(areas: Sequence[AreaResult]) -> None:
    """Refuse delays and powers that were measured in different ways; a missing one is no other."""
    seen: dict[str, tuple[str, str]] = {}
    for area in areas:
        frequency = "" if area.megahertz is None else f"{area.megahertz:g} MHz"
        for what, value in (
            ("delay engines", area.delay_method),
            ("frequencies", frequency),
            *((f"conditions ({name})", value) for name, value in area.conditions.items()),
        ):
            if not value:
                continue
            other, format_ = seen.setdefault(what, (value, area.format))
            if other != value:
                raise DataError(
                    f"Delay and power come from different {what}: {other:.60} for {format_}, "
                    f"{value:.60} for {area.format}. They cannot be compared; take one of them."
                )


def smallest_by_format(areas: Iterable[AreaResult]) -> dict[str, AreaResult]:
    """Return the smallest area of each weight format, over architectures and recipes.

    Ties go to the first in the order of architecture and recipe names; formats stay in the order
    in which they first appear. Raises :class:`DataError` as :func:`check_comparable` does, and
    where one format is paired with different activation formats.
    """
    listed = list(areas)
    check_comparable(listed)
    best: dict[str, AreaResult] = {}
    for area in listed:
        other = best.setdefault(area.format, area)
        if other.activation != area.activation:
            raise DataError(
                f"{area.format} is paired with the activations {other.activation} and "
                f"{area.activation}; a comparison needs one activation format for each."
            )
        if _rank(area) < _rank(other):
            best[area.format] = area
    return best


def _rank(area: AreaResult) -> tuple[float, str, str]:
    return area.area_um2, area.architecture, area.recipe


def _tools(area: AreaResult) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(area.tools.items()))
