"""A sample's histogram and quantiles: right, small, and the same after a round trip."""

import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.errors import DataError
from nibblemac.formats.outline import BINS, QUANTILES, Outline, outline_of, quantile_places
from scipy import stats

SAMPLE = torch.from_numpy(np.random.default_rng(1).standard_t(4, 20_000)) * 0.02


def test_histogram_and_quantiles_are_the_samples() -> None:
    outline = outline_of(SAMPLE)
    values = np.sort(SAMPLE.numpy())
    assert outline.rms == pytest.approx(np.sqrt((values**2).mean()), rel=1e-5)
    outside = (np.abs(values) > outline.reach).sum()
    assert outside == pytest.approx(20, abs=2)
    assert sum(outline.counts) == len(values) - outside
    edges = np.linspace(-outline.reach, outline.reach, BINS + 1)
    assert list(outline.counts) == [
        int(((values >= a) & (values < b)).sum()) for a, b in itertools.pairwise(edges)
    ]
    places = quantile_places(len(values))
    assert outline.quantiles == pytest.approx(values[places], rel=1e-5)
    assert (places[0], places[-1]) == (0, len(values) - 1)
    # Evenly spaced for a normal.
    middle = stats.norm.ppf((places[30:-30] + 0.5) / len(values))
    assert np.diff(middle) == pytest.approx(np.diff(middle).mean(), rel=0.02)


@given(
    values=st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=50).filter(
        lambda found: any(abs(value) > 1e-290 for value in found)
    )
)
def test_any_sample_has_an_outline_that_survives_json(values: list[float]) -> None:
    outline = outline_of(torch.tensor(values, dtype=torch.float64))
    assert (len(outline.counts), len(outline.quantiles)) == (BINS, QUANTILES)
    assert sum(outline.counts) <= len(values)
    assert outline.quantiles[0] == pytest.approx(min(values), rel=1e-5)
    assert outline.quantiles[-1] == pytest.approx(max(values), rel=1e-5)
    text = json.dumps(outline.to_json(), allow_nan=False)
    assert Outline.from_json(json.loads(text), "it") == outline


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rms": 0}, "rms is 0"),
        ({"rms": float("nan")}, "rms is nan"),
        ({"reach": -1}, "reach is -1"),
        ({"reach": "1"}, "reach is '1'"),
        ({"reach": True}, "reach is True"),
        ({"counts": [1] * (BINS - 1)}, "101 counts"),
        ({"counts": [-1] * BINS}, "none negative"),
        ({"counts": [1.5] * BINS}, "list of integers"),
        ({"counts": None}, "list of integers"),
        ({"quantiles": [0.0] * (QUANTILES + 1)}, "129 ascending quantiles"),
        ({"quantiles": [*range(QUANTILES)][::-1]}, "ascending"),
        ({"quantiles": [float("inf")] * QUANTILES}, "list of numbers"),
        ({"quantiles": {}}, "list of numbers"),
    ],
)
def test_what_is_no_outline_is_refused(change: dict[str, object], said: str) -> None:
    record = {**outline_of(SAMPLE).to_json(), **change}
    with pytest.raises(DataError, match=f"the outline.*{said}"):
        Outline.from_json(record, "the outline")
    with pytest.raises(DataError, match="must be a JSON object"):
        Outline.from_json([], "the outline")
