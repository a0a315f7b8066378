"""The shipped facts: complete, typed, and identical with the originals where those are at hand."""

import csv
from pathlib import Path

import pytest
from nibblemac.formats.errors import DataError
from nibblemac.formats.published import (
    DATA_FILES,
    published_bitmod_quality,
    published_hardware,
    published_path,
    published_quality,
)

FACTS = Path(__file__).parents[2] / ".." / "shared" / "facts"
ELEVEN = {
    "INT4", "E2M1", "E2M1+SR", "E2M1+SP", "E2M1-I", "E2M1-B", "E3M0", "APoT4", "APoT4+SP",
    "NF4", "SF4",
}  # fmt: skip


@pytest.mark.parametrize("name", DATA_FILES)
def test_every_file_ships(name):
    assert published_path(name).is_file()


def test_another_name_lists_the_files():
    with pytest.raises(DataError, match="dotzel-quality"):
        published_path("dotzel")


@pytest.mark.parametrize("name", [file for file in DATA_FILES.values() if file.endswith(".csv")])
def test_the_copy_equals_the_original(name):
    if not FACTS.is_dir():
        pytest.skip("../shared/facts is not at hand")
    shipped = next(published_path(key) for key, file in DATA_FILES.items() if file == name)
    assert shipped.read_bytes() == (FACTS / name).read_bytes()


def test_table_10_holds_the_papers_rows():
    table = published_hardware()
    assert list(table) == [
        "INT4", "INT5", "E2M1-I", "E2M1-B", "E2M1", "E2M1+SR", "E2M1+SP", "E3M0", "APoT4",
        "APoT4+SP",
    ]  # fmt: skip
    assert (table["E2M1+SR"].mac_um2, table["E2M1+SR"].accumulator_bits) == (191.3, 18)
    for row in table.values():
        assert "Table 10" in row.source
        assert row.multiplier_um2 + row.accumulator_um2 == pytest.approx(row.mac_um2, abs=0.11)


def test_every_quality_row_is_read_with_a_source():
    with published_path("dotzel-quality").open(encoding="utf-8", newline="") as stream:
        raw = list(csv.DictReader(stream))
    table = published_quality()
    assert len(table.rows) == len(raw) == 1944
    assert not table.skipped
    assert all(row["source"] and row["table"] for row in raw)
    assert [row.value for row in table.rows] == [float(row["value"]) for row in raw]


def test_tables_5_and_3_are_complete_for_the_eleven_formats():
    rows = published_quality().rows
    table5 = [r for r in rows if r.table == "Table 5" and r.setting == "weight-only RTN g128"]
    assert {r.format for r in table5} == ELEVEN
    table3 = [
        r
        for r in rows
        if r.metric == "WikiText-2 perplexity"
        and r.table.startswith("Table 3")
        and r.setting.endswith("no clipping")
        and not r.is_reference
    ]
    assert len(table3) == 7 * 11
    assert {r.format for r in table3} == ELEVEN


def test_bitmod_names_its_own_formats_and_skips_them():
    table = published_bitmod_quality()
    assert "Flint" in table.skipped
    assert all(row.is_reference or row.format.startswith("INT") for row in table.rows)


def test_the_readme_lists_every_file():
    text = published_path("readme").read_text(encoding="utf-8")
    assert all(f"`{file}`" in text for file in DATA_FILES.values() if file != "README.md")
