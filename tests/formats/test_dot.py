"""The integer reference against a loop of Python integers that follows the MAC's contract."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.catalog import CATALOG, E2M1, E2M1_B, INT4, INT8, SF4
from nibblemac.formats.dot import dequantized_dot, dot, partial_sums, products
from nibblemac.formats.errors import TensorError, UsageError
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.quantizer import quantize
from nibblemac.formats.record import Format
from nibblemac.formats.scale import Granularity, ScaleSpec


def spec_of(weight: Format, activation: Format, **options: object) -> MacSpec:
    return MacSpec(weight=weight, activation=activation, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("known", CATALOG, ids=lambda known: known.name)
def test_every_pair_of_codes(known: Format) -> None:
    spec = spec_of(known, known)
    codes = torch.arange(2**known.bits, dtype=torch.uint8)
    table = products(spec, codes[:, None], codes)
    assert table.dtype == torch.int64
    expected = [[w * a for a in known.grid] for w in known.grid]
    assert table.tolist() == expected
    assert (int(table.min()), int(table.max())) == spec.product_range


def machine(
    spec: MacSpec,
    weights: list[int],
    activations: list[int],
    clear: list[bool],
    enable: list[bool],
) -> list[int]:
    """Step a MAC whose register wraps at its own width."""
    width = spec.accumulator_bits
    register, trace = 0, []
    for w, a, starts, runs in zip(weights, activations, clear, enable, strict=True):
        if runs:
            product = spec.weight.grid[w] * spec.activation.grid[a]
            total = product if starts else register + product
            register = (total + 2 ** (width - 1)) % 2**width - 2 ** (width - 1)
        trace.append(register)
    return trace


@given(
    weight=st.sampled_from(CATALOG),
    activation=st.sampled_from(CATALOG),
    seed=st.integers(0, 2**16),
    length=st.integers(1, 60),
    data=st.data(),
)
def test_partial_sums_follow_the_contract(
    weight: Format, activation: Format, seed: int, length: int, data: st.DataObject
) -> None:
    enabled = data.draw(st.booleans())
    spec = spec_of(weight, activation, terms=length, enable=enabled)
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randint(0, 2**weight.bits, (length,), generator=generator)
    activations = torch.randint(0, 2**activation.bits, (length,), generator=generator)
    flags = st.lists(st.booleans(), min_size=length, max_size=length)
    clear = [True, *data.draw(flags)[1:]]
    enable = [True, *data.draw(flags)[1:]] if enabled else [True] * length
    sums = partial_sums(
        spec,
        weights,
        activations,
        torch.tensor(clear),
        torch.tensor(enable) if enabled else None,
    )
    expected = machine(spec, weights.tolist(), activations.tolist(), clear, enable)
    assert sums.tolist() == expected


@pytest.mark.parametrize("known", CATALOG, ids=lambda known: known.name)
def test_full_accumulations_at_both_extremes_fit_the_width(known: Format) -> None:
    spec = spec_of(known, known)
    low, high = spec.product_range
    for extreme in (low, high):
        pair = next(
            (w, a)
            for w in range(2**known.bits)
            for a in range(2**known.bits)
            if spec.product(w, a) == extreme
        )
        codes = [torch.full((256,), code) for code in pair]
        sums = partial_sums(spec, *codes)
        assert sums.tolist() == [extreme * step for step in range(1, 257)]
        assert -(2 ** (spec.accumulator_bits - 1)) <= int(sums.min())
        assert int(sums.max()) < 2 ** (spec.accumulator_bits - 1)
        assert int(dot(spec, *codes)) == extreme * 256


def test_the_other_axes_broadcast() -> None:
    spec = spec_of(SF4, INT8)
    weights = torch.randint(0, 16, (5, 1, 20), generator=torch.Generator().manual_seed(1))
    activations = torch.randint(0, 256, (3, 20), generator=torch.Generator().manual_seed(2))
    result = dot(spec, weights, activations)
    assert result.shape == (5, 3)
    for i in range(5):
        for j in range(3):
            pairs = zip(weights[i, 0].tolist(), activations[j].tolist(), strict=True)
            assert int(result[i, j]) == sum(spec.product(w, a) for w, a in pairs)


def test_no_steps_are_zero() -> None:
    empty = torch.zeros((2, 0), dtype=torch.uint8)
    assert dot(spec_of(INT4, INT4), empty, empty).tolist() == [0, 0]
    assert partial_sums(spec_of(INT4, INT4), empty, empty).shape == (2, 0)


def test_more_products_than_terms_need_a_clear() -> None:
    spec = spec_of(INT4, INT4, terms=4)
    codes = torch.ones(9, dtype=torch.uint8)
    with pytest.raises(UsageError, match="Step 4 adds product number 5"):
        dot(spec, codes, codes)
    clear = torch.tensor([True, False, False, False, True, False, False, False, False])
    with pytest.raises(UsageError, match="Step 8 adds product number 5"):
        partial_sums(spec, codes, codes, clear)
    clear[8] = True
    assert partial_sums(spec, codes, codes, clear).tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 1]


def test_steps_without_enable_do_not_count_as_products() -> None:
    spec = spec_of(INT4, INT4, terms=2, enable=True)
    codes = torch.ones(4, dtype=torch.uint8)
    enable = torch.tensor([True, False, False, True])
    assert partial_sums(spec, codes, codes, enable=enable).tolist() == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("clear", "enable", "word"),
    [
        ([False, True], None, "first step does not clear"),
        ([True, True], [False, True], "first step does not clear"),
        ([True], None, "bool tensor of 2 steps"),
        ([1, 0], None, "bool tensor"),
        (None, [True], "bool tensor of 2 steps"),
    ],
)
def test_undefined_control_is_refused(
    clear: list[bool] | None, enable: list[bool] | None, word: str
) -> None:
    codes = torch.ones(2, dtype=torch.uint8)
    with pytest.raises(UsageError, match=word):
        partial_sums(
            spec_of(INT4, INT4, enable=True),
            codes,
            codes,
            None if clear is None else torch.tensor(clear),
            None if enable is None else torch.tensor(enable),
        )


def test_enable_needs_a_mac_that_has_it() -> None:
    codes = torch.ones(1, dtype=torch.uint8)
    with pytest.raises(UsageError, match="no enable"):
        partial_sums(spec_of(INT4, INT4), codes, codes, enable=torch.tensor([True]))


def test_wrong_codes_are_refused() -> None:
    spec = spec_of(INT4, INT8)
    good = torch.tensor([1, 2, 3])
    with pytest.raises(TensorError, match=r"weight's codes .* INT4 are 0 to 15"):
        products(spec, good + 14, good)
    with pytest.raises(TensorError, match=r"activation's codes .* float32"):
        products(spec, good, good.float())
    with pytest.raises(TensorError, match=r"\[3\] .* \[2\]"):
        products(spec, good, good[:2])
    with pytest.raises(TensorError, match="at least one axis"):
        partial_sums(spec, good[0], good[0])


def test_accumulators_beyond_the_reference_are_refused() -> None:
    wide = Format(name="Wide", bits=2, grid=(0, 1, 2, 2**23 - 1), unit=Fraction(1))
    codes = torch.tensor([3])
    with pytest.raises(UsageError, match="67 bits"):
        dot(spec_of(wide, wide, terms=2**20), codes, codes)
    assert int(dot(spec_of(wide, wide, terms=2**16), codes, codes)) == (2**23 - 1) ** 2


@pytest.mark.parametrize(
    ("weight", "activation"), [(INT4, INT4), (SF4, INT8), (E2M1_B, E2M1)], ids=str
)
def test_the_dequantized_dot_is_the_dot_of_the_dequantized(
    weight: Format, activation: Format
) -> None:
    generator = torch.Generator().manual_seed(3)
    w = torch.randn(6, 256, generator=generator, dtype=torch.float64)
    a = torch.randn(2, 1, 256, generator=generator, dtype=torch.float64)
    spec = ScaleSpec(granularity=Granularity.BLOCK, block=64)
    qw, qa = quantize(w, weight, spec), quantize(a, activation, spec)
    # One dot product a block, each with its own two scales; then their sum.
    blocks = dequantized_dot(
        spec_of(weight, activation, terms=64),
        qw.codes.unflatten(-1, (4, 64)),
        qa.codes.unflatten(-1, (4, 64)),
        weight_scale=qw.scales,
        activation_scale=qa.scales,
    )
    assert blocks.dtype == torch.float64
    expected = (qw.dequantize() * qa.dequantize()).sum(-1)
    assert torch.allclose(blocks.sum(-1), expected, rtol=1e-12, atol=1e-12)


def test_the_dequantized_dot_is_exact_where_floats_are() -> None:
    codes = torch.tensor([3, 7])
    value = dequantized_dot(
        spec_of(E2M1, E2M1), codes, codes, weight_scale=0.5, activation_scale=torch.tensor(-2.0)
    )
    assert float(value) == -(1.5 * 1.5 + 6 * 6)
