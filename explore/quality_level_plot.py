"""Formats' levels over the density of what they stand for, as in the paper's Figure 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ..formats.format_quality import FormatQuality, Limit
from ..formats.record import Format
from .picture import new_figure, pictures, style_axes
from .quality import BlockShape
from .quality_tables import LIMIT
from .style import GRID, INK, MUTED, family

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 9.6
_ROW = 0.27
_LEFT, _RIGHT = 0.155, 0.9
_FILL = "#9fb4c7"
_MANY = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A line of levels; ``chosen`` are those of which each block has one."""

    name: str
    levels: tuple[float, ...]
    chosen: tuple[float, ...] = ()
    quality: str
    colour: str


def render_levels(
    shape: BlockShape,
    formats: Sequence[Format],
    found: Sequence[FormatQuality],
    data: str,
    *kinds: str,
) -> tuple[bytes, ...]:
    """Return the picture of formats' levels over the density of their blocks, as each of ``kinds``.

    ``found`` has a record of each format, in the shape's block, whose SQNR is shown.
    """
    return pictures(lambda: _draw(shape, formats, found, data), *kinds)


def _draw(
    shape: BlockShape, formats: Sequence[Format], found: Sequence[FormatQuality], data: str
) -> "Figure":
    rows = _rows(shape, formats, found)
    height = 3.6 + _ROW * len(rows)
    figure = new_figure((_WIDTH, height))
    bottom, top = 0.55 / height, 1 - 0.95 / height
    split = bottom + _ROW * (len(rows) + 0.9) / height
    axes = figure.add_axes((_LEFT, split, _RIGHT - _LEFT, top - split))
    below = figure.add_axes((_LEFT, bottom, _RIGHT - _LEFT, split - bottom), sharex=axes)
    title = f"Levels over the density of {data:.60}"
    said = (
        f"elements ÷ the largest magnitude of their block of {shape.block}; levels ÷ the largest "
        "level"
    )
    if any(row.chosen for row in rows):
        said += "; pale: one of them a block"
    figure.text(_LEFT, 1 - 0.3 / height, title, size=13, weight="bold", color=INK, va="center")
    figure.text(_LEFT, 1 - 0.6 / height, said, size=9, color=MUTED, va="center")
    _draw_density(axes, shape)
    _draw_rows(below, rows)
    return figure


def _draw_density(axes: "Axes", shape: BlockShape) -> None:
    style_axes(axes)
    middle = [(a + b) / 2 for a, b in pairwise(shape.edges)]
    axes.fill_between(middle, shape.density, color=_FILL, alpha=0.45, lw=0, zorder=2)
    axes.plot(middle, shape.density, color=MUTED, lw=1.2, zorder=3)
    peak = max(shape.density) or 1.0
    for place, share in zip((-1.0, 1.0), shape.extremes, strict=True):
        axes.plot((place, place), (0, 0.55 * peak), color=INK, lw=1.8, zorder=4)
        axes.annotate(
            f"extremes\n{share:.2%}",
            (place, 0.55 * peak),
            xytext=(0, 4),
            textcoords="offset points",
            ha="left" if place < 0 else "right",
            size=8,
            color=INK,
        )
    axes.set_ylim(0, 1.08 * peak)
    axes.set_ylabel("density", color=INK, size=10)
    axes.tick_params(labelbottom=False)


def _draw_rows(axes: "Axes", rows: Sequence[_Row]) -> None:
    style_axes(axes)
    axes.grid(visible=False)
    axes.text(1.06, 0.85, "SQNR", ha="left", va="center", size=9, color=MUTED)
    for place, row in enumerate(rows):
        weight = "bold" if row.name == LIMIT else "normal"
        width = 1.6 if len(row.levels) < _MANY else 0.6
        axes.plot((-1, 1), (-place, -place), color=GRID, lw=0.8, zorder=1)
        for levels, alpha in ((row.levels, 1.0), (row.chosen, 0.35)):
            axes.plot(
                levels, [-place] * len(levels), "|", ms=10, mew=width, color=row.colour,
                alpha=alpha, zorder=3,
            )  # fmt: skip
        axes.text(-1.06, -place, row.name, ha="right", va="center", size=9, color=INK,
                  weight=weight)  # fmt: skip
        axes.text(1.06, -place, row.quality, ha="left", va="center", size=9, color=MUTED)
    axes.set_ylim(-len(rows) + 0.4, 1.3)
    axes.set_xlim(-1.04, 1.04)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("element ÷ largest magnitude of its block", color=INK, size=10)


def _rows(
    shape: BlockShape, formats: Sequence[Format], found: Sequence[FormatQuality]
) -> list[_Row]:
    """Return the rows by width, the best SQNR first, each width's limit last."""
    quality = {one.format: one for one in found}
    rows = []
    for bits in sorted({item.stored_bits for item in formats}):
        members = [item for item in formats if item.stored_bits == bits]
        members.sort(key=lambda item: -quality[item.name].sqnr_db)
        for item in members:
            variants = [_unit_levels(one, item) for one in item.variants]
            shared = set.intersection(*variants)
            rows.append(
                _Row(
                    name=item.name,
                    levels=tuple(sorted(shared)),
                    chosen=tuple(sorted(set.union(*variants) - shared)),
                    quality=f"{quality[item.name].sqnr_db:.2f} dB",
                    colour=family(item.name)[1],
                )
            )
        records = [quality[item.name] for item in members]
        limits = [one.limit_db for one in records if one.limit is Limit.OPTIMAL]
        text = f"{limits[0]:.2f} dB" if limits and limits[0] is not None else ""
        if bits in shape.limit:
            rows.append(_Row(name=LIMIT, levels=shape.limit[bits], quality=text, colour=INK))
    return rows


def _unit_levels(variant: Format, whole: Format) -> set[float]:
    """Return a variant's levels ÷ the whole format's largest."""
    return {float(level / whole.largest_level) for level in variant.levels}
