import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.errors import UsageError
from nibblemac.formats.scale_format import (
    E3M3,
    E4M3,
    E8M0,
    E8M0_CEIL,
    E8M0_EVEN,
    E8M0_RCEIL,
    FP16,
    SCALE_FORMATS,
    Parent,
    PowerRule,
    ScaleFormat,
    find_scale_format,
    unsigned_integer,
)

POSITIVE = st.floats(1e-30, 1e30)


def stored(store: ScaleFormat, values: list[float]) -> list[float]:
    return store.stored(torch.tensor(values, dtype=torch.float64)).tolist()


def values_of(exponents: range, mantissa_bits: int) -> list[float]:
    """Return all positive numbers of a minifloat, subnormal ones included."""
    size = 2**mantissa_bits
    subnormal = [i / size * 2.0 ** exponents[0] for i in range(1, size)]
    normal = [(1 + i / size) * 2.0**e for e in exponents for i in range(size)]
    return subnormal + normal


def nearest(value: float, choices: list[float]) -> set[float]:
    least = min(abs(Fraction(choice) - Fraction(value)) for choice in choices)
    return {c for c in choices if abs(Fraction(c) - Fraction(value)) == least}


@given(st.lists(st.floats(2.0**-40, 2.0**20), min_size=1))
def test_e4m3_rounds_as_torch_does(values: list[float]) -> None:
    single = torch.tensor(values).clamp(2.0**-9, 448)
    expected = single.to(torch.float8_e4m3fn).to(torch.float64)
    assert stored(E4M3, single.double().tolist()) == expected.tolist()


@given(st.lists(st.floats(2.0**-24, 65504), min_size=1))
def test_fp16_rounds_as_numpy_does(values: list[float]) -> None:
    expected = np.array(values).astype(np.float16).astype(float)
    assert stored(FP16, values) == expected.tolist()


@given(POSITIVE)
def test_e3m3_rounds_to_the_nearest_of_its_numbers(value: float) -> None:
    numbers = [v for v in values_of(range(-2, 5), 3) if v <= 28]
    # All six-bit codes but 0 and 30.
    assert len(numbers) == 2**6 - 2
    assert stored(E3M3, [value])[0] in nearest(min(value, 28.0), numbers)


@pytest.mark.parametrize("bits", [2, 4, 6, 8])
@given(POSITIVE)
def test_integers_round_to_the_nearest_and_are_never_0(bits: int, value: float) -> None:
    store = unsigned_integer(bits)
    top = 2**bits - 1
    assert stored(store, [value])[0] == min(max(round(value), 1), top)


@given(POSITIVE)
def test_power_of_two_scales_are_those_of_the_mx_type(value: float) -> None:
    kept = stored(E8M0, [value])[0]
    assert float(np.array(kept).astype(ml_dtypes.float8_e8m0fnu).astype(float)) == kept
    assert kept / 1.5 <= value < kept * 1.5 or value == kept * 1.5 or kept == 2.0**-127


@given(st.floats(2.0**-100, 2.0**100))
def test_the_rules_for_powers_of_two(largest: float) -> None:
    amax = torch.tensor([largest], dtype=torch.float64)
    exponent = math.floor(math.log2(largest))
    # log2 rounds; the exponent of the number itself does not.
    exponent = math.frexp(largest)[1] - 1 if exponent != math.frexp(largest)[1] - 1 else exponent
    exact = Fraction(largest) == Fraction(2) ** exponent
    assert E8M0.powers(amax, 6.0).item() == 2.0 ** (exponent - 2)
    assert E8M0_CEIL.powers(amax, 6.0).item() == 2.0 ** (exponent - 2 + (not exact))
    up = E8M0_RCEIL.powers(amax, 6.0).item()
    assert math.log2(up).is_integer()
    assert up / 2 < largest / 6.0 <= up
    even = E8M0_EVEN.powers(amax, 6.0).item()
    # Beyond 6 the next number of E2M1 would be 8: from 7 on the exponent rises.
    rises = Fraction(largest) >= Fraction(7, 4) * Fraction(2) ** exponent
    assert even == 2.0 ** (exponent - 2 + rises)


def test_what_cannot_be_scaled() -> None:
    largest = torch.tensor([0.0, math.inf, math.nan])
    powers = E8M0.powers(largest, 6.0)
    assert powers[0] == 1
    assert powers[1] == math.inf
    assert math.isnan(powers[2])
    kept = FP16.stored(torch.tensor([math.nan, math.inf, 1e9, 1e-9]))
    assert math.isnan(kept[0])
    assert kept[1:].tolist() == [math.inf, 65504, 2.0**-24]


def test_a_parent_scales_what_is_stored() -> None:
    needed = torch.tensor([[1.0], [0.3]])
    parents = torch.tensor([[1 / 448], [1 / 448]])
    kept = E4M3.stored(needed, parents)
    stored_values = (needed / parents).to(torch.float8_e4m3fn).float()
    assert torch.equal(kept, stored_values * parents)


def test_a_scale_is_never_0() -> None:
    tiny = torch.full((1, 1), 2.0**-149)
    assert E4M3.stored(tiny * 0.0, tiny).item() > 0


@pytest.mark.parametrize("known", SCALE_FORMATS, ids=lambda known: known.name)
def test_a_format_is_found_by_name_and_keeps_its_own_extremes(known: ScaleFormat) -> None:
    assert find_scale_format(known.name.lower()) == known
    extremes = [known.smallest, known.largest]
    assert stored(known, extremes) == extremes


def test_bits_of_a_block() -> None:
    assert FP16.block_bits(128) == 16 / 128
    assert E8M0.block_bits(32) == 8 / 32
    assert E4M3.block_bits(16) == E4M3.block_bits(16, selector_bits=1) == 8 / 16
    assert E4M3.block_bits(16, selector_bits=1, signed=True) == 9 / 16
    assert E3M3.block_bits(16, selector_bits=2) == 8 / 16
    assert unsigned_integer(4).block_bits(16) == 4 / 16


@pytest.mark.parametrize("name", ["FP17", "UINT1", "UINT17", "", "UINT"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(UsageError, match="scale"):
        find_scale_format(name)


@pytest.mark.parametrize(
    "change",
    [
        {"smallest": 2.0, "largest": 1.0},
        {"parent": Parent.TENSOR},
        {"power_rule": PowerRule.FLOOR},
    ],
)
def test_fields_that_contradict_each_other(change: dict[str, object]) -> None:
    fields = {
        "name": "X",
        "bits": 4,
        "mantissa_bits": 2,
        "min_exponent": 0,
        "smallest": 1.0,
        "largest": 8.0,
    }
    with pytest.raises(UsageError, match="The scale format X"):
        ScaleFormat(**(fields | change))  # type: ignore[arg-type]
