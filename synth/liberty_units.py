"""Liberty's units, as factors to this project's: ps, fF, nW, V, kΩ and fJ."""

import re
from dataclasses import dataclass

from ..formats.errors import LibraryError
from .liberty_tree import Group

# A number before a unit; any real one is 1, 10 or 100.
_SMALLEST = 1e-6
_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "a": 1e-18, "k": 1e3}


@dataclass(frozen=True, slots=True)
class Units:
    """Factors that turn a library's numbers into ps, fF, nW, V and kΩ; ``energy`` into fJ.

    An ``internal_power`` table is in capacitance times voltage squared, as Liberty defines it.
    """

    time: float
    capacitance: float
    leakage: float
    voltage: float
    resistance: float

    @property
    def energy(self) -> float:
        """The factor to fJ."""
        return self.capacitance * self.voltage**2


def read_units(library: Group) -> Units:
    """Return the units of a ``library`` group; what it leaves out is 1 ns, 1 pF, 1 nW, 1 V, 1 kΩ.

    Raises :class:`LibraryError` for a unit that cannot be read.
    """
    return Units(
        time=_factor(library, "time_unit", "s", 1e-9, 1e-12),
        capacitance=_capacitance(library),
        leakage=_factor(library, "leakage_power_unit", "w", 1e-9, 1e-9),
        voltage=_factor(library, "voltage_unit", "v", 1.0, 1.0),
        resistance=_factor(library, "pulling_resistance_unit", "ohm", 1e3, 1e3),
    )


def _factor(library: Group, name: str, unit: str, default: float, base: float) -> float:
    text = library.text(name)
    return _clean((default if not text else _scale(library, name, text, unit)) / base)


def _capacitance(library: Group) -> float:
    arguments = library.complex("capacitive_load_unit")
    if arguments is None:
        return 1e3
    return _clean(_scale(library, "capacitive_load_unit", "".join(arguments), "f") / 1e-15)


def _scale(library: Group, name: str, text: str, unit: str) -> float:
    match = re.fullmatch(r"([\d.eE+-]*?)\s*([munpfak]?)" + unit, text.strip(), re.IGNORECASE)
    value = 0.0
    if match:
        value = library.parse_number(match[1], name) if match[1] else 1.0
    if not match or not _SMALLEST <= value <= 1 / _SMALLEST:
        raise LibraryError(f"{library.where}: {name} is {text[:40]!r}, which is no unit.")
    return value * _PREFIXES[match[2].lower()]


def _clean(factor: float) -> float:
    """Undo what binary floating point did to a power of ten."""
    return float(f"{factor:.12g}")
