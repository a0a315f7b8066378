"""Delay and power of a mapped MAC, from the cache where they are known.

A record's key holds all that it depends on: the netlist, every fact of the library, the
conditions, the engine with its version, and for power the formats and the data. The frequency is
no part of it, since the energies that are kept do not depend on it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from ..formats.errors import (
    LibraryError,
    SimulationError,
    SynthesisError,
    ToolError,
    UsageError,
)
from ..formats.mac import MacSpec
from .cache import Cache, cache_key
from .cells import CellLibrary
from .delay import Delay, engine_name, measure_delay
from .delay_conditions import Conditions
from .measured import Measured
from .netlist import Netlist
from .opensta import find_opensta
from .power import DEFAULT_MEGAHERTZ, METHOD, Power, measure_power
from .static_timing import TABLES

if TYPE_CHECKING:
    from ..formats.operands import Operands

#: Part of every key: raise it when figures change that no other part of the key tells apart.
MEASURE_VERSION = 1
#: Longer dot products are not simulated: each takes time and memory in proportion.
MAX_TERMS = 2**14
_LANES = 256
_PRODUCTS = 2**18


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureSetup:
    """What delay and power are measured under, the same for every MAC of a comparison.

    ``engine`` is one of :data:`~.delay.ENGINES`, by default the one that is there. ``megahertz``
    is the clock frequency of powers. ``operands`` returns the data of a MAC; by default they are
    samples of Student's t. Raises :class:`UsageError` for a frequency or an engine without a
    meaning.
    """

    conditions: Conditions = field(default_factory=Conditions)
    engine: str | None = None
    megahertz: float = DEFAULT_MEGAHERTZ
    operands: "Callable[[MacSpec], Operands] | None" = None

    def __post_init__(self) -> None:
        if not 0 < self.megahertz < 1e9:
            raise UsageError(
                f"The frequency is {self.megahertz!r} MHz; it must be a positive number."
            )
        engine_name(self.engine)


def measure(
    netlist: Netlist | None,
    library: CellLibrary,
    spec: MacSpec,
    cache: Cache,
    setup: MeasureSetup | None = None,
) -> Measured:
    """Return delay and power of a mapped MAC; of a netlist without a graph, neither.

    What the library or a tool does not allow is missing in the result, with the reason. Raises
    :class:`VerificationError` where the netlist computes other sums than the reference does, and
    :class:`UsageError` and :class:`TensorError` for conditions and data without a meaning.
    """
    if netlist is None:
        return Measured(unmeasured="The netlist has no graph.")
    wanted = setup or MeasureSetup()
    try:
        resolved = wanted.conditions.resolve(library)
    except LibraryError as error:
        return Measured(unmeasured=str(error))
    case = _Case(
        netlist=netlist,
        library=library,
        cache=cache,
        setup=wanted,
        facts={
            "version": MEASURE_VERSION,
            "netlist": netlist.to_json(),
            "library": library.digest,
            "conditions": resolved.to_json(),
        },
    )
    delay, power, reasons = None, None, []
    try:
        delay = _delay(case)
    except (ToolError, LibraryError) as error:
        reasons.append(str(error))
    try:
        power = _power(case, spec)
    except (SimulationError, SynthesisError, LibraryError) as error:
        reasons.append(str(error))
    return Measured(delay=delay, power=power, unmeasured=" ".join(dict.fromkeys(reasons)))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """What delay and power have in common; ``facts`` are the keys' part of it."""

    netlist: Netlist
    library: CellLibrary
    cache: Cache
    setup: MeasureSetup
    facts: Mapping[str, object]


def _delay(case: _Case) -> Delay:
    setup = case.setup
    engine = engine_name(setup.engine)
    tool = find_opensta() if engine == "opensta" else None
    method = TABLES if tool is None else tool.method
    key = cache_key({**case.facts, "what": "delay", "method": method})
    found = case.cache.read(key, Delay.from_json)
    if found is None:
        found = measure_delay(case.netlist, case.library, setup.conditions, engine)
        case.cache.put(key, found.to_json())
    return found


def _power(case: _Case, spec: MacSpec) -> Power:
    if spec.terms > MAX_TERMS:
        raise SimulationError(
            f"Power is measured on dot products of at most {MAX_TERMS} terms; {spec.name} has "
            f"{spec.terms}."
        )
    setup = case.setup
    operands = None if setup.operands is None else setup.operands(spec)
    key = cache_key(
        {
            **case.facts,
            "what": "power",
            "method": METHOD,
            "timing": TABLES,
            "weight": spec.weight.digest,
            "activation": spec.activation.digest,
            "terms": spec.terms,
            "enable": spec.enable,
            "latency": spec.latency,
            "data": (
                {
                    "lanes": lanes_of(spec),
                    "sampled": {name: version(name) for name in ("numpy", "torch")},
                }
                if operands is None
                else {"digest": operands.digest, "description": operands.description}
            ),
        }
    )
    found = case.cache.read(key, Power.from_json)
    if found is None:
        if operands is None:
            from ..formats.operands import sampled_operands  # noqa: PLC0415 - imports torch

            operands = sampled_operands(spec, lanes=lanes_of(spec))
        found = measure_power(
            case.netlist, case.library, spec, operands, conditions=setup.conditions
        )
        case.cache.put(key, found.to_json())
    return replace(found, megahertz=float(setup.megahertz))


def lanes_of(spec: MacSpec) -> int:
    """Return how many dot products are simulated: 256, and fewer of very long ones."""
    return max(1, min(_LANES, _PRODUCTS // spec.terms))
