"""The report folder: everything in it, nothing fetched, the same bytes again."""

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from nibblemac.explore.accumulator_table import accumulator_table
from nibblemac.explore.cost_tables import area_table, comparison_table, cost_table
from nibblemac.explore.frontier_io import points_from_csv
from nibblemac.explore.report import DesignFailure, ReportData, render_report, write_report
from nibblemac.explore.tables import architecture_table, frontier_table, verification_table
from nibblemac.explore.text_table import number
from nibblemac.formats.errors import DataError, OutputError
from nibblemac.formats.folder import write_folder
from nibblemac.formats.lookup import all_formats, find_format
from nibblemac.formats.measured import measured_quality
from nibblemac.formats.published import published_hardware
from nibblemac.sim.result import VerifyResult
from nibblemac.synth.result import AreaResult, from_csv

FRONTIERS = (
    "phi2",
    "seven",
    "measured-all-minilm-l6-v2-weight-only",
    "measured-smollm2-135m-instruct-weight-only",
)


class Page(HTMLParser):
    """Collect visible text, what elements point at, and open tags."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr"})

    def __init__(self, text):
        super().__init__()
        self.links, self.open, self.text, self.ids = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in {"src", "href"}:
                self.links.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "script" not in self.open and "style" not in self.open:
            self.text.append(data)


def verification(area, level, **changes):
    facts = {
        "format": area.format,
        "activation": area.activation,
        "terms": area.terms,
        "architecture": area.architecture,
        "level": level,
        "cases": 1000,
        "wrong": 0,
        "failures": (),
        "error": "",
        "full_length": True,
        "seconds": 1.0,
        "simulator": "Icarus 11.0",
        "cocotb": "2.1.0",
        "seed": 1,
        "waves": "",
        **changes,
    }
    return VerifyResult(**facts)


@pytest.fixture(scope="module")
def data(areas, area):
    more = [area("INT4", 1200, architecture="table"), area("E2M1", 900, architecture="shift-add")]
    everything = tuple(areas + more)
    return ReportData(
        areas=everything,
        formats=all_formats(),
        verifications=tuple(
            verification(item, level) for item in everything for level in ("netlist", "rtl")
        ),
        machine={"machine": "x86_64, 2 cores"},
        version="0.1.0",
    )


@pytest.fixture(scope="module")
def contents(data):
    return render_report(data)


def test_the_folder_holds_data_and_pictures(contents):
    plots = {
        f"frontier-{key}{variant}.{kind}"
        for key in FRONTIERS
        for variant in ("", "-paper")
        for kind in ("png", "svg")
    }
    tables = {f"frontier-{key}.{kind}" for key in FRONTIERS for kind in ("csv", "json")}
    records = {"area", "verification", "proofs", "conclusions"}
    rest = {"area.csv", "index.html", *(f"{name}.json" for name in records)}
    assert contents.keys() == plots | tables | rest
    assert list(contents)[-1] == "index.html"


def test_the_data_reads_back(contents, data):
    areas = from_csv(contents["area.csv"].decode())
    assert sorted(areas, key=repr) == sorted(data.areas, key=repr)
    records = json.loads(contents["area.json"])
    assert [AreaResult.from_json(record) for record in records] == areas
    assert len(json.loads(contents["verification.json"])) == 2 * len(data.areas)
    rows = list(csv.DictReader(io.StringIO(contents["frontier-phi2.csv"].decode())))
    assert len(rows) == 11


def test_the_page_is_whole_and_points_at_its_own_files_only(contents):
    page = Page(contents["index.html"].decode())
    assert page.open == []
    files = [link for link in page.links if not link.startswith("#")]
    assert set(files) <= contents.keys()
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_plotly_stands_there_once(contents):
    page = contents["index.html"].decode()
    assert page.count("* plotly.js v") == 1
    assert page.count('class="chart"') == len(FRONTIERS)


def test_the_page_tells_what_was_found(contents):
    text = " ".join("".join(Page(contents["index.html"].decode()).text).split())
    for part in (
        "12 formats in 14 designs: up to 3 architectures and 1 recipe",
        "28 of 28 verifications passed; 28,000 accumulator values",
        "yowasp-yosys0.70",
        "Icarus 11.0",
        "x86_64, 2 cores",
        "Without a published figure of this kind: INT5.",
        "Mean over Mistral-7B, OPT-1B",
        "Critical path: from 6,000 ps (INT4) to 6,000 ps (INT4).",
        "the library's tables (tables 1)",
        "library cornerprocess 1, 1.8 V, 25 °C",
        "inputsdriven by dff",
        "frequency for power100 MHz",
    ):
        assert part in text


def test_the_same_data_gives_the_same_bytes(contents, data):
    assert render_report(data) == contents


def test_failures_are_shown_and_escaped(data, areas):
    nasty = "<img src=x onerror=alert(1)>"
    bad = verification(areas[0], "rtl", wrong=3, architecture="signed")
    page = render_report(
        replace(
            data,
            verifications=(*data.verifications, bad),
            failures=(
                DesignFailure(format="E2M0", architecture="signed", recipe="r", message=nasty),
            ),
            machine={nasty: nasty},
        )
    )["index.html"].decode()
    assert nasty not in page
    text = "".join(Page(page).text)
    assert nasty in text
    assert "3 of 1000 accumulator values are wrong" in text
    assert "28 of 29 verifications passed" in text


def test_a_small_report_says_what_is_missing(area):
    own = replace(find_format("INT4"), name="Mine")
    contents = render_report(ReportData(areas=(area("Mine", 5),), formats=(own,)))
    assert contents.keys() == {
        "area.csv",
        "area.json",
        "verification.json",
        "proofs.json",
        "conclusions.json",
        "index.html",
    }
    text = "".join(Page(contents["index.html"].decode()).text)
    assert "This frontier could not be drawn. No format has both" in text
    assert "No design was verified" in text


def test_areas_of_two_libraries_are_refused(data, area):
    mixed = replace(data, areas=(*data.areas, area("INT3", 5, library="asap7")))
    with pytest.raises(DataError, match="libraries"):
        render_report(mixed)


def test_the_folder_is_written_again_over_itself(data, contents, tmp_path):
    folder = tmp_path / "out"
    write_folder(folder, contents)
    assert write_report(data, folder) == folder / "index.html"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == contents
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(replace(data, measured=()), tmp_path / "file")


def test_tables_have_a_cell_for_every_column(data):
    formats = [item for item in all_formats() if item.name in published_hardware()]
    for table in (
        area_table(data.areas),
        cost_table(data.areas, published_hardware()),
        comparison_table(data.areas, published_hardware()),
        architecture_table(data.areas),
        verification_table(data.verifications),
        accumulator_table(formats, published_hardware()),
    ):
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}
        assert sum(span for _, span in table.groups) == len(table.columns)


def test_the_smallest_architecture_is_strong(data):
    table = architecture_table(data.areas, {("INT5", "table"): "Because."})
    names = [column.label for column in table.columns]
    rows = {row[0]: index for index, row in enumerate(table.rows)}
    assert (rows["E2M1"], names.index("shift-add")) in table.strong
    assert (rows["E2M1"], names.index("signed")) not in table.strong
    assert table.rows[rows["INT5"]][names.index("table")] == "–"
    assert table.remarks[rows["INT5"], names.index("table")] == "Because."


def test_ours_stands_beside_the_papers(data):
    table = comparison_table(data.areas, published_hardware())
    (row,) = [row for row in table.rows if row[0] == "E2M1+SR"]
    assert row == (
        *("E2M1+SR", "4", "1,091.0", "191.3", "1.108", "1.190", "340.0", "96.8"),
        *("650.0", "94.5", "16", "18", "1.1", "1.9", "200.0", "53.5", "1.000", "1.103"),
    )


def test_accumulator_widths_and_why_they_differ():
    formats = [item for item in all_formats() if item.name in published_hardware()]
    rows = {row[0]: row for row in accumulator_table(formats, published_hardware()).rows}
    # The widths that 256 lossless products need, and Table 10's.
    widths = {
        "INT4": ("16", "16"), "INT5": ("18", "18"), "E2M1": ("17", "17"), "E2M1+SR": ("18", "18"),
        "E2M1+SP": ("17", "19"), "E2M1-I": ("23", "20"), "E2M1-B": ("25", "23"),
        "E3M0": ("22", "22"), "APoT4": ("16", "16"), "APoT4+SP": ("16", "16"),
    }  # fmt: skip
    assert {name: (row[3], row[4]) for name, row in rows.items()} == widths
    for name, row in rows.items():
        assert bool(row[5]) == (row[3] != row[4]), name
    assert "2 bits of the paper's are never used" in rows["E2M1+SP"][5]
    # E2M1-I's largest product is 96², and 2**19 - 1 holds 56 of them.
    assert "no more than 56 of the largest products" in rows["E2M1-I"][5]


def test_the_frontiers_rows_are_marked(data):
    from nibblemac.explore.evidence import PHI2
    from nibblemac.explore.frontier import build_frontier

    frontier = build_frontier(data.areas, data.rows, PHI2)
    table = frontier_table(frontier)
    assert {table.rows[index][1] for index in table.marked} == {p.format for p in frontier.front}
    assert all((row[0] == "★") == (i in table.marked) for i, row in enumerate(table.rows))


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(-1.5, 1, "−1.5"), (-0.001, 1, "0.0"), (1234.5, 0, "1,234"), (0.0, 2, "0.00"), (-0.0, 0, "0")],
)
def test_numbers_are_shown_with_true_minus_signs(value, digits, text):
    assert number(value, digits) == text


def test_no_made_up_figure_ships():
    from importlib.resources import files

    template = files("nibblemac.explore").joinpath("templates", "report.html.j2").read_text("utf-8")
    assert not re.search(r"\b(985|1007|1065|1091|2372|2245)\b", template)


def test_our_own_figures_say_what_they_are(contents):
    page = contents["index.html"].decode()
    assert "measured with nibblemac evaluate, weight-only" in page
    assert "weights already quantized in the file" in page
    points = points_from_csv(
        contents["frontier-measured-smollm2-135m-instruct-weight-only.csv"].decode()
    )
    values = {
        row.format: row.value
        for row in measured_quality().rows
        if row.model.startswith("SmolLM2") and row.metric == "perplexity"
    }
    assert {point.format: point.quality for point in points} == {
        name: values[name] for name in (point.format for point in points)
    }
    assert len(points) >= 2
