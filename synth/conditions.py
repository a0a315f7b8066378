"""What surrounds a MAC when its delay and its power are computed: driver, load, wires."""

from dataclasses import dataclass

from ..formats.errors import LibraryError, UsageError
from .cells import CellLibrary


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """The surroundings: equal for every design that is compared.

    Input ports, the clock included, switch with a transition time of ``input_slew`` ps, each
    output port drives ``output_load`` fF, and nets carry the library's wire load if ``wire_load``
    is set and it has one. Raises :class:`UsageError` for values that have no meaning.
    """

    input_slew: float
    output_load: float
    wire_load: bool = True

    def __post_init__(self) -> None:
        for name, unit, value in (
            ("input_slew", "ps", self.input_slew),
            ("output_load", "fF", self.output_load),
        ):
            if not 0 <= value < 1e9:
                raise UsageError(f"{name} is {value!r} {unit}; it must be from 0 to 1e9.")

    @classmethod
    def of(cls, library: CellLibrary) -> "Conditions":
        """Return the default: the second slew and load of the library's grid, and wire loads.

        Where the grid is chosen by :mod:`.tables`, these are three quarters of the transition time
        of a NAND2 that drives four of its own inputs, and the load of four such inputs. Raises
        :class:`LibraryError` where the library has no timing.
        """
        if not library.slews or not library.loads:
            raise LibraryError(
                f"The library {library.name} has no timing and energy tables, so neither delay "
                "nor power can be computed; give Liberty files that have them."
            )
        return cls(
            input_slew=library.slews[min(1, len(library.slews) - 1)],
            output_load=library.loads[min(1, len(library.loads) - 1)],
        )
