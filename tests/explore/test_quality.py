"""Formats' quality on distributions and tensors: settings, records, files, tables, pictures."""

import csv
import io
import itertools
import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from nibblemac.explore.quality import (
    QualitySurvey,
    ScaleRule,
    Setting,
    distribution_quality,
    find_rule,
    settings_of,
    tensor_quality,
)
from nibblemac.explore.quality_block_plot import spread
from nibblemac.explore.quality_files import from_json, to_csv, to_json
from nibblemac.explore.quality_pictures import write_pictures
from nibblemac.explore.quality_tables import (
    LIMIT,
    block_table,
    figure_table,
    notes,
    tensor_table,
    use_table,
)
from nibblemac.explore.quality_tensors import open_tensors
from nibblemac.formats.accuracy import parse_accuracy
from nibblemac.formats.block_format import find_block_format
from nibblemac.formats.catalog import E2M1, INT4, SF4
from nibblemac.formats.distribution import NORMAL, STUDENT_5
from nibblemac.formats.errors import DataError, TensorError, UsageError
from nibblemac.formats.format_quality import FormatQuality, Limit, Method
from nibblemac.formats.quantization_error import quantization_error
from nibblemac.formats.record import Format
from nibblemac.formats.scale import Granularity, ScaleSpec
from nibblemac.formats.scale_format import FP16
from safetensors.torch import save_file


def entries(*names: str):
    return [find_block_format(name) for name in names]


@pytest.fixture(scope="module")
def survey() -> QualitySurvey:
    settings = settings_of(entries("SF4", "INT4", "E2M1", "INT3"), (16, 64))
    return distribution_quality(STUDENT_5, settings, shapes=True)


@pytest.fixture(scope="module")
def sampled() -> QualitySurvey:
    settings = settings_of(entries("MXFP4", "NVFP4", "BitMoD-FP4", "Four-over-six"))
    return distribution_quality(NORMAL, settings, elements=2**15)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_file(
        {
            "a.weight": STUDENT_5.sample(40, 96, seed=1),
            "b.weight": NORMAL.sample(7, 90, seed=2).half() * 3,
            "conv.weight": NORMAL.sample(8, 27, seed=3).reshape(8, 3, 3, 3).bfloat16(),
            "bias": torch.ones(96),
            "ids": torch.ones(4, 4, dtype=torch.int64),
        },
        path,
    )
    return path


def test_settings_are_every_format_block_and_rule() -> None:
    found = settings_of(entries("SF4", "MXFP4"), (16, 32), [ScaleRule.ABSMAX, ScaleRule.MSE])
    assert [(one.entry.name, one.entry.block, one.rule.value) for one in found] == [
        (name, block, rule)
        for rule in ("absmax", "mse")
        for block in (16, 32)
        for name in ("SF4", "MXFP4")
    ]
    assert [one.is_integrable for one in found] == [True, False] * 2 + [False] * 4


def test_settings_without_a_block_are_the_formats_own() -> None:
    found = settings_of(entries("SF4", "MXFP4", "NVFP4"))
    assert [one.entry.block for one in found] == [128, 32, 16]
    assert [one.is_stored for one in found] == [False, True, True]
    assert settings_of(entries("SF4"), scale_format=FP16)[0].is_stored


def test_settings_that_cannot_be() -> None:
    with pytest.raises(UsageError, match=r"E2M1's largest levels.*--scale mse"):
        settings_of(entries("INT4", "E2M1"), rules=[ScaleRule.SIGNED_MSE])
    with pytest.raises(UsageError, match="block is 0"):
        settings_of(entries("SF4"), (16, 0))
    with pytest.raises(UsageError, match="unknown; give one of absmax, signed, mse, signed-mse"):
        find_rule("median")


def test_integrals_stand_beside_the_limit(survey) -> None:
    assert [one.method for one in survey.found] == [Method.INTEGRATION] * 8
    for one in survey.found:
        assert one.limit is Limit.OPTIMAL
        assert one.below_limit_db > 0.1
        assert one.below_limit_db == pytest.approx(one.limit_db - one.sqnr_db)
        assert one.uncertainty_db < 1e-6
    by_bits = {(one.bits, one.block): one.limit_mse for one in survey.found}
    assert len(by_bits) == len(set(by_bits.values())) == 4


def test_stored_scales_are_sampled_beside_their_own_limit(sampled) -> None:
    for one in sampled.found:
        assert one.method is Method.SAMPLES
        assert one.elements >= 2**15
        assert 0.01 < one.uncertainty_db < 0.1
        assert one.limit is Limit.OWN_SCALES
        if not one.is_choice:
            assert one.below_limit_db > 0
    found = {one.format: one for one in sampled.found}
    assert found["MXFP4"].bits_per_element == 4.25
    assert found["NVFP4"].bits_per_element == 4.5
    assert found["Four-over-six"].sqnr_db > found["NVFP4"].sqnr_db
    assert [one.format for one in sampled.found if one.is_choice] == ["BitMoD-FP4"]
    text = " ".join(notes(sampled.found))
    for part in ("standard error", "¹", "³"):
        assert part in text


def test_fp16_scales_change_next_to_nothing(survey) -> None:
    (stored,) = settings_of(entries("SF4"), (64,), scale_format=FP16)
    found = distribution_quality(STUDENT_5, [stored], elements=2**17).found[0]
    (real,) = (one for one in survey.found if (one.format, one.block) == ("SF4", 64))
    assert abs(found.sqnr_db - real.sqnr_db) < 4 * found.uncertainty_db
    assert (found.scale_format, real.scale_format) == ("FP16", "")


def test_clipping_helps_and_is_called_what_it_is() -> None:
    settings = settings_of(entries("INT4"), (64,), [ScaleRule.MSE, ScaleRule.SIGNED_MSE])
    plain, signed = distribution_quality(STUDENT_5, settings, elements=2**14).found
    assert plain.limit is signed.limit is Limit.BEST_FOUND
    assert signed.sqnr_db > plain.sqnr_db
    assert plain.below_limit_db > 0
    assert signed.below_limit_db > 0
    # 16 bits a scale hold a sign already.
    assert plain.bits_per_element == signed.bits_per_element


def test_a_block_longer_than_the_samples_is_refused() -> None:
    settings = settings_of(entries("MXFP4"), (64,))
    with pytest.raises(UsageError, match="longer than the 32 samples"):
        distribution_quality(NORMAL, settings, elements=32)
    with pytest.raises(UsageError, match="0 samples"):
        distribution_quality(NORMAL, settings, elements=0)


def test_records_round_trip(survey, sampled, model) -> None:
    settings = settings_of(entries("SF4", "NVFP4"), (32,), [ScaleRule.ABSMAX, ScaleRule.MSE])
    tensors = tensor_quality(open_tensors(model), settings)
    for found in (survey.found, sampled.found, tensors.found):
        assert from_json(to_json(found)) == found
    exact = replace(survey.found[0], mse=0.0)
    assert json.loads(to_json([exact]))[0]["sqnr_db"] is None
    assert from_json(to_json([exact])) == (exact,)


@pytest.mark.parametrize("text", ["", "{}", "[3]", "[{}]", '[{"format": 3, "use": 1}]', "[" * 9999])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"quality"):
        from_json(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("format", 3), ("block", "16"), ("block", True), ("mse", -1.0), ("mse", "x")),
        *(("use", [0.5, 0.6]), ("use", 3), ("method", "guess"), ("limit", "none")),
        *(("is_choice", 0), ("limit_mse", []), ("elements", 1.5)),
    ],
)
def test_a_record_with_a_wrong_value_is_refused(survey, key: str, value: object) -> None:
    record = json.loads(to_json(survey.found[:1]))[0]
    with pytest.raises(DataError, match=r"quality|adds up"):
        from_json(json.dumps([{**record, key: value}]))
    del record[key]
    with pytest.raises(DataError, match=f"lacks the key '{key}'"):
        from_json(json.dumps([record]))


def test_csv_is_an_accuracy_table(survey) -> None:
    text = to_csv(survey.found)
    table = parse_accuracy(text, "quality.csv")
    figures = {(row.format, row.setting, row.metric): row for row in table.rows}
    for one in survey.found:
        row = figures[one.format, f"block {one.block}, absmax", "SQNR"]
        assert row.value == pytest.approx(one.sqnr_db, abs=1e-6)
        assert (row.model, row.unit, row.higher_is_better) == ("t(5)", "dB", True)
        assert not figures[one.format, row.setting, "mean squared error"].higher_is_better
    assert {row.metric for row in table.rows} == {
        *("SQNR", "mean squared error", "largest error", "entropy of the codes"),
        *("bits an element", "Lloyd-Max limit", "below the limit"),
    }
    own = parse_accuracy(to_csv(survey.found[:4], own_blocks=True))
    assert {row.setting for row in own.rows} == {"own blocks, absmax"}


def test_what_is_infinite_has_no_row(survey) -> None:
    exact = replace(survey.found[0], mse=0.0, limit_mse=0.0)
    rows = list(csv.DictReader(io.StringIO(to_csv([exact]))))
    metrics = [row["metric"] for row in rows]
    assert "SQNR" not in metrics
    assert "mean squared error" in metrics


def test_pooled_errors_are_those_of_all_elements(model) -> None:
    settings = settings_of(entries("SF4", "INT4", "NVFP4", "RaZeR-W"), (16, 64))
    survey = tensor_quality(open_tensors(model), settings)
    assert len(survey.whole) == len(settings)
    assert len(survey.found) == 4 * len(settings)
    for setting, pooled in zip(settings, survey.whole, strict=True):
        parts = [
            one
            for one in survey.found
            if one.tensor and (one.format, one.block) == (pooled.format, pooled.block)
        ]
        assert [one.tensor for one in parts] == ["a.weight", "b.weight", "conv.weight"]
        assert pooled.elements == sum(one.elements for one in parts) == 40 * 96 + 7 * 90 + 8 * 27
        noise = math.fsum(one.mse * one.elements for one in parts)
        assert pooled.mse * pooled.elements == pytest.approx(noise)
        assert pooled.max_error == max(one.max_error for one in parts)
        assert pooled.limit_mse < pooled.mse or setting.is_choice
        # By the usual way, a convolution's kernels as rows.
        tensor = NORMAL.sample(8, 27, seed=3).bfloat16().float()
        usual = quantization_error(tensor, setting.entry.format, setting.spec())
        assert parts[2].sqnr_db == pytest.approx(usual.sqnr_db, abs=1e-5)


def test_parts_of_a_tensor_are_the_tensor(model, monkeypatch) -> None:
    from nibblemac.explore import quality_tensors

    settings = settings_of(entries("SF4", "NVFP4", "MXFP4"), (16,), [ScaleRule.ABSMAX])
    whole = tensor_quality(open_tensors(model), settings, shapes=True)
    monkeypatch.setattr(quality_tensors, "_PART", 100)
    parts = tensor_quality(open_tensors(model), settings, shapes=True)
    for one, other in zip(whole.found, parts.found, strict=True):
        assert one.mse == pytest.approx(other.mse, rel=1e-6)
        assert one.use == other.use
    assert whole.shapes[0].density == pytest.approx(parts.shapes[0].density)


def test_a_named_tensor_is_the_only_row(model) -> None:
    source = open_tensors(model, ["bias"])
    survey = tensor_quality(source, settings_of(entries("SF4")))
    (one,) = survey.found
    assert (one.tensor, one.elements, one.limit) == ("bias", 96, Limit.OPTIMAL)
    assert one.mse == pytest.approx(0, abs=1e-14)
    with pytest.raises(DataError, match=r"a\.weight.*none is 'c\.weight'"):
        open_tensors(model, ["c.weight"])


def test_values_of_any_size_are_measured(tmp_path: Path) -> None:
    found = []
    for index, scale in enumerate((1.0, 1e-25, 1e25)):
        path = tmp_path / f"{index}.safetensors"
        save_file({"w": STUDENT_5.sample(8, 64, seed=1) * scale}, path)
        found.append(tensor_quality(open_tensors(path), settings_of(entries("SF4"))).found[0])
    assert found[1].sqnr_db == pytest.approx(found[0].sqnr_db, abs=1e-4)
    assert found[2].sqnr_db == pytest.approx(found[0].sqnr_db, abs=1e-4)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_tensor_that_is_not_finite_is_named(tmp_path: Path, value: float) -> None:
    broken = torch.ones(3, 200)
    broken[1, 7] = value
    save_file({"good": torch.ones(3, 200), "layer.broken": broken}, tmp_path / "m.safetensors")
    for name in ("SF4", "NVFP4"):
        with pytest.raises(TensorError, match=r"'layer\.broken' of .*m\.safetensors holds NaN"):
            tensor_quality(open_tensors(tmp_path / "m.safetensors"), settings_of(entries(name)))


def test_files_without_a_signal_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"zeros": torch.zeros(3, 200)}, path)
    with pytest.raises(TensorError, match="no value other than 0"):
        tensor_quality(open_tensors(path), settings_of(entries("SF4", "MXFP4")))
    save_file({"ids": torch.ones(3, 3, dtype=torch.int32), "bias": torch.ones(5)}, path)
    with pytest.raises(DataError, match="none of a floating-point dtype with two or more"):
        open_tensors(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"m\.safetensors"):
        open_tensors(path)


def test_tables(survey, model) -> None:
    table = block_table(survey.found)
    names = [row[0] for row in table.rows]
    assert names == ["INT3", LIMIT, "SF4", "INT4", "E2M1", LIMIT]
    assert table.marked == {1, 5}
    (row,) = (row for row in table.rows if row[0] == "INT4")
    found = {one.block: one for one in survey.found if one.format == "INT4"}
    assert row[2:] == tuple(f"{found[block].sqnr_db:.2f}" for block in (16, 64))
    figures = figure_table(survey.found)
    assert len(figures.rows) == 8
    assert all(len(row) == len(figures.columns) for row in figures.rows)
    use = use_table(INT4, [found[16]])
    assert [row[2] for row in use.rows] == [f"{v}".replace("-", "−") for v in range(-8, 8)]
    assert sum(float(row[3]) for row in use.rows) == pytest.approx(100, abs=0.01)
    tensors = tensor_quality(open_tensors(model), settings_of(entries("SF4", "INT4"), (16,)))
    assert [row[0] for row in tensor_table(tensors.found).rows] == [
        *("all together", "a.weight", "b.weight", "conv.weight"),
    ]


def test_pictures_are_the_same_twice(survey, tmp_path: Path) -> None:
    formats = [find_block_format(name).format for name in ("SF4", "INT4", "E2M1", "INT3")]
    first, second = tmp_path / "1", tmp_path / "2"
    for folder in (first, second):
        folder.mkdir()
        paths = list(write_pictures(survey, formats, folder))
        assert all(path.is_file() for path in paths)
    assert sorted(path.name for path in first.iterdir()) == sorted(
        f"{stem}.{kind}"
        for stem in (
            *("levels-t-5-block16", "levels-t-5-block64"),
            *("sqnr-t-5-3bit-absmax", "sqnr-t-5-4bit-absmax"),
        )
        for kind in ("png", "svg")
    )
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_shapes_are_densities(survey) -> None:
    for shape in survey.shapes:
        width = [b - a for a, b in zip(shape.edges, shape.edges[1:], strict=False)]
        area = math.fsum(d * w for d, w in zip(shape.density, width, strict=True))
        assert area + sum(shape.extremes) == pytest.approx(1)
        assert {len(levels) for levels in shape.limit.values()} == {8, 16}


def test_names_are_spread_without_overlap() -> None:
    places = spread([1.0, 1.01, 1.02, 5.0, 9.9, 10.0], 0.5, 0.0, 10.0)
    assert places == sorted(places)
    assert all(b - a >= 0.5 - 1e-9 for a, b in itertools.pairwise(places))
    assert places[0] >= 0
    assert places[-1] <= 10
    assert places[3] == pytest.approx(5)
    assert spread([3.0] * 30, 1.0, 0.0, 10.0)[-1] <= 10 + 1e-9


def test_a_format_of_ones_own_has_a_limit() -> None:
    own = Format(name="Own", bits=2, grid=(-3, -1, 1, 3), unit=Fraction(1))
    (setting,) = settings_of([replace(find_block_format("SF4"), format=own)], (2,))
    assert isinstance(setting, Setting)
    found: FormatQuality = distribution_quality(NORMAL, [setting]).found[0]
    assert found.bits_per_element == 2 + 16 / 2
    assert found.below_limit_db > 0


def test_measured_codes_and_error_are_the_quantizers(tmp_path: Path) -> None:
    tensor = STUDENT_5.sample(16, 100, seed=9)
    save_file({"w": tensor}, tmp_path / "w.safetensors")
    for known in (E2M1, SF4):
        settings = settings_of(entries(known.name), (32,))
        found = tensor_quality(open_tensors(tmp_path / "w.safetensors"), settings).found[0]
        spec = ScaleSpec(granularity=Granularity.BLOCK, block=32)
        usual = quantization_error(tensor, known, spec)
        assert found.sqnr_db == pytest.approx(usual.sqnr_db, abs=1e-5)
        assert found.signal_power == pytest.approx(usual.signal_power)
