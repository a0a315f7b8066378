"""Colours and markers that the static and the interactive plots share."""

from collections.abc import Sequence

from ..formats.block_catalog import BLOCK_CATALOG
from ..formats.metrics import METRICS
from .frontier import Frontier

INK = "#1f2933"
MUTED = "#6b7785"
GRID = "#e3e7ec"
PAPER = "#ffffff"

# Okabe and Ito's palette, which stays apart under colour-vision deficiency.
_FAMILIES = (
    ("INT", "integer", "#0072B2"),
    ("E", "minifloat", "#D55E00"),
    ("APOT", "sums of powers of two", "#009E73"),
    ("NF", "lookup table", "#7B4FA3"),
    ("SF", "lookup table", "#7B4FA3"),
)
_BLOCK = ("block format", "#4D4D4D")
_OTHER = ("other", "#9A6B3F")
_LONGEST_TITLE = 80


def family(name: str) -> tuple[str, str]:
    """Return a format's family and its colour, from the name."""
    upper = name.upper()
    if any(item.name.upper() == upper for item in BLOCK_CATALOG):
        return _BLOCK
    for prefix, label, colour in _FAMILIES:
        rest = upper.removeprefix(prefix)
        if rest != upper and rest[:1].isdigit():
            return label, colour
    return _OTHER


def marker(bits: int) -> str:
    """Return matplotlib's marker for a bit width: triangles beside 4 bits, which are round."""
    return {3: "v", 4: "o", 5: "^"}.get(bits, "D")


def plotly_symbol(bits: int) -> str:
    """Return plotly's name of :func:`marker`'s shape."""
    return {"v": "triangle-down", "o": "circle", "^": "triangle-up", "D": "diamond"}[marker(bits)]


def quality_axis(frontier: Frontier) -> str:
    """Return the label of the quality axis, with an arrow for the better direction."""
    arrow = "↑ better" if frontier.higher_is_better else "↓ better"
    return f"{frontier.short_label}   {arrow}"


def area_axis(name: str) -> str:
    """Return the label of an area axis: ``area_um2``, ``area_ge`` or ``ratio_to_int4``."""
    metric = METRICS[name]
    if name == "ratio_to_int4":
        return "MAC area ÷ INT4's MAC area   ← better"
    return f"{metric.label} ({metric.unit})   ← better"


def ranges(
    frontier: Frontier, places: Sequence[tuple[float, float]]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the ranges of both axes that show all places and the baseline with a margin."""
    xs = [x for x, _ in places]
    ys = [y for _, y in places]
    if frontier.reference_quality is not None:
        ys.append(frontier.reference_quality)
    x_margin = 0.06 * (max(xs) - min(xs)) or 0.05 * abs(max(xs)) or 1.0
    y_margin = 0.09 * (max(ys) - min(ys)) or 0.05 * abs(max(ys)) or 1.0
    # More room on the left, where the small designs crowd and need their names.
    return (
        (min(xs) - 1.6 * x_margin, max(xs) + x_margin),
        (min(ys) - y_margin, max(ys) + y_margin),
    )


def title(frontier: Frontier) -> str:
    """Return one line that names the models and the setting, or the first words of a long one."""
    setting = "".join(_setting(frontier)[:1])
    parts = [part for part in (frontier.models_label, setting) if part]
    return ", ".join(parts) or "quality against area"


def subtitle(frontier: Frontier) -> str:
    """Return what the title leaves out of the setting, library, tools and tasks.

    No comparison may mix libraries or tools.
    """
    tools = ", ".join(f"{name} {version}" for name, version in frontier.tools.items())
    parts = [*_setting(frontier)[1:], f"cell library {frontier.library}", tools]
    if frontier.tasks:
        parts.append("over " + ", ".join(frontier.tasks))
    return "; ".join(part for part in parts if part)


def _setting(frontier: Frontier) -> tuple[str, ...]:
    """Return the setting, a long one as its first words and the rest."""
    setting = frontier.setting
    if len(frontier.models_label) + len(setting) <= _LONGEST_TITLE:
        return (setting,)
    first, _, rest = setting.partition(", ")
    return (first, rest) if rest else (setting,)
