"""Frontier points as JSON and CSV, and back."""

import json
from collections.abc import Iterable
from dataclasses import asdict

from .flat_record import from_csv, from_json, to_csv
from .frontier import Frontier, FrontierPoint


def frontier_to_json(frontier: Frontier) -> str:
    """Return the whole frontier as JSON text: what was chosen, what was left out, the points."""
    record = asdict(frontier)
    record["points"] = record.pop("points")  # the longest part last
    return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def points_from_json(text: str, source: str = "frontier JSON") -> tuple[FrontierPoint, ...]:
    """Read the points of :func:`frontier_to_json` back; ``source`` names the file in errors.

    Raises :class:`DataError` for text that is no such JSON, a missing key or a wrong type.
    """
    return from_json(FrontierPoint, text, "points", source)


def points_to_csv(points: Iterable[FrontierPoint]) -> str:
    """Return the points as CSV, one row each; ``models`` is a JSON list, None an empty cell."""
    return to_csv(FrontierPoint, points)


def points_from_csv(text: str, source: str = "frontier CSV") -> tuple[FrontierPoint, ...]:
    """Read :func:`points_to_csv`'s text back; ``source`` names the file in errors.

    Raises :class:`DataError` naming line and column of what is wrong.
    """
    return from_csv(FrontierPoint, text, source)
