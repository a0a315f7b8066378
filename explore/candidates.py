"""Every design that was tried, as a light record: which architecture and recipe gives what area."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..synth.area import Candidate


class SizedDesign(Protocol):
    """What a table of architectures needs of a design."""

    @property
    def format(self) -> str:
        """The weight's format."""

    @property
    def architecture(self) -> str:
        """The multiplier architecture."""

    @property
    def recipe(self) -> str:
        """The recipe that mapped it."""

    @property
    def area_um2(self) -> float:
        """The area of the flattened MAC in µm²."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateArea:
    """One design that was tried and its area in µm²."""

    format: str
    activation: str
    architecture: str
    recipe: str
    area_um2: float

    @classmethod
    def of(cls, candidate: "Candidate") -> "CandidateArea":
        """Return the record of a mapped candidate."""
        spec = candidate.task.design.spec
        return cls(
            format=spec.weight.name,
            activation=spec.activation.name,
            architecture=candidate.task.design.architecture,
            recipe=candidate.task.recipe.name,
            area_um2=round(candidate.mapped.area_um2, 6),
        )


def candidates_to_csv(candidates: Iterable[CandidateArea]) -> str:
    """Return the records as CSV, one row each."""
    stream = io.StringIO()
    names: Sequence[str] = [field.name for field in fields(CandidateArea)]
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(candidate) for candidate in candidates)
    return stream.getvalue()
