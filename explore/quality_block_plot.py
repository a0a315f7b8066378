"""SQNR by block, format by format, beside the Lloyd-Max limit."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..formats.format_quality import FormatQuality, Limit
from .picture import new_figure, pictures, style_axes
from .quality_tables import LIMIT
from .style import INK, MUTED, PAPER, family, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES = (9.6, 6.4)
_FRAME = (0.085, 0.1, 0.735, 0.775)
_LINE_INCHES = 0.155  # from one name to the next


def render_blocks(found: Sequence[FormatQuality], data: str, *kinds: str) -> tuple[bytes, ...]:
    """Return the picture of SQNR by block, of formats of one width with one kind of scale."""
    return pictures(lambda: _draw(found, data), *kinds)


def _draw(found: Sequence[FormatQuality], data: str) -> "Figure":
    figure = new_figure(_INCHES)
    axes = figure.add_axes(_FRAME)
    style_axes(axes)
    first = found[0]
    choices = {one.format for one in found if one.is_choice}
    said = f"{first.scale} scales"
    if choices:
        said += "; dotted: each block chooses between variants, more than the limit's one codebook"
    title = f"SQNR by block, {first.bits} bits, {data:.60}"
    figure.text(_FRAME[0], 0.957, title, size=13, weight="bold", color=INK, va="center")
    figure.text(_FRAME[0], 0.914, said, size=9, color=MUTED, va="center")
    blocks = sorted({one.block for one in found})
    axes.set_xscale("log", base=2)
    axes.set_xticks(blocks, [str(block) for block in blocks])
    axes.minorticks_off()
    ends = []
    for name, points in _lines(found).items():
        xs, ys = list(points), list(points.values())
        is_limit = name == LIMIT
        colour = INK if is_limit else family(name)[1]
        style = (0, (4, 2)) if is_limit else (0, (1, 1.2)) if name in choices else "-"
        axes.plot(
            xs, ys, color=colour, lw=2 if is_limit else 1.3, ls=style, alpha=0.85,
            zorder=5 if is_limit else 3,
        )  # fmt: skip
        if not is_limit:
            axes.plot(xs, ys, marker(first.bits), ms=4, color=colour, mec=PAPER, mew=0.5, zorder=4)
        ends.append((name, xs[-1], ys[-1], colour))
    axes.margins(x=0.03, y=0.05)
    axes.set_xlabel("elements in a block", color=INK, size=11)
    axes.set_ylabel("SQNR (dB)   ↑ better", color=INK, size=11)
    _name_lines(axes, ends)
    return figure


def _lines(found: Sequence[FormatQuality]) -> Mapping[str, dict[int, float]]:
    """Return each line's SQNR by block; the limit's where it is the same for all formats."""
    lines: dict[str, dict[int, float]] = {}
    for one in sorted(found, key=lambda item: item.block):
        lines.setdefault(one.format, {})[one.block] = one.sqnr_db
        if one.limit in {Limit.OPTIMAL, Limit.BEST_FOUND} and one.limit_db is not None:
            lines.setdefault(LIMIT, {})[one.block] = one.limit_db
    return lines


def _name_lines(axes: "Axes", ends: Sequence[tuple[str, float, float, str]]) -> None:
    """Write each line's name at the right, moved apart where lines end close together."""
    low, high = axes.get_ylim()
    edge = axes.get_xlim()
    step = (high - low) / (_INCHES[1] * _FRAME[3]) * _LINE_INCHES
    ordered = sorted(ends, key=lambda end: end[2])
    places = spread([end[2] for end in ordered], step, low, high)
    for (name, x, y, colour), place in zip(ordered, places, strict=True):
        axes.annotate(
            name,
            (x, y),
            xytext=(1.05, (place - low) / (high - low)),
            textcoords="axes fraction",
            va="center",
            size=8.5,
            color=colour,
            weight="bold" if name == LIMIT else "normal",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "lw": 0.6,
                "alpha": 0.6,
                "shrinkA": 1,
                "shrinkB": 2,
                "relpos": (0, 0.5),
                "patchA": None,
            },
        )
    axes.set_xlim(edge)
    axes.set_ylim(low, high)


def spread(wanted: Sequence[float], step: float, low: float, high: float) -> list[float]:
    """Return ascending places at least ``step`` apart and close to the ascending ones wanted.

    They lie between ``low`` and ``high``, where there is room for all of them; otherwise they are
    spread evenly.
    """
    count = len(wanted)
    if count > 1 and (count - 1) * step > high - low:
        step = (high - low) / (count - 1)
    # Neighbours that would overlap form a group around the mean of what its members want.
    groups: list[tuple[float, int]] = []
    for index, value in enumerate(wanted):
        group = (value - index * step, 1)
        while groups and groups[-1][0] >= group[0]:
            before, size = groups.pop()
            size_both = size + group[1]
            group = (before * size + group[0] * group[1]) / size_both, size_both
        groups.append(group)
    places: list[float] = []
    for start, size in groups:
        places += [start + (len(places) + index) * step for index in range(size)]
    bound = [min(place, high - (count - 1 - i) * step) for i, place in enumerate(places)]
    return [max(place, low + i * step) for i, place in enumerate(bound)]
