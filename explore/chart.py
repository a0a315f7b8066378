"""The frontier as plotly's description of a chart: plain data, no plotly needed to make it."""

import html
from collections.abc import Sequence

from ..formats.metrics import METRICS
from .frontier import Frontier, FrontierPoint
from .labels import Box, place_labels, step_lines
from .style import (
    GRID,
    INK,
    MUTED,
    PAPER,
    area_axis,
    family,
    plotly_symbol,
    quality_axis,
    ranges,
)

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_NOMINAL = (1000, 440)
_LEADER_PX = 16


def chart(frontier: Frontier) -> dict[str, object]:
    """Return plotly's description of the chart: ``data``, ``layout`` and ``config``."""
    x_range, y_range = ranges(frontier, [(p.area_um2, p.quality) for p in frontier.points])
    traces = [_front_trace(frontier, x_range[1])]
    for label, colour in sorted({family(point.format) for point in frontier.points}):
        members = [p for p in frontier.points if family(p.format)[0] == label]
        traces.append(_points_trace(members, label, colour))
    layout: dict[str, object] = {
        "autosize": True,
        "font": {"family": FONT, "color": INK, "size": 13},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "hovermode": "closest",
        "hoverlabel": {
            "align": "left",
            "bgcolor": PAPER,
            "font": {"color": INK, "family": FONT},
        },
        "margin": {"l": 70, "r": 20, "t": 20, "b": 60},
        "legend": {"orientation": "h", "y": -0.16, "x": 0.5, "xanchor": "center"},
        "xaxis": _axis(area_axis("area_um2"), x_range),
        "yaxis": _axis(quality_axis(frontier), y_range),
        "annotations": _annotations(frontier, x_range, y_range),
        "shapes": _baseline(frontier),
    }
    config = {
        "responsive": True,
        "displaylogo": False,
        "showLink": False,
        "plotlyServerURL": "",
        "topojsonURL": "",
        "modeBarButtons": [
            ["toImage"],
            ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"],
        ],
    }
    return {"data": traces, "layout": layout, "config": config}


def hover_text(point: FrontierPoint) -> str:
    """Return the details of a point as plotly's hover markup, escaped."""

    def figure(name: str, value: float | None) -> str:
        metric = METRICS[name]
        shown = "not known" if value is None else f"{value:.{metric.digits}f} {metric.unit}"
        return f"{metric.label}: {shown.strip()}"

    unit = point.unit if point.unit in ("%", "dB") else ""
    lines = [
        f"<b>{html.escape(point.format)}</b>" + (" (on the frontier)" if point.on_frontier else ""),
        html.escape(f"{point.metric.partition(' over ')[0]}: {point.quality:.4g} {unit}".strip()),
        figure("bits_per_element", point.bits_per_element),
        figure("area_um2", point.area_um2),
        figure("area_ge", point.area_ge),
        figure("ratio_to_int4", point.ratio_to_int4),
        figure("chip_overhead_pct", point.chip_overhead_pct),
        figure("accumulator_bits", point.accumulator_bits),
        html.escape(f"architecture: {point.architecture}"),
        html.escape(f"recipe: {point.recipe}"),
        html.escape(f"activation: {point.activation}, {point.bits} bits"),
    ]
    return "<br>".join(lines)


def _axis(label: str, limits: tuple[float, float]) -> dict[str, object]:
    return {
        "range": limits,
        "title": {"text": html.escape(label), "font": {"size": 14}},
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": MUTED,
        "ticks": "outside",
        "automargin": True,
    }


def _front_trace(frontier: Frontier, edge: float) -> dict[str, object]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "frontier",
        "x": [*(point.area_um2 for point in frontier.front), edge],
        "y": [*(point.quality for point in frontier.front), frontier.front[-1].quality],
        "line": {"shape": "hv", "color": INK, "width": 2},
        "hoverinfo": "skip",
    }


def _points_trace(members: Sequence[FrontierPoint], label: str, colour: str) -> dict[str, object]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label,
        "x": [point.area_um2 for point in members],
        "y": [point.quality for point in members],
        "text": [hover_text(point) for point in members],
        "hoverinfo": "text",
        "marker": {
            "color": colour,
            "opacity": 1,
            "symbol": [plotly_symbol(point.bits) for point in members],
            "size": [13 if point.on_frontier else 9 for point in members],
            "line": {"color": INK, "width": [2 if point.on_frontier else 0 for point in members]},
        },
    }


def _baseline(frontier: Frontier) -> list[dict[str, object]]:
    if frontier.reference_quality is None:
        return []
    level = frontier.reference_quality
    return [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": level,
            "y1": level,
            "line": {"color": MUTED, "dash": "dash", "width": 1},
        }
    ]


def _annotations(
    frontier: Frontier, x_range: tuple[float, float], y_range: tuple[float, float]
) -> list[dict[str, object]]:
    """Return the points' names, placed for a page of ordinary size."""
    points = frontier.points
    pixels = [
        (
            _NOMINAL[0] * (point.area_um2 - x_range[0]) / (x_range[1] - x_range[0]),
            _NOMINAL[1] * (point.quality - y_range[0]) / (y_range[1] - y_range[0]),
        )
        for point in points
    ]
    reference = frontier.reference_quality
    sizes = [(7.8 * len(point.format) + 6, 16.0) for point in points]
    front = [pixel for pixel, point in zip(pixels, points, strict=True) if point.on_frontier]
    boxes = place_labels(
        pixels,
        sizes,
        Box(4, 4, _NOMINAL[0] - 4, _NOMINAL[1] - 4),
        lines=step_lines([*front, (_NOMINAL[0], front[-1][1])]),
        radii=[9 if point.on_frontier else 6 for point in points],
    )
    labels: list[dict[str, object]] = []
    for point, pixel, box in zip(points, pixels, boxes, strict=True):
        shift = ((box.left + box.right) / 2 - pixel[0], (box.bottom + box.top) / 2 - pixel[1])
        end = box.nearest(pixel)
        far = abs(end[0] - pixel[0]) + abs(end[1] - pixel[1]) > _LEADER_PX
        name = html.escape(point.format)
        labels.append(
            {
                "x": point.area_um2,
                "y": point.quality,
                "text": f"<b>{name}</b>" if point.on_frontier else name,
                "ax": round(shift[0], 1),
                "ay": round(-shift[1], 1),
                "showarrow": True,
                "arrowhead": 0,
                "arrowwidth": 1,
                "arrowcolor": MUTED if far else "rgba(0,0,0,0)",
                "font": {"size": 12, "color": INK},
                "captureevents": False,
            }
        )
    if reference is not None:
        labels.append(
            {
                "xref": "paper",
                "x": 1,
                "y": reference,
                "text": html.escape(f"{frontier.reference}: {reference:.4g}"),
                "showarrow": False,
                "xanchor": "right",
                "yanchor": "bottom",
                "font": {"size": 11, "color": MUTED},
            }
        )
    return labels
