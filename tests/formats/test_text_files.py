"""Reading with sentences instead of tracebacks, writing whole files or nothing."""

import os
from pathlib import Path

import pytest
from nibblemac.formats.errors import DataError, OutputError
from nibblemac.formats.files import read_text, write_text


def _everything(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208 - hidden files count too


def test_text_comes_back_with_its_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "one\ntwo\r\nµm²\n")
    assert (tmp_path / "a.txt").read_bytes() == "one\ntwo\r\nµm²\n".encode()
    assert read_text(tmp_path / "a.txt", DataError) == "one\ntwo\r\nµm²\n"


def test_the_limit_is_inclusive(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "12345")
    assert read_text(tmp_path / "a.txt", DataError, limit=5) == "12345"
    with pytest.raises(DataError, match=r"a\.txt is larger than 4 bytes"):
        read_text(tmp_path / "a.txt", DataError, limit=4)


def test_a_folder_in_the_way_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OutputError, match=r"a\.txt cannot be written"):
        write_text(tmp_path / "a.txt", "text")
    assert _everything(tmp_path) == ["a.txt"]


def test_text_that_cannot_be_encoded_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(OutputError, match=r"a\.txt cannot be written"):
        write_text(tmp_path / "a.txt", "new \ud800")
    assert _everything(tmp_path) == ["a.txt"]
    assert read_text(tmp_path / "a.txt", DataError) == "old"


def test_a_file_as_folder_is_refused(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "text")
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "a.txt" / "b.txt", "text")
    with pytest.raises(DataError, match="cannot be read"):
        read_text(tmp_path / "a.txt" / "b.txt", DataError)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all files")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "text")
    (tmp_path / "a.txt").chmod(0)
    with pytest.raises(DataError, match=r"a\.txt cannot be read"):
        read_text(tmp_path / "a.txt", DataError)
