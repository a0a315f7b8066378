"""``nibblemac quality``: tables, files that pareto takes, pictures, what is refused."""

import json
import math
from pathlib import Path

import pytest
import torch
from nibblemac.formats.accuracy import read_accuracy
from nibblemac.formats.distribution import STUDENT_5
from nibblemac.scripts import main as command
from safetensors.torch import save_file


def call(*arguments: object) -> int:
    try:
        return command.main([str(one) for one in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def test_table_files_and_pictures(capsys, tmp_path: Path) -> None:
    csv, record, pictures = tmp_path / "q.csv", tmp_path / "q.json", tmp_path / "new" / "pictures"
    files = ("--csv", csv, "--json", record, "-o", pictures)
    assert call("quality", "SF4", "int4", "--block", "16", "32", *files) == 0
    captured = capsys.readouterr()
    for part in ("SF4", "INT4", "Lloyd-Max limit", "integrated", "t(5)", "share of elements"):
        assert part in captured.out
    found = json.loads(record.read_text())
    assert [(one["format"], one["block"]) for one in found] == [
        *(("SF4", 16), ("INT4", 16), ("SF4", 32), ("INT4", 32)),
    ]
    assert found[0]["sqnr_db"] == pytest.approx(21.015, abs=0.001)
    assert all(math.fsum(one["use"]) == pytest.approx(1) for one in found)
    rows = read_accuracy(csv).rows
    assert {row.setting for row in rows} == {"block 16, absmax", "block 32, absmax"}
    names = sorted(path.name for path in pictures.iterdir())
    assert names[0] == "levels-t-5-block16.png"
    assert len(names) == 6
    assert all(str(pictures / name) in captured.out for name in names)


def test_csv_on_standard_output_is_only_csv(capsys) -> None:
    assert call("quality", "E2M0", "--distribution", "normal", "--csv", "-") == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("model,setting,format,metric,unit,higher_is_better,value")
    assert len({line.count(",") for line in captured.out.splitlines()}) <= 2
    assert "E2M0" in captured.err


@pytest.fixture(scope="module")
def areas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("areas") / "area.csv"
    quick = ("--architecture", "sign-magnitude", "--recipe", "amap")
    assert call("area", "INT3", "E2M0", *quick, "--csv", path) == 0
    return path


def test_pareto_takes_the_csv(areas: Path, capsys, tmp_path: Path) -> None:
    csv = tmp_path / "quality.csv"
    assert call("quality", "INT3", "E2M0", "--csv", csv) == 0
    plot = tmp_path / "plot.svg"
    assert call("pareto", csv, "--area", areas, "--metric", "SQNR", "-o", plot) == 0
    assert "SQNR" in capsys.readouterr().out
    assert "<svg" in plot.read_text()


def test_pareto_does_not_mix_tensors_with_their_whole(areas: Path, capsys, tmp_path: Path) -> None:
    csv, model = tmp_path / "q.csv", tmp_path / "m.safetensors"
    save_file({"a": STUDENT_5.sample(8, 64), "b": STUDENT_5.sample(8, 64, seed=1)}, model)
    chosen = ("--distribution", model, "--block", "16")
    assert call("quality", "INT3", "E2M0", *chosen, "--csv", csv) == 0
    assert "by tensor" in capsys.readouterr().out
    start = ("pareto", csv, "--area", areas, "--metric", "SQNR", "-o", tmp_path / "plot.svg")
    assert call(*start) != 0
    assert "one tensor" in capsys.readouterr().err
    assert call(*start, "--setting", "block 16, absmax") == 0
    assert "models: m.safetensors" in capsys.readouterr().out


def test_names_of_tensors_are_shown_without_what_a_terminal_obeys(capsys, tmp_path: Path) -> None:
    path, csv = tmp_path / "m.safetensors", tmp_path / "q.csv"
    names = ("=cmd\x1b[31mred", "[/bold]\nline", "plain")
    save_file({name: STUDENT_5.sample(4, 32) for name in names}, path)
    assert call("quality", "SF4", "--distribution", path, "--csv", csv) == 0
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert "=cmd?[31mred" in captured.out
    models = {row.model for row in read_accuracy(csv).rows}
    assert "m.safetensors: [/bold]?line" in models


def test_samples_repeat_and_follow_the_seed(tmp_path: Path) -> None:
    texts = []
    for index, seed in enumerate((1, 1, 2)):
        path = tmp_path / f"{index}.json"
        chosen = ("--samples", 2**10, "--seed", seed, "--scale", "mse")
        assert call("quality", "SF4", "MXFP4", *chosen, "--json", path) == 0
        texts.append(path.read_text())
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("SF4", "--distribution", "cauchy"), "'cauchy' is unknown"),
        (("SF4", "--distribution", "t:2"), "nu is 2"),
        (("SF4", "--distribution", "t:1.5"), "nu is 1.5"),
        (("SF4", "--block", "0"), "block is 0"),
        (("SF4", "--block", "-16"), "block is -16"),
        (("E2M1", "--scale", "signed"), "E2M1's largest levels are equal"),
        (("MXFP4", "--scale", "signed"), "MXFP4's largest levels are equal"),
        (("INT4", "--scale", "signed", "--scale-format", "E8M0"), "no bit for a sign"),
        (("SF4", "--scale", "median"), "'median' is unknown"),
        (("SF4", "--scale-format", "FP7"), "'FP7' is unknown"),
        (("E2M7",), "'E2M7'"),
        (("all", "SF4"), "give each format once"),
        (("SF4", "sf4"), "give each format once"),
        (("SF4", "--samples", "0", "--scale", "mse"), "0 samples"),
        (("SF4", "--seed", "-1"), "--seed is -1"),
        (("SF4", "--distribution", "n" * 5000), "is unknown"),
        (("SF4", "-o", "a\0b"), "cannot be made"),
        (("SF4", "--tensor", "w"), "--tensor goes with a file"),
        (("SF4", "--distribution", "{folder}/none.safetensors"), "does not exist"),
        (("SF4", "--distribution", "{folder}/cut.safetensors"), "cut.safetensors"),
        (("SF4", "--distribution", "{folder}/nan.safetensors"), "'layer.weight'"),
        (("SF4", "--distribution", "{folder}/nan.safetensors", "--samples", "9"), "--samples"),
        (("SF4", "--csv", "{folder}/no/q.csv"), "cannot be written"),
        (("SF4", "--csv", "{folder}/q", "--json", "{folder}/q"), "are both"),
        (("SF4", "-o", "{folder}/nan.safetensors"), "cannot be made"),
    ],
)
def test_refused(capsys, tmp_path: Path, arguments, said: str) -> None:
    broken = torch.ones(4, 32)
    broken[2, 3] = math.nan
    save_file({"layer.weight": broken}, tmp_path / "nan.safetensors")
    whole = (tmp_path / "nan.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-20])
    before = sorted(tmp_path.iterdir())
    assert call("quality", *(one.format(folder=tmp_path) for one in arguments)) != 0
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("nibblemac: ")]
    assert len(lines) == 1
    assert said in lines[0]
    assert "Traceback" not in captured.err
    assert sorted(tmp_path.iterdir()) == before
