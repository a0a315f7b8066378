"""The record of one tensor's distribution: its figures, its JSON, and bad tensors."""

import json
import math
from dataclasses import fields

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.distribution import Distribution
from nibblemac.formats.errors import DataError, TensorError, UsageError
from nibblemac.formats.tensor_profile import TensorProfile, profile_tensor
from scipy import stats

SAMPLE = Distribution(nu=4).sample(60, 50, seed=2)
PROFILE = profile_tensor(SAMPLE, name="layers.0.weight", kind="linear")


def test_figures_are_scipys() -> None:
    values = SAMPLE.double().flatten().numpy()
    nu, _, scale = stats.t.fit(values, floc=0)
    assert (PROFILE.name, PROFILE.kind) == ("layers.0.weight", "linear")
    assert (PROFILE.elements, PROFILE.sampled) == (3000, 3000)
    assert PROFILE.nu == pytest.approx(nu, rel=1e-3)
    assert PROFILE.scale == pytest.approx(scale, rel=1e-3)
    fitted = stats.t(PROFILE.nu, scale=PROFILE.scale)
    normal = stats.norm(scale=math.sqrt((values**2).mean()))
    assert PROFILE.ks_t == pytest.approx(stats.kstest(values, fitted.cdf).statistic, abs=1e-6)
    assert PROFILE.ks_normal == pytest.approx(stats.kstest(values, normal.cdf).statistic, abs=1e-6)
    assert PROFILE.ks_delta == PROFILE.ks_normal - PROFILE.ks_t
    assert PROFILE.ks_delta > 0
    assert PROFILE.kurtosis == pytest.approx(stats.kurtosis(values), rel=1e-9)
    assert (PROFILE.minimum, PROFILE.maximum) == (values.min(), values.max())


def test_extremes_and_kurtosis_are_of_all_elements_whatever_the_sample() -> None:
    tensor = SAMPLE.clone()
    tensor[30, 10] = 1e4
    whole = profile_tensor(tensor, name="w", kind="linear")
    capped = [profile_tensor(tensor, name="w", kind="linear", cap=500, seed=s) for s in (0, 0, 1)]
    assert capped[0] == capped[1]
    assert capped[0].nu != capped[2].nu
    for one in capped:
        assert (one.elements, one.sampled) == (3000, 500)
        assert (one.maximum, one.kurtosis) == (1e4, whole.kurtosis)


def test_views_and_half_precision_are_taken() -> None:
    turned = profile_tensor(SAMPLE.T.bfloat16(), name="w", kind="linear")
    straight = profile_tensor(SAMPLE.bfloat16(), name="w", kind="linear")
    assert turned.nu == pytest.approx(straight.nu, rel=1e-6)
    assert (turned.minimum, turned.ks_t) == (straight.minimum, pytest.approx(straight.ks_t))


@given(
    name=st.text(),
    elements=st.integers(1, 2**62),
    nu=st.floats(0.5, 200),
    distances=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    minimum=st.floats(-1e300, 0),
)
def test_round_trip_through_json(name, elements, nu, distances, minimum) -> None:
    profile = TensorProfile(
        name=name,
        kind="activation",
        elements=elements,
        sampled=1,
        nu=nu,
        scale=0.1,
        ks_t=distances[0],
        ks_normal=distances[1],
        ks_delta=distances[1] - distances[0],
        kurtosis=-1.5,
        minimum=minimum,
        maximum=1.0,
    )
    text = json.dumps(profile.to_json(), allow_nan=False)
    assert TensorProfile.from_json(json.loads(text)) == profile


def test_whole_numbers_in_json_are_floats() -> None:
    record = {**PROFILE.to_json(), "kurtosis": 2}
    assert type(TensorProfile.from_json(record).kurtosis) is float


@pytest.mark.parametrize("key", [item.name for item in fields(TensorProfile)])
@pytest.mark.parametrize("value", [None, True, [], math.nan, math.inf, 10**400])
def test_wrong_values_are_named(key: str, value: object) -> None:
    record = {**PROFILE.to_json(), key: value}
    if key == "elements" and value == 10**400:
        assert TensorProfile.from_json(record).elements == value
        return
    with pytest.raises(DataError, match=rf"row 3: {key} is "):
        TensorProfile.from_json(record, "row 3")
    del record[key]
    with pytest.raises(DataError, match=rf"row 3 lacks the key '{key}'"):
        TensorProfile.from_json(record, "row 3")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sampled", 0),
        ("sampled", 3001),
        ("nu", 0.0),
        ("scale", -1.0),
        ("ks_t", 1.5),
        ("ks_normal", -0.1),
        ("ks_delta", 0.9),
        ("maximum", -1e6),
    ],
)
def test_impossible_figures_are_named(key: str, value: float) -> None:
    with pytest.raises(DataError, match=rf"{key} is {value!r}, which no tensor"):
        TensorProfile.from_json({**PROFILE.to_json(), key: value})
    with pytest.raises(DataError, match="must be a JSON object"):
        TensorProfile.from_json([key, value])


def holed(value: float) -> torch.Tensor:
    tensor = SAMPLE.clone()
    tensor[7, 11] = value
    return tensor


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (holed(math.nan), r"'my\.w' holds NaN or infinite values, the first at index \[7, 11\]"),
        (holed(-math.inf), r"'my\.w' holds NaN or infinite values, the first at index \[7, 11\]"),
        (torch.zeros(4, 8), r"'my\.w' holds 0 in all of its 32 elements"),
        (torch.full((4, 8), 0.5), r"'my\.w' holds 0\.5 in all of its 32 elements"),
        (torch.randn(15), r"'my\.w' has 15 elements; .* at least 16"),
        (torch.zeros(0, 3), r"'my\.w' has 0 elements"),
        (torch.tensor(1.0), r"'my\.w' has 1 elements"),
        (torch.relu(SAMPLE), r"'my\.w': \d+ of 3000 elements are exactly 0"),
        (torch.ones(99, dtype=torch.int8), r"'my\.w' is int8"),
        ([1.0] * 20, r"'my\.w' is of type list"),
    ],
)
def test_bad_tensors_are_named(tensor: torch.Tensor, said: str) -> None:
    with pytest.raises(TensorError, match=said):
        profile_tensor(tensor, name="my.w", kind="linear")


def test_small_caps_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 16"):
        profile_tensor(SAMPLE, name="w", kind="linear", cap=15)
    assert profile_tensor(SAMPLE, name="w", kind="linear", cap=16).sampled == 16
