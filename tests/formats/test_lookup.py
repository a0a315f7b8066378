"""Formats by name: the catalogue, parametrised lookups, and helpful errors."""

import subprocess
import sys
from fractions import Fraction

import pytest
from nibblemac.formats.catalog import CATALOG, SF4
from nibblemac.formats.derive import normal_float, student_float
from nibblemac.formats.encoding import sign_magnitude_like
from nibblemac.formats.errors import FormatError
from nibblemac.formats.exact import shown
from nibblemac.formats.lookup import all_formats, find_format, real_valued
from nibblemac.formats.record import Format


@pytest.mark.parametrize("known", CATALOG, ids=lambda known: known.name)
def test_names_are_found_in_any_case(known: Format) -> None:
    for name in (known.name, known.name.lower(), known.name.upper(), f" {known.name} "):
        assert find_format(name) is known


def test_all_formats_is_the_catalogue() -> None:
    assert all_formats() == CATALOG


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("NF4-top31", "NF4-top31"),
        ("nf4-TOP31", "NF4-top31"),
        ("SF4-nu7-top11", "SF4-nu7-top11"),
        ("SF5-nu2.5", "SF5-nu2.5"),
        ("SF5-nu2.50", "SF5-nu2.5"),
        ("SF5-nu007", "SF5-nu7"),
        ("SF4(nu=7)", "SF4-nu7"),
        ("sf4(NU=7.0)-top11", "SF4-nu7-top11"),
        ("SF4(ν=6)", "SF4-nu6"),
        ("SF3-nu1000", "SF3-nu1000"),
        ("SF3-nu0.5-top1", "SF3-nu0.5-top1"),
        ("NF2", "NF2"),
        ("NF8-top8191", "NF8-top8191"),
        ("SF4-nu5-top31", "SF4-top31"),
        ("SF4-nu5-top0127", "SF4-top127"),
        ("nf4-top11-CODES8123456709abcdef", "NF4-top11-codes8123456709abcdef"),
        ("SF4-codes0123456789abcdfe", "SF4-codes0123456789abcdfe"),
        ("SF4-codes0123456789abcdef", "SF4"),
        ("SF3-codes01234576-codes01234576", "SF3"),
        ("SF3-codes01234576-codes10234567", "SF3-codes10234576"),
    ],
)
def test_parametrised_names_are_canonical(name: str, canonical: str) -> None:
    found = find_format(name)
    assert found.name == canonical
    assert find_format(found.name) == found


@pytest.mark.parametrize("name", ["SF4(nu=5)", "sf4-nu5", "SF4-nu5.0"])
def test_defaults_lead_to_the_catalogue(name: str) -> None:
    assert find_format(name) is SF4


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("top", [1, 11, 127, 8191])
def test_parametrised_levels(bits: int, top: int) -> None:
    for name, levels in (
        (f"NF{bits}-top{top}", normal_float(bits)),
        (f"SF{bits}-nu3-top{top}", student_float(bits, 3)),
    ):
        found = find_format(name)
        assert found.bits == bits
        assert found.unit == Fraction(1, top)
        worst = max(
            abs(Fraction(level) * top - value)
            for level, value in zip(levels, sorted(found.grid), strict=True)
        )
        assert worst <= Fraction(1, 2)


@pytest.mark.parametrize("name", ["NF3", "NF4", "SF4-nu7", "SF5"])
def test_a_top_makes_a_hardware_version_of_the_same_levels(name: str) -> None:
    published, hardware = find_format(name), find_format(f"{name}-top127")
    assert list(published.grid) == sorted(published.grid)
    assert hardware.grid == sign_magnitude_like(published).grid != published.grid
    assert sorted(hardware.levels) == sorted(published.levels)


@pytest.mark.parametrize(
    "name", ["NF4", "NF4-top11", "SF3-nu2.5-top7", "SF4-codes1023456789abcdef"]
)
def test_real_valued_levels(name: str) -> None:
    derived = {
        "NF4": normal_float(4),
        "SF3": student_float(3, 2.5),
        "SF4": student_float(4, 5),
    }[name[:3]]
    real = real_valued(find_format(name))
    assert [float(level) for level in real.levels] == pytest.approx(derived, abs=6e-8)
    assert real_valued(SF4).name == "SF4-real"


def test_other_formats_are_as_real_as_they_are() -> None:
    for known in CATALOG:
        if known.name[:2] not in ("NF", "SF"):
            assert real_valued(known) is known


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("E2M1SR", ["'E2M1SR'", "E2M1+SR", "nibblemac formats", "TOML"]),
        ("int44", ["INT4"]),
        ("zzzzzz", ["'zzzzzz' is unknown", "nibblemac formats"]),
        ("", ["''"]),
        ("x" * 100_000, ["unknown"]),
        ("NF9", ["'NF9'", "9 bits", "2 to 8"]),
        ("NF1", ["1 bits"]),
        ("SF04", ["04 bits"]),
        ("NF4-nu5", ["NF", "nu", "SF"]),
        ("SF4-nu0", ["nu", "'0'", "0.5 to 1000"]),
        ("SF4-nu1001", ["'1001'"]),
        ("SF4-nux", ["'x'"]),
        ("SF4-nu", ["nu to ''"]),
        ("SF4-nunan", ["'nan'"]),
        ("SF4-nu1e9", ["'1e9'"]),
        ("SF4-nu" + "9" * 5000, ["nu to"]),
        ("SF4(nu=inf)", ["'inf'"]),
        ("NF4-top0", ["top", "'0'", "1 to 8191"]),
        ("NF4-top8192", ["'8192'"]),
        ("NF4-top1.5", ["'1.5'"]),
        ("NF4-top", ["top to ''"]),
        ("NF4-top11-nu5", ["'11-nu5'"]),
        ("NF4-codes0123", ["NF4", "no permutation", "0 to 15"]),
        ("NF4-codes", ["no permutation"]),
        ("NF4-codes0123456789abcdee", ["no permutation"]),
        ("INT4-codes1023456789abcdef", ["INT4", "ties to even"]),
        ("NF4-codes" * 7, ["no permutation"]),
        ("NF4" + "-codes0" * 9000, ["unknown"]),
    ],
    ids=shown,
)
def test_unknown_names_are_refused_with_help(name: str, words: list[str]) -> None:
    with pytest.raises(FormatError) as caught:
        find_format(name)
    assert all(word in str(caught.value) for word in words), caught.value
    assert len(str(caught.value)) < 400


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(FormatError, match="must be text"):
        find_format(4)  # type: ignore[arg-type]


def test_looking_up_a_catalogue_name_imports_neither_torch_nor_scipy() -> None:
    code = (
        "import sys; from nibblemac.formats.resolve import resolve_formats; "
        "resolve_formats(['all']); "
        "print(sorted({'torch', 'scipy', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
