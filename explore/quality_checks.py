"""Checks of the paper's conclusions on model quality, with its own published figures."""

from collections.abc import Iterable, Iterator

from .areas import INT4
from .check import Check, signed
from .evidence import W4A4, W4A4_SMOOTH, Evidence, Quality

SP, SR, E2M1 = "E2M1+SP", "E2M1+SR", "E2M1"
LOOKUP = ("NF4", "SF4")
PHI2_GAIN = 2.19


def _figure(quality: Quality, name: str) -> str:
    return f"{name} {signed(quality.values[name], plus=False)}"


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


def sf4_over_nf4(evidence: Evidence) -> Iterator[Check]:
    """Ask whether SF4 is better than NF4, weight-only and with 4-bit activations."""
    for quality in evidence.datasets():
        yield from _against(quality, "SF4", "NF4")
    for name, selection in (
        ("W4A4, Table 8", W4A4),
        ("W4A4 with SmoothQuant, Table 8", W4A4_SMOOTH),
    ):
        yield from _against(evidence.quality(name, selection, LOOKUP), "SF4", "NF4")


def sf4_best(evidence: Evidence) -> Iterator[Check]:
    """Ask whether no other format is better than SF4."""
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


def supernormal_quality(evidence: Evidence) -> Iterator[Check]:
    """Ask whether E2M1+SP and E2M1+SR are better than E2M1."""
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


def phi2_gain(evidence: Evidence) -> Iterator[Check]:
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
                f"the largest gain over E2M1 is {signed(gain)} points: {variant} in {table}, "
                f"{setting}"
            ),
        )


def e2m1_over_int4(evidence: Evidence) -> Iterator[Check]:
    """Ask whether E2M1 is better than INT4."""
    for quality in evidence.datasets():
        yield from _against(quality, E2M1, INT4)
    name = "W4A4, Table 8"
    yield from _against(evidence.quality(name, W4A4, (E2M1, INT4)), E2M1, INT4)
