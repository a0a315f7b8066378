"""Delay and power on the command line: options, the user's tensors, what the table prints."""

import io
import json
import os
import re
from pathlib import Path

import pytest
import torch
from nibblemac.scripts import main as command
from nibblemac.scripts.terminal import print_table
from safetensors.torch import save_file

QUICK = ("--architecture", "signed", "--recipe", "amap", "--delay-engine", "tables")


def call(*arguments: object) -> int:
    try:
        return command.main([str(a) for a in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def record(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, object]:
    assert call("area", "INT3", *QUICK, "--json", "-", *arguments) == 0
    (found,) = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture
def tensors(tmp_path: Path) -> Path:
    path = tmp_path / "layer.safetensors"
    generator = torch.Generator().manual_seed(5)
    save_file(
        {
            "w": torch.randn(16, 512, generator=generator, dtype=torch.float32),
            "x": torch.zeros(4, 512),
            "short": torch.ones(4, 8),
        },
        path,
    )
    return path


def test_power_follows_the_frequency(capsys) -> None:
    slow, fast = record(capsys), record(capsys, "--megahertz", "300")
    assert (slow["megahertz"], fast["megahertz"]) == (100, 300)
    assert fast["delay_ps"] == slow["delay_ps"] > 0
    assert fast["energy_zero_delay_fj"] == slow["energy_zero_delay_fj"]
    # The energies differ by the leakage of the longer clock period alone: nW × (1/100 - 1/300) µs.
    leakage = slow["leakage_nw"] * (1 / 100 - 1 / 300)
    assert slow["energy_fj"] - fast["energy_fj"] == pytest.approx(leakage, abs=1e-5)
    assert fast["power_uw"] == pytest.approx(fast["energy_fj"] * 0.3)


def test_power_on_the_users_tensors(capsys, tensors: Path) -> None:
    usual = record(capsys)
    own = record(capsys, "--tensors", tensors, "--tensor", "w")
    still = record(capsys, "--tensors", tensors, "--tensor", "w", "--activation-tensor", "x")
    assert "weights from layer.safetensors w, activations from t(5)" in own["conditions"]["data"]
    assert "the user's activations" in still["conditions"]["data"]
    assert own["delay_ps"] == usual["delay_ps"]
    assert own["energy_fj"] != usual["energy_fj"]
    # Activations of zero leave products and sums alone.
    assert still["energy_zero_delay_fj"] < own["energy_zero_delay_fj"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--megahertz", "0"), "0.0 MHz"),
        (("--megahertz", "nan"), "nan MHz"),
        (("--tensor", "w"), "--tensors FILE"),
        (("--tensors", "missing.safetensors"), "missing.safetensors"),
        (("--tensors", "{file}"), "3 tensors, short, w, x; name one"),
        (("--tensors", "{file}", "--tensor", "short"), "at least 256 elements"),
    ],
)
def test_options_without_a_meaning(capsys, tensors: Path, arguments, said: str) -> None:
    filled = [one.format(file=tensors) for one in arguments]
    assert call("area", "INT3", *QUICK, *filled) != 0
    captured = capsys.readouterr()
    assert said in captured.err
    assert "synthesis" not in captured.err


def test_opensta_that_is_missing_is_told_at_once(capsys, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert call("area", "INT3", "--delay-engine", "opensta") != 0
    assert "no OpenSTA (sta) on PATH" in capsys.readouterr().err


def test_doctor_says_which_delays(capsys, monkeypatch, tmp_path: Path) -> None:
    program = tmp_path / "sta"
    program.write_text("#!/bin/sh\necho 2.0.17\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    call("doctor")
    assert "OpenSTA 2.0.17 (default)" in capsys.readouterr().out
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    call("doctor")
    assert "OpenSTA (sta) is not on PATH; delays come from the library's" in capsys.readouterr().out


def test_the_table_names_its_conditions(capsys) -> None:
    assert call("area", "INT3", *QUICK) == 0
    text = capsys.readouterr().out
    for part in ("delay by: the library's tables (tables", "1.8 V, 25 °C", "load: ", "100 MHz"):
        assert part in text


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [100, 120, 160])
def test_figures_are_whole_in_a_terminal(monkeypatch, width: int) -> None:
    from nibblemac.explore.text_table import Column, TextTable

    monkeypatch.setenv("COLUMNS", str(width))
    figures = [f"{1000 + index:,}.5" for index in range(10)]
    table = TextTable(
        columns=(
            Column(label="format", numeric=False),
            *(Column(label="energy without glitches (fJ)") for _ in figures),
            Column(label="architecture", numeric=False),
            Column(label="recipe", numeric=False),
        ),
        rows=(("SF4-nu7-top11", *figures, "sign-magnitude", "adders-deepsyn"),),
    )
    stream = _Terminal()
    print_table(table, file=stream)
    printed = re.sub(r"\x1b\[[\d;]*m", "", stream.getvalue())
    assert max(map(len, printed.splitlines())) <= width
    words = printed.split()
    for text in ("SF4-nu7-top11", *figures):
        assert text in words
    assert "…" not in printed
