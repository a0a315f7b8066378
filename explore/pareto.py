"""The non-dominated set of designs: area minimised, quality in its own direction."""

import math
from collections.abc import Sequence

from ..formats.errors import DataError


def pareto_front(
    points: Sequence[tuple[float, float]], *, higher_is_better: bool
) -> tuple[bool, ...]:
    """Return for each point (area, quality) whether no other point dominates it.

    A point dominates another when it is no worse in both figures and better in one; equal points
    do not dominate each other, so both are kept. O(n log n). Raises :class:`DataError` for NaN.
    """
    sign = -1.0 if higher_is_better else 1.0
    for index, (area, quality) in enumerate(points):
        if math.isnan(area) or math.isnan(quality):
            raise DataError(
                f"Point {index} has area {area} and quality {quality}; NaN cannot be compared."
            )
    on_front = [False] * len(points)
    order = sorted(range(len(points)), key=lambda i: (points[i][0], sign * points[i][1]))
    # Points come by rising area, the best of each area first: a point stands on the frontier
    # if it beats every smaller area, or equals the point that did so at its own area.
    best: tuple[float, float] | None = None
    for index in order:
        area, quality = points[index]
        cost = sign * quality
        if best is None or cost < best[1] or (area, cost) == best:
            on_front[index] = True
            best = (area, cost)
    return tuple(on_front)
