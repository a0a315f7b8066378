"""What a verification found: frozen records that round-trip through JSON."""

from dataclasses import asdict, dataclass, fields

from ..formats.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """One step at which an accumulator differs from the reference.

    ``weight``, ``activation`` and ``clear`` are those of the last product in the accumulator,
    ``enable`` is that of ``step``. ``got`` is a decimal integer, or the bits where some are X or Z.
    """

    step: int
    phase: str
    weight: int
    activation: int
    clear: bool
    enable: bool
    expected: int
    got: str

    def __str__(self) -> str:
        """Return the failure as a line of text."""
        got = self.got
        if not got.lstrip("-").isdecimal():
            got = f"{got}, not a number: X or Z bits"
        return (
            f"step {self.step} ({self.phase}): weight code {self.weight}, "
            f"activation code {self.activation}, clear {self.clear:d}, enable {self.enable:d}: "
            f"expected {self.expected}, got {got}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyResult:
    """The verdict on one design.

    ``cases`` accumulator values were compared and ``wrong`` differ; ``failures`` has the first of
    them. ``error`` says why nothing could be compared, or is empty. ``full_length`` tells whether
    both extremes of the accumulator's range were reached. ``seconds`` is the design's share of the
    wall time of its simulation. ``waves`` is the waveform file, or empty.
    """

    format: str
    activation: str
    terms: int
    architecture: str
    level: str
    cases: int
    wrong: int
    failures: tuple[Failure, ...]
    error: str
    full_length: bool
    seconds: float
    simulator: str
    cocotb: str
    seed: int
    waves: str

    @property
    def passed(self) -> bool:
        """Whether values were compared and all were equal."""
        return self.cases > 0 and self.wrong == 0 and not self.error

    @property
    def name(self) -> str:
        """Format, architecture and level as text."""
        formats = self.format
        if self.activation != self.format:
            formats += f" × {self.activation}"
        return f"{formats}, {self.architecture}, {self.level}"

    def describe(self) -> str:
        """Return the verdict as text, with the first failures on lines of their own."""
        if self.error:
            return f"{self.name}: {self.error}"
        if self.passed:
            return f"{self.name}: {self.cases} accumulator values equal the reference's."
        lines = [f"{self.name}: {self.wrong} of {self.cases} accumulator values are wrong."]
        lines += [f"  {failure}" for failure in self.failures]
        if self.wrong > len(self.failures):
            lines.append(f"  and {self.wrong - len(self.failures)} more")
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types; :meth:`from_json` is the inverse."""
        return {
            **asdict(self),
            "failures": [asdict(failure) for failure in self.failures],
            "passed": self.passed,
        }

    @classmethod
    def from_json(cls, record: object) -> "VerifyResult":
        """Rebuild a result; raises :class:`DataError` for a missing key or a wrong type."""
        values = typed_values(cls, record, "A verification record")
        failures = values["failures"]
        if not isinstance(failures, list):
            raise DataError(f"A verification record: failures is {failures!r:.60}, no list.")
        values["failures"] = tuple(
            Failure(**typed_values(Failure, failure, "A failure record"))  # type: ignore[arg-type]
            for failure in failures
        )
        return cls(**values)  # type: ignore[arg-type]


def typed_values(kind: type, record: object, where: str) -> dict[str, object]:
    """Return a record's values by the fields of ``kind``; ``where`` names it in errors.

    Raises :class:`DataError` for a missing key, or a plain value of the wrong type.
    """
    if not isinstance(record, dict):
        raise DataError(f"{where} is {record!r:.60}; it must be a JSON object.")
    values: dict[str, object] = {}
    for item in fields(kind):
        if item.name not in record:
            raise DataError(f"{where} lacks the key {item.name!r}.")
        value = record[item.name]
        if item.type is float and type(value) is int:
            value = float(value)
        if item.type in {str, int, bool, float} and type(value) is not item.type:
            raise DataError(f"{where}: {item.name} is {value!r:.60}, of the wrong type.")
        values[item.name] = value
    return values
