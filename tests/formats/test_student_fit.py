"""The fit of Student's t, and distances to fits, against SciPy's and against what must hold."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nibblemac.formats.distribution import NORMAL, Distribution
from nibblemac.formats.errors import TensorError, UsageError
from nibblemac.formats.fit_distance import fit_distance, ks_distance, student_cdf
from nibblemac.formats.student_fit import (
    NU_BOUNDS,
    fit_student,
    sample_elements,
    student_log_likelihood,
)
from scipy import stats


def student(nu: float, count: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_t(nu, count))


@pytest.mark.parametrize(("nu", "seed"), [(1.5, 1), (18.0, 2)])
def test_equals_scipys_fit(nu: float, seed: int) -> None:
    sample = (student(nu, 100_000, seed) * 0.03).float()
    found = fit_student(sample)
    expected, _, scale = stats.t.fit(sample.double().numpy(), floc=0)
    # SciPy stops a simplex search at 1e-4; the optima themselves are equal.
    assert float(found.nu) == pytest.approx(expected, rel=2e-3)
    assert float(found.scale) == pytest.approx(scale, rel=2e-3)


@pytest.mark.parametrize("nu", [0.6, 1, 3, 8, 20])
def test_finds_what_the_samples_were_drawn_from(nu: float) -> None:
    rows = torch.stack([student(nu, 100_000, seed) for seed in range(2)])
    found = fit_student(rows)
    # The Fisher information of log nu bounds the spread: about 0.035 at 20, 0.01 at 3.
    assert torch.allclose(found.nu, torch.full((2,), float(nu)).double(), rtol=0.13, atol=0)
    assert float(found.nu.log().mean()) == pytest.approx(math.log(nu), abs=0.08)
    assert torch.allclose(found.scale, torch.ones(2).double(), rtol=0.02, atol=0)


@settings(max_examples=15)
@given(
    nu=st.floats(0.5, 60),
    count=st.integers(20, 600),
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([1e-30, 0.02, 1.0, 1e30]),
)
def test_no_neighbour_is_likelier(nu: float, count: int, seed: int, scale: float) -> None:
    sample = student(nu, count, seed) * scale
    found = fit_student(sample)
    best_nu, best_scale = float(found.nu), float(found.scale)

    def likelihood(nu: float, scale: float) -> float:
        return float(stats.t.logpdf(sample.numpy(), nu, scale=scale).mean())

    best = likelihood(best_nu, best_scale)
    assert best == pytest.approx(float(found.log_likelihood), abs=1e-9)
    assert best == pytest.approx(
        float(student_log_likelihood(sample, found.nu, found.scale)), abs=1e-9
    )
    low, high = NU_BOUNDS
    for nu_factor in (0.99, 1.0, 1.01):
        for scale_factor in (0.99, 1.0, 1.01):
            near = min(max(best_nu * nu_factor, low), high)
            assert likelihood(near, best_scale * scale_factor) <= best + 1e-10
    # Not a lesser maximum either: far away along nu, with the best scale of a coarse search.
    far = np.array([0.5, 1, 3, 10, 40, 200])[:, None, None]
    scales = np.geomspace(0.2, 5, 13)[:, None] * best_scale
    values = stats.t.logpdf(sample.numpy(), far, scale=scales).mean(axis=-1)
    assert values.max() <= best + 1e-10


@settings(max_examples=12)
@given(
    nu=st.floats(0.5, 30),
    count=st.integers(30, 500),
    seed=st.integers(0, 10**6),
    factor=st.sampled_from([-1.0, 1e-20, -0.3, 7.0, 1e20]),
)
def test_scale_sign_and_order_change_nothing_else(nu, count, seed, factor) -> None:
    sample = student(nu, count, seed)
    one = fit_student(sample)
    other = fit_student(sample.flip(0) * factor)
    shuffled = fit_student(sample[torch.randperm(count)])
    assert float(other.nu) == pytest.approx(float(one.nu), rel=1e-6)
    assert float(other.scale) == pytest.approx(float(one.scale) * abs(factor), rel=1e-6)
    assert float(shuffled.nu) == pytest.approx(float(one.nu), rel=1e-6)
    assert float(shuffled.scale) == pytest.approx(float(one.scale), rel=1e-6)


def test_a_batch_is_its_rows_one_by_one() -> None:
    rows = torch.stack(
        [student(nu, 700, k) * 10.0**k for k, nu in enumerate((0.5, 1, 2, 4, 9, 99))]
    )
    batch = fit_student(rows.reshape(2, 3, 700))
    assert batch.nu.shape == batch.scale.shape == batch.log_likelihood.shape == (2, 3)
    for k, row in enumerate(rows):
        alone = fit_student(row)
        assert alone.nu.shape == ()
        for name in ("nu", "scale", "log_likelihood"):
            together = float(getattr(batch, name).flatten()[k])
            assert together == pytest.approx(float(getattr(alone, name)), rel=1e-7)


def test_many_rows_are_fitted_in_chunks() -> None:
    rows = NORMAL.sample(260, 32)
    found = fit_student(rows)
    for row in (0, 127, 128, 259):
        assert float(found.nu[row]) == pytest.approx(float(fit_student(rows[row]).nu), rel=1e-6)


def test_the_normal_is_the_limit() -> None:
    sample = torch.from_numpy(stats.norm.ppf((np.arange(10_000) + 0.5) / 10_000)) * 3
    found = fit_student(sample)
    assert float(found.nu) == NU_BOUNDS[1]
    assert float(found.scale) == pytest.approx(3, rel=0.01)
    constant = fit_student(torch.full((50,), -0.25))
    assert float(constant.nu) == NU_BOUNDS[1]
    assert float(constant.scale) == pytest.approx(0.25)
    assert float(fit_student(student(0.6, 5000, 0), bounds=(2, 9)).nu) == 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_takes_every_floating_point_dtype(dtype: torch.dtype) -> None:
    sample = student(4, 3000, 5).to(dtype)
    found = fit_student(sample)
    assert found.nu.dtype == torch.float64
    assert float(found.nu) == pytest.approx(float(fit_student(sample.double()).nu), rel=1e-9)


def test_zeros_below_a_third_are_fitted() -> None:
    sample = student(4, 3000, 6)
    sample[::4] = 0
    found = fit_student(sample)
    best = float(stats.t.logpdf(sample, float(found.nu), scale=float(found.scale)).mean())
    grid = [
        stats.t.logpdf(sample.numpy(), nu, scale=scale).mean()
        for nu in np.geomspace(0.5, 200, 12)
        for scale in np.geomspace(1e-5, 3, 20)
    ]
    assert max(grid) <= best + 1e-10


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (torch.zeros(2, 0), "'w' has no elements"),
        (torch.tensor(1.0), "'w' has no elements"),
        (torch.tensor([1.0, math.nan]), "'w' holds NaN or infinite"),
        (torch.tensor([1.0, -math.inf]), "'w' holds NaN or infinite"),
        (torch.zeros(9), "'w': 9 of 9 elements are exactly 0"),
        (torch.tensor([[1.0, 2, 3], [0, 1, 2]]), "'w': 1 of 3 elements are exactly 0"),
    ],
)
def test_what_cannot_be_fitted_is_named(rows: torch.Tensor, said: str) -> None:
    with pytest.raises(TensorError, match=said):
        fit_student(rows, name="w")


@pytest.mark.parametrize(
    "bounds", [(0, 5), (5, 2), (-1, 2), (1, math.inf), (math.nan, 3), (1, math.nan)]
)
def test_bounds_must_be_in_order(bounds: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="in ascending order"):
        fit_student(torch.ones(4), bounds=bounds)
    with pytest.raises(UsageError, match="at least 1"):
        fit_student(torch.ones(4), cap=0)


@settings(max_examples=25)
@given(count=st.integers(1, 500), cap=st.integers(1, 200), seed=st.integers(0, 9))
def test_samples_are_distinct_seeded_places(count: int, cap: int, seed: int) -> None:
    tensor = torch.arange(count)
    drawn = sample_elements(tensor, cap, seed)
    assert len(drawn) == min(count, cap)
    assert bool((drawn.diff() > 0).all())
    assert torch.equal(drawn, sample_elements(tensor.reshape(1, -1), cap, seed))
    rows = torch.stack([tensor, -tensor]) + 1000.0
    capped = fit_student(rows, cap=cap, seed=seed)
    assert torch.equal(capped.nu[0], fit_student(rows[:1, drawn]).nu[0])


def test_another_seed_draws_other_places_from_all_over() -> None:
    tensor = torch.arange(10_000)
    first, second = (sample_elements(tensor, 100, seed) for seed in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(first // 100, torch.arange(100))


@settings(max_examples=20)
@given(
    nu=st.floats(0.5, 30),
    count=st.integers(1, 2000),
    seed=st.integers(0, 10**6),
    decimals=st.sampled_from([None, 0, 1]),
    shift=st.sampled_from([0.0, 0.7]),
)
def test_distances_equal_scipys(nu, count, seed, decimals, shift) -> None:
    sample = student(nu, count, seed) + shift
    if decimals is not None:
        sample = sample.round(decimals=decimals)
    sample[0] = 1.25
    found = fit_distance(sample, 5.0, 0.8)
    sigma = float(sample.square().mean().sqrt())
    values = sample.numpy()
    assert found.ks_t == pytest.approx(
        stats.kstest(values, stats.t(5, scale=0.8).cdf).statistic, abs=1e-9
    )
    assert found.ks_normal == pytest.approx(
        stats.kstest(values, stats.norm(scale=sigma).cdf).statistic, abs=1e-9
    )
    assert found.ks_delta == found.ks_normal - found.ks_t


def test_distances_of_large_samples_look_at_few_values() -> None:
    ordered = student(5, 100_000, 3).sort().values
    seen = 0

    def cdf(values: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        seen += len(values)
        return student_cdf(values, 5)

    found = ks_distance(ordered, cdf)
    expected = stats.kstest(ordered.numpy(), stats.t(5).cdf).statistic
    assert found == pytest.approx(expected, abs=1e-9)
    assert seen < len(ordered) / 4


def test_ks_delta_is_positive_for_t_and_small_for_normal() -> None:
    heavy, light = Distribution(nu=3).sample(1, 20_000)[0], NORMAL.sample(1, 20_000)[0]
    for sample, low, high in ((heavy, 0.05, 0.2), (light, -0.005, 0.005)):
        fit = fit_student(sample)
        assert low < fit_distance(sample, float(fit.nu), float(fit.scale)).ks_delta < high
