"""Files for a user's flow: complete, in place, or not there at all."""

import errno
import hashlib
import json
import os
import re
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import pytest
from nibblemac.formats.errors import ArchitectureError, OutputError, UsageError
from nibblemac.formats.lookup import all_formats, find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.record import Format
from nibblemac.rtl.architectures import serving
from nibblemac.rtl.fusesoc import core_name, to_core
from nibblemac.rtl.manifest import manifest
from nibblemac.rtl.package import write_package
from nibblemac.rtl.verilog import to_verilog_many


def spec_of(name: str, **options) -> MacSpec:
    return MacSpec(weight=find_format(name), activation=find_format(name), **options)


DESIGNS = [(spec_of("INT4"), "signed"), (spec_of("E2M1+SP"), "shift-add")]
STEMS = ["mac_int4_signed", "mac_e2m1_plus_sp_shift_add"]


def test_files(tmp_path):
    target = tmp_path / "new" / "folder"
    paths = write_package(DESIGNS, target)
    assert paths == [target / f"{stem}.{kind}" for stem in STEMS for kind in ("v", "json", "core")]
    assert sorted(target.iterdir()) == sorted(paths)
    for (spec, architecture), text, stem in zip(
        DESIGNS, to_verilog_many(DESIGNS), STEMS, strict=True
    ):
        assert (target / f"{stem}.v").read_text() == text
        record = json.loads((target / f"{stem}.json").read_text())
        assert record == manifest(spec, architecture, text)
        assert record["sha256"] == hashlib.sha256((target / f"{stem}.v").read_bytes()).hexdigest()
        assert (target / f"{stem}.core").read_text() == to_core(spec, architecture)


def test_again_gives_the_same_bytes(tmp_path):
    first = {p.name: p.read_bytes() for p in write_package(DESIGNS[:1], tmp_path)}
    second = {p.name: p.read_bytes() for p in write_package(DESIGNS[:1], tmp_path)}
    assert first == second


def test_nothing_to_write(tmp_path):
    assert write_package([], tmp_path / "empty") == []


@pytest.mark.parametrize("obstacle", ["file", "below a file"])
def test_folder_that_cannot_be_made(tmp_path, obstacle):
    (tmp_path / "taken").write_text("mine")
    target = tmp_path / "taken" if obstacle == "file" else tmp_path / "taken" / "below"
    with pytest.raises(OutputError) as error:
        write_package(DESIGNS[:1], target)
    assert str(target) in str(error.value)
    assert (tmp_path / "taken").read_text() == "mine"


def test_folder_in_the_place_of_a_file(tmp_path):
    (tmp_path / "mac_e2m1_plus_sp_shift_add.json").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_package(DESIGNS, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mac_e2m1_plus_sp_shift_add.json"]


def test_full_disk_leaves_nothing(tmp_path, monkeypatch):
    written = []

    write = Path.write_bytes

    def fill_up(path, data):
        if len(written) == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(OutputError, match="No space left"):
        write_package(DESIGNS, tmp_path)
    assert len(written) == 4
    assert list(tmp_path.iterdir()) == []


def test_refusal_comes_before_any_file(tmp_path):
    with pytest.raises(ArchitectureError, match="cannot serve INT4"):
        write_package([*DESIGNS, (spec_of("INT4"), "shift-add")], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_colliding_names(tmp_path):
    grid = (0, 1, -2, -1)
    same = [
        Format(name=name, bits=2, grid=grid, unit=Fraction(1)) for name in ("My-2bit", "my_2bit")
    ]
    designs = [(MacSpec(weight=f, activation=f), "signed") for f in same]
    with pytest.raises(UsageError, match="mac_my_2bit_signed") as error:
        write_package(designs, tmp_path)
    assert "My-2bit × My-2bit and my_2bit × my_2bit" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_the_same_design_twice(tmp_path):
    with pytest.raises(UsageError, match="Generate each design once"):
        write_package([DESIGNS[0], DESIGNS[0]], tmp_path)


def parse_core(text: str) -> dict:
    """Read the part of YAML that core files here are made of: nested mappings and lists."""
    lines = text.splitlines()
    assert lines[0] == "CAPI=2:"
    rows = [(len(line) - len(line.lstrip()), line.strip()) for line in lines[1:] if line.strip()]

    def scalar(value: str):
        if value.startswith("["):
            assert value.endswith("]")
            return [item.strip() for item in value[1:-1].split(",")]
        if value.startswith('"'):
            assert re.fullmatch(r'"[^"\\]*"', value)
            return value[1:-1]
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", value)
        return value

    def block(depth: int):
        if rows[0][1].startswith("- "):
            items = []
            while rows and rows[0][0] == depth and rows[0][1].startswith("- "):
                items.append(scalar(rows.pop(0)[1][2:]))
            return items
        mapping = {}
        while rows and rows[0][0] == depth:
            key, _colon, value = rows.pop(0)[1].partition(":")
            assert key not in mapping
            mapping[key] = scalar(value.strip()) if value else block(rows[0][0])
        return mapping

    parsed = block(0)
    assert rows == []
    return parsed


def test_core_file():
    core = parse_core(to_core(*DESIGNS[1]))
    stem = STEMS[1]
    assert core["name"] == f"nibblemac:mac:{stem}:{version('nibblemac')}"
    assert "E2M1+SP x E2M1+SP" in core["description"]
    assert core["filesets"] == {"rtl": {"files": [f"{stem}.v"], "file_type": "verilogSource-2005"}}
    assert set(core["targets"]) == {"default", "lint", "sim"}
    for target in core["targets"].values():
        assert target["filesets"] == ["rtl"]
        assert target["toplevel"] == stem
    assert core["targets"]["lint"]["flow_options"]["tool"] == "verilator"
    assert core["targets"]["sim"]["flow_options"]["tool"] == "icarus"


@pytest.mark.parametrize("number_format", all_formats(), ids=lambda f: f.name)
def test_core_names_have_four_plain_parts(number_format):
    spec = MacSpec(weight=number_format, activation=find_format("SF4"), terms=7)
    for architecture in serving(spec):
        parts = core_name(spec, architecture).split(":")
        assert len(parts) == 4
        assert all(re.fullmatch(r"[a-z0-9_.]+", part) for part in parts)
        parse_core(to_core(spec, architecture))
