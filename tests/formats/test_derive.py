"""NF and SF against the published levels and against the quantile functions' inverses."""

import csv
import math
from pathlib import Path

import pytest
from nibblemac.formats.catalog import CATALOG
from nibblemac.formats.derive import lookup_format, normal_float, student_float
from nibblemac.formats.errors import FormatError
from nibblemac.formats.record import Rounding
from scipy.special import ndtr, stdtr

SHARED = Path(__file__).parents[2].parent / "shared/facts/dotzel_icml2024_levels.csv"

# cornell-zhang/llm-datatypes, neural_compressor/adaptor/torch_utils/weight_only.py,
# commit f3d42dace89376c849587289998c2fdd5a772a88, lists NF4 and SF4_5, and SF4_7.
NF4 = [
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
]
SF4_5 = [
    *(-1.0, -0.627781, -0.454736, -0.334331, -0.237434, -0.152899, -0.074982, 0.0),
    *(0.065513, 0.132965, 0.204661, 0.283835, 0.375805, 0.491076, 0.656781, 1.0),
]
SF4_7 = [
    *(-1.0, -0.648695668605137, -0.4758049192191136, -0.35226650560941064),
    *(-0.25124728719118344, -0.16222176644114206, -0.07967003587244491, 0.0),
    *(0.06961628484673037, 0.1411376777420972, 0.21681690757912492, 0.2997785136806453),
    *(0.39509153065438735, 0.5125912352606964, 0.6770872505232854, 1.0),
]


@pytest.mark.parametrize(
    ("levels", "published", "tolerance"),
    [
        (normal_float(4), NF4, 3e-7),  # published through float32 arithmetic
        (student_float(4, 5), SF4_5, 6e-7),  # published to six decimals
        (student_float(4, 7), SF4_7, 1e-9),  # stdtrit iterates to about 1e-10
    ],
    ids=["NF4", "SF4_5", "SF4_7"],
)
def test_published_levels(
    levels: tuple[float, ...], published: list[float], tolerance: float
) -> None:
    assert levels == pytest.approx(published, abs=tolerance, rel=0)


def _published_lists() -> dict[tuple[str, str], list[str]]:
    if not SHARED.exists():
        return {}
    lists: dict[tuple[str, str], list[str]] = {}
    with SHARED.open(newline="") as stream:
        for row in csv.DictReader(stream):
            lists.setdefault((row["source"][:16], row["format"]), []).append(row["value"])
    return lists


@pytest.mark.skipif(not SHARED.exists(), reason="the facts beside the repository are absent")
def test_every_published_list() -> None:
    lists = _published_lists()
    assert len(lists) == 26
    for (_, name), texts in lists.items():
        published = [float(text) for text in texts]
        if name == "NF4":
            ours = list(normal_float(4))
        elif name.startswith("SF4"):
            ours = list(student_float(4, float(name[7:-1])))
        else:
            known = next(known for known in CATALOG if known.name == name)
            ours = [float(value * known.unit) for value in known.sorted_grid]
        decimals = max(len(text.partition(".")[2]) for text in texts)
        # Half a unit of the last printed decimal; the long lists passed through float32.
        tolerance = 0.5 * 10**-decimals * 1.001 if decimals <= 6 else 3e-7
        if name in {"E2M1-I", "E2M1-B"}:  # Table 15 prints 0.0625 as 0.062
            tolerance = max(tolerance, 0.0005)
        assert ours == pytest.approx(published, abs=tolerance, rel=0), name


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("nu", [None, 0.5, 2.5, 5, 1000])
def test_levels_are_quantiles_of_evenly_spaced_probabilities(bits: int, nu: float | None) -> None:
    levels = normal_float(bits) if nu is None else student_float(bits, nu)
    half = 2 ** (bits - 1)
    assert len(levels) == 2**bits
    assert list(levels) == sorted(set(levels))
    assert (levels[0], levels[half - 1], levels[-1]) == (-1.0, 0.0, 1.0)
    assert math.copysign(1, levels[half - 1]) == 1
    # Undo the division by the largest magnitude through the known probability of the extreme,
    # and expect evenly spaced probabilities on each side of one half.
    delta = 0.5 * (1 / 2 ** (bits + 1) + 1 / (2 ** (bits + 1) - 2))
    lower, upper = -1e30, -1e-30
    cdf = ndtr if nu is None else lambda x: stdtr(nu, x)
    for _ in range(400):
        middle = -math.sqrt(lower * upper)
        lower, upper = (middle, upper) if cdf(middle) < delta else (lower, middle)
    probabilities = [float(cdf(level * -lower)) for level in levels]
    expected = [delta + (0.5 - delta) * i / (half - 1) for i in range(half)] + [
        0.5 + (0.5 - delta) * i / half for i in range(1, half + 1)
    ]
    assert probabilities == pytest.approx(expected, abs=1e-9)


def test_delta_for_four_bits_is_the_papers() -> None:
    delta = 0.5 * (1 / 32 + 1 / 30)
    # NF4's first positive level sits at probability 1/2 + (1/2 - delta)/8.
    extreme = 1.848 / 1.0
    levels = normal_float(4)
    assert float(ndtr(levels[8] * extreme)) == pytest.approx(0.5 + (0.5 - delta) / 8, abs=1e-4)


def test_many_degrees_of_freedom_approach_the_normal() -> None:
    far = max(abs(a - b) for a, b in zip(student_float(4, 5), normal_float(4), strict=True))
    near = max(abs(a - b) for a, b in zip(student_float(4, 1000), normal_float(4), strict=True))
    assert near < 0.001 < far


def test_grid_on_top_11_is_the_design_pages() -> None:
    nf4 = lookup_format("NF4-top11", normal_float(4), 11)
    assert list(nf4.grid) == [-11, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 8, 11]
    assert nf4.unit.denominator == 11
    assert nf4.rounding is Rounding.TIES_TO_LOWER


def test_half_way_levels_go_to_the_even_grid_value() -> None:
    made = lookup_format("half", [-1.0, 0.25, 0.75, 1.0], 2)
    assert made.grid == (-2, 0, 2, 2)


@pytest.mark.parametrize("bits", [1, 9, True, 4.0, "4"])
def test_wrong_bits_are_refused(bits: object) -> None:
    with pytest.raises(FormatError, match="bits is"):
        normal_float(bits)  # type: ignore[arg-type]


@pytest.mark.parametrize("nu", [0, -1, 0.49, 1001, math.nan, math.inf, True, "5"])
def test_wrong_nu_is_refused(nu: object) -> None:
    with pytest.raises(FormatError, match="nu is"):
        student_float(4, nu)  # type: ignore[arg-type]


@pytest.mark.parametrize("top", [0, -1, 8192, 1.5, True])
def test_wrong_top_is_refused(top: object) -> None:
    with pytest.raises(FormatError, match=f"top is {top!r}"):
        lookup_format("X", [-1, 0, 0.5, 1], top)  # type: ignore[arg-type]


@pytest.mark.parametrize("levels", [[], [0.0], [0.0, 1.0], [0.0] * 15, [0.0] * 17, [0.0] * 512])
def test_a_wrong_number_of_levels_is_refused(levels: list[float]) -> None:
    with pytest.raises(FormatError, match=f"{len(levels)} levels"):
        lookup_format("X", levels)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_levels_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(FormatError, match="code 2"):
        lookup_format("X", [-1, 0, bad, 1])
