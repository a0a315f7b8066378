"""Accuracy CSVs: both forms, and every way in which a row can be wrong."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.accuracy import AccuracyRow, parse_accuracy, read_accuracy
from nibblemac.formats.errors import DataError

HEADER = "model,setting,format,metric,unit,higher_is_better,value"
GOOD = "Phi-2,g128,INT4,perplexity,ppl,false,12.41"


def long(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


def test_a_long_row_is_read_field_by_field():
    table = parse_accuracy(long(GOOD))
    assert table.rows == (
        AccuracyRow(
            model="Phi-2",
            setting="g128",
            format="INT4",
            metric="perplexity",
            unit="ppl",
            higher_is_better=False,
            value=12.41,
        ),
    )
    assert not table.rows[0].is_reference


@pytest.mark.parametrize(
    ("written", "canonical"),
    [("int4", "INT4"), ("SF4(nu=5)", "SF4"), ("sf4", "SF4"), ("apot4+sp", "APoT4+SP")],
)
def test_format_names_take_the_catalogues_spelling(written, canonical):
    assert parse_accuracy(long(GOOD.replace("INT4", written))).rows[0].format == canonical


@pytest.mark.parametrize("name", ["FP32", "fp16", "Bf16"])
def test_baselines_are_references(name):
    (row,) = parse_accuracy(long(GOOD.replace("INT4", name))).rows
    assert row.is_reference
    assert row.format == name.upper()


def test_a_users_own_format_is_known_when_named():
    text = long(GOOD.replace("INT4", "MINE-1"))
    assert parse_accuracy(text, names=["Mine-1"]).rows[0].format == "Mine-1"
    with pytest.raises(DataError, match="'MINE-1' is no known format"):
        parse_accuracy(text)


def test_unknown_names_are_skipped_and_counted_on_request():
    text = long(GOOD, GOOD.replace("INT4", "XYZ"), GOOD.replace("INT4", "XYZ"))
    table = parse_accuracy(text, skip_unknown=True)
    assert table.skipped == {"XYZ": 2}
    assert [row.format for row in table.rows] == ["INT4"]


def test_a_near_name_is_suggested():
    with pytest.raises(DataError, match=r"line 2, column 'format'.*Did you mean E2M1\+SP\?"):
        parse_accuracy(long(GOOD.replace("INT4", "E2M1SP")))


def test_further_columns_case_of_header_blanks_and_blank_lines_do_not_matter():
    header = " Note , VALUE,metric,Model,Setting,format,UNIT,Higher_Is_Better"
    text = f"\ufeff\r\n{header}\r\n\r\nx, 1.5 ,ppl, M ,S,INT4,,FALSE\r\n"
    (row,) = parse_accuracy(text).rows
    assert (row.value, row.model, row.higher_is_better) == (1.5, "M", False)


WRONG = {
    "missing column": (
        long("a,INT4,ppl,,false,1", header=HEADER.replace("setting,", "")),
        "line 1: the column 'setting' is missing",
    ),
    "bad number": (long(GOOD, GOOD.replace("12.41", "12,41x")), "line 3: 8 cells.* 7 columns"),
    "word for number": (long(GOOD.replace("12.41", "good")), "line 2, column 'value': 'good'"),
    "python number": (long(GOOD.replace("12.41", "1_2")), "line 2, column 'value': '1_2'"),
    "hex": (long(GOOD.replace("12.41", "0x1p3")), "column 'value'"),
    "empty number": (long(GOOD.replace("12.41", "")), "line 2, column 'value': ''"),
    "NaN": (long(GOOD.replace("12.41", "NaN")), "line 2, column 'value': 'NaN' is no finite"),
    "infinity": (long(GOOD.replace("12.41", "-inf")), "'-inf' is no finite"),
    "overflow": (long(GOOD.replace("12.41", "1e999")), "too large"),
    "boolean": (long(GOOD.replace("false", "maybe")), "line 2, column 'higher_is_better'.*maybe"),
    "no metric": (long(GOOD.replace("perplexity", "")), "line 2, column 'metric'"),
    "no format": (long(GOOD.replace("INT4", "")), "line 2, column 'format'.*missing"),
    "unknown format": (long(GOOD.replace("INT4", "QQ9")), "line 2, column 'format': 'QQ9'"),
    "too few cells": (long(GOOD, "a,b"), "line 3: 2 cells"),
    "no rows": (HEADER + "\n", "no rows"),
    "empty": ("", "is empty"),
    "blank": ("\n\n  \n", "is empty"),
    "empty header": (HEADER + ",\n" + GOOD + ",x\n", "line 1: column 8 has no name"),
    "repeated header": (HEADER + ",Value\n" + GOOD + ",1\n", "'Value' stands there twice"),
    "semicolons": (long(GOOD).replace(",", ";"), "separated by commas"),
    "NUL": (long(GOOD, GOOD.replace("Phi", "P\0i")), "line 3: the control character"),
    "escape": (long(GOOD, GOOD.replace("Phi", "P\x1b[2Ji")), "line 3: the control character"),
    "C1": (long(GOOD, GOOD.replace("Phi", "P\x9b2Ji")), "line 3: the control character"),
    "blanks": ("format,a" + " " * 9000 + "b\nINT4,1\n", "does not tell whether"),
    "long heading": ("format,acc" + "c" * 10_000 + "\nINT4,1\n", "name of column 2 has 10003"),
    "open quote": (long(GOOD, '"' + GOOD), "line 3: "),
    "text after quote": (long('"Phi"-2' + GOOD[5:]), "line 2: "),
    "two values": (
        long(GOOD, "# x,y,INT4,perplexity,ppl,false,1", GOOD.replace("12.41", "12.42")),
        "line 4, column 'value'.*12.42, but line 2 gave 12.41",
    ),
    "two directions": (
        long(GOOD, GOOD.replace("Phi-2", "B").replace("false", "true")),
        "line 3, column 'higher_is_better'.*line 2",
    ),
    "two units": (
        long(GOOD, GOOD.replace("Phi-2", "B").replace("ppl", "%")),
        "line 3, column 'unit'.*line 2",
    ),
    "long cell": (long(GOOD.replace("g128", "g" * 20_000)), "column 'setting': a cell of 20000"),
    "csv field limit": (long(GOOD.replace("g128", "g" * 200_000)), "line 2"),
    "wide without direction": ("format,quality\nINT4,1\n", r"quality\[higher\]"),
    "wide contradiction": ("format,perplexity change\nINT4,1\n", "perplexity change.*lower"),
    "wide without metric": ("format,model\nINT4,a\n", "no column with a metric"),
    "wide without format": ("name,perplexity\nINT4,1\n", "column 'format' is missing"),
    "wide bad number": ("format,ppl\nINT4,1\nE2M1,x\n", "line 3, column 'ppl': 'x'"),
    "wide NaN": ("format,ppl\nINT4,nan\n", "line 2, column 'ppl'.*no finite"),
    "wide empty": ("format,ppl\nINT4,\n", "no figure"),
    "wide nameless metric": ("format,[lower]\nINT4,1\n", "has no name"),
    "wide metric twice": ("format,ppl,PPL[lower]\nINT4,1,2\n", "more than one column"),
    "wide duplicate": ("format,ppl\nINT4,1\nint4,2\n", "line 3.*line 2 gave 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_says_where_and_what(name):
    text, message = WRONG[name]
    with pytest.raises(DataError, match=message) as caught:
        parse_accuracy(text, "my.csv")
    assert str(caught.value).startswith("my.csv")
    assert str(caught.value).endswith((".", "?"))
    assert len(str(caught.value)) < 500


def test_the_same_figure_twice_is_one_row():
    assert len(parse_accuracy(long(GOOD, GOOD)).rows) == 1


def test_two_tables_may_differ():
    rows = [f"{GOOD},Table 3", f"{GOOD.replace('12.41', '12.412')},Table 14"]
    table = parse_accuracy(long(*rows, header=HEADER + ",table"))
    assert [(row.value, row.table) for row in table.rows] == [
        (12.41, "Table 3"),
        (12.412, "Table 14"),
    ]


def test_line_numbers_count_lines_inside_quotes():
    quoted = GOOD.replace("g128", '"two\nlines"')
    with pytest.raises(DataError, match=r"line 4, column 'value'"):
        parse_accuracy(long(quoted, GOOD.replace("12.41", "?")))


@pytest.mark.parametrize(
    ("header", "name", "unit", "higher"),
    [
        ("perplexity", "perplexity", "", False),
        ("WikiText-2 perplexity (ppl)", "WikiText-2 perplexity", "ppl", False),
        ("PPL", "PPL", "", False),
        ("val_loss", "val_loss", "", False),
        ("relative error (%)", "relative error", "%", False),
        ("KL divergence", "KL divergence", "", False),
        ("accuracy", "accuracy", "", True),
        ("LAMBADA accuracy (%)", "LAMBADA accuracy", "%", True),
        ("SQNR (dB)", "SQNR", "dB", True),
        ("cosine", "cosine", "", True),
        ("mean change (%)", "mean change", "%", True),
        ("score[lower]", "score", "", False),
        ("score [Higher]", "score", "", True),
        ("score (points):lower", "score", "points", False),
        ("perplexity[higher]", "perplexity", "", True),
    ],
)
def test_a_wide_header_tells_name_unit_and_direction(header, name, unit, higher):
    (row,) = parse_accuracy(f"format,{header}\nINT4,-1.5e0\n").rows
    assert (row.metric, row.unit, row.higher_is_better, row.value) == (name, unit, higher, -1.5)


def test_the_wide_form_leaves_empty_cells_out_and_reads_model_and_setting():
    text = "model,setting,format,ppl,accuracy,note\nA,g128,INT4,9,,x\nA,g128,E2M1,8,70,\n"
    rows = parse_accuracy(text).rows
    assert [(r.model, r.setting, r.format, r.metric, r.value) for r in rows] == [
        ("A", "g128", "INT4", "ppl", 9.0),
        ("A", "g128", "E2M1", "ppl", 8.0),
        ("A", "g128", "E2M1", "accuracy", 70.0),
    ]


def test_bytes_that_are_no_text_name_the_line(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes(long(GOOD).encode() + b"\xff\xfe\n")
    with pytest.raises(DataError, match=r"a\.csv, line 3: .*UTF-8"):
        read_accuracy(path)


@pytest.mark.parametrize("name", ["missing.csv", ".", "nul\0.csv"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name):
    with pytest.raises(DataError, match=r"(?i)exist|regular|file name"):
        read_accuracy(tmp_path / name)


@given(st.text(max_size=200))
def test_no_text_crashes_the_reader(text):
    try:
        rows = parse_accuracy(text).rows
    except DataError as error:
        message = str(error)
    else:
        message = f"accuracy CSV: {len(rows)} rows" if rows else ""
    assert message.startswith("accuracy CSV")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["INT4", "E2M1", "NF4"]),
            st.sampled_from(["A", "B, with comma", 'C "quoted"']),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
        unique_by=lambda item: item[:2],
    )
)
def test_every_written_number_is_read_back(figures):
    rows = [
        '{},{},"{}",x,,1,{!r}'.format(name, "s", model.replace('"', '""'), value)
        for name, model, value in figures
    ]
    text = long(*rows, header="format,setting,model,metric,unit,higher_is_better,value")
    assert [(r.format, r.model, r.value) for r in parse_accuracy(text).rows] == figures
