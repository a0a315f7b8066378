"""Area, delay and power side by side, with the paper's, and what they were measured under."""

from dataclasses import replace

import pytest
from nibblemac.explore.areas import check_comparable
from nibblemac.explore.conditions import conditions
from nibblemac.explore.cost_tables import area_table, comparison_table, cost_table
from nibblemac.explore.report_text import summary
from nibblemac.formats.errors import DataError
from nibblemac.formats.published import published_hardware

UNMEASURED = {
    "delay_ps": None,
    "delay_method": "",
    "energy_fj": None,
    "energy_zero_delay_fj": None,
    "power_uw": None,
    "megahertz": None,
    "leakage_nw": None,
    "conditions": {},
    "unmeasured": "The library has no timing.",
}


def cells(table, name):
    """A row's cells by heading; where a heading stands twice, the later one with its place."""
    (row,) = [row for row in table.rows if row[0] == name]
    found = {}
    for index, (column, cell) in enumerate(zip(table.columns, row, strict=True)):
        label = " ".join(part for part in (column.group, column.label.replace("\n", " ")) if part)
        found[f"{label} {index}" if label in found else label] = cell
    return found


@pytest.fixture(scope="module")
def three(area):
    return [
        area("INT4", 1000),
        area("E2M1", 900, delay_ps=7500.0, energy_fj=1500.0, power_uw=150.0),
        area("Mine", 1100, power_uw=300.0, energy_fj=3000.0),
    ]


def test_all_figures_stand_in_the_pages_table(three):
    row = cells(area_table(three), "E2M1")
    assert row["critical path (ps)"] == "7,500"
    assert row["energy without glitches (fJ)"] == "1,250.0"
    assert row["energy per MAC (fJ)"] == "1,500.0"
    assert row["power (µW)"] == "150.0"
    assert row["power ratio to INT4"] == "0.750"
    assert row["leakage (nW)"] == "0.500"
    assert (row["effort"], row["search time (s)"]) == ("quick", "9.25")


def test_ratios_stand_beside_the_papers_in_the_terminal(three):
    # Table 10: 170.4 of INT4's 160.7 µm², 49.6 of its 48.5 µW.
    row = cells(cost_table(three, published_hardware()), "E2M1")
    assert list(row.values()) == [
        *("E2M1", "900.0", "262.4", "0.900", "1.060", "7,500", "1,250.0", "1,500.0", "150.0"),
        *("0.750", "1.023", "signed", "plain", "–"),
    ]
    assert list(cells(cost_table(three, published_hardware()), "Mine").values())[9:11] == [
        "1.500",
        "–",
    ]


def test_the_papers_power_stands_beside_ours(three):
    row = cells(comparison_table(three, published_hardware()), "E2M1")
    assert (row["power (µW) ours"], row["power (µW) paper"]) == ("150.0", "49.6")
    assert (row["power ratio to INT4 ours"], row["power ratio to INT4 paper"]) == ("0.750", "1.023")


def test_the_terminals_table_fits_into_120_columns(area):
    long = {"architecture": "sign-magnitude", "recipe": "adders-deepsyn", "delay_ps": 12345.6}
    areas = [area("INT4", 1000, **long), area("SF4-nu7-top11", 12345.6, energy_fj=12345.6, **long)]
    table = cost_table(areas, published_hardware())
    widths = [max(map(len, column)) for column in zip(*table.rows, strict=True)]
    headings = [max(map(len, column.label.split("\n"))) for column in table.columns]
    assert sum(map(max, widths, headings)) + len(widths) + 2 <= 120


def test_what_was_not_measured_is_a_dash_and_says_why(area, three):
    alone = [area("INT4", 1000, **UNMEASURED), area("E2M1", 900, **UNMEASURED)]
    row = cells(cost_table(alone, published_hardware()), "E2M1")
    assert list(row.values())[5:11] == ["–", "–", "–", "–", "–", "1.023"]
    assert conditions(alone) == [("not measured", "INT4, E2M1: The library has no timing.")]
    assert not [
        line
        for line in summary(alone, alone, verifications=[], proofs="", conclusions=[], frontiers={})
        if "path" in line
    ]
    check_comparable([*three, alone[1]])


def test_conditions_say_what_is_needed_to_repeat(three):
    said = dict(conditions(three))
    assert said["delay by"] == "the library's tables (tables 1)"
    assert said["library corner"] == "process 1, 1.8 V, 25 °C"
    assert said["data for power"] == "samples"
    assert said["frequency for power"] == "100 MHz"
    assert "Table 10" in said["the paper's power"]


def test_a_frequency_that_a_design_cannot_reach_is_told(three):
    # 7500 ps are 133.3 MHz, 6000 ps 166.7.
    said = dict(conditions([replace(area, megahertz=140.0) for area in three]))
    assert said["frequency for power"].endswith("critical path of E2M1 allows")
    assert dict(conditions(three))["frequency for power"] == "100 MHz"


def test_the_summary_names_the_extremes(three):
    lines = summary(three, three, verifications=[], proofs="", conclusions=[], frontiers={})
    assert "Energy per MAC: from 1,500.0 fJ (E2M1) to 3,000.0 fJ (Mine)." in lines
    assert "Critical path: from 6,000 ps (INT4) to 7,500 ps (E2M1)." in lines


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"delay_method": "OpenSTA 2.0.17"}, "delay engines"),
        ({"megahertz": 200.0}, "frequencies"),
        ({"conditions": {"load": "3 fF at each output bit"}}, r"conditions \(load\)"),
    ],
)
def test_figures_of_different_conditions_are_refused(area, three, changes, what):
    with pytest.raises(DataError, match=f"different {what}: .* for INT4, .* for E3M0"):
        check_comparable([*three, area("E3M0", 1200, **changes)])
