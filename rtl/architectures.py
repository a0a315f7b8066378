"""The multiplier architectures by name."""

from collections.abc import Mapping
from types import MappingProxyType

from ..formats.errors import ArchitectureError
from ..formats.mac import MacSpec
from .multiplier import Multiplier
from .shift_add_multiplier import ShiftAddMultiplier
from .sign_magnitude_multiplier import SignMagnitudeMultiplier
from .signed_multiplier import SignedMultiplier
from .table_multiplier import TableMultiplier

ARCHITECTURES: Mapping[str, type[Multiplier]] = MappingProxyType(
    {
        architecture.name: architecture
        for architecture in (
            SignedMultiplier,
            SignMagnitudeMultiplier,
            TableMultiplier,
            ShiftAddMultiplier,
        )
    }
)


def find_architecture(name: str) -> type[Multiplier]:
    """Return the architecture called ``name``.

    Raises :class:`ArchitectureError` that lists the names where there is none.
    """
    try:
        return ARCHITECTURES[name]
    except KeyError:
        raise ArchitectureError(
            f"There is no architecture {str(name)[:80]!r}; choose one of "
            + ", ".join(ARCHITECTURES)
            + "."
        ) from None


def refusal(spec: MacSpec, architecture: str) -> str | None:
    """Return a full sentence why the architecture cannot serve ``spec``, or None."""
    return find_architecture(architecture).refusal(spec)


def serving(spec: MacSpec) -> tuple[str, ...]:
    """Return the names of the architectures that serve ``spec``."""
    return tuple(name for name, kind in ARCHITECTURES.items() if kind.refusal(spec) is None)
