"""What the report says in sentences: its summary, and what it was made with."""

from collections.abc import Mapping, Sequence

from ..formats.metrics import METRICS
from ..sim.result import VerifyResult
from ..synth.result import AreaResult
from .areas import smallest_by_format
from .candidates import SizedDesign
from .conclusions import Conclusion, Verdict
from .frontier import Frontier
from .text_table import shown


def summary(
    areas: Sequence[AreaResult],
    tried: Sequence[SizedDesign],
    *,
    verifications: Sequence[VerifyResult],
    proofs: str,
    conclusions: Sequence[Conclusion],
    frontiers: Mapping[str, Frontier],
) -> list[str]:
    """Return the findings, one sentence each.

    ``proofs`` is the sentence on proofs; ``frontiers`` are by heading.
    """
    formats = {area.format for area in areas}
    architectures = {one.architecture for one in tried}
    recipes = {one.recipe for one in tried}
    lines = [
        f"{_count(len(formats), 'format')} in {_count(len(tried), 'design')}: up to "
        f"{_count(len(architectures), 'architecture')} and {_count(len(recipes), 'recipe')}, "
        f"in the cell library {areas[0].library}."
    ]
    if verifications:
        passed = sum(result.passed for result in verifications)
        cases = sum(result.cases for result in verifications)
        lines.append(
            f"{passed} of {len(verifications)} verifications passed; {cases:,} accumulator "
            "values were compared with the reference."
        )
    else:
        lines.append("No design was verified for this report.")
    lines.append(proofs)
    lines += _speed_and_energy(areas)
    for heading, frontier in frontiers.items():
        front = ", ".join(point.format for point in frontier.front)
        lines.append(f"Frontier, {heading}: {front}.")
    counts = {v: sum(item.verdict is v for item in conclusions) for v in Verdict}
    told = ", ".join(f"{count} {_verb(v, count)}" for v, count in counts.items() if count)
    lines.append(f"Of {len(conclusions)} conclusions of the paper, {told}.")
    return lines


def _speed_and_energy(areas: Sequence[AreaResult]) -> list[str]:
    """Say between which formats delay and energy lie, where they were measured."""
    best = smallest_by_format(areas).values()
    lines = []
    for name, what in (("delay_ps", "Critical path"), ("energy_fj", "Energy per MAC")):
        values = {area.format: getattr(area, name) for area in best}
        known = {one: value for one, value in values.items() if value is not None}
        if not known:
            continue
        low, high = min(known, key=lambda one: known[one]), max(known, key=lambda one: known[one])
        unit = METRICS[name].unit
        lines.append(
            f"{what}: from {shown(name, known[low])} {unit} ({low}) to "
            f"{shown(name, known[high])} {unit} ({high})."
        )
    return lines


def _verb(verdict: Verdict, count: int) -> str:
    plural = {
        Verdict.HOLDS: "hold",
        Verdict.PARTLY: "hold in part",
        Verdict.FAILS: "do not hold",
    }
    return verdict.value if count == 1 else plural.get(verdict, verdict.value)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def provenance(
    areas: Sequence[AreaResult],
    verifications: Sequence[VerifyResult],
    machine: Mapping[str, str],
    version: str,
) -> list[tuple[str, str]]:
    """Return what the report was made with, by name: versions, library, machine."""
    first = areas[0]
    rows = [("nibblemac", version)] if version else []
    rows += sorted(first.tools.items())
    rows += [
        ("cell library", f"{first.library} (SHA-256 {first.library_digest[:16]}…)"),
        ("products without loss", str(first.terms)),
    ]
    rows += [("simulator", name) for name in sorted({v.simulator for v in verifications})]
    rows += [("cocotb", name) for name in sorted({v.cocotb for v in verifications})]
    return rows + list(machine.items())
