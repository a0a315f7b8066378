"""Pictures of formats' quality: levels over the density, and SQNR by block beside the limit."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..formats.format_quality import FormatQuality, Limit
from ..formats.record import Format
from .picture import new_figure, pictures, style_axes
from .quality import BlockShape
from .style import GRID, INK, MUTED, PAPER, family, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 9.6
_ROW = 0.27
_BLOCKS_HEIGHT = 6.2
_LIMIT_NAME = "Lloyd-Max limit"


def render_levels(
    shape: BlockShape,
    formats: Sequence[Format],
    found: Sequence[FormatQuality],
    data: str,
    *kinds: str,
) -> tuple[bytes, ...]:
    """Return the picture of formats' levels over the density of their blocks, as each of ``kinds``.

    ``found`` are records from which SQNR is taken, by format; the shape's block should be theirs.
    """
    return pictures(lambda: _draw_levels(shape, formats, found, data), *kinds)


def render_blocks(found: Sequence[FormatQuality], data: str, *kinds: str) -> tuple[bytes, ...]:
    """Return the picture of SQNR by block, of formats of one width with one kind of scale."""
    return pictures(lambda: _draw_blocks(found, data), *kinds)


def _draw_levels(
    shape: BlockShape, formats: Sequence[Format], found: Sequence[FormatQuality], data: str
) -> "Figure":
    import numpy as np  # noqa: PLC0415 - slow to import

    rows = _level_rows(shape, formats, found)
    height = 3.4 + _ROW * len(rows)
    figure = new_figure((_WIDTH, height))
    left, right, bottom, top = 0.155, 0.9, 0.5 / height, 1 - 0.85 / height
    split = bottom + _ROW * (len(rows) + 0.5) / height
    axes = figure.add_axes((left, split, right - left, top - split))
    below = figure.add_axes((left, bottom, right - left, split - bottom), sharex=axes)
    figure.text(left, 1 - 0.3 / height, f"Levels over the density of {data}", size=13,
                weight="bold", color=INK, va="center")  # fmt: skip
    figure.text(left, 1 - 0.58 / height, f"elements ÷ the largest magnitude of their block of "
                f"{shape.block}; levels ÷ the largest level", size=9, color=MUTED,
                va="center")  # fmt: skip
    edges, density = np.array(shape.edges), np.array(shape.density)
    _draw_density(axes, edges, density, shape)
    style_axes(below)
    below.grid(visible=False)
    for place, (name, levels, figure_text, colour) in enumerate(rows):
        y = -place
        below.plot((-1, 1), (y, y), color=GRID, lw=0.8, zorder=1)
        below.plot(levels, [y] * len(levels), "|", ms=10, mew=1.6 if len(levels) < 40 else 0.6,
                   color=colour, zorder=3)  # fmt: skip
        below.text(-1.06, y, name, ha="right", va="center", size=9, color=INK,
                   weight="bold" if colour == INK else "normal")  # fmt: skip
        below.text(1.06, y, figure_text, ha="left", va="center", size=9, color=MUTED)
    below.set_ylim(-len(rows) + 0.4, 0.9)
    below.set_xlim(-1.04, 1.04)
    below.set_yticks([])
    for side in ("left",):
        below.spines[side].set_visible(False)
    below.set_xlabel("element ÷ largest magnitude of its block", color=INK, size=10)
    return figure


def _level_rows(
    shape: BlockShape, formats: Sequence[Format], found: Sequence[FormatQuality]
) -> list[tuple[str, list[float], str, str]]:
    """Return name, levels, SQNR and colour of each row: by width, best SQNR first, then limit."""
    quality = {one.format: one for one in found}
    rows = []
    for bits in sorted({item.stored_bits for item in formats}):
        members = [item for item in formats if item.stored_bits == bits]
        members.sort(key=lambda item: -quality[item.name].sqnr_db)
        for item in members:
            largest = float(item.largest_level)
            levels = sorted({float(level) / largest for level in item.levels})
            text = f"{quality[item.name].sqnr_db:.2f} dB"
            rows.append((item.name, levels, text, family(item.name)[1]))
        limits = [
            quality[item.name].limit_db
            for item in members
            if quality[item.name].limit is Limit.OPTIMAL
        ]
        if bits in shape.limit:
            text = f"{limits[0]:.2f} dB" if limits and limits[0] is not None else ""
            rows.append((_LIMIT_NAME, list(shape.limit[bits]), text, INK))
    return rows


def _draw_density(axes: "Axes", edges: "object", density: "object", shape: BlockShape) -> None:
    import numpy as np  # noqa: PLC0415

    style_axes(axes)
    x, y = np.asarray(edges), np.asarray(density)
    middle = (x[1:] + x[:-1]) / 2
    axes.fill_between(middle, y, color="#9fb4c7", alpha=0.45, lw=0, zorder=2)
    axes.plot(middle, y, color=MUTED, lw=1.2, zorder=3)
    peak = float(y.max()) if y.max() > 0 else 1.0
    for place, share in zip((-1.0, 1.0), shape.extremes, strict=True):
        axes.plot((place, place), (0, 0.55 * peak), color=INK, lw=1.8, zorder=4)
        axes.annotate(f"extremes\n{share:.2%}", (place, 0.55 * peak), xytext=(0, 4),
                      textcoords="offset points", ha="left" if place < 0 else "right",
                      size=8, color=INK)  # fmt: skip
    axes.set_ylim(0, 1.08 * peak)
    axes.set_ylabel("density", color=INK, size=10)
    axes.tick_params(labelbottom=False)


def _draw_blocks(found: Sequence[FormatQuality], data: str) -> "Figure":
    figure = new_figure((_WIDTH, _BLOCKS_HEIGHT))
    axes = figure.add_axes((0.085, 0.1, 0.745, 0.77))
    style_axes(axes)
    first = found[0]
    figure.text(0.085, 0.955, f"SQNR by block, {first.bits} bits, {data}", size=13,
                weight="bold", color=INK, va="center")  # fmt: skip
    figure.text(0.085, 0.912, f"{first.scale} scales", size=9, color=MUTED, va="center")
    lines = _lines(found)
    blocks = sorted({one.block for one in found})
    axes.set_xscale("log", base=2)
    axes.set_xticks(blocks, [str(block) for block in blocks])
    axes.minorticks_off()
    ends = []
    for name, points in lines.items():
        xs, ys = [x for x, _ in points], [y for _, y in points]
        if name == _LIMIT_NAME:
            axes.plot(xs, ys, color=INK, lw=2, ls=(0, (4, 2)), zorder=5)
            ends.append((name, xs[-1], ys[-1], INK))
            continue
        colour = family(name)[1]
        axes.plot(xs, ys, color=colour, lw=1.3, alpha=0.8, zorder=3)
        axes.plot(xs, ys, marker(first.bits), ms=4, color=colour, mec=PAPER, mew=0.5, zorder=4)
        ends.append((name, xs[-1], ys[-1], colour))
    axes.margins(x=0.03, y=0.05)
    axes.set_xlabel("elements in a block", color=INK, size=11)
    axes.set_ylabel("SQNR (dB)   ↑ better", color=INK, size=11)
    _label_ends(axes, ends)
    return figure


def _lines(found: Sequence[FormatQuality]) -> Mapping[str, list[tuple[int, float]]]:
    lines: dict[str, dict[int, float]] = {}
    for one in sorted(found, key=lambda item: item.block):
        lines.setdefault(one.format, {})[one.block] = one.sqnr_db
        if one.limit is not None and one.limit is not Limit.OWN_SCALES and one.limit_db is not None:
            lines.setdefault(_LIMIT_NAME, {})[one.block] = one.limit_db
    return {name: list(points.items()) for name, points in lines.items()}


def _label_ends(axes: "Axes", ends: Sequence[tuple[str, float, float, str]]) -> None:
    """Write each line's name at the right edge, moved apart where lines end close together."""
    low, high = axes.get_ylim()
    edge = axes.get_xlim()[1]
    inches = _BLOCKS_HEIGHT * axes.get_position().height
    step = (high - low) / inches * 0.155
    ordered = sorted(ends, key=lambda end: end[2])
    places = _apart([end[2] for end in ordered], step, low, high)
    for (name, x, y, colour), place in zip(ordered, places, strict=True):
        axes.annotate(
            name,
            (x, y),
            xytext=(1.045, (place - low) / (high - low)),
            textcoords="axes fraction",
            va="center",
            size=8.5,
            color=colour,
            weight="bold" if name == _LIMIT_NAME else "normal",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.6, "alpha": 0.6,
                        "shrinkA": 1, "shrinkB": 2},
        )  # fmt: skip
    axes.set_xlim(right=edge)
    axes.set_ylim(low, high)


def _apart(wanted: Sequence[float], step: float, low: float, high: float) -> list[float]:
    """Return ascending places at least ``step`` apart, each near the one wanted."""
    groups: list[list[float]] = []
    for value in wanted:
        groups.append([value, 1.0])
        while len(groups) > 1 and _overlap(groups[-2], groups[-1], step):
            (a, n), (b, m) = groups[-2], groups.pop()
            groups[-1] = [(a * n + b * m) / (n + m), n + m]
    places: list[float] = []
    for centre, count in groups:
        size = (count - 1) * step
        start = min(max(centre - size / 2, low), high - size)
        places += [start + index * step for index in range(int(count))]
    return places


def _overlap(first: Sequence[float], second: Sequence[float], step: float) -> bool:
    return second[0] - first[0] < (first[1] + second[1]) / 2 * step
