"""A design on its way through an exploration: mapped, found or sized, then measured."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from ..formats.mac import MacSpec
from ..synth.cache import cache_key
from ..synth.cells import CellLibrary
from ..synth.flow import Mapped
from ..synth.measured import Measured
from ..synth.netlist import Netlist
from ..synth.stored import Provenance, plain
from .explored import Explored
from .lookup_error import VersionError
from .space import Place

_ADDERS = {"default": "Yosys's", "amap": "Yosys's", "search": "searched"}
_FULL_ADDERS = "full-adders"


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """A mapped design of a place, and how it was made; see :class:`.Explored` for the fields."""

    place: Place
    source: str
    architecture: str
    recipe: str
    effort: str
    seed: int
    mapped: Mapped
    seconds: float
    tools: Mapping[str, str]
    period_ps: float | None = None
    met: bool | None = None

    @property
    def spec(self) -> MacSpec:
        """The MAC."""
        return self.place.spec

    @property
    def graph(self) -> Netlist:
        """The netlist's graph."""
        graph = self.mapped.graph
        assert graph is not None  # noqa: S101 - no design here has kept its hierarchy
        return graph

    @property
    def adder(self) -> str:
        """How the accumulator adds."""
        adder, slash, _ = self.recipe.partition("/")
        return adder if slash else _ADDERS.get(self.recipe, _FULL_ADDERS)

    @property
    def digest(self) -> str:
        """SHA-256 of the netlist, whatever its cells and module are called."""
        return cache_key(plain(self.graph).to_json())

    @property
    def netlist_digest(self) -> str:
        """SHA-256 of the Verilog."""
        return hashlib.sha256(self.mapped.netlist.encode()).hexdigest()

    def provenance(self, library: CellLibrary) -> Provenance:
        """Return what the store keeps of where the design comes from."""
        period = "" if self.period_ps is None else f", sized for {self.period_ps:g} ps"
        return Provenance(
            format=self.spec.weight.name,
            activation=self.spec.activation.name,
            library=library.name,
            architecture=self.architecture,
            recipe=self.recipe + period,
            effort=self.effort,
            seed=self.seed,
            seconds=self.seconds,
            tools=self.tools,
        )

    def explored(
        self, library: CellLibrary, measured: Measured, error: VersionError | None
    ) -> Explored:
        """Return the record."""
        mapped, spec = self.mapped, self.spec
        return Explored(
            asked=self.place.asked.name,
            format=spec.weight.name,
            activation=spec.activation.name,
            bits=spec.weight.stored_bits,
            terms=spec.terms,
            top=self.place.top,
            encoding=self.place.encoding,
            library=library.name,
            library_digest=library.digest,
            source=self.source,
            architecture=self.architecture,
            recipe=self.recipe,
            adder=self.adder,
            effort=self.effort,
            seed=self.seed,
            period_ps=self.period_ps,
            met=self.met,
            area_um2=round(mapped.area_um2, 6),
            area_ge=round(mapped.area_um2 / library.nand2.area, 4),
            accumulator_bits=spec.accumulator_bits,
            cells=sum(mapped.cells.values()),
            delay_ps=measured.delay_ps,
            delay_method=measured.delay_method,
            energy_fj=measured.energy_fj,
            power_uw=measured.power_uw,
            megahertz=measured.megahertz,
            leakage_nw=measured.leakage_nw,
            unmeasured=measured.unmeasured,
            sqnr_normal_db=None if error is None else error.sqnr_normal_db,
            sqnr_t5_db=None if error is None else error.sqnr_t5_db,
            sqnr_loss_normal_db=None if error is None else error.sqnr_loss_normal_db,
            sqnr_loss_t5_db=None if error is None else error.sqnr_loss_t5_db,
            tools=", ".join(f"{name} {version}" for name, version in self.tools.items()),
            seconds=round(self.seconds, 3),
            netlist=self.netlist_digest,
            non_dominated=False,
        )
