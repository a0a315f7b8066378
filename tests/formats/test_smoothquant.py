"""SmoothQuant: factors as in the paper, a function that stays, outliers that shrink."""

import pytest
import torch
from nibblemac.formats.block_format import find_block_format
from nibblemac.formats.models.calibration import collecting
from nibblemac.formats.models.layers import model_layers
from nibblemac.formats.models.loading import load_model
from nibblemac.formats.models.method import Method
from nibblemac.formats.models.quantized_layer import quantized_inputs
from nibblemac.formats.models.smoothquant import smooth, smoothed_inputs, smoothing_factors
from torch import nn


@pytest.mark.parametrize("strength", [0.0, 0.25, 0.5, 1.0])
def test_factors_by_the_formula(strength):
    largest = torch.tensor([4.0, 9.0, 0.01])
    query = torch.tensor([[1.0, -2.0, 0.5], [0.5, 1.0, 0.25]])
    key = torch.tensor([[-3.0, 0.1, 0.1]])
    weights = (3.0, 2.0, 0.5)
    expected = [x**strength / w ** (1 - strength) for x, w in zip(largest, weights, strict=True)]
    found = smoothing_factors(largest, [query, key], strength)
    torch.testing.assert_close(found, torch.tensor([float(s) for s in expected]))


def test_idle_inputs_and_weights_divide_by_nothing():
    found = smoothing_factors(torch.tensor([0.0, 1.0]), [torch.tensor([[1.0, 0.0]])], 0.5)
    assert found.tolist() == pytest.approx([1e-5, 1e-5**-0.5])


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert"])
def test_the_unquantized_function_stays(tiny_models, name):
    model = load_model(tiny_models / name, device="cpu")
    layers = Method().choose(model_layers(model.module))
    ids = torch.arange(60).view(3, 20) % 250
    with torch.no_grad():
        before = model.module(input_ids=ids)[0]
        with collecting(layers, hessian=False) as seen:
            model.module(input_ids=ids)
        weights = {one.name: one.matrix().clone() for one in layers}
        factors = smooth(seen.found(), 0.5)
        assert set(factors) == {one.name for one in layers}
        with smoothed_inputs(layers, factors):
            after = model.module(input_ids=ids)[0]
        changed = model.module(input_ids=ids)[0]
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(changed, before, rtol=1e-2, atol=1e-2)
    for one in layers:
        assert torch.equal(one.matrix(), weights[one.name] * factors[one.name])


def test_layers_with_the_same_input_have_the_same_factors(tiny_models):
    model = load_model(tiny_models / "llama", device="cpu")
    layers = Method().choose(model_layers(model.module))
    with torch.no_grad(), collecting(layers, hessian=False) as seen:
        model.module(input_ids=torch.arange(40)[None])
        model.module(input_ids=torch.arange(100, 140)[None])
    shared = [sorted(one.name.split(".")[-1] for one in inputs.layers) for inputs in seen.found()]
    attention = ["k_proj", "q_proj", "v_proj"]
    assert shared == 2 * [attention, ["o_proj"], ["gate_proj", "up_proj"], ["down_proj"]]
    assert all(inputs.tokens == 80 for inputs in seen.found())


def test_the_largest_magnitudes_over_all_runs_count():
    module = nn.Linear(3, 2)
    layers = model_layers(nn.Sequential(module))
    with collecting(layers, hessian=False) as seen:
        module(torch.tensor([[[1.0, -5.0, 0.0]]]))
        module(torch.tensor([[-2.0, 3.0, 0.0]]))
    (inputs,) = seen.found()
    assert inputs.largest.tolist() == [2.0, 5.0, 0.0]
    assert inputs.tokens == 2


def test_outliers_of_activations_cost_less():
    """One channel in 64 is a hundred times larger: what SmoothQuant is for."""
    torch.manual_seed(0)
    module = nn.Linear(64, 32, bias=False).requires_grad_(False)
    x = torch.randn(200, 64)
    x[:, 7] *= 100
    layers = model_layers(nn.Sequential(module))
    item, method = find_block_format("INT4", block=64), Method(setting="W4A4", block=64)
    exact = module(x)

    def error() -> float:
        with quantized_inputs(layers, item, method):
            return float((module(x) - exact).square().mean())

    plain = error()
    with collecting(layers, hessian=False) as seen:
        module(x)
    with smoothed_inputs(layers, smooth(seen.found(), 0.5)):
        assert error() < 0.7 * plain
