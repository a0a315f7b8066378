from nibblemac.formats.accuracy import REFERENCES
from nibblemac.formats.block_format import find_block_format
from nibblemac.formats.measured import measured_path, measured_quality
from nibblemac.formats.published import published_path


def test_every_model_has_its_baseline_and_says_what_it_is() -> None:
    rows = measured_quality().rows
    models = {row.model for row in rows}
    assert len(models) >= 2
    for model in models:
        own = [row for row in rows if row.model == model]
        assert {row.format for row in own} & set(REFERENCES)
        for row in own:
            assert row.is_reference or find_block_format(row.format).name == row.format
        if model.startswith("SmolLM2"):
            assert all("already quantized" in row.setting for row in own)


def test_a_format_is_no_better_than_none() -> None:
    rows = measured_quality().rows
    for row in rows:
        if row.metric == "KL divergence":
            assert (row.value > 0) != row.is_reference
        if row.metric == "embedding cosine":
            assert row.value == 1 if row.is_reference else 0 < row.value < 1


def test_the_file_is_described() -> None:
    assert measured_path().name in published_path("readme").read_text(encoding="utf-8")
