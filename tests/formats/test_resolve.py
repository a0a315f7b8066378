"""From arguments to formats: names, files, all, and duplicates."""

from pathlib import Path

import pytest
from nibblemac.formats.block_catalog import BLOCK_CATALOG
from nibblemac.formats.catalog import CATALOG, E2M1, INT4
from nibblemac.formats.errors import FormatError, UsageError
from nibblemac.formats.record import Format
from nibblemac.formats.resolve import resolve_formats
from nibblemac.formats.user import write_format


def _file(folder: Path, file: str, name: str) -> str:
    made = Format(name=name, bits=4, grid=E2M1.grid, unit=E2M1.unit)
    write_format(made, folder / file)
    return str(folder / file)


def test_names_and_files_in_their_order(tmp_path: Path) -> None:
    path = _file(tmp_path, "own.toml", "Own")
    found = resolve_formats(["e2m1", path, "INT4", "SF4-nu7"])
    assert [item.name for item in found] == ["E2M1", "Own", "INT4", "SF4-nu7"]
    assert found[2] is INT4


@pytest.mark.parametrize("word", ["all", "ALL", " All "])
def test_all_is_the_catalogue(word: str, tmp_path: Path) -> None:
    assert resolve_formats([word]) == CATALOG
    path = _file(tmp_path, "own.toml", "Own")
    assert resolve_formats([path, word])[1:] == CATALOG


def test_blocks_are_the_block_formats() -> None:
    found = resolve_formats(["all", "Blocks"])
    assert found == (*CATALOG, *(item.format for item in BLOCK_CATALOG))


def test_a_relative_path_and_a_file_of_another_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _file(tmp_path, "own.TOML", "Own")
    _file(tmp_path, "own.txt", "Own2")
    monkeypatch.chdir(tmp_path)
    found = resolve_formats(["own.TOML", "./own.txt"])
    assert [item.name for item in found] == ["Own", "Own2"]


def test_no_argument_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="No format"):
        resolve_formats([])


@pytest.mark.parametrize(
    "arguments",
    [
        ["INT4", "int4"],
        ["INT4", "all"],
        ["all", "all"],
        ["SF4", "SF4(nu=5)"],
        ["SF4-nu7", "sf4(nu=7.0)"],
    ],
)
def test_duplicate_names_are_refused_naming_both(arguments: list[str]) -> None:
    with pytest.raises(FormatError) as caught:
        resolve_formats(arguments)
    assert all(repr(argument) in str(caught.value) for argument in arguments)


@pytest.mark.parametrize(
    ("first", "second"), [("Own", "OWN"), ("A-b", "A_b"), ("A+b", "A_plus_b"), ("A.b", "A_DOT_b")]
)
def test_two_files_of_one_name_or_identifier_are_refused(
    first: str, second: str, tmp_path: Path
) -> None:
    paths = [_file(tmp_path, "one.toml", first), _file(tmp_path, "two.toml", second)]
    with pytest.raises(FormatError) as caught:
        resolve_formats(paths)
    message = str(caught.value)
    assert all(word in message for word in (first, second, "one.toml", "two.toml")), message


@pytest.mark.parametrize("argument", ["absent.toml", "./absent", "folder/absent.toml"])
def test_a_missing_file_is_an_error_that_names_it(argument: str) -> None:
    with pytest.raises(FormatError, match="does not exist"):
        resolve_formats([argument])


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(FormatError, match="'INT44' is unknown"):
        resolve_formats(["E2M1", "INT44"])
