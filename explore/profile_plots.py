"""Pictures of a model's profile: ν and KS-Δ along the model, and fits of single tensors."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..formats.models.model_profile import ACTIVATIONS, LayerProfile, ModelProfile
from ..formats.outline import quantile_places
from ..formats.student_fit import NU_BOUNDS
from .picture import new_figure, pictures, style_axes
from .profile_series import series_of
from .style import GRID, INK, MUTED, PAPER

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = 4
STUDENT, NORMAL = "#0072B2", "#D55E00"
_BARS = "#c9d1d9"
# Okabe and Ito's palette, its yellow darkened to stand on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#4D4D4D", "#8C6D1F",
            "#7B4FA3", "#A30059")  # fmt: skip
_MARKERS = "osD^vP<>X*"
_NAME = 74
_SMALLEST = 1e-60
_BEYOND = "\u0530"  # Latin, Greek and Cyrillic come before


def render_nu(profile: ModelProfile, *kinds: str) -> tuple[bytes, ...]:
    """Return the picture of ν and KS-Δ by layer as the bytes of each of ``kinds``: png, svg."""
    return pictures(lambda: draw_nu(profile), *kinds)


def render_fits(layers: Sequence[LayerProfile], title: str, *kinds: str) -> tuple[bytes, ...]:
    """Return the picture of at most four layers' fits as the bytes of each of ``kinds``."""
    return pictures(lambda: draw_fits(layers, title), *kinds)


def fits_title(profile: ModelProfile) -> str:
    """Return what stands above pictures of fits: the model, what of it, and if it was rounded."""
    already = f" ({profile.quantized})" if profile.quantized else ""
    return f"{_cut(profile.model, 40)}, {profile.kind}{already}"


def select_layers(profile: ModelProfile, count: int) -> tuple[LayerProfile, ...]:
    """Return ``count`` layers of evenly spread ν, the smallest and the largest among them."""
    ordered = sorted(profile.layers, key=lambda layer: (layer.tensor.nu, layer.tensor.name))
    if count >= len(ordered):
        return tuple(ordered)
    last = len(ordered) - 1
    return tuple(ordered[last * place // max(count - 1, 1)] for place in range(count))


def draw_nu(profile: ModelProfile) -> "Figure":
    """Return the picture as a matplotlib figure."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415 - slow to import

    series, by_block = series_of(profile.tensors)
    figure = new_figure((9.6, 6.4))
    upper = figure.add_axes((0.1, 0.475, 0.88, 0.405))
    lower = figure.add_axes((0.1, 0.175, 0.88, 0.26), sharex=upper)
    what = "layers' inputs" if profile.kind == ACTIVATIONS else "layers' weights"
    positive = sum(one.ks_delta > 0 for one in profile.tensors)
    _heading(
        figure,
        f"{_cut(profile.model, 48)}: Student's t fitted to the {what}",
        f"KS-Δ is positive for {positive} of {len(profile.tensors)} tensors"
        + (f"; {_cut(profile.quantized, 90)}" if profile.quantized else ""),
    )
    for number, one in enumerate(series):
        colour, shape = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
        line = "-" if by_block and one.in_blocks else "none"
        for axes, values in (
            (upper, [tensor.nu for tensor in one.tensors]),
            (lower, [tensor.ks_delta for tensor in one.tensors]),
        ):
            axes.plot(
                one.places,
                values,
                shape,
                ls=line,
                color=colour,
                ms=5,
                lw=0.9,
                mec=PAPER,
                mew=0.5,
                label=_cut(one.label, 40) if axes is upper else None,
            )
    style_axes(upper)
    style_axes(lower)
    _nu_axis(upper, [one.nu for one in profile.tensors])
    lower.axhline(0, color=MUTED, lw=1.1)
    upper.tick_params(labelbottom=False)
    upper.set_ylabel("ν of the best t", color=INK, size=11)
    lower.set_ylabel("KS-Δ   ↑ t is better", color=INK, size=11)
    for axes in (upper, lower):
        axes.yaxis.set_label_coords(-0.08, 0.5)
    lower.set_xlabel("block" if by_block else "tensor, in the model's order", color=INK, size=11)
    lower.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
    # What is in no block stands behind the last.
    last = max(max(one.places) for one in series if one.in_blocks or not by_block)
    lower.xaxis.set_major_formatter(
        FuncFormatter(lambda place, _: f"{place:.0f}" if 0 <= place <= last else "")
    )
    lower.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: _signed(f"{value:+.3g}") if abs(value) > 1e-12 else "0")
    )
    figure.legend(
        loc="lower center",
        bbox_to_anchor=(0.53, 0.0),
        ncols=min(len(series), 4),
        fontsize=9,
        frameon=False,
        labelcolor=INK,
        handletextpad=0.4,
        columnspacing=1.4,
    )
    return figure


def _nu_axis(axes: "Axes", nus: Sequence[float]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator  # noqa: PLC0415

    low, high = min(nus) / 1.25, max(nus) * 1.25
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    ticks = [tick for tick in (0.5, 1, 2, 3, 5, 10, 20, 50, 100, 200) if low <= tick <= high]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticklabels([f"{tick:g}" for tick in ticks])
    if high > NU_BOUNDS[1]:
        axes.axhline(NU_BOUNDS[1], color=MUTED, lw=1.0, ls=(0, (5, 3)), zorder=1)
        axes.annotate(
            "no t fits better than a normal",
            (1.0, NU_BOUNDS[1]),
            xycoords=("axes fraction", "data"),
            xytext=(-4, -11),
            textcoords="offset points",
            ha="right",
            color=MUTED,
            size=9,
        )


def draw_fits(layers: Sequence[LayerProfile], title: str) -> "Figure":
    """Return the picture of one to four layers: each a histogram with both fits and a Q-Q plot."""
    from matplotlib.lines import Line2D  # noqa: PLC0415 - slow to import
    from matplotlib.patches import Patch  # noqa: PLC0415

    rows = len(layers)
    inches = 0.85 + 2.75 * rows
    figure = new_figure((9.6, inches))
    figure.text(0.085, 1 - 0.25 / inches, _cut(title, 110), size=10, color=INK, va="center")
    for row, layer in enumerate(layers):
        bottom = (inches - 0.3 - 2.75 * (row + 1)) / inches
        height = 1.75 / inches
        left = figure.add_axes((0.085, bottom, 0.44, height))
        right = figure.add_axes((0.615, bottom, 0.365, height))
        tensor = layer.tensor
        top = bottom + height
        figure.text(
            0.085, top + 0.36 / inches, _cut(tensor.name, _NAME), size=11, weight="bold", color=INK
        )
        nu = f"ν = {tensor.nu:.2f}" if tensor.nu < NU_BOUNDS[1] else f"ν ≥ {tensor.nu:.0f}"
        zeros = f", {tensor.zeros:.0%} zeros left out" if tensor.zeros else ""
        figure.text(
            0.085,
            top + 0.14 / inches,
            f"{nu}, scale {tensor.scale:.3g}; KS distance to the t {tensor.ks_t:.4f}, to the "
            f"normal {tensor.ks_normal:.4f}, KS-Δ {_signed(f'{tensor.ks_delta:+.4f}')}{zeros}",
            size=9,
            color=MUTED,
        )
        if _is_drawable(layer):
            _histogram(left, layer)
            _quantiles(right, layer)
        else:
            for axes in (left, right):
                axes.set_axis_off()
                axes.text(0, 0.5, "values of such magnitudes are not drawn", color=MUTED, size=9)
    figure.legend(
        handles=[
            Patch(color=_BARS, label="sample"),
            Line2D([], [], color=STUDENT, lw=1.8, label="best Student's t"),
            Line2D([], [], color=NORMAL, lw=1.8, ls=(0, (4, 2)), label="best normal"),
        ],
        loc="upper right",
        bbox_to_anchor=(0.985, 1 - 0.36 / inches),
        ncols=3,
        fontsize=9,
        frameon=False,
        labelcolor=INK,
    )
    return figure


def _is_drawable(layer: LayerProfile) -> bool:
    """Return whether densities and quantiles are numbers that can be computed with."""
    outline = layer.outline
    ends = [abs(value) for value in (outline.quantiles[0], outline.quantiles[-1])]
    sizes = [outline.rms, outline.reach, layer.tensor.scale, max(ends)]
    return min(sizes) > _SMALLEST and max(sizes) < 1 / _SMALLEST


def _histogram(axes: "Axes", layer: LayerProfile) -> None:
    import numpy as np  # noqa: PLC0415
    from matplotlib.ticker import FuncFormatter, NullLocator  # noqa: PLC0415

    tensor, outline = layer.tensor, layer.outline
    edges = np.linspace(-outline.reach, outline.reach, len(outline.counts) + 1)
    width = edges[1] - edges[0]
    density = np.array(outline.counts) / (tensor.sampled * width)
    x = np.linspace(-outline.reach, outline.reach, 401)
    student, normal = _densities(layer, x)
    style_axes(axes)
    axes.grid(visible=False)
    axes.stairs(density, edges, fill=True, color=_BARS)
    axes.plot(x, normal, color=NORMAL, lw=1.5, ls=(0, (4, 2)))
    axes.plot(x, student, color=STUDENT, lw=1.5)
    axes.set_yscale("log")
    # Matplotlib's own labels of powers are mathematics, which pictures do not parse.
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    # A bin with half an element would be the lowest thing to see.
    axes.set_ylim(0.5 / (tensor.sampled * width), 2 * max(density.max(), student.max()))
    axes.set_xlim(-outline.reach, outline.reach)
    axes.set_xlabel("value", color=INK, size=9)
    axes.set_ylabel("density", color=INK, size=9)
    axes.tick_params(labelsize=8)


def _quantiles(axes: "Axes", layer: LayerProfile) -> None:
    import numpy as np  # noqa: PLC0415
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator  # noqa: PLC0415
    from scipy.special import ndtri, stdtrit  # noqa: PLC0415 - half a second to import

    tensor, outline = layer.tensor, layer.outline
    probabilities = (quantile_places(tensor.sampled) + 0.5) / tensor.sampled
    sample = np.array(outline.quantiles)
    sigma = outline.rms
    reach = 1.12 * max(np.abs(sample).max(), sigma * abs(ndtri(probabilities[0])))
    student = stdtrit(tensor.nu, probabilities) * tensor.scale
    style_axes(axes)
    axes.plot((-reach, reach), (-reach, reach), color=MUTED, lw=1.0, zorder=1)
    for theory, colour, shape in (
        (ndtri(probabilities) * sigma, NORMAL, "s"),
        (student, STUDENT, "o"),
    ):
        inside = np.abs(theory) <= reach
        axes.plot(theory[inside], sample[inside], shape, color=colour, ms=2.6, mew=0, alpha=0.9)
        # What a fit expects beyond the frame stands at its edge, as an arrow.
        for sign, arrow in ((-1, "<"), (1, ">")):
            out = ~inside & (np.sign(theory) == sign)
            places = np.full(int(out.sum()), 0.975 * sign * reach)
            axes.plot(places, sample[out], arrow, color=colour, ms=3.6, mew=0)
    label = "quantile of the fit"
    if reach > 12 * sigma:
        label += " (logarithmic beyond 4 deviations)"
    for scale, limits, axis in (
        (axes.set_xscale, axes.set_xlim, axes.xaxis),
        (axes.set_yscale, axes.set_ylim, axes.yaxis),
    ):
        if reach > 12 * sigma:
            # Outliers and the middle both have room: linear within four deviations.
            scale("symlog", linthresh=4 * sigma, linscale=1.5)
            axis.set_major_locator(FixedLocator(_outlier_ticks(sigma, reach)))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: _signed(f"{value:g}")))
        limits(-reach, reach)
    axes.set_xlabel(label, color=INK, size=9)
    axes.set_ylabel("quantile of the sample", color=INK, size=9)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, color=GRID, lw=0.6)


def _densities(
    layer: LayerProfile, x: "np.ndarray[tuple[int], np.dtype[np.float64]]"
) -> "tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]":
    """Return the densities of the best t and the best normal."""
    import numpy as np  # noqa: PLC0415

    nu, scale, sigma = layer.tensor.nu, layer.tensor.scale, layer.outline.rms
    peak = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
    student = np.exp(peak - (nu + 1) / 2 * np.log1p((x / scale) ** 2 / nu)) / scale
    normal = np.exp(-((x / sigma) ** 2) / 2) / (sigma * math.sqrt(2 * math.pi))
    return student, normal


def _outlier_ticks(sigma: float, reach: float) -> list[float]:
    """Return 0 and, on both sides, about two deviations and every half decade beyond."""
    power = 10.0 ** math.floor(math.log10(2 * sigma))
    first = max(step * power for step in (1, 2, 5) if step * power <= 2 * sigma)
    ticks = [first * step * 10.0**decade for decade in range(9) for step in (1, 3)]
    ticks = [float(f"{tick:.3g}") for tick in ticks if tick <= reach]
    return [*(-tick for tick in reversed(ticks)), 0.0, *ticks]


def _signed(text: str) -> str:
    return text.replace("-", "−")


def _heading(figure: "Figure", title: str, subtitle: str) -> None:
    figure.text(0.1, 0.955, title, size=13, weight="bold", color=INK, va="center")
    figure.text(0.1, 0.912, subtitle, size=9, color=MUTED, va="center")


def _cut(text: str, most: int) -> str:
    """Return a text of at most so many characters, its middle left out, that the font can show."""
    text = "".join(c if c.isprintable() and c < _BEYOND else "?" for c in text)
    if len(text) <= most:
        return text
    return f"{text[: most // 2 - 1]}…{text[-(most - most // 2) :]}"
