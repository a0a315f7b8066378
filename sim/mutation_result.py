"""What became of a design's mutants: frozen records that round-trip through JSON."""

from dataclasses import asdict, dataclass, fields

from ..formats.errors import DataError
from .mutants import Mutant
from .result import typed_values

KILLED = "killed"
EQUIVALENT = "equivalent"
LIVE = "live"
UNPROVEN = "unproven"
VERDICTS = (KILLED, EQUIVALENT, LIVE, UNPROVEN)


@dataclass(frozen=True, kw_only=True, slots=True)
class MutantVerdict:
    """One mutant and its fate.

    ``verdict`` is killed, where the testbench fails, first at ``step`` in ``phase``; equivalent,
    where it passes and the mutant is proven to compute what the specification says; live, where
    that is refuted, with the prover's ``counterexample``; unproven, where the prover could not
    tell in its time, and ``counterexample`` says why.
    """

    mutant: Mutant
    verdict: str
    step: int | None = None
    phase: str = ""
    counterexample: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class MutationResult:
    """The verdicts on all mutants of one design.

    ``count`` mutants were asked for, chosen by ``seed``; where the design has fewer different
    ones, ``verdicts`` has them all. ``steps`` accumulator values are compared of a mutant that
    passes. ``error`` says why there are no verdicts, or is empty. ``seconds`` are wall-clock.
    """

    format: str
    activation: str
    terms: int
    architecture: str
    count: int
    seed: int
    steps: int
    verdicts: tuple[MutantVerdict, ...]
    error: str
    simulator: str
    cocotb: str
    yosys: str
    seconds: float

    @property
    def name(self) -> str:
        """Format and architecture as text."""
        formats = self.format
        if self.activation != self.format:
            formats += f" × {self.activation}"
        return f"{formats}, {self.architecture}"

    def of(self, verdict: str) -> tuple[MutantVerdict, ...]:
        """Return the mutants with a verdict."""
        return tuple(one for one in self.verdicts if one.verdict == verdict)

    @property
    def survivors(self) -> tuple[MutantVerdict, ...]:
        """The live mutants, and the unproven ones, which count as live."""
        return tuple(one for one in self.verdicts if one.verdict in {LIVE, UNPROVEN})

    @property
    def passed(self) -> bool:
        """Whether there were mutants and the testbench killed every one that is not equivalent."""
        return bool(self.verdicts) and not self.survivors and not self.error

    @property
    def is_settled(self) -> bool:
        """Whether another run would say the same: no error, and nothing that ran out of time."""
        return not self.error and not self.of(UNPROVEN)

    def describe(self) -> str:
        """Return the error, or each survivor on a line of its own; nothing where all is well."""
        if self.error:
            return f"{self.name}: {self.error}"
        return "\n".join(
            f"{self.name}: mutant {one.mutant.number} is {one.verdict}: {one.mutant}"
            + (f"; {one.counterexample}" if one.counterexample else "")
            for one in self.survivors
        )

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types; :meth:`from_json` is the inverse."""
        return {
            **{item.name: getattr(self, item.name) for item in fields(self)},
            "verdicts": [
                {
                    **asdict(one.mutant),
                    "verdict": one.verdict,
                    "step": one.step,
                    "phase": one.phase,
                    "counterexample": one.counterexample,
                }
                for one in self.verdicts
            ],
            "passed": self.passed,
        }

    @classmethod
    def from_json(cls, record: object) -> "MutationResult":
        """Rebuild a result; raises :class:`DataError` for a missing key or a wrong type."""
        values = typed_values(cls, record, "A mutation record")
        listed = values["verdicts"]
        if not isinstance(listed, list):
            raise DataError(f"A mutation record: verdicts is {listed!r:.60}, no list.")
        values["verdicts"] = tuple(_verdict(one) for one in listed)
        return cls(**values)  # type: ignore[arg-type]


def _verdict(record: object) -> MutantVerdict:
    where = "A mutant's record"
    mutant = Mutant(**typed_values(Mutant, record, where))  # type: ignore[arg-type]
    if not isinstance(record, dict):
        raise DataError(f"{where} is {record!r:.60}; it must be a JSON object.")
    values = typed_values(MutantVerdict, {**record, "mutant": mutant}, where)
    for name in ("control_bit", "wire_bit", "step"):
        if record[name] is not None and type(record[name]) is not int:
            raise DataError(f"{where}: {name} is {record[name]!r:.60}, of the wrong type.")
    if values["verdict"] not in VERDICTS:
        raise DataError(f"{where}: verdict is {values['verdict']!r:.60}, none of {VERDICTS}.")
    return MutantVerdict(**values)  # type: ignore[arg-type]
