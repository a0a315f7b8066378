"""Uniform samples of streams: every value is equally likely to stay, and memory does not grow."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.reservoir import Reservoir


@given(
    sizes=st.lists(st.integers(0, 40), max_size=12), cap=st.integers(1, 60), seed=st.integers(0, 99)
)
def test_a_sample_has_what_was_added_and_no_more_than_fits(
    sizes: list[int], cap: int, seed: int
) -> None:
    total = sum(sizes)
    parts = torch.arange(float(total)).split(sizes) if sizes else ()
    one, two = Reservoir(cap, seed), Reservoir(cap, seed)
    for part in parts:
        one.add(part)
        two.add(part.reshape(1, -1))
    found = one.sample().tolist()
    assert one.count == total
    assert len(found) == min(cap, total)
    assert len(set(found)) == len(found)
    assert set(found) <= set(range(total))
    assert found == two.sample().tolist()


@pytest.mark.parametrize("parts", [1, 6, 25])
def test_every_value_is_equally_likely_to_stay(parts: int) -> None:
    total, cap, runs = 500, 40, 600
    counts = np.zeros(total)
    values = torch.arange(float(total))
    for seed in range(runs):
        reservoir = Reservoir(cap, seed)
        for part in values.chunk(parts):
            reservoir.add(part)
        counts[reservoir.sample().long().numpy()] += 1
    share = cap / total
    spread = np.sqrt(runs * share * (1 - share))
    away = (counts - runs * share) / spread
    # Of 500 standard normals, the largest is above 5 once in 3,000 times; the places' tenths are
    # sums of 50, and neither the first nor the last may be favoured.
    assert np.abs(away).max() < 5
    assert np.abs(away.reshape(10, 50).sum(axis=1) / np.sqrt(50)).max() < 4.5


def test_values_keep_what_float32_can_hold() -> None:
    reservoir = Reservoir(4, 0)
    reservoir.add(torch.tensor([1.5, -2.0], dtype=torch.bfloat16))
    reservoir.add(torch.tensor([[1e-30]], dtype=torch.float64))
    assert sorted(reservoir.sample().tolist()) == pytest.approx([-2.0, 1e-30, 1.5])
