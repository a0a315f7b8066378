"""Static plots: two formats, the same bytes each time, labels that can be read."""

import itertools
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from nibblemac.explore.evidence import PHI2, SEVEN
from nibblemac.explore.frontier import build_frontier
from nibblemac.explore.plot import draw_figure, render_plot, write_plot
from nibblemac.explore.style import area_axis, family, marker, plotly_symbol, quality_axis
from nibblemac.formats.errors import OutputError, UsageError
from nibblemac.formats.published import published_hardware, published_quality


@pytest.fixture(params=["phi2", "seven"])
def frontier(request, areas):
    selection = {"phi2": PHI2, "seven": SEVEN}[request.param]
    return build_frontier(areas, published_quality().rows, selection)


def named_texts(figure, names):
    renderer = figure.canvas.get_renderer()
    return {
        text.get_text(): text.get_window_extent(renderer)
        for text in figure.axes[0].texts
        if text.get_text() in names
    }


@pytest.mark.parametrize("published", [None, published_hardware()], ids=["ours", "beside"])
def test_every_point_has_a_label_that_overlaps_no_other(frontier, published):
    figure = draw_figure(frontier, published=published)
    labels = named_texts(figure, {point.format for point in frontier.points})
    assert labels.keys() == {point.format for point in frontier.points}
    for (one, a), (two, b) in itertools.combinations(labels.items(), 2):
        assert not a.overlaps(b), f"{one} and {two}"
    axes = figure.axes[0].get_window_extent()
    for name, box in labels.items():
        assert axes.x0 <= box.x0, name
        assert box.x1 <= axes.x1, name
        assert axes.y0 <= box.y0, name
        assert box.y1 <= axes.y1, name


def test_axes_say_metric_unit_and_direction(frontier):
    axes = draw_figure(frontier).axes[0]
    arrow = "↑" if frontier.higher_is_better else "↓"
    assert axes.get_ylabel().split("   ") == [frontier.short_label, f"{arrow} better"]
    assert axes.get_xlabel() == "MAC area (µm²)   ← better"
    beside = draw_figure(frontier, published=published_hardware()).axes[0]
    assert "INT4" in beside.get_xlabel()
    assert area_axis("area_ge").startswith("MAC area (GE)")
    assert frontier.unit in quality_axis(frontier) or frontier.unit == "ppl"


def test_the_frontier_is_drawn_as_steps_through_its_points(frontier):
    axes = draw_figure(frontier).axes[0]
    wanted = [(point.area_um2, point.quality) for point in frontier.front]
    lines = [list(map(tuple, line.get_xydata().tolist())) for line in axes.lines]
    (steps,) = [line for line in lines if len(line) == 2 * len(wanted)]
    assert steps[0:-1:2] == wanted
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in itertools.pairwise(steps))


def test_the_papers_areas_stand_at_their_ratios(frontier):
    table = published_hardware()
    axes = draw_figure(frontier, published=table).axes[0]
    hollow = {
        tuple(line.get_xydata()[0])
        for line in axes.lines
        if line.get_marker() != "None" and line.get_markerfacecolor() == "#ffffff"
    }
    wanted = {
        (table[point.format].mac_um2 / table["INT4"].mac_um2, point.quality)
        for point in frontier.points
        if point.format in table
    }
    assert len(wanted) == 9
    assert hollow == wanted


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_input_gives_the_same_bytes(frontier, kind):
    (one,) = render_plot(frontier, kind)
    assert (one,) == render_plot(frontier, kind)
    assert render_plot(frontier, "png", "svg")[kind == "svg"] == one
    if kind == "png":
        assert one.startswith(b"\x89PNG")
    else:
        assert ET.fromstring(one).tag.endswith("svg")  # noqa: S314 - our own file
        assert b"<dc:date>" not in one


def test_a_users_settings_neither_matter_nor_change(areas):
    import matplotlib as mpl

    frontier = build_frontier(areas, published_quality().rows, PHI2)
    before = render_plot(frontier, "svg")
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "axes.facecolor": "red"}):
        settings = dict(mpl.rcParams)
        assert render_plot(frontier, "svg") == before
        assert dict(mpl.rcParams) == settings


def test_files_are_written_by_suffix(areas, tmp_path):
    frontier = build_frontier(areas, published_quality().rows, PHI2)
    for name in ("a.png", "b.SVG"):
        write_plot(frontier, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 10_000
    with pytest.raises(UsageError, match=r"'\.pdf'"):
        write_plot(frontier, tmp_path / "c.pdf")
    with pytest.raises(OutputError, match="cannot be written"):
        write_plot(frontier, tmp_path / "no" / "d.png")


def test_the_papers_areas_need_int4(area, row):
    frontier = build_frontier([area("E2M1", 1)], [row("E2M1", 1)])
    with pytest.raises(UsageError, match="INT4"):
        render_plot(frontier, "png", published=published_hardware())


def test_hard_cases_are_drawn(area, row):
    odd = "A" * 40
    sizes = {"INT3": 3, "INT5": 5, odd: 7}
    areas = [area(name, 10, bits=bits) for name, bits in [*sizes.items(), ("$x_1$", 4)]]
    rows = [row(area.format, 1.0, metric="m$^2$ <b>&", unit="") for area in areas]
    frontier = build_frontier(areas, rows)
    figure = draw_figure(frontier)
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"INT3", "INT5", "$x_1$", "A" * 23 + "…"} <= texts
    assert b"<svg" in render_plot(frontier, "svg")[0]
    single = replace(frontier, points=frontier.points[:1])
    assert render_plot(single, "png")[0].startswith(b"\x89PNG")


def test_families_and_markers():
    names = ("INT4", "E2M1+SP", "E3M0", "APoT4", "NF4", "SF5", "intended", "E-own", "mine")
    assert [family(name)[0] for name in names] == [
        "integer",
        "minifloat",
        "minifloat",
        "sums of powers of two",
        "lookup table",
        "lookup table",
        "other",
        "other",
        "other",
    ]
    assert len({marker(bits) for bits in (3, 4, 5, 8)}) == 4
    assert len({plotly_symbol(bits) for bits in (3, 4, 5, 8)}) == 4


def test_importing_the_folder_imports_nothing_slow():
    code = (
        "import sys, nibblemac.explore.report, nibblemac.explore.plot, "
        "nibblemac.explore.interactive, nibblemac.formats.accuracy\n"
        "slow = ('torch', 'matplotlib', 'plotly', 'amaranth', 'jinja2', 'scipy', 'numpy')\n"
        "print([name for name in slow if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
