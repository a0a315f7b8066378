"""The frontier as one HTML page that needs no network: plotly inline, details under the pointer."""

import html
import json
from collections.abc import Sequence
from pathlib import Path

from ..formats.files import write_bytes
from .chart import FONT, chart
from .frontier import Frontier
from .style import INK, MUTED, PAPER, subtitle, title

# What a page may do at all: run its own inline script. No address can be reached from it.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'"
)


def write_page(frontier: Frontier, path: Path) -> None:
    """Write the page to ``path``; raises :class:`OutputError` where it cannot be written."""
    write_bytes(path, render_page(frontier).encode())


def render_page(frontier: Frontier) -> str:
    """Return the whole page as HTML text, the same for the same input."""
    heading = html.escape(title(frontier))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{heading}: quality against MAC area</title>
<style>
body {{ margin: 0; padding: 1rem; font-family: {FONT}; color: {INK}; background: {PAPER}; }}
h1 {{ font-size: 1.2rem; margin: 0 0 .25rem; }}
p {{ margin: 0 0 .5rem; color: {MUTED}; font-size: .9rem; }}
#frontier {{ height: calc(100vh - 7rem); min-height: 24rem; }}
</style>
</head>
<body>
<h1>{heading}</h1>
<p>{html.escape(subtitle(frontier))}</p>
{chart_html(frontier, "frontier")}
<script>{plotly_js()}</script>
<script>{draw_script(["frontier"])}</script>
</body>
</html>
"""


def plotly_js() -> str:
    """Return plotly's JavaScript, fit to stand inside a script element."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - slow to import

    return str(get_plotlyjs()).replace("</script", "<\\/script")


def chart_html(frontier: Frontier, identifier: str) -> str:
    """Return an empty chart and its data; :func:`draw_script` draws it.

    ``identifier`` is the chart's element id and must be unique on its page.
    """
    data = json.dumps(chart(frontier), sort_keys=True, allow_nan=False)
    for character in "<>&\u2028\u2029":
        data = data.replace(character, f"\\u{ord(character):04x}")
    return (
        f'<div id="{identifier}" class="chart"></div>\n'
        f'<script type="application/json" id="{identifier}-data">{data}</script>'
    )


def draw_script(identifiers: Sequence[str]) -> str:
    """Return the script that draws the charts of these element ids once plotly is loaded."""
    return (
        f"for (const id of {json.dumps(list(identifiers))}) {{"
        "const c = JSON.parse(document.getElementById(id + '-data').textContent);"
        "Plotly.newPlot(id, c.data, c.layout, c.config);"
        "}"
    )
