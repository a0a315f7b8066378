# amaranth: UnusedElaboratable=no
"""Every architecture against the plain integer product, for every pair of codes."""

from fractions import Fraction

import pytest
from amaranth.sim import Simulator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nibblemac.formats.lookup import all_formats, find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.record import Format
from nibblemac.rtl.architectures import ARCHITECTURES, refusal, serving

# Shapes that the catalogue does not have.
ODD = (
    (3, 1, 2, 0),  # no negative level
    (-5, -1, -2, -4),  # no other
    (-3, -2, -1, 0),
    (0, 0, 0, 1),  # repeated levels
    (7, 7, -7, -7),
    (2**23 - 1, -(2**22), -(2**23) + 1, 5),  # the widest grid
    (2**22, -(2**22), 0, 1),
    (2**22 + 1, -(2**22), 3, 2**21 + 2**20),
    (4, -4, 8, -8),  # a common factor
    (-8, -4, 1, 2, 3, 5, 6, 12),  # two powers, and 3 = 1 + 2 with 6 and 5 no bipartite pairs
)


def make(grid: tuple[int, ...], name: str = "odd") -> Format:
    return Format(
        name=name, bits=(len(grid) - 1).bit_length(), grid=tuple(grid), unit=Fraction(1, 3)
    )


def check_all_products(spec: MacSpec, architecture: str) -> None:
    multiplier = ARCHITECTURES[architecture](spec)
    wrong = []

    async def testbench(ctx):
        for weight in range(2**spec.weight.bits):
            ctx.set(multiplier.weight, weight)
            for activation in range(2**spec.activation.bits):
                ctx.set(multiplier.activation, activation)
                got = ctx.get(multiplier.product)
                if multiplier.has_negate:
                    got += ctx.get(multiplier.negate)
                if got != spec.product(weight, activation):
                    wrong.append((weight, activation, got))

    simulator = Simulator(multiplier)
    simulator.add_testbench(testbench)
    simulator.run()
    assert not wrong, f"{spec.name} {architecture}: (weight, activation, got) {wrong[:5]}"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("number_format", all_formats(), ids=lambda f: f.name)
def test_catalogue_format_with_itself(number_format, architecture):
    if number_format.bits > 5:
        pytest.skip("65536 products; the mixed pairs cover 8-bit codes")
    spec = MacSpec(weight=number_format, activation=number_format)
    if (reason := refusal(spec, architecture)) is not None:
        pytest.skip(reason)
    check_all_products(spec, architecture)


MIXED = (
    ("SF4", "INT8"),
    ("E2M1", "INT8"),
    ("INT8", "E3M0"),
    ("INT5", "APoT4"),
    ("APoT4", "E2M1"),
    ("E2M1+SP", "APoT4+SP"),
    ("E3M0", "E2M1-B"),
    ("NF4-top11", "INT4"),
    ("INT3", "NF5"),
    ("E2M0", "INT5"),
)


@pytest.mark.parametrize("pair", MIXED, ids="-".join)
def test_mixed_formats(pair):
    weight, activation = map(find_format, pair)
    spec = MacSpec(weight=weight, activation=activation)
    names = serving(spec)
    assert "signed" in names
    assert "sign-magnitude" in names
    for architecture in names:
        check_all_products(spec, architecture)


@pytest.mark.parametrize("weight", ODD, ids=str)
def test_odd_formats(weight):
    for activation in ODD:
        spec = MacSpec(weight=make(weight), activation=make(activation, "other"))
        for architecture in serving(spec):
            check_all_products(spec, architecture)


def formats(name: str) -> st.SearchStrategy[Format]:
    """Formats of 2 to 4 bits: any levels, or levels that are made of powers of two."""
    any_level = st.integers(-(2**23) + 1, 2**23 - 1) | st.integers(-16, 16)
    power = st.integers(0, 11).map(lambda exponent: 1 << exponent)
    mantissa = st.builds(lambda m, e: m << e, st.integers(0, 3), st.integers(0, 10))
    two_powers = st.builds(lambda a, b: a + b, power, power)

    def grids(bits: int) -> st.SearchStrategy[list[int]]:
        signed = [
            st.builds(lambda sign, value: sign * value, st.sampled_from((1, -1)), magnitude)
            for magnitude in (power | st.just(0), mantissa, two_powers)
        ]
        levels = st.one_of(any_level, *signed)
        of_a_kind = [st.lists(kind, min_size=2**bits, max_size=2**bits) for kind in signed]
        return st.one_of(st.lists(levels, min_size=2**bits, max_size=2**bits), *of_a_kind)

    return (
        st.integers(2, 4)
        .flatmap(grids)
        .filter(lambda grid: len(set(grid)) > 1)
        .map(lambda grid: make(tuple(grid), name))
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(weight=formats("weight"), activation=formats("activation"))
def test_random_formats(weight, activation):
    spec = MacSpec(weight=weight, activation=activation)
    for architecture in serving(spec):
        check_all_products(spec, architecture)


@pytest.mark.parametrize("number_format", all_formats(), ids=lambda f: f.name)
def test_product_width_is_the_narrowest(number_format):
    spec = MacSpec(weight=number_format, activation=number_format)
    low, high = spec.product_range
    for name in serving(spec):
        multiplier = ARCHITECTURES[name](spec)
        smallest = low - 1 if multiplier.has_negate else low
        width = len(multiplier.product)
        assert -(1 << (width - 1)) <= smallest
        assert high < 1 << (width - 1)
        assert smallest < -(1 << (width - 2)) or high >= 1 << (width - 2)
