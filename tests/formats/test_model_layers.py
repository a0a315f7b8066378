"""Layers of models, their weights as matrices, and what happens to their inputs."""

import pytest
import torch
from nibblemac.formats.block_format import find_block_format
from nibblemac.formats.errors import DataError, FormatError, UsageError
from nibblemac.formats.models.hooks import Remembered, input_axis, on_inputs
from nibblemac.formats.models.layers import (
    Layer,
    check_kinds,
    kind_of_tensor,
    model_layers,
    role_of,
    select_layers,
)
from nibblemac.formats.models.loading import load_model
from nibblemac.formats.models.mapped import KeptWeights
from nibblemac.formats.models.method import Method
from nibblemac.formats.models.quantized_layer import Bench, quantized_inputs
from nibblemac.formats.quantizer import quantize
from nibblemac.formats.scale import ScaleSpec
from torch import nn


def named(layers: tuple[Layer, ...]) -> dict[str, Layer]:
    return {layer.name: layer for layer in layers}


def test_kinds_and_roles_of_a_llama(tiny_models):
    layers = named(model_layers(load_model(tiny_models / "llama", device="cpu").module))
    assert len(layers) == 2 * 7 + 2
    roles = {name.removeprefix("model.layers.0."): one.role for name, one in layers.items()}
    assert roles["self_attn.q_proj"] == roles["self_attn.o_proj"] == "attention"
    assert roles["mlp.gate_proj"] == roles["mlp.down_proj"] == "feed-forward"
    assert layers["lm_head"].role == "head"
    assert layers["model.embed_tokens"].kind == "embedding"


def test_kinds_and_roles_of_a_bert(tiny_models):
    layers = named(model_layers(load_model(tiny_models / "bert", device="cpu").module))
    roles = {name.removeprefix("encoder.layer.0."): one.role for name, one in layers.items()}
    assert roles["attention.self.query"] == roles["attention.output.dense"] == "attention"
    assert roles["intermediate.dense"] == roles["output.dense"] == "feed-forward"
    assert roles["pooler.dense"] == "head"
    assert roles["embeddings.word_embeddings"] == "other"


def test_conv1d_sums_along_the_matrix_last_axis(tiny_models):
    layers = model_layers(load_model(tiny_models / "gpt2", device="cpu").module)
    conv = named(layers)["transformer.h.0.attn.c_attn"]
    assert (conv.kind, conv.transposed) == ("linear", True)
    assert conv.matrix().shape == (3 * 48, 48)
    x = torch.randn(5, 48)
    expected = x @ conv.matrix().t() + conv.module.bias
    torch.testing.assert_close(conv.module(x), expected)


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(6, 4),
        nn.Conv1d(6, 4, 3),
        nn.Conv2d(6, 4, (3, 2)),
        nn.Embedding(9, 6),
    ],
    ids=lambda module: type(module).__name__,
)
def test_a_weight_that_is_put_back_is_the_same(module):
    (layer,) = model_layers(nn.Sequential(module))
    before = layer.weight.detach().clone()
    matrix = layer.matrix().clone()
    assert matrix.shape == (before.shape[0], before[0].numel())
    layer.put(torch.zeros_like(matrix))
    assert not layer.weight.any()
    layer.put(matrix)
    assert torch.equal(layer.weight, before)


def test_the_head_is_what_makes_the_output_whatever_it_is_called():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.out = nn.Linear(3, 3), nn.Linear(3, 2)

        def get_output_embeddings(self) -> nn.Module:
            return self.out

    assert [one.role for one in model_layers(Model())] == ["other", "head"]


@pytest.mark.parametrize(
    ("name", "shape", "kind", "role"),
    [
        ("model.layers.3.self_attn.k_proj.weight", (8, 8), "linear", "attention"),
        ("transformer.h.0.mlp.c_fc.weight", (8, 8), "linear", "feed-forward"),
        ("model.embed_tokens.weight", (100, 8), "embedding", "other"),
        ("transformer.wte.weight", (100, 8), "embedding", "other"),
        ("conv1.weight", (8, 3, 3, 3), "convolution", "other"),
        ("lm_head.weight", (100, 8), "linear", "head"),
        ("model.norm.weight", (8,), None, "other"),
        ("fc1.bias", (8,), None, "feed-forward"),
    ],
)
def test_what_a_tensor_in_a_file_is(name, shape, kind, role):
    assert kind_of_tensor(name, shape) == kind
    assert role_of(name.rsplit(".", 1)[0]) == role


def test_an_unknown_layer_kind_is_refused_with_the_kinds():
    with pytest.raises(UsageError, match=r"'foo' is unknown.*linear.*head or other"):
        check_kinds(["linear", "foo"])
    with pytest.raises(DataError, match="no layer of the kinds convolution"):
        select_layers(model_layers(nn.Sequential(nn.Linear(2, 2))), ["convolution"])


def test_steps_run_in_order_and_end_with_their_context():
    module = nn.Linear(1, 1)
    layers = model_layers(nn.Sequential(module))
    seen = []
    one = torch.ones(1, 1)
    with (
        on_inputs(layers, lambda _, values: values + 1),
        on_inputs(layers, lambda _, values: seen.append(float(values)) or values * 10),
    ):
        got = module(one)
    assert seen == [2.0]
    torch.testing.assert_close(got, module(torch.full((1, 1), 20.0)))
    assert seen == [2.0]


def test_layers_that_share_an_input_share_the_work():
    calls = []
    once = Remembered(lambda values, key: calls.append(key) or values + 1)
    x, key = torch.zeros(3), object()
    first = once(x, key)
    assert once(x, key) is first
    assert once(x, None) is not first
    assert len(calls) == 2
    x += 1  # the same tensor with other values
    assert torch.equal(once(x, None), torch.full((3,), 2.0))
    assert len(calls) == 3


def method(**options: object) -> Method:
    return Method(block=16, **options)


@pytest.mark.parametrize("name", ["INT4", "NF4", "E2M1+SP"])
@pytest.mark.parametrize(("setting", "stored"), [("W4A4", None), ("W4A8", "INT8")])
def test_inputs_are_quantized_token_by_token_along_the_features(name, setting, stored):
    torch.manual_seed(0)
    item = find_block_format(name, block=16)
    module = nn.Linear(40, 3)
    x = torch.randn(2, 5, 40)
    inputs = find_block_format(stored, block=16) if stored else item
    expected = torch.stack(
        [
            torch.stack(
                [quantize(t, inputs.format, inputs.spec(axis=0)).dequantize() for t in rows]
            )
            for rows in x
        ]
    )
    layers = model_layers(nn.Sequential(module))
    with quantized_inputs(layers, item, method(setting=setting)):
        got = module(x)
    torch.testing.assert_close(got, module(expected))
    assert not torch.equal(got, module(x))


def test_inputs_of_a_convolution_are_quantized_along_the_channels():
    torch.manual_seed(0)
    item = find_block_format("INT4", block=16)
    module = nn.Conv2d(16, 3, 3)
    (layer,) = model_layers(nn.Sequential(module))
    assert input_axis(layer) == -3
    x = torch.randn(2, 16, 5, 6)
    pixels = x.permute(0, 2, 3, 1).reshape(-1, 16)
    coded = quantize(pixels, item.format, item.spec(axis=1)).dequantize()
    expected = coded.reshape(2, 5, 6, 16).permute(0, 3, 1, 2)
    with quantized_inputs([layer], item, method(setting="W4A4")):
        torch.testing.assert_close(module(x), torch.conv2d(expected, module.weight, module.bias))


def test_weight_only_leaves_inputs_alone():
    module = nn.Linear(8, 3)
    x = torch.randn(2, 8)
    with quantized_inputs(model_layers(nn.Sequential(module)), find_block_format("INT4"), method()):
        assert torch.equal(module(x), nn.functional.linear(x, module.weight, module.bias))


@pytest.mark.parametrize("name", ["INT4", "SF4", "MXFP4", "NVFP4", "RaZeR-W"])
def test_weights_are_the_quantizer_s_and_come_back(name, tmp_path):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(40, 6), nn.ReLU(), nn.Linear(6, 3)).requires_grad_(False)
    layers = model_layers(model)
    before = [layer.weight.clone() for layer in layers]
    kept = KeptWeights(tmp_path, {one.name: one.matrix() for one in layers})
    item = find_block_format(name)
    ticks = []
    bench = Bench(layers=layers, kept=kept, method=Method())
    with bench.quantized(item, lambda: ticks.append(1)):
        for layer, weight in zip(layers, before, strict=True):
            expected = quantize(weight, item.format, item.spec()).dequantize()
            assert torch.equal(layer.weight, expected)
    assert len(ticks) == 2
    for layer, weight in zip(layers, before, strict=True):
        assert torch.equal(layer.weight, weight)


def test_weights_come_back_after_an_interruption(tmp_path):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).requires_grad_(False)
    layers = model_layers(model)
    before = layers[0].weight.clone()
    kept = KeptWeights(tmp_path, {one.name: one.matrix() for one in layers})

    def stop() -> None:
        raise KeyboardInterrupt

    bench = Bench(layers=layers, kept=kept, method=Method())
    with pytest.raises(KeyboardInterrupt), bench.quantized(find_block_format("INT3"), stop):
        pytest.fail("the context was entered")
    assert torch.equal(layers[0].weight, before)
    assert list(tmp_path.iterdir()) == []


def test_the_setting_s_layers(tiny_models):
    layers = model_layers(load_model(tiny_models / "llama", device="cpu").module)
    chosen = Method().choose(layers)
    assert len(chosen) == 14
    assert "lm_head" not in named(chosen)
    assert len(Method(layers=("attention",)).choose(layers)) == 8
    assert set(named(Method(layers=("head", "embedding")).choose(layers))) == {
        "lm_head",
        "model.embed_tokens",
    }


def test_what_a_method_is_called():
    text = Method(setting="W4A4", block=32, scaling="mse", smoothquant=0.5).description
    assert text == (
        "W4A4, block 32, mse scales, SmoothQuant 0.5, RTN; embeddings and head unquantized"
    )
    assert Method(gptq=True, layers=("linear",)).description == (
        "weight-only, block 128 or the format's own, absmax scales, GPTQ; linear layers only"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"setting": "W8A8"}, "The setting 'W8A8' is unknown"),
        ({"scaling": "best"}, "The scaling 'best' is unknown"),
        ({"block": 0}, "The block is 0"),
        ({"smoothquant": 1.5}, "migration strength is 1.5"),
        ({"smoothquant": float("nan")}, "migration strength is nan"),
        ({"layers": ("foo",)}, "The layer kind 'foo' is unknown"),
    ],
)
def test_methods_that_mean_nothing_are_refused(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        Method(**options)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("E2M1", {"scaling": "signed"}, "E2M1 cannot have signed scales: its largest levels"),
        ("NVFP4", {"scaling": "signed"}, "NVFP4 cannot have signed scales"),
    ],
)
def test_formats_that_cannot_hold_the_setting(name, options, sentence):
    with pytest.raises(FormatError, match=sentence):
        Method(**options).check(find_block_format(name))


def test_a_format_without_zero_cannot_hold_activations():
    from dataclasses import replace

    from nibblemac.formats.block_format import BlockFormat

    int4 = find_block_format("INT4").format
    odd = replace(int4, name="ODD", grid=tuple(range(-15, 16, 2)))
    item = BlockFormat(format=odd)
    Method().check(item)
    Method(setting="W4A8").check(item)
    with pytest.raises(FormatError, match="ODD cannot hold the setting W4A4: it has no zero"):
        Method(setting="W4A4").check(item)


def test_signed_scales_are_used_for_weights_and_inputs():
    way = Method(setting="W4A4", scaling="signed")
    item = find_block_format("INT4")
    way.check(item)
    assert way.weight_spec(item).signed
    assert way.activation_spec(way.activation(item)).signed
    assert way.weight_spec(item) == ScaleSpec(
        granularity="block", block=128, signed=True, scale_format=item.scale_format
    )


def test_a_format_s_own_activations_are_used():
    way = Method(setting="W4A4")
    assert way.activation(find_block_format("RaZeR-W")).name == "RaZeR-A"
    assert Method(setting="W4A8").activation(find_block_format("MXFP4")).block == 32
    assert Method(setting="W4A4", block=64).activation(find_block_format("MXFP4")).block == 64
