"""The names of the points on a static plot, with leader lines where they stand further off."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .labels import Box, Point, Segment, place_labels
from .style import INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LONGEST = 24
_LEADER_FROM = 11.0
_RING = 8.5
_DOT = 5.0


@dataclass(frozen=True, slots=True)
class Label:
    """A point's name; a strong one is bold, and its point has a ring around it."""

    text: str
    strong: bool = False


def draw_labels(
    figure: "Figure",
    axes: "Axes",
    points: Sequence[Label],
    places: Sequence[Point],
    *,
    obstacles: Sequence[Point],
    lines: Sequence[Segment],
) -> None:
    """Write each point's name; ``places`` and ``obstacles`` in data units, ``lines`` in pixels.

    The axes' limits must be final, since the labels' places are computed in pixels.
    """
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    scale = figure.dpi / 72
    texts = [
        axes.text(
            0,
            0,
            _short(point.text),
            transform=None,
            size=10,
            color=INK,
            weight="bold" if point.strong else "normal",
            ha="left",
            va="bottom",
            zorder=7,
        )
        for point in points
    ]
    extents = [text.get_window_extent(renderer) for text in texts]
    frame = axes.get_window_extent(renderer)
    boxes = place_labels(
        _pixels(axes, places),
        [(float(extent.width), float(extent.height)) for extent in extents],
        Box(frame.x0, frame.y0, frame.x1, frame.y1).grown(-4 * scale),
        obstacles=_pixels(axes, obstacles),
        lines=lines,
        radii=[_RING if point.strong else _DOT for point in points],
        scale=scale,
    )
    to_data = axes.transData.inverted()
    for text, box, place, pixel in zip(texts, boxes, places, _pixels(axes, places), strict=True):
        # Data coordinates, so that an SVG at another resolution keeps the place.
        text.set_transform(axes.transData)
        text.set_position(tuple(to_data.transform((box.left, box.bottom))))
        end = box.nearest(pixel)
        if math.dist(pixel, end) > _LEADER_FROM * scale:
            finish = to_data.transform(end)
            axes.plot((place[0], finish[0]), (place[1], finish[1]), color=MUTED, lw=0.7, zorder=2.2)


def pixel_lines(axes: "Axes", corners: Sequence[Point]) -> list[Segment]:
    """Return the segments between the corners (in data units) in pixels."""
    pixels = _pixels(axes, corners)
    return list(itertools.pairwise(pixels))


def _pixels(axes: "Axes", places: Sequence[Point]) -> list[Point]:
    if not places:
        return []
    return [(float(x), float(y)) for x, y in axes.transData.transform(list(places))]


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
