"""Area against error for the versions of a lookup format: each top a point."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .explored import Explored
from .labels import step_corners
from .objective import non_dominated
from .picture import new_figure, pictures, style_axes
from .plot_labels import Label, draw_labels, pixel_lines
from .style import INK, MUTED, PAPER, family

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE = (11.0, 5.0)
Loss = Callable[[Explored], float | None]
_PANELS: tuple[tuple[str, Loss], ...] = (
    ("normal data", lambda one: one.sqnr_loss_normal_db),
    ("Student's t data, ν = 5", lambda one: one.sqnr_loss_t5_db),
)


def families(designs: Sequence[Explored]) -> dict[str, list[Explored]]:
    """Return by lookup format the smallest design of each version, where there are several."""
    best: dict[str, dict[str, Explored]] = {}
    for one in designs:
        if one.top is None or one.sqnr_loss_normal_db is None:
            continue
        of_family = best.setdefault(one.version.partition("-top")[0], {})
        other = of_family.get(one.version)
        if other is None or one.area_um2 < other.area_um2:
            of_family[one.version] = one
    return {
        name: sorted(found.values(), key=lambda one: one.area_um2)
        for name, found in best.items()
        if len(found) > 1
    }


def render_area_error(name: str, designs: Sequence[Explored], *kinds: str) -> tuple[bytes, ...]:
    """Return the picture of one of :func:`families` as the bytes of each of ``kinds``."""
    return pictures(lambda: draw_area_error(name, designs), *kinds)


def draw_area_error(name: str, designs: Sequence[Explored]) -> "Figure":
    """Return the picture as a matplotlib figure."""
    figure = new_figure(_SIZE)
    left = 0.075
    figure.text(
        left, 0.95, f"{name}: area against error, by top", size=13, weight="bold", color=INK,
        va="center",
    )  # fmt: skip
    figure.text(
        left, 0.895,
        f"cell library {designs[0].library}, {designs[0].tools}; blocks of 128, absmax scales; "
        "the numbers are tops: each version's largest integer",
        size=9, color=MUTED, va="center",
    )  # fmt: skip
    for index, (title, loss) in enumerate(_PANELS):
        axes = figure.add_axes((left + 0.475 * index, 0.135, 0.435, 0.675))
        style_axes(axes)
        _draw(figure, axes, name, designs, loss)
        axes.set_title(title, size=10.5, color=INK, loc="left", pad=5)
        axes.set_xlabel("MAC area (µm²)   ← better", color=INK, size=11)
        if not index:
            label = f"SQNR lost against real-valued {name} (dB)   ← better"
            axes.set_ylabel(label, color=INK, size=10)
    return figure


def _draw(
    figure: "Figure", axes: "Axes", name: str, designs: Sequence[Explored], loss: Loss
) -> None:
    places = [(one.area_um2, loss(one) or 0.0) for one in designs]
    flags = non_dominated(places)
    xs, ys = [x for x, _ in places], [y for _, y in places]
    x_margin = 0.06 * (max(xs) - min(xs)) or 0.05 * max(xs)
    y_margin = 0.09 * (max(ys) - min(ys)) or 0.05
    axes.set_xlim(min(xs) - 1.4 * x_margin, max(xs) + x_margin)
    axes.set_ylim(min(ys) - y_margin, max(ys) + y_margin)
    front = sorted(place for place, kept in zip(places, flags, strict=True) if kept)
    corners = step_corners(front)
    corners.append((axes.get_xlim()[1], corners[-1][1]))
    axes.plot(*zip(*corners, strict=True), color=INK, lw=1.6, alpha=0.85, zorder=2.5)
    axes.axhline(0.0, color=MUTED, lw=1.1, ls=(0, (5, 3)), zorder=1.5)
    colour = family(name)[1]
    for place, kept in zip(places, flags, strict=True):
        if kept:
            axes.plot(*place, "o", ms=15, mfc="none", mec=INK, mew=1.1, zorder=4)
        axes.plot(*place, "o", ms=9, color=colour, mec=PAPER, mew=1.0, zorder=5)
    names = [Label(str(one.top), kept) for one, kept in zip(designs, flags, strict=True)]
    draw_labels(figure, axes, names, places, obstacles=[], lines=pixel_lines(axes, corners))
