"""Read the wire-load model that a Liberty file applies by default."""

from ..formats.errors import LibraryError
from .cells import WireLoad
from .liberty_tree import Group
from .liberty_units import Units
from .tables import rounded

_DIGITS = 5


def read_wire_load(library: Group, units: Units) -> WireLoad | None:
    """Return the library's ``default_wire_load``, or None where it names none.

    A selection by area is left alone: tools do not agree on whether it goes before the default.
    Raises :class:`LibraryError`, with the line, for a malformed model.
    """
    default = library.text("default_wire_load")
    for group in library.children("wire_load"):
        if default and default in group.args:
            return _model(group, units)
    return None


def _model(group: Group, units: Units) -> WireLoad:
    """Return a model with lengths turned into fF, a wire's capacitance being per length."""
    per_length = (group.number("capacitance") or 0.0) * units.capacitance
    resistance = (group.number("resistance") or 0.0) * units.resistance
    points: dict[int, float] = {}
    for name, arguments in group.all_complexes("fanout_length"):
        if len(arguments) < 2:
            raise LibraryError(f"{group.where}: a {name} of {group.label} lacks its length.")
        fan_out = int(group.parse_number(arguments[0], name))
        length = group.parse_number(arguments[1], name)
        points[fan_out] = rounded(length * per_length, _DIGITS)
    return WireLoad(
        points=tuple(sorted(point for point in points.items() if point[0] > 0)),
        slope=rounded((group.number("slope") or 0.0) * per_length, _DIGITS),
        resistance=rounded(resistance / per_length, _DIGITS) if per_length else 0.0,
    )
