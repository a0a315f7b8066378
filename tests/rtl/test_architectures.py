# amaranth: UnusedElaboratable=no
"""The registry, and the reasons for which an architecture refuses."""

from fractions import Fraction

import pytest
from nibblemac.formats.errors import ArchitectureError
from nibblemac.formats.lookup import all_formats, find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.record import Format
from nibblemac.rtl.architectures import ARCHITECTURES, find_architecture, refusal, serving
from nibblemac.rtl.mac import Mac
from nibblemac.rtl.shift_add_multiplier import ShiftAddMultiplier, Strategy


def spec_of(weight: str, activation: str | None = None) -> MacSpec:
    return MacSpec(weight=find_format(weight), activation=find_format(activation or weight))


def test_names():
    assert list(ARCHITECTURES) == ["signed", "sign-magnitude", "table", "shift-add"]
    for name, kind in ARCHITECTURES.items():
        assert find_architecture(name) is kind
        assert kind.name == name
        assert kind.description


@pytest.mark.parametrize("name", ["booth", "", "Signed", "shift_add", "../signed"])
def test_unknown_name(name):
    with pytest.raises(ArchitectureError) as error:
        find_architecture(name)
    assert repr(name) in str(error.value)
    assert "signed, sign-magnitude, table, shift-add" in str(error.value)


def test_signed_and_the_default_serve_everything():
    for number_format in all_formats():
        spec = MacSpec(weight=number_format, activation=number_format)
        assert refusal(spec, "signed") is None
        assert Mac(spec).architecture == "signed"


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("E3M0", Strategy.EXPONENT),
        ("E2M0", Strategy.EXPONENT),
        ("E2M1", Strategy.MANTISSA),
        ("E2M1+SR", Strategy.MANTISSA),
        ("E2M1-NS", Strategy.MANTISSA),
        ("E2M1-I", Strategy.MANTISSA),
        ("E2M1-B", Strategy.MANTISSA),
        ("INT3", Strategy.MANTISSA),
        ("APoT4", Strategy.TWO_POWERS),
        ("APoT4+SP", Strategy.TWO_POWERS),
        ("E2M1+SP", Strategy.TWO_POWERS),
        ("INT4", None),
        ("NF4", None),
        ("SF4", None),
        ("NF4-top11", None),
    ],
)
def test_shift_add_strategy(name, strategy):
    spec = spec_of(name)
    assert ShiftAddMultiplier.strategy(spec) is strategy
    assert ("shift-add" in serving(spec)) is (strategy is not None)


@pytest.mark.parametrize(
    ("weight", "activation", "strategy"),
    [
        ("E2M1", "INT8", Strategy.MANTISSA),
        ("INT8", "E3M0", Strategy.EXPONENT),
        ("E3M0", "E2M1", Strategy.MANTISSA),
        ("APoT4", "E3M0", Strategy.EXPONENT),
        ("SF4", "APoT4", Strategy.TWO_POWERS),
        ("SF4", "INT8", None),
    ],
)
def test_shift_add_strategy_of_mixed_formats(weight, activation, strategy):
    assert ShiftAddMultiplier.strategy(spec_of(weight, activation)) is strategy


def assert_refuses(spec: MacSpec, architecture: str, *parts: str) -> None:
    reason = refusal(spec, architecture)
    assert reason is not None
    assert reason.endswith(".")
    for part in (architecture, spec.weight.name, spec.activation.name, *parts):
        assert part in reason
    with pytest.raises(ArchitectureError, match="cannot serve") as of_multiplier:
        ARCHITECTURES[architecture](spec)
    with pytest.raises(ArchitectureError, match="cannot serve") as of_mac:
        Mac(spec, architecture)
    assert str(of_multiplier.value) == str(of_mac.value) == reason


def test_shift_add_names_the_level_that_it_cannot_make():
    # 7 = 4 + 2 + 1 needs three powers of two; so do 11 = 8 + 2 + 1 and 88 = 64 + 16 + 8.
    assert_refuses(spec_of("INT4"), "shift-add", "INT4's level 7 (code 7, grid value 7)")
    assert_refuses(spec_of("NF4-top11"), "shift-add", "level 1 (code 7, grid value 11)")
    assert_refuses(spec_of("NF4"), "shift-add", "grid value -127")
    assert_refuses(spec_of("SF4", "INT4"), "shift-add", "SF4's level", "INT4's level 7")


def test_table_refuses_more_than_twelve_code_bits():
    assert_refuses(spec_of("INT8"), "table", "16 code bits", "65536 products", "at most 12 bits")
    assert_refuses(spec_of("INT5", "INT8"), "table", "13 code bits")
    assert refusal(spec_of("INT4", "INT8"), "table") is None


@pytest.mark.parametrize("grid", [(0, 1, 2, 3), (-4, -3, -2, -1), (-3, -1, 0, 0)])
def test_sign_magnitude_refuses_products_without_sign(grid):
    one_sided = Format(name="one-sided", bits=2, grid=grid, unit=Fraction(1))
    spec = MacSpec(weight=one_sided, activation=one_sided)
    assert_refuses(spec, "sign-magnitude", "no product is negative")


def test_sign_magnitude_serves_one_signed_operand():
    unsigned = Format(name="unsigned", bits=2, grid=(0, 1, 2, 3), unit=Fraction(1))
    spec = MacSpec(weight=find_format("INT4"), activation=unsigned)
    assert refusal(spec, "sign-magnitude") is None
