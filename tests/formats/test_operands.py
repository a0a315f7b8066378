import numpy as np
import pytest
import torch
from nibblemac.formats.errors import TensorError, UsageError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.operands import sampled_operands, tensor_operands
from nibblemac.formats.quantizer import quantize
from nibblemac.formats.scale import ScaleSpec

BLOCKS = ScaleSpec(granularity="block", block=128)


def mac(name="INT4", terms=256):
    one = find_format(name)
    return MacSpec(weight=one, activation=one, terms=terms)


def test_same_seed_same_codes():
    one, again = sampled_operands(mac(), lanes=4), sampled_operands(mac(), lanes=4)
    other = sampled_operands(mac(), lanes=4, seed=2)
    assert one.digest == again.digest != other.digest
    assert (one.lanes, one.terms) == (4, 256)
    assert "t(5)" in one.description
    assert "256 terms, seed 1" in one.description
    assert not torch.equal(one.weight, one.activation)


def test_codes_are_the_quantizers():
    """The samples are the same for all formats, drawn here a second time."""
    drawn = np.random.Generator(np.random.PCG64(1)).standard_t(5, (6, 256)).astype(np.float32)
    for name in ("INT4", "E2M1", "NF4"):
        operands = sampled_operands(mac(name), lanes=3)
        expected = quantize(torch.from_numpy(drawn), find_format(name), BLOCKS).codes
        assert torch.equal(operands.weight, expected[:3])
        assert torch.equal(operands.activation, expected[3:])


def test_sums_are_plain_integers():
    spec = mac("E2M1+SP", terms=9)
    operands = sampled_operands(spec, lanes=5, nu=None)
    assert "normal" in operands.description
    for weights, activations, sums in zip(
        operands.weight.tolist(),
        operands.activation.tolist(),
        operands.sums(spec).tolist(),
        strict=True,
    ):
        total = 0
        for weight, activation, found in zip(weights, activations, sums, strict=True):
            total += spec.product(weight, activation)
            assert found == total


def test_tensors_keep_their_reduction_axis():
    """Element k of a row is k's code in both, so that places can be read off the codes."""
    spec = MacSpec(weight=find_format("INT8"), activation=find_format("INT8"), terms=128)
    row = torch.arange(-127, 128).float()
    row = torch.cat([row, row[:129]])  # 384 = three blocks, each with its own largest magnitude
    operands = tensor_operands(spec, row.expand(7, 384), row.expand(2, 3, 384), lanes=50)
    assert torch.equal(operands.weight, operands.activation)
    blocks = quantize(row, find_format("INT8"), BLOCKS).codes.reshape(3, 128)
    found = {tuple(codes) for codes in operands.weight.tolist()}
    assert found == {tuple(codes) for codes in blocks.tolist()}
    assert "the user's activations" in operands.description


def test_tensors_without_activations_and_of_other_types():
    weight = torch.randn(3, 300, dtype=torch.bfloat16, generator=torch.Generator().manual_seed(1))
    operands = tensor_operands(mac(), weight, lanes=9, name="layer.3")
    assert operands.digest == tensor_operands(mac(), weight, lanes=9).digest
    assert operands.digest != tensor_operands(mac(), weight, lanes=9, seed=2).digest
    assert "weights from layer.3, activations from t(5)" in operands.description
    assert operands.weight.shape == operands.activation.shape == (9, 256)


@pytest.mark.parametrize(
    ("weight", "activation", "message"),
    [
        (torch.ones(3, 255), None, "at least 256 elements"),
        (torch.ones(0, 256), None, "the shape"),
        (torch.tensor(1.0), None, "the shape"),
        (torch.ones(3, 256, dtype=torch.int8), None, "no floating-point"),
        ([1.0], None, "no floating-point"),
        (torch.full((3, 256), torch.nan), None, "nan"),
        (torch.ones(3, 256), torch.ones(3, 512), "the same reduction axis"),
        (torch.ones(3, 256), torch.ones(3, 25), "activation tensor has the shape"),
    ],
)
def test_other_tensors_are_refused(weight, activation, message):
    with pytest.raises(TensorError, match=message):
        tensor_operands(mac(), weight, activation, lanes=4)


def test_other_sizes_are_refused():
    for lanes in (0, -1, True, 1.5, "4"):
        with pytest.raises(UsageError, match="lanes is"):
            sampled_operands(mac(), lanes=lanes)
    with pytest.raises(UsageError, match="at most 4194304"):
        sampled_operands(mac(), lanes=2**15)
    with pytest.raises(UsageError, match="degrees of freedom"):
        sampled_operands(mac(), nu=1.0)
