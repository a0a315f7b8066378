"""The paper's own profiles of weights and activations: Tables 1, 11 and 12, as published."""

import csv
from dataclasses import dataclass
from functools import cache

from .published import published_path


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedProfile:
    """A row of the paper's profiles: ν over a model's layers, and the mean KS-Δ.

    ``kind`` is ``weights`` or ``activations``; ``nu_spread`` is the subscript at ν, whose meaning
    the paper does not say. ``note`` tells of known faults of the row.
    """

    model: str
    kind: str
    nu_mean: float
    nu_spread: float
    ks_delta: float
    source: str
    note: str


@cache
def published_profiles() -> tuple[PublishedProfile, ...]:
    """Return the rows in the paper's order."""
    kinds = {"weight": "weights", "activation": "activations"}
    with published_path("dotzel-profiling").open(encoding="utf-8", newline="") as stream:
        return tuple(
            PublishedProfile(
                model=row["model"],
                kind=kinds[row["tensor"]],
                nu_mean=float(row["nu_mean"]),
                nu_spread=float(row["nu_spread_subscript"]),
                ks_delta=float(row["ks_delta_normal_minus_t"]),
                source=f"{row['source']}, {row['table'].partition(' (')[0]}",
                note=row["note"],
            )
            for row in csv.DictReader(stream)
        )
