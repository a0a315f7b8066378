"""What an exploration gives to the store: of each MAC the best in area, delay and energy."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..synth.cells import CellLibrary
from ..synth.measured import Measured
from ..synth.store import AREA, DELAY, ENERGY, OBJECTIVES, Store
from .design import Design
from .explored import STORED

if TYPE_CHECKING:
    from ..formats.mac import MacSpec

Figures = tuple[Design, Measured]


def offer_best(store: Store, library: CellLibrary, designs: Sequence[Figures]) -> None:
    """Offer the best design of each MAC for each objective; what the store gave is left out."""
    for objective in OBJECTIVES:
        best: dict[MacSpec, tuple[float, Figures]] = {}
        for one, measured in designs:
            figure = _figure(objective, one, measured)
            if figure is None or one.source == STORED:
                continue
            if one.spec not in best or figure < best[one.spec][0]:
                best[one.spec] = figure, (one, measured)
        for spec, (figure, (one, measured)) in best.items():
            store.offer(
                spec,
                library,
                one.graph,
                one.provenance(library),
                objective=objective,
                figure=figure,
                conditions=conditions_of(measured),
            )


def conditions_of(measured: Measured) -> Mapping[str, str]:
    """Return all that delays and energies depend on but the netlist, in words."""
    return {
        **measured.conditions,
        "delay": measured.delay_method,
        "megahertz": "" if measured.megahertz is None else f"{measured.megahertz:g}",
    }


def _figure(objective: str, one: Design, measured: Measured) -> float | None:
    return {
        AREA: one.mapped.area_um2,
        DELAY: measured.delay_ps,
        ENERGY: measured.energy_fj,
    }[objective]
