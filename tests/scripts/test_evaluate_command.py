"""``nibblemac evaluate`` as a user meets it."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nibblemac.formats.accuracy import read_accuracy
from nibblemac.scripts.main import main


@pytest.fixture
def text(tiny_models) -> Path:
    return tiny_models / "text.txt"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_figures_to_table_and_csv(tiny_models, text, tmp_path, capsys):
    target = tmp_path / "out.csv"
    arguments = ["evaluate", str(tiny_models / "llama"), "--text", str(text), "--csv", str(target)]
    arguments += ["--format", "INT4", "e2m1+sp", "--tokens", "128", "--window", "64"]
    arguments += ["--block", "16", "--name", "Tiny", "--device", "cpu"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert "perplexity" in out
    assert "KL divergence (nats per token)" in out
    assert "Tiny; weight-only, block 16, absmax scales, RTN; embeddings and head unquantized" in out
    assert "million parameters are quantized (" in out
    assert "hundredths of a format: 300 of 300" in err
    assert [(row["format"], row["model"]) for row in rows_of(target)] == [
        (name, "Tiny") for name in ("FP32", "FP32", "INT4", "INT4", "E2M1+SP", "E2M1+SP")
    ]
    before = target.read_bytes()
    assert main(arguments) == 0
    assert target.read_bytes() == before
    assert "E2M1+SP" in capsys.readouterr().out


def test_all_formats_that_can_have_signed_scales(tiny_models, text, tmp_path, capsys):
    target = tmp_path / "out.csv"
    arguments = ["evaluate", str(tiny_models / "bert"), "--text", str(text), "--csv", str(target)]
    assert main([*arguments, "--tokens", "100", "--scale", "signed", "--format", "all"]) == 0
    out = capsys.readouterr().out
    names = [row["format"] for row in rows_of(target)]
    assert names == ["FP32", "INT3", "INT4", "INT5", "INT8", "E2M1+SR"]
    assert "left out, since they cannot hold the setting: E2M0, E2M1, E2M1+SP," in out


def test_a_format_of_the_user_s_and_the_frontier(tiny_models, text, tmp_path, capsys):
    own = tmp_path / "own.toml"
    levels = [-8, -6, -4, -3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 4, 6, 8, 12]
    own.write_text(f'name = "OWN"\nbits = 4\nlevels = {levels}\n')
    target, area = tmp_path / "out.csv", tmp_path / "area.csv"
    arguments = ["evaluate", str(tiny_models / "bert"), "--text", str(text), "--csv", str(target)]
    assert main([*arguments, "--tokens", "150", "--format", "INT4", str(own)]) == 0
    assert [row.format for row in read_accuracy(target, names=["OWN"]).rows] == [
        "FP32",
        "INT4",
        "OWN",
    ]
    quick = ["--recipe", "default", "--architecture", "table"]
    assert main(["area", "INT4", str(own), *quick, "--no-prove", "--csv", str(area)]) == 0
    plot = tmp_path / "frontier.svg"
    assert main(["pareto", str(target), "--area", str(area), "-o", str(plot)]) == 0
    out = capsys.readouterr().out
    assert "OWN" in out
    assert "embedding cosine; weight-only, block 128 or the format's own" in out
    assert plot.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--setting", "W2A2"], 2, "The setting 'W2A2' is unknown; it is one of weight-only"),
        (["--scale", "best"], 2, "The scaling 'best' is unknown"),
        (["--format", "INT99"], 1, "INT99"),
        (["--format", "E2M1", "--scale", "signed"], 1, "E2M1 cannot have signed scales"),
        (["--layers", "foo"], 2, "The layer kind 'foo' is unknown; it is linear, convolution"),
        (["--tokens", "0"], 2, "--tokens is 0; it must be at least 1"),
        (["--calibration", "x.txt"], 2, "--calibration goes with --smoothquant or --gptq"),
        (["--smoothquant", "2"], 2, "migration strength is 2.0; it must be from 0 to 1"),
        (["--gptq"], 2, "give --calibration FILE, or --tokens N"),
        (["--task-limit", "5"], 2, "--task-limit goes with --tasks"),
        (["--device", "tpu"], 2, "The device 'tpu' is unknown"),
        (["--window", "4000"], 2, "llama takes at most 128 at once"),
        (["--tokens", "40", "--window", "50"], 1, "has 40 tokens, fewer than one window of 50"),
        (["--text", "/nowhere.txt"], 1, "The file /nowhere.txt does not exist"),
        (["--csv", "/nowhere/out.csv"], 1, "/nowhere/out.csv cannot be written"),
    ],
)
def test_what_is_wrong_is_said(tiny_models, text, tmp_path, capsys, arguments, code, sentence):  # noqa: PLR0917
    target = tmp_path / "out.csv"
    base = ["evaluate", str(tiny_models / "llama"), "--text", str(text), "--csv", str(target)]
    if "--format" not in arguments:
        base += ["--format", "INT4"]
    assert main([*base, *arguments]) == code
    err = capsys.readouterr().err
    assert err.startswith("nibblemac: ")
    assert sentence in err
    assert not target.exists()


def test_cuda_asked_for_and_absent(tiny_models, text, tmp_path, capsys, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    arguments = ["evaluate", str(tiny_models / "llama"), "--text", str(text)]
    assert main([*arguments, "--device", "cuda", "--csv", str(tmp_path / "out.csv")]) == 2
    assert "CUDA was asked for, but torch" in capsys.readouterr().err


def test_a_text_without_words(tiny_models, tmp_path, capsys):
    empty = tmp_path / "empty.txt"
    empty.write_text(" \n")
    arguments = ["evaluate", str(tiny_models / "llama"), "--text", str(empty)]
    assert main([*arguments, "--csv", str(tmp_path / "out.csv")]) == 1
    assert "empty.txt holds no text" in capsys.readouterr().err


_HARNESS = '''
__version__ = "0.4.13"


def simple_evaluate(model, model_args=None, tasks=None, num_fewshot=None, batch_size=None,
                    limit=None, bootstrap_iters=100000, log_samples=True, task_manager=None):
    """As lm-eval's: results by task, metrics by name and filter."""
    assert bootstrap_iters == 0 and not log_samples and task_manager is not None
    print("noise of the harness")
    weight = model.pretrained.model.layers[0].mlp.up_proj.weight
    share = float(weight.unique().numel()) / weight.numel()
    found = {"acc,none": share, "acc_stderr,none": "N/A", "alias": tasks[0]}
    return {"results": {task: found for task in tasks if task != "wikitext"} | {"wikitext": {}}}
'''
_TASKS = """
class TaskManager:
    all_tasks = ["lambada_openai", "piqa", "wikitext"]
"""
_MODELS = """
class HFLM:
    def __init__(self, pretrained, tokenizer=None, batch_size=1):
        assert tokenizer is not None
        self.pretrained = pretrained
"""


@pytest.fixture
def harness(tmp_path, monkeypatch) -> None:
    """A stand-in with the interface of lm-eval 0.4.13 that is used."""
    package = tmp_path / "stand-in" / "lm_eval"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text(_HARNESS)
    (package / "tasks.py").write_text(_TASKS)
    (package / "models" / "__init__.py").write_text("")
    (package / "models" / "huggingface.py").write_text(_MODELS)
    metadata = package.parent / "lm_eval-0.4.13.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: lm-eval\nVersion: 0.4.13\n")
    monkeypatch.syspath_prepend(str(package.parent))
    for name in list(sys.modules):
        if name.partition(".")[0] == "lm_eval":
            monkeypatch.delitem(sys.modules, name)
    yield
    for name in list(sys.modules):
        if name.partition(".")[0] == "lm_eval":
            del sys.modules[name]


def evaluate_tasks(tiny_models, tmp_path, *tasks: str) -> int:
    arguments = ["evaluate", str(tiny_models / "llama"), "--text", str(tiny_models / "text.txt")]
    arguments += ["--tokens", "64", "--window", "64", "--format", "INT4", "INT8"]
    return main([*arguments, "--csv", str(tmp_path / "out.csv"), "--tasks", *tasks])


@pytest.mark.usefixtures("harness")
def test_tasks_are_run_on_the_quantized_model(tiny_models, tmp_path, capsys):
    assert evaluate_tasks(tiny_models, tmp_path, "lambada_openai,piqa") == 0
    out, err = capsys.readouterr()
    assert "noise" not in out + err
    assert "lm-eval 0.4.13" in out
    table = read_accuracy(tmp_path / "out.csv")
    accuracy = {row.format: row for row in table.rows if row.metric == "piqa accuracy"}
    assert accuracy["INT4"].value < accuracy["INT8"].value < accuracy["FP32"].value
    assert accuracy["FP32"].value > 99
    assert (accuracy["INT4"].unit, accuracy["INT4"].higher_is_better) == ("%", True)
    assert len(table.rows) == 3 * 4


@pytest.mark.usefixtures("harness")
@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ("nonsense", "The task 'nonsense' is unknown to lm-evaluation-harness 0.4.13"),
        ("wikitext", "gave no accuracy (acc,none) for the task wikitext"),
    ],
)
def test_tasks_that_cannot_be_run(tiny_models, tmp_path, capsys, task, sentence):
    assert evaluate_tasks(tiny_models, tmp_path, task) != 0
    assert sentence in capsys.readouterr().err


def test_without_the_harness_the_extra_is_named(tiny_models, tmp_path, capsys, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "lm_eval" else find(name, *a)
    )
    assert evaluate_tasks(tiny_models, tmp_path, "piqa") == 1
    assert "install nibblemac with its extra 'tasks'" in capsys.readouterr().err


def test_a_killed_run_is_continued_to_the_same_bytes(tiny_models, text, tmp_path):
    """Killed for good in the middle: what is finished is there, and the rest follows."""
    target, whole = tmp_path / "out.csv", tmp_path / "whole.csv"
    command = ["evaluate", str(tiny_models / "llama"), "--text", str(text), "--tokens", "700"]
    command += ["--window", "64", "--format", "INT4", "NF4", "MXFP4", "NVFP4"]
    command += ["--setting", "W4A4"]
    assert main([*command, "--csv", str(whole)]) == 0
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "nibblemac.scripts", *command, "--csv", str(target)],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=environment,
    )
    late = time.monotonic() + 300
    while time.monotonic() < late and process.poll() is None and not target.exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    begun = target.read_bytes()
    assert whole.read_bytes().startswith(begun)
    assert main([*command, "--csv", str(target)]) == 0
    assert target.read_bytes() == whole.read_bytes()


def test_a_real_encoder(minilm, tmp_path, capsys):
    import pydoc_data.topics

    text = tmp_path / "topics.txt"
    text.write_text(
        "\n\n".join(pydoc_data.topics.topics[k] for k in sorted(pydoc_data.topics.topics))
    )
    target = tmp_path / "out.csv"
    arguments = ["evaluate", str(minilm), "--text", str(text), "--tokens", "400"]
    arguments += ["--format", "INT3", "INT4", "NF4", "NVFP4", "INT8"]
    assert main([*arguments, "--csv", str(target)]) == 0
    cosine = {row.format: row.value for row in read_accuracy(target).rows}
    assert 0.5 < cosine["INT3"] < cosine["INT4"] < cosine["NF4"] < cosine["NVFP4"] < cosine["INT8"]
    assert cosine["INT8"] > 0.999
    assert "10.6 of 22.7 million parameters are quantized (47 %)" in capsys.readouterr().out


def test_a_real_language_model(smollm2, tmp_path):
    import pydoc_data.topics

    text = tmp_path / "topics.txt"
    text.write_text(pydoc_data.topics.topics["assert"] + pydoc_data.topics.topics["assignment"])
    target = tmp_path / "out.csv"
    arguments = ["evaluate", str(smollm2), "--text", str(text), "--tokens", "192"]
    arguments += ["--window", "128", "--stride", "64", "--format", "INT4"]
    assert main([*arguments, "--csv", str(target)]) == 0
    rows = read_accuracy(target).rows
    found = {(row.format, row.metric): row.value for row in rows}
    # A model of English reads Python's manual at tens of words to choose from, and not thousands.
    assert 5 < found["FP32", "perplexity"] < 60
    assert found["FP32", "perplexity"] < found["INT4", "perplexity"] < 200
    assert 0.05 < found["INT4", "KL divergence"] < 2
    assert all("already quantized in the file (Q4_1, Q8_0)" in row.setting for row in rows)
