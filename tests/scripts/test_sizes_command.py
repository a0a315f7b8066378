"""``nibblemac sizes`` on the smallest formats: files, exit codes, what is refused at once."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from nibblemac.explore import size_survey
from nibblemac.explore.sizes import sizes_from_csv
from nibblemac.scripts import main as command
from nibblemac.scripts.main import build_parser
from nibblemac.scripts.sizes import command_line

QUICK = ("--library", "sky130hd", "--effort", "quick")


def call(*arguments: object) -> int:
    try:
        return command.main([str(one) for one in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def test_page_and_csv_take_the_place_of_what_was_there(capsys, tmp_path: Path) -> None:
    page, csv = tmp_path / "area.md", tmp_path / "area.csv"
    page.write_text("older")
    assert call("sizes", "INT3", *QUICK, "-o", page, "--csv", csv) == 0
    captured = capsys.readouterr()
    assert "verified: 2 of 2 netlists" in captured.out
    assert "sky130hd, quick: synthesis" in captured.err
    text = page.read_text()
    assert text.startswith("# MAC area by format")
    sizes = sizes_from_csv(csv.read_text())
    assert [(one.format, one.effort, one.verified) for one in sizes] == [
        *(("INT3", "default", True), ("INT3", "quick", True)),
    ]
    for one in sizes:
        assert f"| {one.area_um2:.2f} |" in text
    for part in ("process 1, 1.8 V, 25 °C", "2 of 2 netlists passed", "- annealing: ", "cores "):
        assert part in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["area.csv", "area.md"]
    # The command on the page makes the same page.
    (line,) = [line for line in text.splitlines() if line.startswith("- command: ")]
    capsys.readouterr()
    assert call(*shlex.split(line.removeprefix("- command: ").strip("`"))[1:]) == 0
    assert page.read_text() == text


def test_page_on_standard_output_is_only_the_page(capsys) -> None:
    assert call("sizes", "INT3", *QUICK, "--no-verify", "-o", "-") == 0
    text = capsys.readouterr().out
    assert text.startswith("# ")
    assert text.rstrip().endswith("none of 2 netlists was simulated")


def test_a_failed_verification_is_an_error(capsys, monkeypatch, tmp_path: Path) -> None:
    real = size_survey.netlist_designs

    def broken(candidates, library):
        # One NAND becomes a NOR.
        good, bad = "sky130_fd_sc_hd__nand2_1", "sky130_fd_sc_hd__nor2_1"
        first, *others = candidates
        netlist = first.mapped.netlist.replace(f"{good} ", f"{bad} ", 1)
        cells = {**first.mapped.cells, bad: 1}
        mapped = replace(first.mapped, netlist=netlist, cells=cells)
        return real([replace(first, mapped=mapped), *others], library)

    monkeypatch.setattr(size_survey, "netlist_designs", broken)
    page = tmp_path / "area.md"
    assert call("sizes", "INT3", *QUICK, "-o", page) == 1
    captured = capsys.readouterr()
    assert "accumulator values are wrong." in captured.err
    assert "Traceback" not in captured.err
    assert "verified: 1 of 2 netlists" in captured.out
    assert "| failed |" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--effort", "huge"), "no effort 'huge'"),
        (("--library", "tsmc"), "no embedded library 'tsmc'"),
        (("--seconds", "0"), "--seconds is 0"),
        (("--seconds", "nan"), "--seconds is nan"),
        (("--csv", "{page}"), "are both"),
        (("-o", "{folder}/missing/area.md"), "missing"),
        (("E2M7",), "'E2M7'"),
    ],
)
def test_refused_at_once(capsys, tmp_path: Path, arguments, said: str) -> None:
    page = tmp_path / "area.md"
    filled = [one.format(page=page, folder=tmp_path) for one in arguments]
    assert call("sizes", "-o", page, *filled) != 0
    captured = capsys.readouterr()
    assert captured.err.startswith("nibblemac: ")
    assert said in captured.err
    assert "synthesis" not in captured.err
    assert list(tmp_path.iterdir()) == []


def test_command_line_is_spelt_out() -> None:
    efforts = ["--effort", "max", "quick", "max"]
    words = ["sizes", *efforts, "--seconds", "90", "--no-verify", "-o", "my area.md"]
    args = build_parser().parse_args(words)
    assert command_line(args) == (
        "nibblemac sizes --library sky130hd asap7 sg13g2 --effort quick max --seed 1 --seconds 90 "
        "--no-verify -o 'my area.md'"
    )
