"""Read at which corner Liberty files were characterised."""

from collections.abc import Sequence

from ..formats.errors import LibraryError
from .cells import Corner
from .liberty_tree import Group, LibertyFile


def common_corner(files: Sequence[LibertyFile]) -> Corner:
    """Return the corner of all files; raises :class:`LibraryError` where they differ."""
    corners = [_corner(file.library) for file in files]
    for file, corner in zip(files, corners, strict=True):
        if corner != corners[0]:
            raise LibraryError(
                f"{file.name} is characterised at {corner.voltage:g} V and {corner.temperature:g} "
                f"°C, {files[0].name} at {corners[0].voltage:g} V and "
                f"{corners[0].temperature:g} °C; one library needs files of one corner."
            )
    return corners[0]


def _corner(library: Group) -> Corner:
    default = library.text("default_operating_conditions")
    conditions = list(library.children("operating_conditions"))
    chosen = [group for group in conditions if default in group.args] or conditions[:1]

    def value(nominal: str, key: str, otherwise: float) -> float:
        for group, attribute in [*((group, key) for group in chosen), (library, nominal)]:
            number = group.number(attribute)
            if number is not None:
                return number
        return otherwise

    lower, upper = (
        library.number(f"slew_{edge}_threshold_pct_rise") for edge in ("lower", "upper")
    )
    return Corner(
        process=value("nom_process", "process", 1.0),
        voltage=value("nom_voltage", "voltage", 0.0),
        temperature=value("nom_temperature", "temperature", 25.0),
        slew_lower=20.0 if lower is None else lower,
        slew_upper=80.0 if upper is None else upper,
    )
