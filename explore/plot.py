"""The frontier as a static picture: PNG or SVG, the same bytes for the same input."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.errors import UsageError
from ..formats.files import write_bytes
from ..formats.published import PublishedHardware
from .areas import INT4
from .frontier import Frontier, FrontierPoint
from .labels import Segment, step_corners
from .picture import SUFFIXES, new_figure, pictures, style_axes
from .plot_labels import Label, draw_labels, pixel_lines
from .style import (
    INK,
    MUTED,
    PAPER,
    area_axis,
    family,
    marker,
    quality_axis,
    ranges,
    subtitle,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE_INCHES = (9.6, 6.0)
_SUBTITLE_WIDTH = 118  # characters to a line


def write_plot(
    frontier: Frontier,
    path: Path,
    *,
    published: Mapping[str, PublishedHardware] | None = None,
) -> None:
    """Write the picture to ``path``, whose suffix is ``.png`` or ``.svg``.

    With ``published``, the paper's areas stand beside ours and the axis is the ratio to INT4.
    Raises :class:`UsageError` for another suffix and :class:`OutputError` where the file cannot
    be written.
    """
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise UsageError(f"{path} ends in {kind!r}; a plot is a .png or an .svg file.")
    (picture,) = render_plot(frontier, kind[1:], published=published)
    write_bytes(path, picture)


def render_plot(
    frontier: Frontier,
    *kinds: str,
    published: Mapping[str, PublishedHardware] | None = None,
) -> tuple[bytes, ...]:
    """Return the picture's bytes for each of ``kinds``: ``png``, ``svg``.

    Raises :class:`UsageError` for ``published`` where INT4's area is not known.
    """
    return pictures(lambda: draw_figure(frontier, published=published), *kinds)


def draw_figure(
    frontier: Frontier, *, published: Mapping[str, PublishedHardware] | None = None
) -> "Figure":
    """Return the picture as a matplotlib figure that belongs to no window and no pyplot state."""
    points = frontier.points
    if published is not None and any(point.ratio_to_int4 is None for point in points):
        raise UsageError("The paper's areas are shown as ratios to INT4's; add INT4's area.")
    figure = new_figure(_SIZE_INCHES)
    axes = figure.add_axes((0.085, 0.165, 0.895, 0.715))
    figure.text(0.085, 0.955, title(frontier), size=13, weight="bold", color=INK, va="center")
    below = "\n".join(textwrap.wrap(subtitle(frontier), _SUBTITLE_WIDTH))
    figure.text(0.085, 0.936, below, size=9, color=MUTED, va="top", linespacing=1.2)
    _frame(axes, frontier, ratio=published is not None)
    ours = [(_x(point, ratio=published is not None), point.quality) for point in points]
    theirs = _published_points(points, published)
    x_range, y_range = ranges(frontier, [*ours, *theirs.values()])
    axes.set_xlim(x_range)
    axes.set_ylim(y_range)
    lines = _front_line(axes, [xy for xy, p in zip(ours, points, strict=True) if p.on_frontier])
    for point, (x, y) in zip(points, ours, strict=True):
        if point.format in theirs:
            other = theirs[point.format]
            colour = family(point.format)[1]
            axes.plot((x, other[0]), (y, y), color=colour, alpha=0.3, lw=1, zorder=2)
            lines += pixel_lines(axes, [(x, y), other])
            axes.plot(*other, marker(point.bits), ms=7, mfc=PAPER, mec=colour, mew=1.3, zorder=3)
        _draw_point(axes, point, x, y)
    _baseline(axes, frontier)
    _legend(figure, points, published=bool(theirs))
    names = [Label(point.format, point.on_frontier) for point in points]
    draw_labels(figure, axes, names, ours, obstacles=list(theirs.values()), lines=lines)
    return figure


def _x(point: FrontierPoint, *, ratio: bool) -> float:
    if ratio and point.ratio_to_int4 is not None:
        return point.ratio_to_int4
    return point.area_um2


def _published_points(
    points: Sequence[FrontierPoint], published: Mapping[str, PublishedHardware] | None
) -> dict[str, tuple[float, float]]:
    if not published or INT4 not in published:
        return {}
    int4 = published[INT4].mac_um2
    return {
        point.format: (published[point.format].mac_um2 / int4, point.quality)
        for point in points
        if point.format in published
    }


def _frame(axes: "Axes", frontier: Frontier, *, ratio: bool) -> None:
    style_axes(axes)
    axes.set_xlabel(area_axis("ratio_to_int4" if ratio else "area_um2"), color=INK, size=11)
    axes.set_ylabel(_shortened(quality_axis(frontier)), color=INK, size=11)


def _shortened(text: str, width: int = 62) -> str:
    """Break a long axis label into two lines at a blank or after a comma."""
    if len(text) <= width:
        return text
    cut = max(text.rfind(" ", 0, width), text.rfind(",", 0, width) + 1)
    return text if cut <= 0 else f"{text[:cut].rstrip()}\n{text[cut:].lstrip()}"


def _front_line(axes: "Axes", front: Sequence[tuple[float, float]]) -> list[Segment]:
    """Draw what quality each area buys, up to the right edge; return the segments in pixels."""
    corners = step_corners(front)
    corners.append((axes.get_xlim()[1], corners[-1][1]))
    axes.plot(*zip(*corners, strict=True), color=INK, lw=1.6, alpha=0.85, zorder=2.5)
    return pixel_lines(axes, corners)


def _draw_point(axes: "Axes", point: FrontierPoint, x: float, y: float) -> None:
    colour = family(point.format)[1]
    if point.on_frontier:
        axes.plot(x, y, marker(point.bits), ms=15, mfc="none", mec=INK, mew=1.1, zorder=4)
    axes.plot(x, y, marker(point.bits), ms=9, color=colour, mec=PAPER, mew=1.0, zorder=5)


def _baseline(axes: "Axes", frontier: Frontier) -> None:
    if frontier.reference_quality is None:
        return
    axes.axhline(frontier.reference_quality, color=MUTED, lw=1.1, ls=(0, (5, 3)), zorder=1.5)
    axes.annotate(
        f"{frontier.reference}: {frontier.reference_quality:.4g}",
        (1.0, frontier.reference_quality),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 4),
        textcoords="offset points",
        ha="right",
        color=MUTED,
        size=9,
    )


def _legend(figure: "Figure", points: Sequence[FrontierPoint], *, published: bool) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415

    def entry(shape: str, label: str, colour: str, size: float, *, hollow: bool = False) -> Line2D:
        fill = PAPER if hollow else colour
        return Line2D([], [], ls="none", marker=shape, color=colour, mfc=fill, ms=size, label=label)

    families = sorted(dict(family(point.format) for point in points).items())
    entries = [entry("o", label, colour, 8) for label, colour in families]
    widths = sorted({point.bits for point in points})
    if widths != [4]:
        entries += [entry(marker(bits), f"{bits} bits", MUTED, 8) for bits in widths]
    entries.append(entry("o", "on the frontier", INK, 12, hollow=True))
    if published:
        entries.append(entry("o", "the paper's area (28 nm)", MUTED, 7, hollow=True))
    figure.legend(
        handles=entries,
        loc="lower center",
        bbox_to_anchor=(0.53, 0.005),
        ncols=min(len(entries), 7),
        fontsize=9,
        frameon=False,
        labelcolor=INK,
        handletextpad=0.3,
        columnspacing=1.4,
    )
