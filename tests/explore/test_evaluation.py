"""Evaluations from the model to the CSV: rows, continuation, what is refused, the way to pareto."""

import csv
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from nibblemac.explore.evaluation import STEP, EvaluationRequest, evaluate
from nibblemac.explore.evaluation_file import (
    COLUMNS,
    UNQUANTIZED,
    EvaluationFile,
    Figure,
    Run,
    entry_of,
)
from nibblemac.explore.evaluation_table import evaluation_table
from nibblemac.explore.evaluation_text import TextSource
from nibblemac.explore.frontier import build_frontier
from nibblemac.explore.selection import Selection
from nibblemac.formats.accuracy import read_accuracy
from nibblemac.formats.block_format import all_block_formats, find_block_format
from nibblemac.formats.errors import DataError, FormatError, UsageError
from nibblemac.formats.models.loading import LoadedModel, load_model
from nibblemac.formats.models.method import Method

FORMATS = tuple(map(find_block_format, ("INT4", "NF4", "MXFP4")))


def silent(*_: object) -> None:
    pass


@pytest.fixture
def llama(tiny_models) -> LoadedModel:
    return load_model(tiny_models / "llama", device="cpu")


@pytest.fixture
def bert(tiny_models) -> LoadedModel:
    return load_model(tiny_models / "bert", device="cpu")


@pytest.fixture
def request_of(tiny_models):
    text = TextSource.read(tiny_models / "text.txt")

    def make(**options: object) -> EvaluationRequest:
        method = Method(block=16, **options.pop("method", {}))
        fields = {"formats": FORMATS, "method": method, "text": text, "tokens": 160, "window": 64}
        return EvaluationRequest(**{**fields, **options})

    return make


def test_rows_of_a_language_model(llama, request_of, tmp_path):
    target = tmp_path / "out.csv"
    found = evaluate(llama, request_of(), target, silent)
    assert list(found.rows) == ["FP32", "INT4", "NF4", "MXFP4"]
    assert found.failures == ()
    assert found.rows["FP32"]["kl_divergence"] == 0
    for name in ("INT4", "NF4", "MXFP4"):
        assert found.rows[name]["kl_divergence"] > 0
        assert math.isfinite(found.rows[name]["perplexity"])
    table = read_accuracy(target)
    assert len(table.rows) == 8
    one = table.rows[2]
    assert (one.model, one.format, one.metric, one.higher_is_better) == (
        "llama",
        "INT4",
        "perplexity",
        False,
    )
    assert one.setting == found.run.setting == request_of().method.description
    assert one.value == found.rows["INT4"]["perplexity"]
    assert table.rows[3].unit == "nats per token"
    with target.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    bits = [(row["format"], row["bits_per_element"]) for row in rows[::2]]
    assert bits == [("FP32", "32"), ("INT4", "5"), ("NF4", "5"), ("MXFP4", "4.5")]
    assert "160 tokens in windows of 64 by 32" in rows[0]["text"]
    # Head and embeddings are not quantized.
    layers = 2 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 96)
    assert found.quantized == layers
    assert found.parameters == sum(p.numel() for p in llama.module.parameters())


def test_rows_of_an_encoder(bert, request_of, tmp_path):
    found = evaluate(bert, request_of(tokens=400), tmp_path / "out.csv", silent)
    cosines = [found.rows[name]["embedding_cosine"] for name in found.rows]
    assert cosines[0] == 1
    assert all(0.5 < cosine < 0.99999 for cosine in cosines[1:])
    assert [row.metric for row in read_accuracy(tmp_path / "out.csv").rows] == 4 * [
        "embedding cosine"
    ]
    assert "sentences of" in found.run.text


@pytest.mark.parametrize(
    "method",
    [
        {},
        {"setting": "W4A4"},
        {"setting": "W4A8", "smoothquant": 0.5},
        {"gptq": True, "smoothquant": 0.3, "setting": "W4A4"},
        {"scaling": "mse", "layers": ("head", "attention")},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["llama", "bert"])
def test_a_run_leaves_the_model_as_it_was(tiny_models, request_of, tmp_path, kind, method):
    model = load_model(tiny_models / kind, device="cpu")
    before = {name: p.clone() for name, p in model.module.named_parameters()}
    request = request_of(method=method, formats=FORMATS[:1], calibration_tokens=128)
    found = evaluate(model, request, tmp_path / "out.csv", silent)
    assert found.failures == ()
    for name, parameter in model.module.named_parameters():
        torch.testing.assert_close(parameter, before[name], rtol=1e-6, atol=1e-9)
    assert not any(m._forward_pre_hooks for m in model.module.modules())
    metric = "kl_divergence" if kind == "llama" else "embedding_cosine"
    assert len({figures[metric] for figures in found.rows.values()}) == 2
    assert ("calibrated on" in found.run.text) == ("gptq" in method or "smoothquant" in method)


def test_signed_scales(llama, request_of, tmp_path):
    formats = tuple(map(find_block_format, ("INT4", "E2M1+SR")))
    options = {"formats": formats, "method": {"scaling": "signed"}}
    signed = evaluate(llama, request_of(**options), tmp_path / "signed.csv", silent)
    plain = evaluate(llama, request_of(formats=formats), tmp_path / "plain.csv", silent)
    for name in ("INT4", "E2M1+SR"):
        assert signed.rows[name]["kl_divergence"] < plain.rows[name]["kl_divergence"]


def stop_at(step: int):
    """Return a progress that interrupts once so many hundredths are done, and what it heard."""
    heard = []

    def progress(name: str, done: int, total: int, item: str) -> None:
        assert name == STEP
        assert 0 <= done <= total
        heard.append((done, total, item))
        if done >= step:
            raise KeyboardInterrupt

    return progress, heard


@pytest.mark.parametrize("step", [1, 135, 200, 370])
def test_an_interrupted_run_is_continued_to_the_same_bytes(llama, request_of, tmp_path, step):
    target, whole = tmp_path / "out.csv", tmp_path / "whole.csv"
    evaluate(llama, request_of(), whole, silent)
    progress, heard = stop_at(step)
    with pytest.raises(KeyboardInterrupt):
        evaluate(llama, request_of(), target, progress)
    assert [done for done, _, _ in heard] == sorted(done for done, _, _ in heard)
    finished = (step - 1) // 100  # of the model as it is, then of each format
    assert target.exists() == bool(finished)
    if finished:
        begun = target.read_bytes()
        assert whole.read_bytes().startswith(begun)
        assert len(read_accuracy(target).rows if finished > 1 else [1, 2]) == 2 * finished
    evaluate(llama, request_of(), target, silent)
    assert target.read_bytes() == whole.read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_is_finished_is_not_run_again(llama, request_of, tmp_path):
    target = tmp_path / "out.csv"
    evaluate(llama, request_of(), target, silent)
    before = target.read_bytes()

    def busy(*_: object) -> None:
        pytest.fail("something was run")

    found = evaluate(llama, request_of(), target, busy)
    assert list(found.rows) == ["FP32", "INT4", "NF4", "MXFP4"]
    assert target.read_bytes() == before


def test_further_formats_are_added_and_earlier_ones_stay(llama, request_of, tmp_path):
    target = tmp_path / "out.csv"
    evaluate(llama, request_of(formats=FORMATS[:2]), target, silent)
    evaluate(llama, request_of(formats=FORMATS[2:]), target, silent)
    rows = read_accuracy(target).rows
    assert [row.format for row in rows[::2]] == ["FP32", "MXFP4", "INT4", "NF4"]
    whole = tmp_path / "whole.csv"
    evaluate(llama, request_of(), whole, silent)
    assert sorted(target.read_text().splitlines()) == sorted(whole.read_text().splitlines())


def test_two_runs_at_once_share_the_work(llama, request_of, tmp_path):
    """A second run, begun while the first is at its second format, takes over what is there."""
    target, whole = tmp_path / "out.csv", tmp_path / "whole.csv"
    evaluate(llama, request_of(), whole, silent)
    begun, heard = [], []

    def progress(_: str, done: int, __: int, item: str) -> None:
        heard.append((done, item))
        if item == "NF4" and not begun:
            begun.append(done)
            second = load_model(llama.path, device="cpu")
            evaluate(second, request_of(formats=FORMATS[1:]), target, silent)

    evaluate(llama, request_of(), target, progress)
    assert sorted(target.read_text().splitlines()) == sorted(whole.read_text().splitlines())
    # Both further formats were there by then.
    assert [done for done, item in heard if item in {"NF4", "MXFP4"}] == [200, 300]


@pytest.mark.parametrize(
    ("options", "column"),
    [
        ({"method": {"setting": "W4A4"}}, "its setting is 'weight-only"),
        ({"method": {"scaling": "mse"}}, "its setting is"),
        ({"method": {"layers": ("attention",)}}, "its setting is"),
        ({"tokens": 128}, "its text is"),
        ({"window": 32}, "its text is"),
        ({"stride": 64}, "its text is"),
        ({"text": TextSource(name="text.txt", text="Other words. " * 100)}, "its text is"),
        ({"name": "other"}, "its model is"),
    ],
)
def test_other_options_refuse_the_file(llama, request_of, tmp_path, options, column):
    target = tmp_path / "out.csv"
    evaluate(llama, request_of(formats=FORMATS[:1]), target, silent)
    before = target.read_bytes()
    with pytest.raises(DataError, match=f"line 2 is of another run: {column}"):
        evaluate(llama, request_of(**options), target, silent)
    assert target.read_bytes() == before


def test_other_weights_under_the_same_name_refuse_the_file(tiny_models, request_of, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(tiny_models / "llama", tmp_path / "llama"))
    target = tmp_path / "out.csv"
    evaluate(load_model(folder, device="cpu"), request_of(), target, silent)
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["model.norm.weight"][0] += 1e-3
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(DataError, match="the model's files, the calibration text or a package"):
        evaluate(load_model(folder, device="cpu"), request_of(), target, silent)


def test_another_calibration_text_refuses_the_file(llama, request_of, tmp_path, tiny_models):
    target = tmp_path / "out.csv"
    text = (tiny_models / "text.txt").read_text()
    options = {"method": {"gptq": True}, "formats": FORMATS[:1]}
    one = TextSource(name="c.txt", text=text[1000:])
    evaluate(llama, request_of(calibration=one, **options), target, silent)
    other = TextSource(name="c.txt", text=text[1001:])
    with pytest.raises(DataError, match="is of another run"):
        evaluate(llama, request_of(calibration=other, **options), target, silent)


def test_another_format_of_the_same_name_refuses_the_file(llama, request_of, tmp_path):
    target = tmp_path / "out.csv"
    evaluate(llama, request_of(formats=FORMATS[:1]), target, silent)
    int4 = FORMATS[0].format
    odd = replace(FORMATS[0], format=replace(int4, grid=(*int4.grid[:-1], -2)))
    with pytest.raises(DataError, match="the figures of INT4 are of another format"):
        evaluate(llama, request_of(formats=(odd,)), target, silent)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("format,perplexity\nINT4,5\n", "is there and is no evaluation's CSV"),
        ("hello", "has no rows"),
        (",".join(COLUMNS) + "\n" + "x," * (len(COLUMNS) - 1) + "x\n", "is of another run"),
    ],
)
def test_other_files_are_not_overwritten(llama, request_of, tmp_path, text, sentence):
    target = tmp_path / "out.csv"
    target.write_text(text)
    with pytest.raises(DataError, match=sentence):
        evaluate(llama, request_of(), target, silent)
    assert target.read_text() == text


@pytest.mark.parametrize("value", ["nan", "x", ""])
def test_damaged_figures_are_refused(tmp_path, value):
    run = Run(model="m", setting="s", text="t", tools="u", digest="d")
    figures = [Figure(name="perplexity", label="perplexity", unit="", higher_is_better=False)]
    entries = [UNQUANTIZED, entry_of(FORMATS[0])]
    target = tmp_path / "out.csv"
    file = EvaluationFile(target, run, entries, figures)
    assert file.unfinished == ("FP32", "INT4")
    file.add("FP32", {"perplexity": 12.345678901234})
    assert EvaluationFile(target, run, entries, figures).unfinished == ("INT4",)
    target.write_text(target.read_text().replace("12.3456789", value))
    with pytest.raises(DataError, match=r"line 2, column 'value': .* is no finite number"):
        EvaluationFile(target, run, entries, figures)


def test_a_format_that_fails_does_not_end_the_run(llama, request_of, tmp_path, monkeypatch):
    from nibblemac.formats.errors import TensorError
    from nibblemac.formats.models import quantized_layer

    original = quantized_layer.round_weight

    def fail(layer, matrix, item, method):
        if item.name == "NF4":
            raise TensorError("Nothing is finite.")
        original(layer, matrix, item, method)

    monkeypatch.setattr(quantized_layer, "round_weight", fail)
    target = tmp_path / "out.csv"
    found = evaluate(llama, request_of(), target, silent)
    assert found.failures == ("NF4: Nothing is finite.",)
    assert list(found.rows) == ["FP32", "INT4", "MXFP4"]
    monkeypatch.undo()
    found = evaluate(llama, request_of(), target, silent)
    assert (found.failures, list(found.rows)) == ((), ["FP32", "INT4", "NF4", "MXFP4"])


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"formats": ()}, UsageError, "No format is given"),
        ({"window": 500}, UsageError, "llama takes at most 128 at once"),
        ({"tokens": 40}, DataError, "has 40 tokens, fewer than one window of 64"),
        ({"stride": 65}, UsageError, "The stride is 65"),
        ({"stride": 0}, UsageError, "The stride is 0"),
        ({"method": {"gptq": True}, "tokens": None}, UsageError, "a text to calibrate on"),
        ({"method": {"gptq": True}, "tokens": 10**6}, DataError, "calibration text has 0 tokens"),
        ({"method": {"scaling": "signed"}}, FormatError, "NF4 cannot have signed scales"),
        ({"method": {"layers": ("convolution",)}}, DataError, "no layer of the kinds convolution"),
    ],
)
def test_what_cannot_be_evaluated(llama, request_of, tmp_path, options, error, sentence):  # noqa: PLR0917
    target = tmp_path / "out.csv"
    with pytest.raises(error, match=sentence):
        evaluate(llama, request_of(**options), target, silent)
    assert not target.exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"stride": 8}, "A stride is for causal language models"),
        ({"tasks": ("piqa",)}, "Tasks are for causal language models"),
    ],
)
def test_what_is_not_for_encoders(bert, request_of, tmp_path, options, sentence):
    with pytest.raises(UsageError, match=sentence):
        evaluate(bert, request_of(**options), tmp_path / "out.csv", silent)


def test_a_model_without_a_tokenizer(llama, request_of, tmp_path):
    with pytest.raises(DataError, match="has no tokenizer"):
        evaluate(replace(llama, tokenizer=None), request_of(), tmp_path / "out.csv", silent)


def test_names_from_outside_become_one_printable_line(llama, request_of, tmp_path, tiny_models):
    target = tmp_path / "out.csv"
    text = TextSource(name='a\n"b"\x1b[2J,.txt', text=(tiny_models / "text.txt").read_text())
    request = request_of(formats=FORMATS[:1], name=" my\n\x1b[31m model, 'x' ", text=text)
    first = evaluate(llama, request, target, silent)
    assert first.run.model == "my [31m model, 'x'"
    before = target.read_bytes()
    assert evaluate(llama, request, target, silent).rows == first.rows
    assert target.read_bytes() == before
    assert {row.model for row in read_accuracy(target).rows} == {first.run.model}


def test_a_device_without_room_is_a_sentence(llama, request_of, tmp_path, monkeypatch):
    from nibblemac.formats.errors import ToolError
    from nibblemac.formats.models import quantized_layer

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(quantized_layer, "round_weight", full)
    with pytest.raises(ToolError, match="does not fit into the memory of its device under INT4"):
        evaluate(llama, request_of(), tmp_path / "out.csv", silent)
    assert [row.format for row in read_accuracy(tmp_path / "out.csv").rows] == ["FP32", "FP32"]


def test_a_model_whose_weights_were_quantized_before_says_so(llama, request_of, tmp_path):
    noted = replace(llama, note="weights already quantized in the file (Q4_1)")
    target = tmp_path / "out.csv"
    evaluate(noted, request_of(formats=FORMATS[:1]), target, silent)
    rows = read_accuracy(target).rows
    assert all(
        row.setting.endswith("; weights already quantized in the file (Q4_1)") for row in rows
    )


def test_the_file_goes_into_the_frontier(llama, request_of, tmp_path, area):
    target = tmp_path / "out.csv"
    found = evaluate(llama, request_of(), target, silent)
    areas = [area(item.name, 100.0 + index) for index, item in enumerate(FORMATS)]
    frontier = build_frontier(areas, read_accuracy(target).rows, Selection(metric="KL divergence"))
    assert {p.format: p.quality for p in frontier.points} == {
        name: figures["kl_divergence"] for name, figures in found.rows.items() if name != "FP32"
    }
    assert (frontier.reference, frontier.reference_quality) == ("FP32", 0.0)
    assert not frontier.higher_is_better


def test_the_whole_catalogue(bert, request_of, tmp_path):
    request = request_of(formats=all_block_formats(), tokens=60, method={"setting": "W4A4"})
    target = tmp_path / "out.csv"
    found = evaluate(bert, request, target, silent)
    assert len(found.rows) == 1 + len(all_block_formats())
    assert len(read_accuracy(target).rows) == len(found.rows)
    cosine = {name: figures["embedding_cosine"] for name, figures in found.rows.items()}
    assert cosine["INT3"] < cosine["INT4"] < cosine["INT5"] < cosine["INT8"] < 1
    assert cosine["NF3"] < cosine["NF4"] < cosine["NF5"]
    table = evaluation_table(found)
    assert len(table.rows) == len(found.rows)
    best = max((c, name) for name, c in cosine.items() if name != "FP32")[1]
    ((row, column),) = table.strong
    assert (table.rows[row][0], column) == (best, 2)
