"""A comparison made of one of the paper's conclusions, and how its figures are written."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One comparison: what it rests on, whether it came out as claimed, and its figures.

    ``counts`` is false where the comparison is shown but does not decide the verdict.
    """

    basis: str
    holds: bool
    figures: str
    counts: bool = True


def signed(value: float, digits: int = 2, *, plus: bool = True) -> str:
    """Return a number with a true minus sign."""
    text = f"{value:+.{digits}f}" if plus else f"{value:.{digits}f}"
    return text.replace("-", "−")


def percent(ratio: float) -> str:
    """Return by how many percent a ratio is above 1."""
    return f"{signed(100 * (ratio - 1), 1)} %"
