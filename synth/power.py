"""The power of a mapped MAC on real data: Liberty's energy tables times simulated activity.

The record holds the energy a product twice: from a simulation without delays, in which a net
switches at most once a clock, and from one with unit delays, which adds glitches. The headline
figures take the second, the pessimistic one: real delays differ, and real gates swallow narrow
pulses. Figures are of one library, corner and set of conditions, and are compared within those.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from ..formats.errors import DataError, UsageError
from ..formats.mac import MacSpec
from .activity import count_activity
from .cells import CellLibrary
from .delay_conditions import Conditions, Resolved
from .energy import Energy, energy_of
from .mac_simulation import simulate_mac
from .netlist import Netlist
from .static_timing import analyse

if TYPE_CHECKING:
    from ..formats.operands import Operands

#: The method's name and version: raise it when results change.
METHOD = "tables and toggles 1"
DEFAULT_MEGAHERTZ = 100.0
#: Significant digits, so that a record does not depend on the order of a sum.
_DIGITS = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Power:
    """The power of a MAC that takes one product a clock, and what it was measured under.

    ``zero_delay`` and ``unit_delay`` are dynamic energies a product. ``leakage_nw`` is the mean
    over the cells' input states. ``megahertz`` is the stated clock frequency, ``voltage`` (V) and
    ``temperature`` (°C) the library's corner, to which nothing is scaled. ``products`` were
    counted, in ``lanes`` dot products; ``data`` says of what, ``data_digest`` is their SHA-256.
    """

    zero_delay: Energy
    unit_delay: Energy
    leakage_nw: float
    megahertz: float
    conditions: Resolved
    data: str
    data_digest: str
    lanes: int
    products: int
    method: str
    library: str
    library_digest: str
    process: float
    voltage: float
    temperature: float

    @property
    def energy_fj(self) -> float:
        """The headline: energy a product, glitches and one clock period's leakage included."""
        # nW for 1/MHz is 1e-15 J.
        return self.unit_delay.total_fj + self.leakage_nw / self.megahertz

    @property
    def power_uw(self) -> float:
        """The headline as a power: :attr:`energy_fj` at the stated frequency."""
        return self.energy_fj * self.megahertz / 1e3

    @property
    def glitch_share(self) -> float:
        """The part of the dynamic energy with unit delays that is glitches."""
        return 1 - self.zero_delay.total_fj / self.unit_delay.total_fj

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types; :meth:`from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: object) -> "Power":
        """Rebuild a record of :meth:`to_json`; raises :class:`DataError` for anything else."""
        values = _checked(record, cls, "power record")
        for name in ("zero_delay", "unit_delay"):
            part = _checked(values[name], Energy, f"power's {name}")
            values[name] = Energy(**part)  # type: ignore[arg-type]
        values["conditions"] = Resolved.from_json(values["conditions"])
        power = cls(**values)  # type: ignore[arg-type]
        if power.megahertz <= 0 or power.unit_delay.total_fj <= 0:
            raise DataError("The power record's frequency and energy must be above 0.")
        return power


def measure_power(
    netlist: Netlist,
    library: CellLibrary,
    spec: MacSpec,
    operands: "Operands | None" = None,
    *,
    conditions: Conditions | None = None,
    megahertz: float = DEFAULT_MEGAHERTZ,
) -> Power:
    """Return the power of a mapped MAC, from a simulation that computed the right sums.

    ``operands`` are by default :func:`~.formats.operands.sampled_operands`. Raises
    :class:`VerificationError` where the netlist's accumulator is not the reference's,
    :class:`SimulationError` and :class:`SynthesisError` for netlists that cannot be simulated,
    :class:`LibraryError` for libraries without energies, and :class:`UsageError` for a frequency
    that is no positive number.
    """
    if not 0 < megahertz < math.inf:
        raise UsageError(f"The frequency is {megahertz!r} MHz; it must be a positive number.")
    resolved = (conditions or Conditions()).resolve(library)
    if operands is None:
        from ..formats.operands import sampled_operands  # noqa: PLC0415 - imports torch

        operands = sampled_operands(spec)
    settled = simulate_mac(netlist, library, spec, operands)
    timing = analyse(netlist, library, resolved)
    energies = [
        energy_of(netlist, library, activity, timing, resolved)
        for activity in count_activity(settled, spec.latency)
    ]
    leakage = math.fsum(library.cell(instance.cell).leakage for instance in netlist.instances)
    return Power(
        zero_delay=_record(energies[0]),
        unit_delay=_record(energies[1]),
        leakage_nw=_rounded(leakage),
        megahertz=float(megahertz),
        conditions=resolved,
        data=operands.description,
        data_digest=operands.digest,
        lanes=operands.lanes,
        products=operands.lanes * operands.terms,
        method=METHOD,
        library=library.name,
        library_digest=library.digest,
        process=library.corner.process,
        voltage=library.corner.voltage,
        temperature=library.corner.temperature,
    )


def _record(energy: Energy) -> Energy:
    return Energy(**{name: _rounded(value) for name, value in asdict(energy).items()})


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _checked(record: object, cls: type, where: str) -> dict[str, object]:
    """Return a record's values; raises :class:`DataError` for other keys and wrong types."""
    names = {field.name for field in fields(cls)}
    if not isinstance(record, Mapping) or set(record) != names:
        raise DataError(f"The {where} is {record!r:.80}; it must have {', '.join(sorted(names))}.")
    values: dict[str, object] = dict(record)
    for field in fields(cls):
        value = values[field.name]
        if field.type is float:
            if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
                raise DataError(f"The {where}'s {field.name} is {value!r:.60}, not a number.")
            values[field.name] = float(value)  # type: ignore[arg-type]
        elif field.type in (int, str) and type(value) is not field.type:
            raise DataError(f"The {where}'s {field.name} is {value!r:.60}, of the wrong type.")
    return values
