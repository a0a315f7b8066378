"""The paper's printed levels (Table 15) and its repository's lists, for every format they name.

A printed decimal stands for everything that rounds to it: ours must lie within half a unit of its
last place. ``formats/data/dotzel_icml2024_levels.csv`` holds both, with their sources.
"""

import csv
import re
from collections import defaultdict
from fractions import Fraction

import pytest
from nibblemac.formats.catalog import LOOKUP_HARDWARE
from nibblemac.formats.catalog import LOOKUPS as PUBLISHED_LOOKUPS
from nibblemac.formats.derive import normal_float, student_float
from nibblemac.formats.lookup import find_format
from nibblemac.formats.published import published_path

# The repository's NF4 has 16 digits, but its probabilities went through a float32 linspace.
FLOAT32 = Fraction(2, 10**7)


def published() -> dict[tuple[str, str], list[str]]:
    """Return the levels as they were printed, by source and format, ascending."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    with published_path("dotzel-levels").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            source = "table-15" if "Table 15" in row["source"] else "repository"
            assert int(row["index"]) == len(found[source, row["format"]])
            found[source, row["format"]].append(row["value"])
    return dict(found)


LISTS = published()
LOOKUPS = (*PUBLISHED_LOOKUPS, *LOOKUP_HARDWARE)


def half_a_place(text: str) -> Fraction:
    decimals = len(text.partition(".")[2])
    return max(Fraction(1, 2 * 10**decimals), FLOAT32 if decimals > 10 else Fraction(0))


def levels(name: str) -> list[Fraction]:
    """Return our levels, ascending; of NF and SF the real ones, before they take a grid."""
    if name == "NF4":
        return [Fraction(level) for level in normal_float(4)]
    if nu := re.fullmatch(r"SF4\(nu=(\d)\)", name):
        return [Fraction(level) for level in student_float(4, int(nu[1]))]
    return sorted(set(find_format(name).levels))


@pytest.mark.parametrize("key", LISTS, ids="-".join)
def test_levels(key: tuple[str, str], compared) -> None:
    printed = LISTS[key]
    ours = levels(key[1])
    assert len(ours) == len(printed)
    for level, text in zip(ours, printed, strict=True):
        if key[1].startswith(("NF", "SF")) or text.endswith("0.062"):
            assert abs(level - Fraction(text)) <= half_a_place(text)
        else:
            assert level == Fraction(text)
    compared(len(printed))


def test_every_four_bit_format_of_the_paper_is_there() -> None:
    named = {name for _, name in LISTS}
    nus = {f"SF4(nu={nu})" for nu in range(3, 8)}
    assert named == {
        "INT4", "E2M1", "E2M1-I", "E2M1-B", "E2M1-NS", "E2M1+SR", "E2M1+SP", "E3M0", "APoT4",
        "APoT4+SP", "NF4", *nus,
    }  # fmt: skip


@pytest.mark.parametrize("name", [known.name for known in LOOKUPS if known.bits == 4])
def test_integer_grids_of_lookup_formats(name: str, compared) -> None:
    """The repository's levels times top, rounded, are the grids of the catalogue."""
    family, _, top = name.partition("-top")
    printed = LISTS["repository", {"NF4": "NF4", "SF4": "SF4(nu=5)"}[family]]
    expected = sorted(round(Fraction(text) * int(top or 127)) for text in printed)
    assert sorted(find_format(name).grid) == expected
    compared(len(expected))
