"""The smallest MAC of a format by library and effort of search, as records, CSV and back."""

from collections.abc import Iterable
from dataclasses import dataclass

from .flat_record import from_csv, to_csv

#: Stands in the place of an effort where Yosys's own script made the netlist.
BASELINE = "default"


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """The smallest MAC of a format with itself, on one library and with one effort.

    ``effort`` is a search's, or :data:`BASELINE`. Area in µm² and in GE; ``seconds`` are those of
    everything that the design is the smallest of: processor seconds of a search's steps, running
    time of a synthesis. ``tools`` are the synthesis tool and its version, ``engine`` the annealer.
    ``netlist`` is the SHA-256 of the netlist's Verilog. ``verified`` is the gate-level testbench's
    verdict over ``cases`` accumulator values, or None where the netlist was not simulated.
    """

    format: str
    library: str
    effort: str
    terms: int
    accumulator_bits: int
    area_um2: float
    area_ge: float
    architecture: str
    recipe: str
    seed: int
    seconds: float
    tools: str
    engine: str
    library_digest: str
    netlist: str
    verified: bool | None
    cases: int

    @property
    def counts(self) -> bool:
        """Whether the figure may be shown: not where the testbench found the netlist wrong."""
        return self.verified is not False


def sizes_to_csv(sizes: Iterable[Size]) -> str:
    """Return the sizes as CSV, one row each; a missing verdict is an empty cell."""
    return to_csv(Size, sizes)


def sizes_from_csv(text: str, source: str = "sizes CSV") -> tuple[Size, ...]:
    """Read :func:`sizes_to_csv`'s text back; raises :class:`DataError` with line and column."""
    return from_csv(Size, text, source)
