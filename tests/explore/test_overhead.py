"""The chip overhead: the paper's own column from the paper's own areas."""

import math

import pytest
from nibblemac.explore.overhead import chip_overhead
from nibblemac.formats.errors import UsageError
from nibblemac.formats.published import published_hardware

TABLE = published_hardware()


@pytest.mark.parametrize("name", TABLE)
def test_table_10_follows_from_its_areas(name):
    row = TABLE[name]
    bits = 5 if name == "INT5" else 4
    percent = 100 * chip_overhead(row.mac_um2, TABLE["INT4"].mac_um2, bits)
    # The table's areas are rounded to 0.1 µm², its overheads to 0.1 %.
    assert percent == pytest.approx(row.chip_overhead_pct, abs=0.1)


def test_both_shares_are_parameters():
    assert chip_overhead(2.0, 1.0, 4, mac_share=0.5, memory_share=0.1) == pytest.approx(0.5)
    assert chip_overhead(1.0, 1.0, 8, mac_share=0.5, memory_share=0.1) == pytest.approx(0.1)
    assert chip_overhead(1.0, 1.0, 3) == pytest.approx(-0.15)


@pytest.mark.parametrize(
    ("arguments", "shares", "message"),
    [
        ((0.0, 1.0, 4), {}, "MAC is 0.0"),
        ((1.0, -1.0, 4), {}, "INT4's MAC is -1.0"),
        ((math.nan, 1.0, 4), {}, "nan"),
        ((1.0, 1.0, 4), {"mac_share": 1.5}, "mac_share is 1.5"),
        ((1.0, 1.0, 4), {"memory_share": -0.1}, "memory_share is -0.1"),
        ((1.0, 1.0, 4), {"memory_share": math.nan}, "memory_share is nan"),
        ((1.0, 1.0, 4), {"mac_share": 0.6, "memory_share": 0.6}, "more than the chip"),
    ],
)
def test_what_makes_no_chip_is_refused(arguments, shares, message):
    with pytest.raises(UsageError, match=message):
        chip_overhead(*arguments, **shares)
