"""What all static pictures share: one look, and the same bytes for the same data."""

import io
from typing import TYPE_CHECKING, Any

from .style import GRID, INK, MUTED, PAPER

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")
_DPI = 150


def pictures(draw: "Callable[[], Figure]", *kinds: str) -> tuple[bytes, ...]:
    """Return a figure as the bytes of each of ``kinds``: ``png``, ``svg``."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import

    # Whatever a user's matplotlibrc says, the same data makes the same picture.
    settings: dict[Any, object] = {
        "svg.hashsalt": "nibblemac",
        "svg.fonttype": "path",
        "font.family": ["DejaVu Sans"],
        "text.usetex": False,
        "text.parse_math": False,
    }
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        figure = draw()
        return tuple(_saved(figure, kind) for kind in kinds)


def _saved(figure: "Figure", kind: str) -> bytes:
    # Dates and versions would make every run's file differ.
    metadata: dict[str, str | None] = {"Date": None} if kind == "svg" else {"Software": None}
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, dpi=_DPI, metadata=metadata, facecolor=PAPER)
    return stream.getvalue()


def new_figure(inches: tuple[float, float]) -> "Figure":
    """Return an empty figure that belongs to no window and no pyplot state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=inches, dpi=_DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: "Axes") -> None:
    """Give axes the project's paper, grid and frame."""
    axes.set_facecolor(PAPER)
    axes.grid(visible=True, color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    axes.tick_params(colors=INK, which="both")
