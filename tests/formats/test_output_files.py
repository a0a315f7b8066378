"""Files appear whole or not at all."""

import os
import stat

import pytest
from nibblemac.formats.errors import OutputError
from nibblemac.formats.files import check_file, write_bytes
from nibblemac.formats.folder import check_folder, write_folder


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert listing(tmp_path) == ["a.png"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("name", ["missing/a.png", "nul\0.png"])
def test_a_file_that_cannot_be_written_is_named(tmp_path, name):
    with pytest.raises(OutputError, match=r"cannot be written.*\.$"):
        write_bytes(tmp_path / name, b"x")
    assert listing(tmp_path) == []


def test_a_folder_in_place_of_the_file(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OutputError, match=r"a\.png"):
        write_bytes(tmp_path / "a.png", b"x")
    assert listing(tmp_path) == ["a.png"]


def test_a_folder_is_made_and_other_files_stay(tmp_path):
    folder = tmp_path / "new" / "deep"
    write_folder(folder, {"a": b"1", "b": b"2"})
    (folder / "own").write_bytes(b"3")
    write_folder(folder, {"a": b"4"})
    assert {name: (folder / name).read_bytes() for name in listing(folder)} == {
        "a": b"4",
        "b": b"2",
        "own": b"3",
    }


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "out").write_bytes(b"x")
    with pytest.raises(OutputError, match="out' cannot be written"):
        write_folder(tmp_path / "out", {"a": b"1"})
    with pytest.raises(OutputError, match="cannot be written"):
        write_folder(tmp_path / "out" / "deep", {"a": b"1"})
    assert listing(tmp_path) == ["out"]


def test_nothing_is_written_where_one_name_is_taken_by_a_folder(tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(OutputError, match="b is a folder"):
        write_folder(tmp_path, {"a": b"1", "b": b"2"})
    assert listing(tmp_path) == ["b"]


def test_a_failure_leaves_no_new_folder(tmp_path):
    with pytest.raises(OutputError):
        write_folder(tmp_path / "x" / "y", {"missing/a": b"1"})
    assert listing(tmp_path) == []


def test_checks_write_nothing_and_fail_as_writing_would(tmp_path):
    check_folder(tmp_path / "new" / "deep")
    check_file(tmp_path / "a.csv")
    assert listing(tmp_path) == []
    (tmp_path / "file").write_bytes(b"x")
    for path in (tmp_path / "file", tmp_path / "file" / "deep"):
        with pytest.raises(OutputError, match="cannot be written"):
            check_folder(path)
    for path in (tmp_path, tmp_path / "file" / "a.csv", tmp_path / "missing" / "a.csv"):
        with pytest.raises(OutputError, match="cannot be written"):
            check_file(path)
    assert listing(tmp_path) == ["file"]
