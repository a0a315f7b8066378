"""The tops of a lookup format: error, size, and what no other top beats."""

import csv
import io
import time
from fractions import Fraction

import pytest
from nibblemac.formats.absmax_error import sampled_errors
from nibblemac.formats.catalog import NF4, SF4
from nibblemac.formats.derive import normal_float
from nibblemac.formats.distribution import NORMAL, STUDENT_5
from nibblemac.formats.errors import FormatError
from nibblemac.formats.lookup import find_format, real_valued
from nibblemac.formats.record import Format
from nibblemac.formats.tops import TOPS, Top, hardware_version, non_dominated, survey_tops
from nibblemac.formats.tops import tops_to_csv as to_csv


@pytest.fixture(scope="module")
def data():
    return [sampled_errors(one, elements=2**17) for one in (NORMAL, STUDENT_5)]


@pytest.fixture(scope="module")
def nf4(data) -> tuple[Top, ...]:
    return survey_tops(NF4, data=data)


def test_every_top_has_its_grid_and_sizes(nf4) -> None:
    assert [one.top for one in nf4] == list(TOPS) == list(range(5, 128))
    for one in nf4:
        rounded = sorted(round(level * one.top) for level in normal_float(4))
        assert sorted(one.format.grid) == rounded
        assert one.format == find_format(f"NF4-top{one.top}")
        assert one.largest_product == one.top**2
        assert 2**one.product_bits > one.top**2 >= 2 ** (one.product_bits - 1)
        # 256 products of either sign.
        assert 2 ** (one.accumulator_bits - 1) > 256 * one.top**2 >= 2 ** (one.accumulator_bits - 2)
        assert one.distinct_magnitudes == len({abs(value) for value in rounded})


def test_sizes_of_top_11_by_hand(nf4) -> None:
    # ±{0, 1, 2, 3, 4, 6, 8, 11} and 5; 121 needs 7 bits, ±256 × 121 = ±30976 needs 16.
    (one,) = (one for one in nf4 if one.top == 11)
    assert (one.product_bits, one.accumulator_bits) == (7, 16)
    assert (one.distinct_magnitudes, one.distinct_levels) == (9, 16)
    assert one.size == (16, 9)


def test_errors_are_those_of_the_format_and_losses_those_against_the_real_levels(nf4, data) -> None:
    for one in nf4[::20]:
        for sample, error, loss in zip(data, one.errors, one.losses, strict=True):
            assert error == sample.error(one.format)
            real = sample.error(real_valued(NF4))
            assert loss.value == pytest.approx(real.sqnr_db - error.sqnr_db, abs=1e-9)
            assert loss.standard_error < error.standard_error_db


def test_a_fine_grid_loses_nothing(data) -> None:
    (one,) = survey_tops(SF4, [8191], data)
    assert all(abs(loss.value) < 0.001 for loss in one.losses)


def test_all_tops_take_seconds(data) -> None:
    start = time.process_time()
    survey_tops(SF4, data=data)
    assert time.process_time() - start < 20


def test_non_dominated_tops_are_those_that_nothing_beats(nf4) -> None:
    for index in (0, 1):
        kept = non_dominated(nf4, index)
        quality = {one.top: one.errors[index].sqnr_db for one in nf4}
        for one in nf4:
            better = [
                other
                for other in nf4
                if other.accumulator_bits <= one.accumulator_bits
                and other.distinct_magnitudes <= one.distinct_magnitudes
                and quality[other.top] > quality[one.top]
            ]
            assert (one in kept) == (not better)
    assert 11 in [one.top for one in non_dominated(nf4)]


def test_non_dominated_by_a_given_size(nf4) -> None:
    kept = non_dominated(nf4, size=lambda one: (one.top,))
    best = [max(n.errors[0].sqnr_db for n in nf4 if n.top <= one.top) for one in kept]
    assert [one.errors[0].sqnr_db for one in kept] == best == sorted(set(best))
    # Equal size and equal quality: one of them stays.
    twice = [nf4[3], nf4[3], nf4[3]]
    assert len(non_dominated(twice)) >= 1


def test_a_format_of_ones_own(data) -> None:
    own = Format(
        name="Own",
        bits=2,
        grid=(-1000, 0, 333, 900),
        unit=Fraction(1, 500),
    )
    (one,) = survey_tops(own, [10], data)
    assert one.format.name == "Own-top10"
    assert one.format.unit == Fraction(1, 10)
    assert sorted(one.format.grid) == [-10, 0, 3, 9]
    assert one.format.grid[:2] == (0, 9)
    assert hardware_version(find_format("SF4-nu7"), 9).name == "SF4-nu7-top9"


@pytest.mark.parametrize("top", [0, 8192])
def test_a_top_out_of_range_is_refused(top: int) -> None:
    for known in (NF4, Format(name="Own", bits=2, grid=(0, 1, 2, 5), unit=Fraction(1))):
        with pytest.raises(FormatError, match="top"):
            hardware_version(known, top)


def test_csv_has_a_row_for_each_top_and_data(nf4) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(nf4))))
    assert len(rows) == 2 * len(nf4)
    row = next(row for row in rows if row["top"] == "11" and row["data"] == "t(5)")
    assert row["format"] == "NF4-top11"
    assert row["grid"] == "0 1 2 3 4 6 8 11 5 -1 -2 -3 -4 -6 -8 -11"
    (one,) = (one for one in nf4 if one.top == 11)
    assert float(row["sqnr_db"]) == pytest.approx(one.errors[1].sqnr_db, abs=1e-6)
