import itertools
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import torch
from nibblemac.formats.block_catalog import (
    BITMOD_FP4,
    BLOCK_CATALOG,
    FOUR_OVER_SIX,
    MXFP4,
    NVFP4,
    RAZER_A,
    RAZER_W,
)
from nibblemac.formats.block_format import (
    BlockFormat,
    all_block_formats,
    block_format_of,
    find_block_format,
)
from nibblemac.formats.catalog import CATALOG, E2M1, E2M1_SP, E2M1_SR, INT4, NF4
from nibblemac.formats.dot import dot
from nibblemac.formats.errors import FormatError, UsageError
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.quantizer import quantize
from nibblemac.formats.record import Format
from nibblemac.formats.scale_format import E8M0_EVEN, FP16, find_scale_format

BITS = {
    "MXFP4": 4.25,
    "NVFP4": 4.5,
    "Four-over-six": 4.5,
    "BitMoD-FP4": 4 + 17 / 128,
    "RaZeR-W": 4.5,
    "RaZeR-A": 4.5,
}


def samples(rows: int, length: int, seed: int = 0) -> torch.Tensor:
    generator = np.random.Generator(np.random.PCG64(seed))
    drawn = generator.standard_t(4, (rows, length)) * generator.lognormal(0, 2, (rows, 1))
    return torch.from_numpy(drawn.astype(np.float32))


def e2m1(values: np.ndarray) -> np.ndarray:
    """Return ml_dtypes' E2M1, to which the formats of the OCP and of NVIDIA round."""
    clipped = np.clip(values, -6, 6)
    return clipped.astype(ml_dtypes.float4_e2m1fn).astype(np.float32)


def e4m3(values: np.ndarray) -> np.ndarray:
    kept = np.clip(values, np.float32(2.0**-9), np.float32(448))
    return kept.astype(ml_dtypes.float8_e4m3fn).astype(np.float32)


def nearest_level(values: np.ndarray, levels: list[float]) -> np.ndarray:
    """Return the nearest level, a tie to the lower one, level by level."""
    ordered = sorted(set(levels))
    found = np.full(values.shape, ordered[0])
    for lower, upper in itertools.pairwise(ordered):
        found = np.where(values > (lower + upper) / 2, upper, found)
    return found


def back(tensor: torch.Tensor, known: BlockFormat) -> torch.Tensor:
    return quantize(tensor, known.format, known.spec()).dequantize()


def test_mxfp4_by_the_definition() -> None:
    tensor = samples(64, 32)
    rows = tensor.numpy()
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scale = np.float32(2) ** (np.floor(np.log2(largest)) - 2)
    assert np.array_equal(back(tensor, MXFP4).numpy(), e2m1(rows / scale) * scale)


def nvfp4(rows: np.ndarray, divisor: int, target: int) -> np.ndarray:
    parent = np.float32(np.abs(rows).max() / np.float32(6)) / np.float32(divisor)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scale = e4m3(largest / np.float32(target) / parent) * parent
    return e2m1(rows / scale) * scale


def test_nvfp4_by_the_definition() -> None:
    tensor = samples(64, 16)
    assert np.array_equal(back(tensor, NVFP4).numpy(), nvfp4(tensor.numpy(), 448, 6))


def test_four_over_six_takes_what_errs_less() -> None:
    tensor = samples(256, 16)
    rows = tensor.numpy()
    six, four = nvfp4(rows, 256, 6), nvfp4(rows, 256, 4)
    errors = [((rows - each).astype(float) ** 2).sum(axis=1, keepdims=True) for each in (six, four)]
    expected = np.where(errors[1] < errors[0], four, six)
    assert np.array_equal(back(tensor, FOUR_OVER_SIX).numpy(), expected)
    assert 0 < (errors[1] < errors[0]).sum() < len(rows)


@pytest.mark.parametrize("known", [BITMOD_FP4, RAZER_A, RAZER_W], ids=lambda known: known.name)
def test_specials_are_chosen_per_block(known: BlockFormat) -> None:
    tensor = samples(256, known.block)
    rows = tensor.numpy()
    specials = [5, -5, 8, -8][: 2**known.format.selector_bits]
    whole = np.float32(np.abs(rows).max() / np.float32(6))
    largest = np.abs(rows).max(axis=1, keepdims=True)
    numbers = {
        "FP16": None,
        "E4M3": (448, np.float32(2.0**-9), ml_dtypes.float8_e4m3fn),
        "E3M3": (28, np.float32(2.0**-5), ml_dtypes.float8_e4m3fn),
    }[known.scale_format.name]
    least = np.full((len(rows), 1), np.inf)
    best = np.zeros_like(rows)
    chosen = np.full((len(rows), 1), -1)
    for index, special in enumerate(specials):
        levels = [0.5 * g for g in E2M1.grid] + [special]
        needed = largest / np.float32(max(6, abs(special)))
        if numbers is None:
            scale = needed.astype(np.float16).astype(np.float32)
        else:
            top, bottom, kind = numbers
            parent = whole / np.float32(top)
            # E3M3's numbers are E4M3's between 2**-5 and 28, with steps of 2**-5 below 1/4.
            ratio = np.clip(needed / parent, bottom, np.float32(top))
            coarse = np.round(ratio * 32) / 32 if top == 28 else ratio
            scale = (
                np.where(
                    (ratio < 0.25) & (top == 28), coarse, ratio.astype(kind).astype(np.float32)
                ).astype(np.float32)
                * parent
            )
        tried = nearest_level(rows / scale, levels).astype(np.float32) * scale
        error = ((rows - tried).astype(float) ** 2).sum(axis=1, keepdims=True)
        better = error < least
        least, best = np.where(better, error, least), np.where(better, tried, best)
        chosen = np.where(better, index, chosen)
    quantized = quantize(tensor, known.format, known.spec())
    assert np.array_equal(quantized.dequantize().numpy(), best)
    assert np.array_equal(quantized.codes.numpy() >> 4, np.broadcast_to(chosen, rows.shape))
    assert len(set(chosen.flatten().tolist())) == len(specials)


def test_variants_are_the_formats_with_one_special() -> None:
    for known, others in ((RAZER_A, (E2M1_SP,)), (BITMOD_FP4, (E2M1_SP, None, E2M1_SR))):
        for variant, other in zip(known.format.variants, others, strict=False):
            if other is not None:
                assert variant.levels == other.levels
                assert variant.bits == 4
    assert INT4.variants == (INT4,)
    assert BITMOD_FP4.format.stored_bits == 4
    assert BITMOD_FP4.format.levels[0x18] == Fraction(-5)
    assert BITMOD_FP4.format.levels[0x38] == Fraction(-8)


def test_mse_scales_of_stored_scales_err_no_more_than_absmax() -> None:
    tensor = samples(128, 64)
    for known in BLOCK_CATALOG:
        spec = known.spec(clipping="mse")
        errors = [
            (tensor - quantize(tensor, known.format, s).dequantize()).double().square().sum()
            for s in (spec, known.spec())
        ]
        assert errors[0] <= errors[1]
        scales = quantize(tensor, known.format, spec).scales
        if known.scale_format.name == "E8M0":
            assert torch.equal(torch.frexp(scales).mantissa, torch.full_like(scales, 0.5))


def test_the_best_power_of_two_may_be_above_the_rules() -> None:
    # 7 saturates at 6 with the scale 1 of the FLOOR rule; with 2 every value is a level.
    row = torch.tensor([[8.0, 4.0, 2.0, 7.9] + [0.0] * 28]) * 0.999
    floor, best = (
        quantize(row, MXFP4.format, MXFP4.spec(clipping=clipping)) for clipping in ("absmax", "mse")
    )
    assert (floor.scales.item(), best.scales.item()) == (1, 2)
    tensor = samples(256, 32)
    quantized = quantize(tensor, MXFP4.format, MXFP4.spec(clipping="mse"))
    error = (tensor - quantized.dequantize()).double().square().sum(dim=1)
    exponent = torch.floor(torch.log2(tensor.abs().amax(dim=1, keepdim=True))) - 2
    every = []
    for step in range(-6, 3):
        scale = 2.0 ** (exponent + step)
        back = torch.from_numpy(e2m1((tensor / scale).numpy())) * scale
        every.append((tensor - back).double().square().sum(dim=1))
    assert torch.allclose(error, torch.stack(every).amin(dim=0), rtol=1e-9)


@pytest.mark.parametrize("known", BLOCK_CATALOG, ids=lambda known: known.name)
def test_a_stored_scale_is_one_of_its_numbers(known: BlockFormat) -> None:
    tensor = samples(32, 3 * known.block + 5)
    quantized = quantize(tensor, known.format, known.spec())
    scales, store = quantized.scales.double(), known.scale_format
    if store.parent_target is None:
        assert torch.equal(store.stored(scales), scales)
        return
    levels = {v.largest_level for v in known.format.variants}
    top = (known.targets or (known.format.variants[0].largest_level,))[0]
    parent = (tensor.abs().max() / float(top) / store.parent_target).double()
    assert torch.allclose(store.stored(scales / parent) * parent, scales, rtol=1e-6)
    assert levels


@pytest.mark.parametrize("name", ["UINT4", "UINT6", "UINT8"])
def test_integer_scales_lie_below_a_channels_own(name: str) -> None:
    tensor = samples(8, 256)
    known = find_block_format("INT4", block=16, scale_format=find_scale_format(name))
    scales = quantize(tensor, known.format, known.spec()).scales
    top = 2 ** int(name[4:]) - 1
    channel = (tensor.abs().amax(dim=1, keepdim=True) / 8) / top
    integers = scales / channel
    assert torch.allclose(integers, integers.round(), atol=1e-3)
    assert torch.equal(integers.round().amax(dim=1), torch.full((8,), float(top)))
    assert integers.round().amin() >= 1


def test_channels_follow_the_reduction_axis() -> None:
    tensor = samples(8, 256)
    known = find_block_format("INT4", block=16, scale_format=find_scale_format("UINT4"))
    along = quantize(tensor, known.format, known.spec())
    across = quantize(tensor.T.contiguous(), known.format, known.spec(axis=0))
    assert torch.equal(along.scales, across.scales.T)
    assert torch.equal(along.codes, across.codes.T)


@pytest.mark.parametrize("known", BLOCK_CATALOG, ids=lambda known: known.name)
@pytest.mark.parametrize("value", [0.0, 1e-45, 3e38])
def test_extreme_tensors_stay_finite(known: BlockFormat, value: float) -> None:
    tensor = torch.zeros(4, known.block)
    tensor[1] = value
    quantized = quantize(tensor, known.format, known.spec())
    assert bool(quantized.scales.isfinite().all())
    assert bool((quantized.scales > 0).all())
    assert torch.equal(quantized.dequantize()[0], tensor[0])


@pytest.mark.parametrize("known", BLOCK_CATALOG, ids=lambda known: known.name)
def test_the_hardware_adds_what_the_quantizer_made(known: BlockFormat) -> None:
    weight, activation = known, known.for_activations
    spec = MacSpec(weight=weight.format, activation=activation.format, terms=16)
    length = 16
    rows = samples(8, length)
    coded = quantize(rows, weight.format, weight.spec())
    other = quantize(samples(8, length, seed=1), activation.format, activation.spec())
    for row in range(8):
        got = dot(spec, coded.codes[row], other.codes[row])
        expected = (coded.levels()[row].double() * other.levels()[row].double()).sum()
        assert float(int(got) * spec.unit) == expected.item()


def test_bits_per_element() -> None:
    assert {known.name: known.bits_per_element for known in BLOCK_CATALOG} == BITS
    assert find_block_format("INT4").bits_per_element == 4.125
    assert find_block_format("NF4", block=64).bits_per_element == 4.25


def test_every_name_is_found_and_has_one_block_format() -> None:
    everything = all_block_formats()
    assert [known.name for known in everything[: len(CATALOG)]] == [f.name for f in CATALOG]
    assert everything[len(CATALOG) :] == BLOCK_CATALOG
    for known in everything:
        assert find_block_format(known.name.upper()) == known
        assert block_format_of(known.format) == known
    assert NVFP4.for_activations is NVFP4
    assert RAZER_W.for_activations is RAZER_A


def test_blocks_and_scales_may_be_others() -> None:
    changed = find_block_format("MXFP4", block=16, scale_format=E8M0_EVEN)
    assert (changed.block, changed.scale_format.name) == (16, "E8M0-even")
    assert changed.spec(block=8).block == 8
    assert find_block_format("NF4").scale_format == FP16
    with pytest.raises(UsageError, match="block is 0"):
        find_block_format("NF4", block=0)
    with pytest.raises(FormatError, match="Did you mean NVFP4"):
        find_block_format("NVPF4")
    with pytest.raises(UsageError, match="no bit for a sign"):
        find_block_format("INT4", scale_format=E8M0_EVEN).spec(signed=True)


def test_selector_bits_survive_json_and_change_the_digest() -> None:
    known = RAZER_W.format
    assert Format.from_json(known.to_json()) == known
    plain = Format.from_json({**known.to_json(), "selector_bits": 0})
    assert plain.digest != known.digest
    assert "selector_bits" not in NF4.to_json()


@pytest.mark.parametrize("selector", [-1, 5, 6, 1.0, True, "2"])
def test_selector_bits_that_no_format_has(selector: object) -> None:
    record = {**RAZER_W.format.to_json(), "selector_bits": selector}
    with pytest.raises(FormatError, match="selector_bits"):
        Format.from_json(record)
