"""Placing text beside points so that labels overlap neither each other nor the points.

Greedy: the most crowded point first, each label at the candidate of least cost. Everything is in
pixels, so that the result depends on nothing but the picture's size; no randomness.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Point = tuple[float, float]
Segment = tuple[Point, Point]

_ANGLES = 24
_MARKER = 5.0
_RADII = (8.0, 12.0, 18.0, 26.0, 36.0, 48.0, 62.0, 78.0, 96.0, 116.0, 140.0)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: "Box") -> float:
        """Return the area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(width, 0.0) * max(height, 0.0)

    def grown(self, margin: float) -> "Box":
        """Return the box with a margin on every side."""
        return Box(self.left - margin, self.bottom - margin, self.right + margin, self.top + margin)

    def nearest(self, point: Point) -> Point:
        """Return the point of the box that is nearest to ``point``."""
        return (
            min(max(point[0], self.left), self.right),
            min(max(point[1], self.bottom), self.top),
        )


@dataclass(slots=True)
class _Scene:
    """What is on the picture already; labels and leaders are added as they are placed."""

    frame: Box
    markers: list[Box]
    lines: list[Segment]
    labels: list[Box]
    leaders: list[Segment]
    scale: float

    def obstruction(self, point: Point, box: Box) -> float:
        """Return what a label at ``box`` would cover or cross, in points of distance."""
        leader = (point, box.nearest(point))
        roomy = box.grown(2 * self.scale)
        unit = self.scale**2
        cost = 40 * sum(roomy.overlap(label) for label in self.labels) / unit
        cost += 20 * sum(roomy.overlap(marker) for marker in self.markers) / unit
        cost += 60 * sum(segment_meets_box(line, roomy) for line in self.lines)
        cost += 200 * sum(segment_meets_box(line, roomy) for line in self.leaders)
        cost += 200 * sum(segment_meets_box(leader, label) for label in self.labels)
        cost += 150 * sum(segments_cross(leader, line) for line in self.leaders)
        others = (m for m in self.markers if m.nearest(point) != point)
        cost += 40 * sum(segment_meets_box(leader, marker) for marker in others)
        whole = (box.right - box.left) * (box.top - box.bottom)
        return cost + 40 * (whole - self.frame.overlap(box)) / unit


def place_labels(
    points: Sequence[Point],
    sizes: Sequence[Point],
    frame: Box,
    *,
    obstacles: Sequence[Point] = (),
    lines: Sequence[Segment] = (),
    radii: Sequence[float] = (),
    scale: float = 1.0,
) -> tuple[Box, ...]:
    """Return a box for each point's label, of the given (width, height).

    ``obstacles`` are further markers, ``lines`` are drawn segments to keep off where possible;
    ``radii`` are those of the points' markers (5 where not given) and ``scale`` multiplies
    distances: pixels a typographic point. Boxes stay inside ``frame`` where they fit.
    """
    spots = [*points, *obstacles]
    sizes_of_markers = [*radii, *[_MARKER] * (len(spots) - len(radii))]
    markers = [
        Box(x, y, x, y).grown(radius * scale)
        for (x, y), radius in zip(spots, sizes_of_markers, strict=True)
    ]
    scene = _Scene(frame, markers, list(lines), [], [], scale)
    placed: dict[int, Box] = {}
    for index in sorted(range(len(points)), key=lambda i: (-_crowd(i, points, scale), i)):
        point = points[index]
        box = _best(scene, point, sizes[index])
        placed[index] = box
        scene.labels.append(box)
        scene.leaders.append((point, box.nearest(point)))
    return tuple(placed[index] for index in range(len(points)))


def _best(scene: _Scene, point: Point, size: Point) -> Box:
    best = Box(*point, *point)
    least = math.inf
    for radius in _RADII:
        # The radius is part of the cost, so that no farther ring can win any more.
        if least <= radius:
            break
        for box in _ring(point, size, radius * scene.scale):
            cost = radius + scene.obstruction(point, box)
            if cost < least:
                best, least = box, cost
    return best


def _crowd(index: int, points: Sequence[Point], scale: float) -> float:
    x, y = points[index]
    return sum(1 / (1 + math.dist((x, y), other) / (40 * scale)) for other in points)


def _ring(point: Point, size: Point, radius: float) -> Iterator[Box]:
    """Yield boxes around the point: on the right first, then anticlockwise."""
    width, height = size
    for step in range(_ANGLES):
        angle = 2 * math.pi * step / _ANGLES
        dx, dy = math.cos(angle), math.sin(angle)
        x = point[0] + dx * (radius + width / 2) - width / 2
        y = point[1] + dy * (radius + height / 2) - height / 2
        yield Box(x, y, x + width, y + height)


def step_corners(front: Sequence[Point]) -> list[Point]:
    """Return the corners of the frontier's line: level to the next point's area, then to it."""
    corners: list[Point] = []
    for x, y in front:
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    return corners


def step_lines(front: Sequence[Point]) -> list[Segment]:
    """Return the segments of the frontier's line."""
    return list(itertools.pairwise(step_corners(front)))


def segment_meets_box(segment: Segment, box: Box) -> bool:
    """Return whether a segment touches a rectangle (Liang and Barsky's clipping)."""
    (x0, y0), (x1, y1) = segment
    start, end = 0.0, 1.0
    for delta, low, high in (
        (x1 - x0, box.left - x0, box.right - x0),
        (y1 - y0, box.bottom - y0, box.top - y0),
    ):
        if delta == 0:
            if low > 0 or high < 0:
                return False
            continue
        first, last = sorted((low / delta, high / delta))
        start, end = max(start, first), min(end, last)
    return start <= end


def segments_cross(one: Segment, two: Segment) -> bool:
    """Return whether two segments properly cross each other."""

    def side(a: Point, b: Point, c: Point) -> float:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    return (
        side(*one, two[0]) * side(*one, two[1]) < 0 and side(*two, one[0]) * side(*two, one[1]) < 0
    )
