"""Area against delay: one panel a format, the others' curves faint behind it."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .explored import Explored
from .labels import step_corners
from .objective import non_dominated
from .picture import new_figure, pictures, style_axes
from .style import INK, MUTED, PAPER, family

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL = (3.6, 2.9)
_ONE = (7.2, 4.6)
_COLUMNS = 4
#: From this width (inches) on all of the legend fits into one line.
_WIDE = 10.0
_FAINT = "#cbd2d9"
_MARKERS = {True: "o", False: "X", None: "."}
Curve = list[tuple[float, float]]


def render_area_delay(designs: Sequence[Explored], *kinds: str) -> tuple[bytes, ...]:
    """Return the picture's bytes for each of ``kinds``; designs without a delay are left out."""
    return pictures(lambda: draw_area_delay(designs), *kinds)


def curve(designs: Sequence[Explored]) -> Curve:
    """Return the non-dominated (delay in ns, area in µm²) of some designs, fastest first."""
    places = sorted({(one.delay_ps / 1000, one.area_um2) for one in designs if one.delay_ps})
    flags = non_dominated(places)
    return [place for place, kept in zip(places, flags, strict=True) if kept]


def versions(designs: Sequence[Explored]) -> dict[str, list[Explored]]:
    """Return the designs that have a delay by format, whatever the order of codes."""
    found: dict[str, list[Explored]] = {}
    for one in designs:
        if one.delay_ps:
            found.setdefault(one.version, []).append(one)
    return found


def draw_area_delay(designs: Sequence[Explored]) -> "Figure":
    """Return the picture as a matplotlib figure."""
    groups = versions(designs)
    curves = {name: curve(group) for name, group in groups.items()}
    columns = min(len(groups), _COLUMNS)
    rows = math.ceil(len(groups) / columns)
    width, height = _ONE if len(groups) == 1 else (columns * _PANEL[0], rows * _PANEL[1])
    width = max(width, _ONE[0])
    figure = new_figure((width, height + 1.4))
    figure.subplots_adjust(
        left=0.8 / width,
        right=1 - 0.2 / width,
        bottom=1.0 / (height + 1.4),
        top=1 - 0.85 / (height + 1.4),
        wspace=0.12,
        hspace=0.28,
    )
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels = [axes for row in grid for axes in row]
    for axes in panels[len(groups) :]:
        axes.set_visible(False)
    for index, (axes, (name, group)) in enumerate(zip(panels, groups.items(), strict=False)):
        style_axes(axes)
        for other, corners in curves.items():
            if other != name:
                _line(axes, corners, _FAINT, 1.0)
        _draw(axes, name, group, curves[name])
        # Panels that have nothing below them, or nothing on their left, carry the figures.
        axes.tick_params(labelbottom=index + columns >= len(groups), labelleft=index % columns == 0)
    _limits(panels[0], [place for corners in curves.values() for place in corners], designs)
    library = designs[0].library
    left = 0.8 / width
    top = 1 - 0.28 / (height + 1.4)
    figure.text(left, top, "Area against delay", size=13, weight="bold", color=INK, va="center")
    figure.text(
        left,
        top - 0.26 / (height + 1.4),
        f"cell library {library}, {designs[0].tools}; delay by {designs[0].delay_method}",
        size=9,
        color=MUTED,
        va="center",
    )
    figure.supxlabel("critical path (ns)   ← better", color=INK, size=11, y=0.5 / (height + 1.4))
    figure.supylabel("MAC area (µm²)   ← better", color=INK, size=11, x=0.16 / width)
    _legend(figure, designs)
    return figure


def _draw(axes: "Axes", name: str, group: Sequence[Explored], corners: Curve) -> None:
    colour = family(name)[1]
    for period in sorted({one.period_ps for one in group if one.period_ps}):
        axes.axvline(period / 1000, color=MUTED, lw=0.7, ls=(0, (2, 3)), zorder=1.5)
    _line(axes, corners, colour, 1.8)
    for one in group:
        place = (one.delay_ps or 0.0) / 1000, one.area_um2
        size = {True: 6.5, False: 8.5, None: 6.0}[one.met]
        faint = place not in corners and one.met is not False
        axes.plot(
            *place,
            _MARKERS[one.met],
            ms=size,
            color=colour,
            alpha=0.35 if faint else 1.0,
            mec=PAPER if one.met is not None else colour,
            mew=0.8,
            zorder=5 if one.met is False else 4,
        )
    axes.set_title(name, size=10.5, weight="bold", color=INK, loc="left", pad=4)


def _line(axes: "Axes", corners: Curve, colour: str, width: float) -> None:
    if corners:
        steps = step_corners(corners)
        axes.plot(*zip(*steps, strict=True), color=colour, lw=width, zorder=2)


def _limits(axes: "Axes", corners: Curve, designs: Sequence[Explored]) -> None:
    """Show every curve and period; designs far off in area or delay may fall outside."""
    xs = [x for x, _ in corners] + [one.period_ps / 1000 for one in designs if one.period_ps]
    ys = [y for _, y in corners]
    x_margin = 0.07 * (max(xs) - min(xs)) or 0.1 * max(xs)
    y_margin = 0.1 * (max(ys) - min(ys)) or 0.1 * max(ys)
    axes.set_xlim(max(0.0, min(xs) - x_margin), max(xs) + x_margin)
    axes.set_ylim(max(0.0, min(ys) - y_margin), max(ys) + y_margin)


def _legend(figure: "Figure", designs: Sequence[Explored]) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415

    def entry(label: str, **style: object) -> Line2D:
        return Line2D([], [], color=MUTED, label=label, **style)  # type: ignore[arg-type]

    entries = [
        entry("smallest for its delay", lw=1.8),
        entry("made for area", ls="none", marker=".", ms=8),
    ]
    if any(one.met is not None for one in designs):
        entries += [
            entry("clock period asked for", lw=0.9, ls=(0, (2, 3))),
            entry("meets it", ls="none", marker="o", ms=6.5),
        ]
    if any(one.met is False for one in designs):
        entries.append(entry("misses it: the fastest found", ls="none", marker="X", ms=8))
    figure.legend(
        handles=entries,
        loc="lower center",
        ncols=len(entries) if figure.get_figwidth() > _WIDE else 3,
        fontsize=9,
        frameon=False,
        labelcolor=INK,
        handletextpad=0.4,
        columnspacing=1.4,
        borderaxespad=0.1,
    )
