"""Formats by top and order of codes."""

from fractions import Fraction

import pytest
from nibblemac.explore.space import in_order, is_lookup, places, start_of_orders
from nibblemac.formats.encoding import sign_magnitude_order
from nibblemac.formats.errors import FormatError, UsageError
from nibblemac.formats.lookup import all_formats, find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.record import Format, Rounding


def spec(name: str, activation: str | None = None) -> MacSpec:
    return MacSpec(weight=find_format(name), activation=find_format(activation or name))


def test_lookup_formats_are_those_of_real_levels() -> None:
    for one in all_formats():
        assert is_lookup(one) == one.name.startswith(("NF", "SF")), one.name
    mine = Format(name="Mine", bits=2, grid=(0, 1, 3, 7), unit=Fraction(1))
    assert is_lookup(mine)
    even = Format(
        name="Mine", bits=2, grid=(0, 1, 3, 7), unit=Fraction(1), rounding=Rounding.TIES_TO_EVEN
    )
    assert not is_lookup(even)


def test_every_top_in_order_and_once() -> None:
    found = places([spec("NF4"), spec("SF4")], [31, 11, 31])
    assert [one.format.name for one in found] == [
        "NF4-top31", "NF4-top11", "SF4-top31", "SF4-top11",
    ]  # fmt: skip
    assert [one.top for one in found] == [31, 11, 31, 11]
    assert [one.asked.name for one in found] == ["NF4", "NF4", "SF4", "SF4"]
    assert all(one.spec.activation == one.spec.weight for one in found)
    assert {one.real.name for one in found} == {"NF4-real", "SF4-real"}


def test_another_activation_stays() -> None:
    (one,) = places([spec("NF4", "INT8")], [11])
    assert one.spec.activation == find_format("INT8")


def test_without_tops_formats_are_what_they_are() -> None:
    found = places([spec("INT4"), spec("NF4-top11")])
    assert [one.format.name for one in found] == ["INT4", "NF4-top11"]
    assert [one.top for one in found] == [None, 11]


@pytest.mark.parametrize("name", ["INT4", "E2M1", "E2M1+SP", "APoT4"])
def test_top_of_a_format_without_one(name: str) -> None:
    with pytest.raises(UsageError, match="has no top"):
        places([spec(name)], [11])


def test_top_of_a_top() -> None:
    with pytest.raises(UsageError, match="on a top"):
        places([spec("NF4-top31")], [11])


@pytest.mark.parametrize("top", [0, -3, 10**6])
def test_top_out_of_range(top: int) -> None:
    with pytest.raises(FormatError, match="top"):
        places([spec("NF4")], [top])


@pytest.mark.parametrize("name", ["INT4", "E2M1", "E3M0"])
def test_orders_of_a_format_that_rounds_by_code(name: str) -> None:
    (place,) = places([spec(name)])
    with pytest.raises(UsageError, match="ties to even"):
        start_of_orders(place)


def test_orders_of_codes() -> None:
    (place,) = places([spec("NF4")])
    start = start_of_orders(place)
    order = sign_magnitude_order(place.format)
    assert start.format.grid == tuple(place.format.grid[code] for code in order)
    swapped = (1, 0, *range(2, 16))
    other = in_order(start, swapped)
    assert other.spec.activation == other.spec.weight
    assert other.format.grid[:2] == start.format.grid[1::-1]
    assert sorted(other.format.grid) == sorted(place.format.grid)
    assert other.encoding
    assert find_format(other.format.name).grid == other.format.grid
    assert other.asked == place.asked
