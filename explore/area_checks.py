"""Checks of the paper's conclusions on area and the frontier, with our areas and its own."""

from collections.abc import Callable, Iterator

from .areas import INT4
from .check import Check, percent, signed
from .evidence import BASES, OURS, PAPERS, Basis, Evidence, Quality
from .overhead import MAC_SHARE, chip_overhead
from .quality_checks import E2M1, LOOKUP, SP, SR


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
            f"{variant} over {base}: {percent(ours)} of the MAC, "
            f"{signed(100 * MAC_SHARE * (ours - 1))} % of the chip; the paper: "
            f"{percent(theirs)} and {signed(100 * MAC_SHARE * (theirs - 1))} %"
        ),
    )


def supernormal_overhead(evidence: Evidence) -> Iterator[Check]:
    """Ask whether supernormal support costs no more of E2M1's MAC than Table 10 says."""
    for variant in (SR, SP):
        yield from _overhead_at_most(evidence, variant, E2M1)


def e2m1_overhead(evidence: Evidence) -> Iterator[Check]:
    """Ask whether E2M1 costs no more over INT4 than Table 10 says."""
    yield from _overhead_at_most(evidence, E2M1, INT4)


def int5(evidence: Evidence) -> Iterator[Check]:
    """Ask whether INT5 costs more chip than every 4-bit format of Table 10."""
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
                f"INT5: {percent(areas['INT5'] / areas[INT4])} of the MAC, "
                f"{signed(overhead['INT5'], 1)} % of the chip; the largest 4-bit overhead is "
                f"{worst}'s {signed(overhead[worst], 1)} %"
            ),
            counts=basis == OURS,
        )


def pareto_members(evidence: Evidence) -> Iterator[Check]:
    """Ask whether the frontier is INT4, E2M1 and supernormal E2M1, and nothing else."""
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


def dominated(names: tuple[str, ...]) -> Callable[[Evidence], Iterator[Check]]:
    """Return the checks that ask of each name whether a format of Table 10 dominates it."""

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


def family_over_apot(evidence: Evidence) -> Iterator[Check]:
    """Ask whether E2M1 or a supernormal E2M1 dominates APoT4 and APoT4+SP."""
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


def lookup_area(evidence: Evidence) -> Iterator[Check]:
    """Ask whether NF4 and SF4 are larger than every 4-bit format of Table 10."""
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
