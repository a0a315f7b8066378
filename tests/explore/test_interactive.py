"""The interactive page: offline, escaped, complete."""

import json
import re
from html.parser import HTMLParser

import pytest
from nibblemac.explore.chart import chart, hover_text
from nibblemac.explore.evidence import PHI2
from nibblemac.explore.frontier import build_frontier
from nibblemac.explore.interactive import render_page, write_page
from nibblemac.formats.errors import OutputError
from nibblemac.formats.published import published_quality

NASTY = '<script>alert("1")</script>&\u2028'


class Tags(HTMLParser):
    """Collect elements that could load something, and the scripts."""

    def __init__(self):
        super().__init__()
        self.loads = []
        self.scripts = 0

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        for name, value in attrs:
            if name in {"src", "href", "srcset", "action", "data"}:
                self.loads.append((tag, name, value))


@pytest.fixture
def frontier(areas):
    return build_frontier(areas, published_quality().rows, PHI2)


def test_hovering_tells_all_that_was_asked_for(frontier):
    text = hover_text(frontier.point("E2M1"))
    for part in (
        "<b>E2M1</b>",
        "MAC area: 1007.0 µm²",
        "GE",
        "ratio to INT4: 1.022",
        "-1.4 %",
        "accumulator width: 16 bits",
        "architecture: signed",
        "recipe: plain",
        "chip overhead: 0.2 %",
    ):
        assert part in text
    assert "on the frontier" not in text
    assert "on the frontier" in hover_text(frontier.point("E2M1+SP"))


def test_every_point_and_the_frontier_are_drawn(frontier):
    description = chart(frontier)
    line, *groups = description["data"]
    assert line["line"]["shape"] == "hv"
    assert list(zip(line["x"], line["y"], strict=True))[:-1] == [
        (point.area_um2, point.quality) for point in frontier.front
    ]
    drawn = {xy for group in groups for xy in zip(group["x"], group["y"], strict=True)}
    assert drawn == {(point.area_um2, point.quality) for point in frontier.points}
    names = {re.sub("<.*?>", "", note["text"]) for note in description["layout"]["annotations"]}
    assert names >= {point.format for point in frontier.points} | {"FP32: 0"}


def test_the_page_loads_nothing_and_is_the_same_each_time(frontier):
    page = render_page(frontier)
    tags = Tags()
    tags.feed(page)
    assert tags.loads == []
    assert tags.scripts == 3
    assert "default-src 'none'" in page
    assert page == render_page(frontier)


def test_names_cannot_break_out(area, row):
    frontier = build_frontier(
        [area("INT4", 1, architecture=NASTY, recipe=NASTY, library=NASTY)],
        [row("INT4", 1, metric=NASTY, unit=NASTY, model=NASTY, setting=NASTY)],
    )
    page = render_page(frontier)
    assert "<script>alert" not in page
    data = re.search(r'id="frontier-data">(.*?)</script>', page).group(1)
    assert not set(data) & set("<>&\u2028")
    assert json.loads(data)["config"]["responsive"] is True
    assert "&lt;script&gt;" in json.loads(data)["layout"]["yaxis"]["title"]["text"]
    assert "<script" not in hover_text(frontier.points[0])


def test_the_page_is_written(frontier, tmp_path):
    write_page(frontier, tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == render_page(frontier)
    with pytest.raises(OutputError):
        write_page(frontier, tmp_path / "no" / "a.html")
