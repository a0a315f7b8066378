"""The paper's conclusions, each judged by figures: with our areas, and with the paper's own.

A conclusion is a list of checks. It holds where all checks that can be made with our areas or with
the published quality figures hold; checks with the paper's areas are shown beside them and do not
count, since they tell whether the paper agrees with itself.
"""

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .area_checks import (
    dominated,
    e2m1_overhead,
    family_over_apot,
    int5,
    lookup_area,
    pareto_members,
    supernormal_overhead,
)
from .check import Check
from .evidence import Evidence
from .quality_checks import (
    PHI2_GAIN,
    e2m1_over_int4,
    phi2_gain,
    sf4_best,
    sf4_over_nf4,
    supernormal_quality,
)


class Verdict(enum.StrEnum):
    """How a conclusion fares."""

    HOLDS = "holds"
    PARTLY = "holds in part"
    FAILS = "does not hold"
    UNKNOWN = "cannot be judged"


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


_Claim = tuple[str, str, str, Callable[[Evidence], Iterator[Check]]]
_CLAIMS: tuple[_Claim, ...] = (
    ("sf4-over-nf4", "SF4 improves over NF4 across modern models.", "abstract", sf4_over_nf4),
    (
        "sf4-reference",
        "SF4 is the high-accuracy reference: no other 4-bit format has better quality.",
        "abstract",
        sf4_best,
    ),
    (
        "supernormal-quality",
        "Supernormal support (E2M1+SP, E2M1+SR) raises E2M1's model quality.",
        "abstract",
        supernormal_quality,
    ),
    (
        "phi2-gain",
        f"E2M1 with supernormal support increases the accuracy of Phi-2 by up to {PHI2_GAIN} %.",
        "abstract",
        phi2_gain,
    ),
    ("e2m1-quality", "E2M1 has better quality than INT4.", "Section 5.3", e2m1_over_int4),
    (
        "e2m1-overhead",
        "E2M1 costs little more than INT4: +6.0 % of the MAC, 0.6 % of the chip.",
        "Table 10",
        e2m1_overhead,
    ),
    (
        "supernormal-overhead",
        "Supernormal support costs little: super-range 12.3 % of E2M1's MAC and 1.2 % of the chip "
        "(1.22 % in the abstract), super-precision 27.9 % and 2.8 %.",
        "abstract, Table 10",
        supernormal_overhead,
    ),
    (
        "int5",
        "A fifth bit costs more chip than any 4-bit format of Table 10: INT5's MAC is 26.7 % "
        "larger than INT4's, and with its memory the chip 17.7 %.",
        "Table 10 (its text prints 2.7 %)",
        int5,
    ),
    (
        "pareto-members",
        "The frontier of the formats without lookup is INT4, E2M1 and E2M1 with supernormal "
        "support.",
        "abstract",
        pareto_members,
    ),
    (
        "dominated-minifloats",
        "The E2M1-I, E2M1-B and E3M0 formats are dominated.",
        "abstract (not on its frontier)",
        dominated(("E2M1-I", "E2M1-B", "E3M0")),
    ),
    (
        "apot-dominated",
        "The E2M1 family dominates APoT4 and APoT4+SP.",
        "abstract (not on its frontier)",
        family_over_apot,
    ),
    (
        "lookup-area",
        "Lookup formats pay for their quality with area: NF4 and SF4 need a larger MAC than every "
        "4-bit format of Table 10.",
        "abstract",
        lookup_area,
    ),
)
