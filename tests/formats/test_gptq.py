"""GPTQ against nearest rounding, against its definition, and over a model."""

import pytest
import torch
from nibblemac.formats.block_format import find_block_format
from nibblemac.formats.models.calibration import collecting
from nibblemac.formats.models.gptq import DAMPING, gptq
from nibblemac.formats.models.gptq_model import gptq_model
from nibblemac.formats.models.layers import model_layers
from nibblemac.formats.models.loading import load_model
from nibblemac.formats.models.method import Method
from nibblemac.formats.models.prediction import Predictor
from nibblemac.formats.models.text import token_ids
from nibblemac.formats.quantizer import quantize
from nibblemac.formats.scale import Granularity, ScaleSpec
from torch import Tensor

FORMATS = ("INT3", "INT4", "E2M1+SP", "NF4", "SF4", "MXFP4", "NVFP4", "Four-over-six", "BitMoD-FP4")
FORMATS += ("RaZeR-W",)


def correlated(tokens: int, inputs: int) -> Tensor:
    """Inputs as layers have them: strongly correlated, some far larger than others."""
    mixing = torch.randn(inputs, inputs) * torch.linspace(0.1, 3, inputs)
    return torch.randn(tokens, inputs) @ mixing


def hessian_of(x: Tensor) -> Tensor:
    return 2 * (x.t() @ x).double() / len(x)


@pytest.mark.parametrize("block", [None, 20])
@pytest.mark.parametrize("name", FORMATS)
def test_a_diagonal_hessian_gives_nearest_rounding(name, block):
    torch.manual_seed(3)
    matrix = torch.randn(5, 150)
    item = find_block_format(name, block=block)
    quick = block and not item.format.selector_bits
    spec = item.spec(clipping="mse" if quick else "absmax")
    hessian = torch.diag(torch.rand(150, dtype=torch.float64) + 0.1)
    expected = quantize(matrix, item.format, spec).dequantize()
    assert torch.equal(gptq(matrix, hessian, item.format, spec), expected)


@pytest.mark.parametrize("name", FORMATS)
def test_the_output_errs_less_than_with_nearest_rounding(name):
    torch.manual_seed(5)
    x, matrix = correlated(400, 128), torch.randn(24, 128)
    item = find_block_format(name, block=64)
    nearest = quantize(matrix, item.format, item.spec()).dequantize()
    found = gptq(matrix, hessian_of(x), item.format, item.spec())
    error = (x @ (found - matrix).t()).square().sum()
    assert error < 0.9 * (x @ (nearest - matrix).t()).square().sum()
    # What is gained at the output is paid for at the weights.
    assert (found - matrix).square().sum() > (nearest - matrix).square().sum()


def by_definition(matrix: Tensor, hessian: Tensor, item: object, block: int) -> Tensor:
    """Optimal brain quantization in the columns' order, with the inverse Hessian of what is left.

    Frantar et al., equations 2 and 3: after column i, H⁻¹ loses its row and column by Gaussian
    elimination, and all columns that are left take up the error.
    """
    work = matrix.double().clone()
    size = len(hessian)
    damped = hessian + DAMPING * hessian.diagonal().mean() * torch.eye(size)
    inverse = damped.inverse()
    result = torch.empty_like(work)
    per_row = ScaleSpec(granularity=Granularity.CHANNEL)
    for i in range(size):
        if i % block == 0:
            part = quantize(work[:, i : i + block], item.format, per_row)
            scales = part.scales[:, 0]
            levels = torch.tensor(
                [float(level) for level in item.format.levels], dtype=torch.float64
            )
        distance = (work[:, i, None] - levels * scales[:, None]).abs()
        result[:, i] = levels[distance.argmin(dim=1)] * scales
        error = (work[:, i] - result[:, i]) / inverse[i, i]
        work -= error[:, None] * inverse[i]
        inverse = inverse - torch.outer(inverse[:, i], inverse[i]) / inverse[i, i]
    return result


@pytest.mark.parametrize("block", [16, 40, 200])
@pytest.mark.parametrize("name", ["INT4", "NF4", "E2M1+SR"])
def test_it_is_the_papers_algorithm(name, block):
    torch.manual_seed(11)
    x, matrix = correlated(600, 200), torch.randn(6, 200).double()
    item = find_block_format(name)
    spec = ScaleSpec(granularity=Granularity.BLOCK, block=block)
    expected = by_definition(matrix, hessian_of(x), item, block)
    found = gptq(matrix, hessian_of(x), item.format, spec)
    # Rounding in the arithmetic may send a value half-way between two levels elsewhere.
    same = torch.isclose(found, expected, rtol=1e-9, atol=0).double().mean()
    assert same > 0.995
    loss = [float((x.double() @ (w - matrix).t()).square().sum()) for w in (found, expected)]
    assert loss[0] == pytest.approx(loss[1], rel=0.02)


def test_idle_inputs_get_no_weight():
    torch.manual_seed(1)
    x = correlated(100, 32)
    x[:, 5] = 0
    item = find_block_format("INT4")
    found = gptq(torch.randn(4, 32), hessian_of(x), item.format, item.spec())
    assert not found[:, 5].any()
    assert found[:, 6].any()


@pytest.mark.parametrize("tokens", [1, 3])
def test_fewer_tokens_than_inputs(tokens):
    torch.manual_seed(1)
    x, matrix = correlated(tokens, 64), torch.randn(5, 64)
    item = find_block_format("NF4")
    found = gptq(matrix, hessian_of(x), item.format, item.spec())
    assert found.isfinite().all()
    nearest = quantize(matrix, item.format, item.spec()).dequantize()
    loss = [(x @ (w - matrix).t()).square().sum() for w in (found, nearest)]
    assert loss[0] < loss[1]


def test_a_hessian_that_cannot_be_factored_as_it_is():
    torch.manual_seed(2)
    direction = torch.randn(48, 1, dtype=torch.float64)
    hessian = 1e12 * direction @ direction.t() - 1e9 * torch.eye(48, dtype=torch.float64)
    hessian.diagonal().abs_()
    item = find_block_format("INT4")
    found = gptq(torch.randn(3, 48), hessian, item.format, item.spec())
    assert found.isfinite().all()


@pytest.mark.parametrize("name", ["INT4", "RaZeR-W", "MXFP4"])
def test_each_block_has_its_format_s_levels(name):
    torch.manual_seed(9)
    x, matrix = correlated(300, 96), torch.randn(8, 96)
    item = find_block_format(name, block=32)
    found = gptq(matrix, hessian_of(x), item.format, item.spec())
    for rows in found.reshape(-1, 32):
        # Some variant and some scale explain every value of the block.
        magnitudes = rows[rows != 0].abs()
        explained = False
        for variant in item.format.variants:
            levels = torch.tensor([float(v) for v in variant.levels])
            for level in levels[levels != 0].abs().unique():
                scaled = rows / (magnitudes.max() / level)
                near = (scaled[:, None] - levels).abs().amin(dim=1).max()
                explained |= bool(near < 1e-4)
        assert explained


@pytest.fixture
def llama(tiny_models):
    model = load_model(tiny_models / "llama", device="cpu")
    text = (tiny_models / "text.txt").read_text()
    return model, token_ids(model, text)[:768].view(8, 96)


def quantized(model, ids, name, **options):
    """Quantize in place; return the layers, what their weights were, and the predictor."""
    predictor = Predictor(model)
    method = Method(gptq=True, block=32, **options)
    layers = method.choose(model_layers(model.module))
    before = {one.name: one.matrix().clone() for one in layers}
    from nibblemac.formats.models.calibration import Calibration

    @torch.no_grad()
    def run() -> None:
        predictor.calibrate(ids, layers)

    ticks: list[int] = []
    calibration = Calibration(module=model.module, run=run)
    gptq_model(layers, find_block_format(name), method, calibration, lambda: ticks.append(1))
    assert len(ticks) == len(layers)
    return layers, before, predictor


def test_each_layer_is_quantized_on_what_the_quantized_layers_before_it_give(llama):
    model, ids = llama
    layers, before, predictor = quantized(model, ids, "INT4")
    method = Method(gptq=True, block=32)
    item = find_block_format("INT4")
    # The blocks before a layer are as they will stay, its own block as it was.
    for block in range(2):
        own = [one for one in layers if f"layers.{block}." in one.name]
        final = {one.name: one.matrix().clone() for one in own}
        for one in own:
            one.put(before[one.name])
        with torch.no_grad(), collecting(own, hessian=True) as seen:
            predictor.states(ids)
        assert sorted(len(inputs.layers) for inputs in seen.found()) == [1, 1, 2, 3]
        for inputs in seen.found():
            assert inputs.tokens == ids.numel()
            for one in inputs.layers:
                spec = method.weight_spec(item)
                expected = gptq(before[one.name], inputs.hessian, item.format, spec)
                assert torch.equal(final[one.name], expected)
        for one in own:
            one.put(final[one.name])


@pytest.mark.parametrize("name", ["INT4", "NF4", "NVFP4"])
def test_a_model_predicts_better_than_with_nearest_rounding(llama, name):
    model, ids = llama
    predictor = Predictor(model)
    with torch.no_grad():
        clean = predictor.states(ids)
        layers, before, _ = quantized(model, ids, name)
        with_feedback = (predictor.states(ids) - clean).square().sum()
        spec, item = Method(block=32).weight_spec(find_block_format(name)), find_block_format(name)
        for one in layers:
            one.put(quantize(before[one.name], item.format, spec).dequantize())
        nearest = (predictor.states(ids) - clean).square().sum()
    assert with_feedback < 0.8 * nearest


def test_the_head_and_embeddings_where_they_are_asked_for(llama):
    model, ids = llama
    layers, before, _ = quantized(model, ids, "INT4", layers=("head", "embedding"))
    item = find_block_format("INT4")
    spec = Method(block=32).weight_spec(item)
    found = {one.kind: one for one in layers}
    nearest = {
        one.kind: quantize(before[one.name], item.format, spec).dequantize() for one in layers
    }
    assert torch.equal(found["embedding"].matrix(), nearest["embedding"])
    assert not torch.equal(found["linear"].matrix(), nearest["linear"])
    assert "forward" not in vars(model.module.lm_head)


def test_padding_does_not_count(tiny_models):
    from nibblemac.formats.models.embedding import EncoderScorer

    model = load_model(tiny_models / "bert", device="cpu")
    layers = Method().choose(model_layers(model.module))
    short, long = [5, 6, 7, 8], list(range(9, 40))
    calibration = EncoderScorer(model, [short]).calibration([short, long])
    with collecting(layers, hessian=True, mask=calibration.mask) as seen:
        calibration.run()
    padded = {inputs.layers[0].name: inputs for inputs in seen.found()}
    alone: dict[str, Tensor] = {}
    for one in (short, long):
        single = EncoderScorer(model, [one]).calibration([one])
        with collecting(layers, hessian=True) as seen:
            single.run()
        for inputs in seen.found():
            total = inputs.hessian * inputs.tokens
            name = inputs.layers[0].name
            alone[name] = alone.get(name, torch.zeros_like(total)) + total
    assert padded
    for name, inputs in padded.items():
        assert inputs.tokens == 35
        torch.testing.assert_close(inputs.hessian * 35, alone[name], rtol=1e-3, atol=1e-3)
