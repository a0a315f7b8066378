"""The paper's conclusions, each judged by figures: with our areas, and with the paper's own.

A conclusion is a list of checks. It holds where all checks that can be made with our areas or with
the published quality figures hold; checks with the paper's areas are shown beside them and do not
count, since they tell whether the paper agrees with itself.
"""

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .areas import INT4
from .evidence import BASES, OURS, PAPERS, W4A4, W4A4_SMOOTH, Basis, Evidence, Quality
from .overhead import MAC_SHARE, chip_overhead

SP, SR, E2M1 = "E2M1+SP", "E2M1+SR", "E2M1"
LOOKUP = ("NF4", "SF4")
PHI2_GAIN = 2.19


class Verdict(enum.StrEnum):
    """How a conclusion fares."""

    HOLDS = "holds"
    PARTLY = "holds in part"
    FAILS = "does not hold"
    UNKNOWN = "cannot be judged"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One comparison: what it rests on, whether it came out as claimed, and its figures."""

    basis: str
    holds: bool
    figures: str
    counts: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Conclusion:
    """A claim of the paper, where it stands there, and the checks made of it."""

    key: str
    claim: str
    source: str
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """Whether all, some or none of the counting checks hold."""
        results = [check.holds for check in self.checks if check.counts]
        if not results:
            return Verdict.UNKNOWN
        if all(results):
            return Verdict.HOLDS
        return Verdict.PARTLY if any(results) else Verdict.FAILS


def judge(evidence: Evidence) -> tuple[Conclusion, ...]:
    """Return every conclusion with its checks."""
    return tuple(
        Conclusion(key=key, claim=claim, source=source, checks=tuple(checks(evidence)))
        for key, claim, source, checks in _CLAIMS
    )


def _signed(value: float, digits: int = 2, *, plus: bool = True) -> str:
    """Return a number with a true minus sign."""
    text = f"{value:+.{digits}f}" if plus else f"{value:.{digits}f}"
    return text.replace("-", "−")


def _percent(ratio: float) -> str:
    return f"{_signed(100 * (ratio - 1), 1)} %"


def _figure(quality: Quality, name: str) -> str:
    return f"{name} {_signed(quality.values[name], plus=False)}"


def _figures(quality: Quality, names: Iterable[str]) -> str:
    return ", ".join(_figure(quality, name) for name in names)


def _against(quality: Quality | None, one: str, two: str) -> Iterator[Check]:
    if quality is not None and quality.has(one, two):
        over = f" (mean over {len(quality.models)} models)" if len(quality.models) > 1 else ""
        yield Check(
            basis=quality.name + over,
            holds=quality.better(one, two),
            figures=_figures(quality, (one, two)),
        )


def _sf4_over_nf4(evidence: Evidence) -> Iterator[Check]:
    for quality in evidence.datasets():
        yield from _against(quality, "SF4", "NF4")
    for name, selection in (
        ("W4A4, Table 8", W4A4),
        ("W4A4 with SmoothQuant, Table 8", W4A4_SMOOTH),
    ):
        yield from _against(evidence.quality(name, selection, LOOKUP), "SF4", "NF4")


def _sf4_best(evidence: Evidence) -> Iterator[Check]:
    for quality in evidence.datasets():
        if not quality.has("SF4"):
            continue
        better = [name for name in quality.values if quality.better(name, "SF4")]
        yield Check(
            basis=quality.name,
            holds=not better,
            figures=_figures(quality, ("SF4", *better))
            + ("" if better else f"; best of {len(quality.values)} formats"),
        )


def _supernormal_quality(evidence: Evidence) -> Iterator[Check]:
    for quality in evidence.datasets():
        for variant in (SP, SR):
            yield from _against(quality, variant, E2M1)
    for name, selection in (
        ("W4A4, Table 8", W4A4),
        ("W4A4 with SmoothQuant, Table 8", W4A4_SMOOTH),
    ):
        for variant in (SP, SR):
            w4a4 = evidence.quality(name, selection, (variant, E2M1))
            yield from _against(w4a4, variant, E2M1)


def _phi2_gain(evidence: Evidence) -> Iterator[Check]:
    """Look for the abstract's gain in every setting in which Phi-2 was measured."""
    figures: dict[tuple[str, str], dict[str, float]] = {}
    for row in evidence.rows:
        if row.model == "Phi-2" and row.metric.startswith("mean relative accuracy change"):
            figures.setdefault((row.table, row.setting), {})[row.format] = row.value
    gains = [
        (values[variant] - values[E2M1], variant, table, setting)
        for (table, setting), values in figures.items()
        for variant in (SP, SR)
        if variant in values and E2M1 in values
    ]
    if gains:
        gain, variant, table, setting = max(gains)
        tables = sorted({table for _, _, table, _ in gains})
        yield Check(
            basis="Phi-2, " + ", ".join(tables),
            holds=round(gain, 2) >= PHI2_GAIN,
            figures=(
                f"the largest gain over E2M1 is {_signed(gain)} points: {variant} in {table}, "
                f"{setting}"
            ),
        )


def _e2m1_over_int4(evidence: Evidence) -> Iterator[Check]:
    for quality in evidence.datasets():
        yield from _against(quality, E2M1, INT4)
    name = "W4A4, Table 8"
    yield from _against(evidence.quality(name, W4A4, (E2M1, INT4)), E2M1, INT4)


def _overhead_at_most(evidence: Evidence, variant: str, base: str) -> Iterator[Check]:
    """Compare an overhead with the paper's: ours may not exceed its figure, rounded as printed."""
    theirs = evidence.ratio(PAPERS, variant, base)
    ours = evidence.ratio(OURS, variant, base)
    if theirs is None or ours is None:
        return
    limit = round(100 * (theirs - 1), 1)
    yield Check(
        basis=OURS,
        holds=round(100 * (ours - 1), 1) <= limit,
        figures=(
            f"{variant} over {base}: {_percent(ours)} of the MAC, "
            f"{_signed(100 * MAC_SHARE * (ours - 1))} % of the chip; the paper: "
            f"{_percent(theirs)} and {_signed(100 * MAC_SHARE * (theirs - 1))} %"
        ),
    )


def _supernormal_overhead(evidence: Evidence) -> Iterator[Check]:
    for variant in (SR, SP):
        yield from _overhead_at_most(evidence, variant, E2M1)


def _e2m1_overhead(evidence: Evidence) -> Iterator[Check]:
    yield from _overhead_at_most(evidence, E2M1, INT4)


def _int5(evidence: Evidence) -> Iterator[Check]:
    for basis in BASES:
        areas = evidence.areas[basis]
        four = [name for name in evidence.table10 if name in areas and evidence.bits[name] == 4]
        if INT4 not in areas or "INT5" not in areas:
            continue
        overhead = {
            name: 100 * chip_overhead(areas[name], areas[INT4], evidence.bits[name])
            for name in (*four, "INT5")
        }
        worst = max(four, key=lambda name: (overhead[name], name))
        yield Check(
            basis=basis,
            holds=overhead["INT5"] > overhead[worst],
            figures=(
                f"INT5: {_percent(areas['INT5'] / areas[INT4])} of the MAC, "
                f"{_signed(overhead['INT5'], 1)} % of the chip; the largest 4-bit overhead is "
                f"{worst}'s {_signed(overhead[worst], 1)} %"
            ),
            counts=basis == OURS,
        )


def _pareto_members(evidence: Evidence) -> Iterator[Check]:
    for basis, quality in _compared(evidence):
        front, names = evidence.front(basis, quality)
        if not {INT4, E2M1, SP, SR} <= set(names):
            continue
        yield Check(
            basis=f"{basis}; {quality.name}",
            holds=INT4 in front
            and E2M1 in front
            and (SP in front or SR in front)
            and set(front) <= {INT4, E2M1, SP, SR},
            figures="the frontier is " + ", ".join(front),
            counts=basis == OURS,
        )


def _dominated(names: tuple[str, ...]) -> Callable[[Evidence], Iterator[Check]]:
    def checks(evidence: Evidence) -> Iterator[Check]:
        for basis, quality in _compared(evidence):
            _, compared = evidence.front(basis, quality)
            for name in names:
                if name not in compared:
                    continue
                by = evidence.dominators(basis, quality, name)
                yield Check(
                    basis=f"{basis}; {quality.name}",
                    holds=bool(by),
                    figures=f"{name} is dominated by {', '.join(by)}"
                    if by
                    else (f"{name} is on the frontier"),
                    counts=basis == OURS,
                )

    return checks


def _family_over_apot(evidence: Evidence) -> Iterator[Check]:
    for basis, quality in _compared(evidence):
        _, compared = evidence.front(basis, quality)
        for name in ("APoT4", "APoT4+SP"):
            if name not in compared or E2M1 not in compared:
                continue
            by = [
                other
                for other in evidence.dominators(basis, quality, name)
                if other in (E2M1, SP, SR)
            ]
            yield Check(
                basis=f"{basis}; {quality.name}",
                holds=bool(by),
                figures=f"{name} is dominated by {', '.join(by)}"
                if by
                else (f"no E2M1 format dominates {name}"),
                counts=basis == OURS,
            )


def _lookup_area(evidence: Evidence) -> Iterator[Check]:
    areas = evidence.areas[OURS]
    others = [n for n in evidence.table10 if n in areas and evidence.bits[n] == 4]
    if INT4 not in areas or not others:
        return
    largest = max(others, key=lambda name: (areas[name], name))
    for name in LOOKUP:
        if name in areas:
            yield Check(
                basis=OURS,
                holds=areas[name] > areas[largest],
                figures=(
                    f"{name}: {areas[name] / areas[INT4]:.2f} × INT4; the largest of Table 10's "
                    f"4-bit formats, {largest}: {areas[largest] / areas[INT4]:.2f} × INT4"
                ),
            )


def _compared(evidence: Evidence) -> Iterator[tuple[Basis, Quality]]:
    for basis in BASES:
        for quality in evidence.datasets():
            yield basis, quality


_Claim = tuple[str, str, str, Callable[[Evidence], Iterator[Check]]]
_CLAIMS: tuple[_Claim, ...] = (
    ("sf4-over-nf4", "SF4 improves over NF4 across modern models.", "abstract", _sf4_over_nf4),
    (
        "sf4-reference",
        "SF4 is the high-accuracy reference: no other 4-bit format has better quality.",
        "abstract",
        _sf4_best,
    ),
    (
        "supernormal-quality",
        "Supernormal support (E2M1+SP, E2M1+SR) raises E2M1's model quality.",
        "abstract",
        _supernormal_quality,
    ),
    (
        "phi2-gain",
        f"E2M1 with supernormal support increases the accuracy of Phi-2 by up to {PHI2_GAIN} %.",
        "abstract",
        _phi2_gain,
    ),
    ("e2m1-quality", "E2M1 has better quality than INT4.", "Section 5.3", _e2m1_over_int4),
    (
        "e2m1-overhead",
        "E2M1 costs little more than INT4: +6.0 % of the MAC, 0.6 % of the chip.",
        "Table 10",
        _e2m1_overhead,
    ),
    (
        "supernormal-overhead",
        "Supernormal support costs little: super-range 12.3 % of E2M1's MAC and 1.2 % of the chip "
        "(1.22 % in the abstract), super-precision 27.9 % and 2.8 %.",
        "abstract, Table 10",
        _supernormal_overhead,
    ),
    (
        "int5",
        "A fifth bit costs more chip than any 4-bit format of Table 10: INT5's MAC is 26.7 % "
        "larger than INT4's, and with its memory the chip 17.7 %.",
        "Table 10 (its text prints 2.7 %)",
        _int5,
    ),
    (
        "pareto-members",
        "The frontier of the formats without lookup is INT4, E2M1 and E2M1 with supernormal "
        "support.",
        "abstract",
        _pareto_members,
    ),
    (
        "dominated-minifloats",
        "The E2M1-I, E2M1-B and E3M0 formats are dominated.",
        "abstract (not on its frontier)",
        _dominated(("E2M1-I", "E2M1-B", "E3M0")),
    ),
    (
        "apot-dominated",
        "The E2M1 family dominates APoT4 and APoT4+SP.",
        "abstract (not on its frontier)",
        _family_over_apot,
    ),
    (
        "lookup-area",
        "Lookup formats pay for their quality with area: NF4 and SF4 need a larger MAC than every "
        "4-bit format of Table 10.",
        "abstract",
        _lookup_area,
    ),
)
