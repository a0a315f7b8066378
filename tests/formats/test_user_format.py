"""Formats from TOML: exact values, round trips, and errors that name file, key and value."""

import os
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nibblemac.formats.block_catalog import BLOCK_CATALOG
from nibblemac.formats.catalog import CATALOG, E2M1
from nibblemac.formats.derive import normal_float
from nibblemac.formats.errors import FormatError, OutputError
from nibblemac.formats.exact import shown
from nibblemac.formats.lookup import find_format
from nibblemac.formats.record import Format, Rounding
from nibblemac.formats.user import load_format, write_format

LEVELS = "[0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 0.5, -0.1, -0.2, -0.3, -0.4, -0.6, -0.8, -1]"


def _write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_decimal_levels_are_exact_on_their_greatest_common_step(tmp_path: Path) -> None:
    made = load_format(_write(tmp_path, f'name = "Mine"\nbits = 4\nlevels = {LEVELS}'))
    assert made.unit == Fraction(1, 10)
    assert made.grid == (0, 1, 2, 3, 4, 6, 8, 10, 5, -1, -2, -3, -4, -6, -8, -10)
    assert made.rounding is Rounding.TIES_TO_LOWER
    assert (made.description, made.source) == ("", "")


@pytest.mark.parametrize(
    ("levels", "unit", "grid"),
    [
        ("[4, 8, 12, -8]", Fraction(4), (1, 2, 3, -2)),
        ("[0, 1e-3, 2.5e-3, -1_000.0e-6]", Fraction(1, 2000), (0, 2, 5, -2)),
        ("[-0.0, 0.0, 7, -0.7]", Fraction(7, 10), (0, 0, 10, -1)),
        ("[0x10, 0, 0, 0]", Fraction(16), (1, 0, 0, 0)),
    ],
)
def test_units_from_levels(
    tmp_path: Path, levels: str, unit: Fraction, grid: tuple[int, ...]
) -> None:
    made = load_format(_write(tmp_path, f'name = "Mine"\nbits = 2\nlevels = {levels}'))
    assert (made.unit, made.grid) == (unit, grid)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("1", 1), ("0.25", "1/4"), ('"1/3"', "1/3"), ('"0.1"', "1/10"), ('"2"', 2), ("1e-2", "1/100")],
)
def test_grid_with_unit(tmp_path: Path, unit: str, expected: int | str) -> None:
    text = (
        f'name = "Mine"\nbits = 2\ngrid = [0, 2, 4, -6]\nunit = {unit}\nrounding = "ties-to-even"'
    )
    made = load_format(_write(tmp_path, text))
    assert made.grid == (0, 2, 4, -6)
    assert made.unit == Fraction(expected)
    assert made.rounding is Rounding.TIES_TO_EVEN


def test_top_rounds_real_levels_to_a_grid_as_nf4_does(tmp_path: Path) -> None:
    levels = ", ".join(repr(2.0 * level) for level in normal_float(4))
    made = load_format(_write(tmp_path, f'name = "Twice"\nbits = 4\ntop = 11\nlevels = [{levels}]'))
    assert made.sorted_grid == find_format("NF4-top11").sorted_grid
    assert made.unit == Fraction(2, 11)


def test_text_is_folded_into_one_line(tmp_path: Path) -> None:
    text = f'name = "Mine"\nbits = 4\nlevels = {LEVELS}\ndescription = """\n  two\n\tlines"""\n'
    assert load_format(_write(tmp_path, text)).description == "two lines"


@pytest.mark.parametrize(
    "known", [*CATALOG, *(item.format for item in BLOCK_CATALOG)], ids=lambda known: known.name
)
def test_round_trip_of_the_catalogue(known: Format, tmp_path: Path) -> None:
    write_format(known, tmp_path / "again.toml")
    assert load_format(tmp_path / "again.toml") == known


PRINTABLE = st.text(max_size=60).filter(str.isprintable)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    data=st.data(),
    unit=st.fractions(Fraction(1, 10**18), 10**18, max_denominator=10**18),
    rounding=st.sampled_from(Rounding),
    texts=st.tuples(PRINTABLE, PRINTABLE),
)
def test_round_trip_of_any_format(
    tmp_path: Path,
    data: st.DataObject,
    unit: Fraction,
    rounding: Rounding,
    texts: tuple[str, str],
) -> None:
    bits = data.draw(st.integers(2, 8))
    value = st.integers(1 - 2**23, 2**23 - 1)
    grid = data.draw(st.lists(value, min_size=2**bits, max_size=2**bits, unique=True))
    made = Format(
        name="Own.1+a-b_c",
        bits=bits,
        grid=tuple(grid),
        unit=unit,
        rounding=rounding,
        description=texts[0],
        source=texts[1],
    )
    write_format(made, tmp_path / "any.toml")
    assert load_format(tmp_path / "any.toml") == made


NAME = 'name = "Mine"\n'
HEAD = f"{NAME}bits = 4\n"
GRID = "grid = [0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1]\n"
TWO = f"{NAME}bits = 2\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "levels = [" + "0, " * 14 + "1]", ["levels", "15", "16"]),
        (HEAD + "levels = [" + "0, " * 16 + "1]", ["levels", "17", "16"]),
        (HEAD + "grid = [" + "0, " * 16 + "1]\nunit = 1", ["grid", "17", "16"]),
        (TWO + 'levels = [0, 1, "2", 3]', ["levels", "code 2", "'2'"]),
        (TWO + "levels = [0, 1, true, 3]", ["levels", "code 2", "True"]),
        (TWO + "levels = [0, 1, nan, 3]", ["levels", "code 2", "NaN"]),
        (TWO + "levels = [0, 1, 2, -inf]", ["levels", "code 3", "Infinity"]),
        (TWO + "levels = [0, 1, [2], 3]", ["levels", "code 2", "list"]),
        (TWO + "levels = [0, 1, {a = 1}, 3]", ["levels", "code 2", "table"]),
        (TWO + "levels = [0, 1, 1979-05-27, 3]", ["levels", "code 2", "date"]),
        (TWO + "levels = [0, 1, 1e999999999, 3]", ["levels", "code 2", "1e18"]),
        (TWO + "levels = [0, 1, 1e-999999999, 3]", ["levels", "code 2", "1e-18"]),
        (TWO + "levels = [0, 1, 1e9223372036854775808, 3]", ["1e9223372036854775808", "bounds"]),
        (TWO + f"levels = [0, 1, 0x{'f' * 4000}, 3]", ["levels", "code 2", "16000 bits"]),
        (TWO + f"levels = [0, 1, {'9' * 5000}, 3]", ["not valid TOML"]),
        (TWO + "levels = 3", ["levels is 3", "list"]),
        (TWO + "levels = [5, 5, 5, 5]", ["levels", "5", "at least two"]),
        (TWO + "levels = [0, 0, 0, 0.0]", ["levels", "0", "at least two"]),
        (TWO + "levels = [0, 0.33333333, 1, -1]", ["levels", "24 bits", "top"]),
        (TWO + "levels = [0, 1, 2, 3]\ntop = 0", ["top is 0", "1 to 8191"]),
        (TWO + "levels = [0, 1, 2, 3]\ntop = 8192", ["top is 8192"]),
        (TWO + "levels = [0, 1, 2, 3]\ntop = 1.5", ["top is", "1.5"]),
        (TWO + "levels = [0, 1, 2, 3]\ntop = true", ["top is True"]),
        (TWO + "levels = [0.1, 0.2, 0.3, 1]\ntop = 0x1", ["Mine"]),
        (TWO + "levels = [0, 1, 2, 3]\ngrid = [0, 1, 2, 3]", ["levels and grid"]),
        (TWO + "levels = [0, 1, 2, 3]\nunit = 1", ["levels and unit"]),
        (TWO, ["'levels' is missing"]),
        (TWO + "grid = [0, 1, 2, 3]", ["'unit' is missing"]),
        (TWO + "grid = [0, 1, 2, 3]\nunit = 1\ntop = 3", ["top is 3"]),
        (TWO + "grid = [0, 1, 2.0, 3]\nunit = 1", ["grid", "code 2", "2.0"]),
        (TWO + "grid = [0, 1, false, 3]\nunit = 1", ["grid", "code 2", "False"]),
        (TWO + "grid = [0, 1, 2, 8388608]\nunit = 1", ["code 3", "8388608"]),
        (TWO + "grid = [0, 1, 2, 3]\nunit = 0", ["unit is 0", "positive"]),
        (TWO + "grid = [0, 1, 2, 3]\nunit = -0.5", ["unit is -0.5", "positive"]),
        (TWO + 'grid = [0, 1, 2, 3]\nunit = "x"', ["unit is 'x'"]),
        (TWO + 'grid = [0, 1, 2, 3]\nunit = "1/0"', ["unit is '1/0'", "zero"]),
        (TWO + "grid = [0, 1, 2, 3]\nunit = nan", ["unit is NaN"]),
        (TWO + "grid = [0, 1, 2, 3]\nunit = true", ["unit is True"]),
        ("bits = 4\n" + GRID + "unit = 1", ["'name' is missing"]),
        (NAME + GRID + "unit = 1", ["'bits' is missing"]),
        (NAME + "bits = 1\n" + GRID, ["bits is 1", "2 to 8"]),
        (NAME + "bits = 9\n" + GRID, ["bits is 9"]),
        (NAME + f"bits = 0x{'f' * 4000}\n" + GRID, ["bits is an integer of"]),
        (NAME + "bits = 4.0\n" + GRID, ["bits is", "4.0"]),
        (NAME + "bits = true\n" + GRID, ["bits is True"]),
        (NAME + 'bits = "4"\n' + GRID, ["bits is '4'"]),
        ("name = 4\nbits = 4\n" + GRID, ["name is 4"]),
        ('name = "a b"\nbits = 4\n' + GRID, ["name is 'a b'", "letters"]),
        ('name = "../x"\nbits = 4\n' + GRID, ["name is '../x'"]),
        ('name = ""\nbits = 4\n' + GRID, ["name is ''"]),
        (f'name = "{"x" * 65}"\nbits = 4\n' + GRID, ["name is", "64"]),
        ('name = "---"\nbits = 4\n' + GRID + "unit = 1", ["'---'", "letter or digit"]),
        (HEAD + GRID + "unit = 1\nround = 1", ["'round' is unknown", "rounding"]),
        (HEAD + GRID + 'unit = 1\nrounding = "up"', ["rounding is 'up'", "ties-to-even"]),
        (HEAD + GRID + "unit = 1\nrounding = 1", ["rounding is 1"]),
        (HEAD + GRID + "unit = 1\nrounding = []", ["rounding is []"]),
        (HEAD + GRID + "unit = 1\ndescription = 1", ["description is 1"]),
        (HEAD + GRID + f'unit = 1\nsource = "{"x" * 501}"', ["source is", "500"]),
        (HEAD + GRID + 'unit = 1\nsource = "\\u202e"', ["source"]),
        (HEAD + "levels = [1, 2", ["not valid TOML"]),
        (HEAD + "bits = 4\n", ["not valid TOML", "line 3"]),
        (HEAD + "\nlevels == 3\n", ["not valid TOML", "line 4"]),
        (HEAD + "levels = " + "[" * 20_000, ["nested too deeply"]),
        (HEAD + "a" + ".a" * 30_000 + " = 1", ["line 3", "30000 points"]),
        ('name = "SF4"\nbits = 4\n' + GRID + "unit = 1", ["'SF4'", "choose another name"]),
        ('name = "sf4-nu7"\nbits = 4\n' + GRID + "unit = 1", ["'sf4-nu7'", "another name"]),
        ('name = "fp16"\nbits = 4\n' + GRID + "unit = 1", ["'fp16'", "baseline", "another name"]),
        (
            'name = "int4"\nbits = 4\n' + GRID + 'unit = 2\nrounding = "ties-to-even"',
            ["'int4'", "INT4", "another name"],
        ),
    ],
    ids=lambda value: None if isinstance(value, list) else shown(value[-40:]),
)
def test_errors_name_file_key_and_value(tmp_path: Path, text: str, words: list[str]) -> None:
    if words == ["Mine"]:  # the same file without its fault is read
        assert load_format(_write(tmp_path, text)).name == "Mine"
        return
    path = _write(tmp_path, text)
    with pytest.raises(FormatError) as caught:
        load_format(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert all(word in message for word in words), message
    assert message.endswith(".")
    assert len(message) < len(str(path)) + 300


def test_a_catalogue_name_with_the_catalogues_own_levels_is_fine(tmp_path: Path) -> None:
    text = 'name = "int4"\nbits = 4\n' + GRID + 'unit = 1\nrounding = "ties-to-even"'
    assert load_format(_write(tmp_path, text)).name == "int4"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"absent\.toml does not exist"):
        load_format(tmp_path / "absent.toml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="not a regular file"):
        load_format(tmp_path)


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(FormatError, match="not a regular file"):
        load_format(tmp_path / "pipe.toml")


@pytest.mark.parametrize("path", ["a\0b.toml", "x" * 5000 + ".toml"])
def test_impossible_paths_are_refused(path: str) -> None:
    with pytest.raises(FormatError):
        load_format(path)


def test_text_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'name = "X"\nsource = "\xe9"\n')
    with pytest.raises(FormatError, match=r"latin\.toml, line 2: byte 21 is not UTF-8"):
        load_format(tmp_path / "latin.toml")


def test_an_oversized_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big.toml").write_bytes(b"#" * (2**16 + 1))
    with pytest.raises(FormatError, match=r"big\.toml is larger than 65536 bytes"):
        load_format(tmp_path / "big.toml")


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    path = _write(tmp_path, "\ufeff" + HEAD + GRID + "unit = 1")
    assert load_format(path).name == "Mine"


def test_writing_into_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"x\.toml cannot be written"):
        write_format(E2M1, tmp_path / "absent" / "x.toml")


def test_writing_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("old")
    write_format(E2M1, path)
    assert load_format(path) == E2M1
    assert os.listdir(tmp_path) == ["x.toml"]  # noqa: PTH208 - hidden files count too
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
