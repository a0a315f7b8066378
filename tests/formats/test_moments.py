"""Extremes and kurtosis, at once and in parts, against SciPy and exact fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.errors import TensorError
from nibblemac.formats.moments import RunningMoments, moments, moments_of
from scipy import stats


def student(nu: float, count: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_t(nu, count))


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_moments_equal_scipys(scale: float) -> None:
    sample = student(6, 5000, 8).reshape(50, 100) + 0.4
    before = sample.clone()
    found = moments(sample * scale, "w")
    assert found.kurtosis == pytest.approx(stats.kurtosis(sample.numpy(), axis=None), rel=1e-9)
    assert (found.minimum, found.maximum) == (
        float((sample * scale).min()),
        float((sample * scale).max()),
    )
    moments(sample, "w")
    assert torch.equal(sample, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_more_elements_than_a_part(dtype: torch.dtype) -> None:
    sample = (student(9, 700_001, 3) * 0.02).to(dtype)
    found = moments(sample, "w")
    expected = stats.kurtosis(sample.double().numpy())
    assert found.kurtosis == pytest.approx(expected, rel=1e-9)
    assert moments_of(sample.split(99_999), "w", sample.shape).kurtosis == pytest.approx(
        expected, rel=1e-9
    )


def exact_kurtosis(values: list[float]) -> float:
    mean = sum(map(Fraction, values)) / len(values)
    second, fourth = (sum((Fraction(x) - mean) ** k for x in values) for k in (2, 4))
    return float(fourth * len(values) / second**2) - 3


@given(
    parts=st.lists(
        st.lists(st.integers(-(2**20), 2**20).map(float), min_size=1, max_size=9), min_size=1
    ),
    power=st.integers(-900, 900),
)
def test_parts_of_any_size_and_scale(parts: list[list[float]], power: int) -> None:
    values = [math.ldexp(x, power) for part in parts for x in part]
    running = RunningMoments("The tensor")
    for part in parts:
        running.add(torch.tensor([math.ldexp(x, power) for x in part], dtype=torch.float64))
    if len(set(values)) == 1:
        with pytest.raises(TensorError, match="a single value"):
            running.result()
        return
    found = running.result()
    assert (found.minimum, found.maximum) == (min(values), max(values))
    assert running.count == len(values)
    # A common offset of a million times the spread costs digits.
    assert found.kurtosis == pytest.approx(exact_kurtosis(values), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_value_that_is_not_finite_is_named(bad: float) -> None:
    tensor = torch.zeros(700, 1000)
    tensor[600, 7] = bad
    tensor[601, 0] = math.nan
    with pytest.raises(TensorError, match=r"'w' holds NaN .* the first at index \[600, 7\]"):
        moments(tensor, "w")
    with pytest.raises(TensorError, match=r"the first at index \[600, 7\]"):
        moments_of(tensor.reshape(-1).split(1234), "w", tensor.shape)
    running = RunningMoments("The activations")
    running.add(tensor[:600])
    with pytest.raises(TensorError, match=r"^The activations holds .* index \[600007\]"):
        running.add(tensor[600:])


def test_nothing_and_single_values() -> None:
    with pytest.raises(TensorError, match="'w' is empty"):
        moments(torch.empty(0, 3), "w")
    with pytest.raises(TensorError, match="'w' holds 0 in all of its 9 elements"):
        moments(torch.zeros(3, 3), "w")
    with pytest.raises(TensorError, match=r"holds 2\.5 in all of its 4 elements"):
        moments(torch.full((4,), 2.5), "w")
