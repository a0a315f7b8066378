"""Profiles of weights and activations: the figures, the sampling, the record, the summary."""

import json
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from nibblemac.formats.distribution import Distribution
from nibblemac.formats.errors import DataError, TensorError, UsageError
from nibblemac.formats.models.activations import (
    activation_layers,
    profile_activations,
    text_windows,
)
from nibblemac.formats.models.checkpoint import open_checkpoint
from nibblemac.formats.models.loading import ENCODER, LoadedModel
from nibblemac.formats.models.model_profile import LayerProfile, ModelProfile, load_profile
from nibblemac.formats.models.profile import Weight, checkpoint_weights, profile_weight
from nibblemac.formats.models.profile_summary import ks_sentence, summarise
from nibblemac.formats.published import published_path
from nibblemac.formats.published_profiles import published_profiles
from nibblemac.formats.tensor_profile import TensorProfile, profile_tensor
from safetensors.torch import save_file
from torch import nn

T4 = Distribution(nu=4)


def near(profile: TensorProfile) -> dict[str, object]:
    """The figures, to be compared with others up to rounding."""
    record = profile.to_json()
    return {
        key: pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value
        for key, value in record.items()
    }


@pytest.fixture
def checkpoint(tmp_path: Path):
    made = {
        "h.0.attn.q_proj.weight": T4.sample(40, 50, seed=1),
        "h.0.mlp.up_proj.weight": T4.sample(40, 60, seed=2).bfloat16(),
        "h.1.attn.q_proj.weight": torch.randn(64, 64, generator=torch.Generator().manual_seed(3)),
        "h.1.conv.weight": T4.sample(40, 60, seed=4).reshape(10, 4, 60).half(),
        "h.1.norm.weight": torch.ones(64),
        "wte.weight": T4.sample(40, 60, seed=5),
        "steps.weight": torch.ones(8, 8, dtype=torch.int64),
    }
    save_file(made, tmp_path / "model.safetensors")
    return open_checkpoint(tmp_path), made


@pytest.mark.parametrize("cap", [100, 1000, 10_000])
def test_stored_weights_have_the_figures_of_the_tensors(checkpoint, cap: int) -> None:
    found, made = checkpoint
    weights = checkpoint_weights(found, ["linear", "convolution", "embedding"])
    assert len(weights) == 5
    for weight in weights:
        layer = profile_weight(weight, cap=cap, seed=7)
        expected = profile_tensor(
            made[weight.name], name=weight.name, kind=weight.kind, cap=cap, seed=7
        )
        assert replace(layer.tensor, role="").to_json() == near(expected)
        assert sum(layer.outline.counts) <= layer.tensor.sampled == min(cap, weight.elements)


def test_windows_change_nothing(checkpoint) -> None:
    found, _ = checkpoint
    weight = checkpoint_weights(found)[0]
    whole = torch.cat(list(weight.windows()))
    once = profile_weight(weight, cap=300)
    for size in (1, 17, 999):
        parts = replace(weight, windows=lambda size=size: whole.split(size))
        assert profile_weight(parts, cap=300).tensor.to_json() == near(once.tensor)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ([], ["h.0.attn.q_proj", "h.0.mlp.up_proj", "h.1.attn.q_proj", "h.1.conv"]),
        (["convolution"], ["h.1.conv"]),
        (["attention"], ["h.0.attn.q_proj", "h.1.attn.q_proj"]),
        (["embedding", "feed-forward"], ["h.0.mlp.up_proj", "wte"]),
        (["other"], ["h.1.conv"]),
    ],
)
def test_kinds_and_roles(checkpoint, asked: list[str], names: list[str]) -> None:
    found, _ = checkpoint
    weights = checkpoint_weights(found, asked) if asked else checkpoint_weights(found)
    assert [weight.name.removesuffix(".weight") for weight in weights] == names


def test_kinds_that_are_unknown_or_absent(checkpoint, tmp_path: Path) -> None:
    found, _ = checkpoint
    with pytest.raises(UsageError, match="'foo' is unknown; it is linear, convolution, embedding"):
        checkpoint_weights(found, ["foo"])
    with pytest.raises(DataError, match=r"holds 7 tensors, none of them .* asked for, head"):
        checkpoint_weights(found, ["head"])
    save_file({"a.qweight": torch.ones(4, 4, dtype=torch.int32)}, tmp_path / "q.safetensors")
    with pytest.raises(DataError, match="1 whose weights are no floating-point"):
        checkpoint_weights(open_checkpoint(tmp_path / "q.safetensors"))


def weight_of(tensor: torch.Tensor) -> Weight:
    return Weight(
        name="a.weight",
        kind="linear",
        role="other",
        shape=tuple(tensor.shape),
        windows=lambda: [tensor],
        identity={},
    )


def test_zeros_after_a_relu_are_left_out() -> None:
    values = T4.sample(40, 50, seed=1)
    with_zeros = torch.cat([values, torch.zeros(60, 50)])
    found = profile_weight(weight_of(with_zeros))
    alone = profile_weight(weight_of(values))
    assert found.tensor.zeros == pytest.approx(0.6)
    assert (found.tensor.sampled, found.tensor.elements) == (2000, 5000)
    for name in ("nu", "scale", "ks_t", "ks_normal", "minimum", "maximum"):
        assert getattr(found.tensor, name) == pytest.approx(getattr(alone.tensor, name)), name
    assert found.outline == alone.outline
    assert found.tensor.kurtosis > alone.tensor.kurtosis
    # A few zeros are values as others.
    few = profile_weight(weight_of(torch.cat([values, torch.zeros(10, 50)])))
    assert (few.tensor.zeros, few.tensor.sampled) == (0, 2500)


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (torch.ones(3, 5), "15 elements; to fit a distribution it takes at least 16"),
        (torch.full((4, 5), 2.0), "holds 2 in all of its 20"),
        (torch.full((4, 5), math.nan), r"holds NaN .* at index \[0, 0\]"),
        (torch.eye(5), "are exactly 0"),
    ],
)
def test_weights_that_cannot_be_fitted(tensor: torch.Tensor, said: str) -> None:
    with pytest.raises(TensorError, match=rf"'a\.weight'.* {said}"):
        profile_weight(weight_of(tensor))


def test_identity_changes_with_the_file(checkpoint, tmp_path: Path) -> None:
    found, made = checkpoint
    before = [weight.identity for weight in checkpoint_weights(found)]
    assert len({json.dumps(one, sort_keys=True) for one in before}) == len(before)
    save_file(made, tmp_path / "model.safetensors")
    after = [weight.identity for weight in checkpoint_weights(open_checkpoint(tmp_path))]
    assert all(a != b for a, b in zip(before, after, strict=True))


@dataclass(frozen=True)
class Config:
    max_position_embeddings: int = 64


class Reader(nn.Module):
    """Two layers that see what the test can compute, one more that none sees."""

    def __init__(self) -> None:
        super().__init__()
        self.config = Config()
        self.embed = nn.Embedding(300, 8)
        self.first = nn.Linear(8, 4)
        self.second = nn.Linear(8, 4)
        self.relu = nn.Linear(8, 4)
        self.unused = nn.Linear(8, 4)
        with torch.no_grad():
            self.embed.weight.copy_(T4.sample(300, 8, seed=9))

    def forward(self, input_ids: torch.Tensor) -> None:
        seen = self.embed(input_ids)
        self.first(seen)
        self.second(input=seen * 3)
        self.relu(seen.relu())


class Letters:
    """A tokenizer: a letter is a token, between 1 and 2."""

    def __call__(self, text: str, *, add_special_tokens: bool = True, verbose: bool = False):
        ids = [ord(letter) for letter in text]
        return {"input_ids": [1, *ids, 2] if add_special_tokens else ids}


@pytest.fixture
def reader() -> LoadedModel:
    return LoadedModel(
        name="reader",
        path=Path("reader"),
        kind=ENCODER,
        module=Reader().eval(),
        tokenizer=Letters(),
        device=torch.device("cpu"),
        files=(),
    )


TEXT = "The quick brown fox jumps over the lazy dog, and so on and on; it never rests."


def test_windows_are_framed_as_the_tokenizer_frames_a_text(reader: LoadedModel) -> None:
    windows = text_windows(reader, TEXT, window=32)
    assert [window.shape for window in windows] == [(1, 32), (1, 32), (1, 20)]
    read = [window[0].tolist() for window in windows]
    assert all((one[0], one[-1]) == (1, 2) for one in read)
    assert "".join(chr(token) for one in read for token in one[1:-1]) == TEXT
    shorter = text_windows(reader, TEXT, tokens=40, window=32)
    assert sum(window.shape[1] - 2 for window in shorter) == 40
    assert text_windows(reader, TEXT)[0].shape == (1, 64)


def test_windows_that_cannot_be(reader: LoadedModel) -> None:
    with pytest.raises(DataError, match="The text has 9 tokens, fewer than one window of 32"):
        text_windows(reader, TEXT[:9], window=32)
    with pytest.raises(UsageError, match="65 tokens, but reader takes at most 64"):
        text_windows(reader, TEXT, window=65)
    with pytest.raises(UsageError, match="18 tokens at least"):
        text_windows(reader, TEXT, window=17)
    with pytest.raises(UsageError, match="31 tokens in windows of 32"):
        text_windows(reader, TEXT, tokens=31, window=32)
    with pytest.raises(DataError, match="has no tokenizer"):
        text_windows(replace(reader, tokenizer=None), TEXT)


def test_activations_are_what_the_layers_are_given(reader: LoadedModel) -> None:
    windows = text_windows(reader, TEXT, window=32)
    seen = torch.cat([reader.module.embed(window).reshape(-1) for window in windows]).detach()
    steps = []
    found = profile_activations(
        reader,
        windows,
        activation_layers(reader),
        progress=lambda done, total, _: steps.append((done, total)),
    )
    assert (found.tokens, found.unused, found.failures) == (84, ("unused",), ())
    assert steps == [(1, 3), (2, 3), (3, 3)]
    first, second, relu = (layer.tensor for layer in found.layers)
    expected = profile_tensor(seen, name="first", kind="linear")
    assert first.to_json() == near(replace(expected, role="other"))
    assert second.to_json() == near(
        replace(profile_tensor(seen * 3, name="second", kind="linear"), role="other")
    )
    positive = seen[seen > 0]
    assert (relu.sampled, relu.elements) == (len(positive), len(seen))
    assert relu.nu == pytest.approx(profile_tensor(positive, name="r", kind="linear").nu, rel=1e-9)
    # Nothing stays behind on the model.
    assert not any(module._forward_pre_hooks for module in reader.module.modules())


def test_samples_of_activations_are_seeded(reader: LoadedModel) -> None:
    windows, layers = text_windows(reader, TEXT, window=32), activation_layers(reader)
    one, same, other = (
        profile_activations(reader, windows, layers, cap=100, seed=seed).layers[0].tensor
        for seed in (0, 0, 1)
    )
    assert one == same
    assert one.nu != other.nu
    assert (one.sampled, one.maximum) == (100, other.maximum)


def test_activations_with_nan_name_the_layer(reader: LoadedModel) -> None:
    with torch.no_grad():
        reader.module.embed.weight[ord("q")] = math.nan
    windows = text_windows(reader, TEXT, window=32)
    with pytest.raises(TensorError, match="The input of the layer 'first' holds NaN"):
        profile_activations(reader, windows, activation_layers(reader))
    assert not any(module._forward_pre_hooks for module in reader.module.modules())


def test_layers_without_activations(reader: LoadedModel) -> None:
    with pytest.raises(UsageError, match="Embeddings are given tokens"):
        activation_layers(reader, ["embedding"])
    with pytest.raises(DataError, match="no layer of the kinds asked for, convolution"):
        activation_layers(reader, ["convolution"])


@pytest.fixture
def profile(checkpoint) -> ModelProfile:
    found, _ = checkpoint
    return ModelProfile(
        model="tiny",
        kind="weights",
        layers=tuple(profile_weight(weight, cap=500) for weight in checkpoint_weights(found)),
        cap=500,
        seed=0,
        notes=("A note.",),
        failures=("A failure.",),
        tools={"torch": "9"},
    )


def test_round_trip(profile: ModelProfile, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps(profile.to_json(), allow_nan=False))
    assert load_profile(tmp_path / "p.json") == profile


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "biases"}, "kind is 'biases'; it must be 'weights' or 'activations'"),
        ({"layers": []}, "at least one layer"),
        ({"layers": [{}]}, "layer 1 lacks the key 'name'"),
        ({"model": 7}, "model is 7; it must be a text"),
        ({"cap": -1}, "cap is -1; it must be an integer"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"tokens": True}, "tokens is True"),
        ({"notes": "x"}, "notes must be a list of texts"),
        ({"failures": [1]}, "failures must be a list of texts"),
        ({"quantized": None}, "quantized is None"),
        ({"tools": {"torch": 1}}, "tools must be an object of texts"),
    ],
)
def test_what_is_no_profile(profile: ModelProfile, tmp_path: Path, change, said: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps({**profile.to_json(), **change}))
    with pytest.raises(DataError, match=rf"p\.json.*{said}"):
        load_profile(path)


def test_files_that_are_no_profile(tmp_path: Path) -> None:
    for text in ("", "[" * 10_000, "[]", "nan"):
        (tmp_path / "p.json").write_text(text)
        with pytest.raises(DataError, match=r"p\.json is"):
            load_profile(tmp_path / "p.json")
    with pytest.raises(DataError, match="does not exist"):
        load_profile(tmp_path / "absent")


def test_a_layer_without_outline_is_refused(profile: ModelProfile) -> None:
    record = {**profile.layers[0].to_json(), "outline": None}
    with pytest.raises(DataError, match="it, outline is None"):
        LayerProfile.from_json(record, "it")


def test_the_summary_counts_and_averages(profile: ModelProfile) -> None:
    summaries = {one.group: one for one in summarise(profile)}
    assert list(summaries) == [
        "all",
        "linear",
        "linear attention",
        "linear feed-forward",
        "convolution",
    ]
    whole, attention = summaries["all"], summaries["linear attention"]
    tensors = profile.tensors
    assert (whole.tensors, attention.tensors) == (4, 2)
    assert whole.elements == sum(one.elements for one in tensors)
    assert whole.nu_mean == pytest.approx(sum(one.nu for one in tensors) / 4)
    a, b = (one for one in tensors if one.role == "attention")
    assert attention.nu_spread == pytest.approx(abs(a.nu - b.nu) / 2)
    assert attention.nu_median == pytest.approx((a.nu + b.nu) / 2)
    assert attention.ks_delta_mean == pytest.approx((a.ks_delta + b.ks_delta) / 2)
    positive = [one for one in tensors if one.ks_delta > 0]
    assert 3 <= whole.ks_delta_positive == len(positive)
    assert (whole.minimum, whole.maximum) == (
        min(one.minimum for one in tensors),
        max(one.maximum for one in tensors),
    )
    assert f"for {len(positive)} of 4 tensors of tiny (weights)" in ks_sentence(profile)
    rounded = replace(profile, quantized="weights already quantized in the file (Q4_1)")
    assert "tiny (weights; weights already quantized in the file (Q4_1))" in ks_sentence(rounded)


def test_a_normal_is_told_from_a_t() -> None:
    def of(tensor: torch.Tensor) -> LayerProfile:
        return profile_weight(weight_of(tensor))

    t = of(T4.sample(400, 500, seed=1))
    normal = of(torch.randn(400, 500, generator=torch.Generator().manual_seed(1)))
    assert t.tensor.nu == pytest.approx(4, rel=0.05)
    assert t.tensor.ks_delta > 0.03
    assert normal.tensor.nu > 60
    assert abs(normal.tensor.ks_delta) < 0.002


def test_published_profiles_are_the_files_rows(shared: Path) -> None:
    rows = published_profiles()
    assert (
        published_path("dotzel-profiling").read_bytes()
        == (shared / "facts" / "dotzel_icml2024_profiling.csv").read_bytes()
    )
    assert len(rows) == published_path("dotzel-profiling").read_text().count("\n") - 1
    (resnet,) = (one for one in rows if (one.model, one.kind) == ("ResNet18", "weights"))
    # Table 1: 2.71, subscript 0.69, 0.069.
    assert (resnet.nu_mean, resnet.nu_spread, resnet.ks_delta) == (2.71, 0.69, 0.069)
    assert {one.kind for one in rows} == {"weights", "activations"}


def test_every_figure_of_a_layer_is_in_its_record(profile: ModelProfile) -> None:
    names = {item.name for item in fields(TensorProfile)} | {"outline"}
    assert profile.layers[0].to_json().keys() == names
    assert SimpleNamespace(**profile.layers[0].to_json()).role == "attention"
