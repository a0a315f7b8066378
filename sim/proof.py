"""What a proof found: frozen records that round-trip through JSON."""

from dataclasses import asdict, dataclass
from enum import StrEnum

from ..formats.errors import DataError
from .result import typed_values


class Verdict(StrEnum):
    """The three answers; ``unproven`` means that nothing is known, and never counts as proven."""

    PROVEN = "proven"
    REFUTED = "refuted"
    UNPROVEN = "unproven"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """The inputs of one clock edge: codes and controls."""

    weight: int
    activation: int
    clear: bool
    enable: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Counterexample:
    """Inputs, the first with ``clear``, after which the accumulator holds the wrong sum.

    ``expected`` and ``got`` are the accumulator's values behind the last clock edge. ``waves`` is
    the waveform file, or empty.
    """

    steps: tuple[Step, ...]
    expected: int
    got: int
    waves: str = ""

    def __str__(self) -> str:
        """Return it as a sentence."""
        shown = [f"{step.weight}×{step.activation}" for step in self.steps[-4:]]
        count = f"{len(self.steps)} product{'s' if len(self.steps) > 1 else ''}"
        more = "… " if len(self.steps) > len(shown) else ""
        return (
            f"after {count} from a clear on (codes {more}{' '.join(shown)}) the "
            f"accumulator is {self.got}, not {self.expected}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """The verdict on one design.

    ``method`` names what decided it, tools with their versions; ``detail`` says why nothing could
    be proven, or is empty. ``seconds`` are wall-clock.
    """

    format: str
    activation: str
    architecture: str
    level: str
    verdict: Verdict
    method: str
    seconds: float
    counterexample: Counterexample | None = None
    detail: str = ""

    @property
    def proven(self) -> bool:
        """Whether the design computes what its format says, for ever."""
        return self.verdict is Verdict.PROVEN

    @property
    def name(self) -> str:
        """Format, architecture and level as text."""
        formats = self.format
        if self.activation != self.format:
            formats += f" × {self.activation}"
        return f"{formats}, {self.architecture}, {self.level}"

    def describe(self) -> str:
        """Return the verdict as a sentence."""
        if self.counterexample is not None:
            waves = self.counterexample.waves
            seen = f" The waveform is in {waves}." if waves else ""
            return f"{self.name}: refuted: {self.counterexample}.{seen}"
        return f"{self.name}: {self.verdict}" + (f": {self.detail}" if self.detail else ".")

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types; :meth:`from_json` is the inverse."""
        return {**asdict(self), "verdict": self.verdict.value}

    @classmethod
    def from_json(cls, record: object) -> "Proof":
        """Rebuild a proof; raises :class:`DataError` for a missing key or a wrong value."""
        values = typed_values(cls, record, "A proof record")
        try:
            values["verdict"] = Verdict(str(values["verdict"]))
        except ValueError as error:
            raise DataError(f"A proof record: {error}.") from error
        found = values["counterexample"]
        if found is not None:
            inner = typed_values(Counterexample, found, "A counterexample record")
            steps = inner["steps"]
            if not isinstance(steps, list | tuple):
                raise DataError(f"A counterexample record: steps is {steps!r:.60}, no list.")
            inner["steps"] = tuple(
                Step(**typed_values(Step, step, "A step record"))  # type: ignore[arg-type]
                for step in steps
            )
            values["counterexample"] = Counterexample(**inner)  # type: ignore[arg-type]
        if (values["verdict"] is Verdict.REFUTED) != (values["counterexample"] is not None):
            raise DataError("A proof record: it is refuted exactly if it has a counterexample.")
        return cls(**values)  # type: ignore[arg-type]
