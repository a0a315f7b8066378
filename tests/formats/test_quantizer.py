"""The quantizer: scales, blocks of any length, signs, edge magnitudes, errors, round trips."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.block_format import find_block_format
from nibblemac.formats.blocks import BlockLayout
from nibblemac.formats.catalog import CATALOG, E2M1, E2M1_SR, INT4, INT5, INT8, NF4, SF4
from nibblemac.formats.errors import FormatError, TensorError, UsageError
from nibblemac.formats.packing import unpack_codes
from nibblemac.formats.quantizer import quantize
from nibblemac.formats.record import Format, Rounding
from nibblemac.formats.scale import Clipping, Granularity, ScaleSpec

DEVICES = [
    "cpu",
    *(["cuda"] if torch.cuda.is_available() else []),
    *(["mps"] if torch.backends.mps.is_available() else []),
]
NO_ZERO = Format(name="NoZero", bits=2, grid=(-3, -1, 1, 5), unit=Fraction(1, 2))
POSITIVE = Format(name="Positive", bits=2, grid=(1, 2, 4, 8), unit=Fraction(1))
DOWNWARD = Format(name="Downward", bits=2, grid=(-8, -1, 0, 3), unit=Fraction(1))


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def nearest_code(quotient: float, known: Format) -> int:
    """Return the nearest level's code by exact distances."""
    steps = Fraction(quotient) / known.unit
    least = min(abs(steps - step) for step in known.grid)
    closest = sorted(step for step in set(known.grid) if abs(steps - step) == least)
    codes = [known.grid.index(step) for step in closest]
    even = [code for code in codes if code % 2 == 0]
    if known.rounding is Rounding.TIES_TO_EVEN and len(even) == 1:
        return even[0]
    return codes[0]


def by_hand(values: list[float], known: Format, *, signed: bool) -> tuple[list[int], float]:
    """Quantize one block with numpy's float32 scalars and exact distances."""
    extreme = max(values, key=abs)
    largest = np.float32(abs(extreme))
    scale = largest / np.float32(float(known.largest_level)) if largest else np.float32(1)
    if signed and max(abs(v) for v in values) > 0:
        big_side = 1 if max(known.grid) > -min(known.grid) else -1
        if big_side * largest not in [np.float32(v) for v in values]:
            scale = -scale
    return [nearest_code(float(np.float32(v) / scale), known) for v in values], float(scale)


@pytest.mark.parametrize("known", [*CATALOG, NO_ZERO, POSITIVE], ids=lambda known: known.name)
def test_one_block_by_hand(known: Format) -> None:
    values = random(40, seed=3).tolist()
    for signed in {False, known.is_asymmetric}:
        made = quantize(torch.tensor(values), known, ScaleSpec(signed=signed))
        codes, scale = by_hand(values, known, signed=signed)
        assert made.codes.tolist() == codes
        assert float(made.scales) == scale
        back = [np.float32(float(known.levels[code])) * np.float32(scale) for code in codes]
        assert made.dequantize().tolist() == [float(value) for value in back]
        assert made.levels().tolist() == [np.float32(float(known.levels[c])) for c in codes]


shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@given(
    shape=shapes,
    data=st.data(),
    granularity=st.sampled_from(Granularity),
    block=st.integers(1, 7),
    known=st.sampled_from([INT4, E2M1, E2M1_SR, SF4, NO_ZERO]),
)
def test_any_shape_axis_and_block_by_hand(
    shape: list[int], data: st.DataObject, granularity: Granularity, block: int, known: Format
) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    signed = known.is_asymmetric and data.draw(st.booleans())
    values = random(*shape, seed=data.draw(st.integers(0, 99)))
    spec = ScaleSpec(granularity=granularity, axis=axis, block=block, signed=signed)
    made = quantize(values, known, spec)
    assert made.codes.shape == made.dequantize().shape == values.shape

    # Group the elements by walking over every index, which knows nothing of rows or reshapes.
    blocks: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for index in itertools.product(*(range(size) for size in shape)):
        place = list(index)
        if granularity is Granularity.TENSOR:
            place = []
        else:
            place[axis] = 0 if granularity is Granularity.CHANNEL else index[axis] // block
        blocks.setdefault(tuple(place), []).append(index)
    assert made.scales.numel() == len(blocks)
    for place, members in blocks.items():
        codes, scale = by_hand([float(values[i]) for i in members], known, signed=signed)
        assert float(made.scales[place]) == scale
        assert [int(made.codes[i]) for i in members] == codes
        assert all(made.layout.block_of(i) == place for i in members)
        for i, code in zip(members, codes, strict=True):
            level = np.float32(float(known.levels[code]))
            assert float(made.dequantize()[i]) == float(level * np.float32(scale))


@pytest.mark.parametrize("clipping", Clipping)
@pytest.mark.parametrize("known", [INT4, E2M1_SR, NO_ZERO, SF4], ids=lambda known: known.name)
def test_a_shorter_last_block_is_as_if_it_stood_alone(known: Format, clipping: Clipping) -> None:
    values = random(3, 50, seed=4)
    spec = ScaleSpec(
        granularity=Granularity.BLOCK, block=16, clipping=clipping, signed=known.is_asymmetric
    )
    made = quantize(values, known, spec)
    alone = quantize(values[:, 48:], known, spec)
    assert made.scales.shape == (3, 4)
    assert torch.equal(made.scales[:, 3:], alone.scales)
    assert torch.equal(made.codes[:, 48:], alone.codes)


@pytest.mark.parametrize("clipping", Clipping)
@pytest.mark.parametrize("granularity", Granularity)
def test_memory_layout_does_not_matter(granularity: Granularity, clipping: Clipping) -> None:
    values = random(12, 20, 6, seed=5)
    view = values.permute(2, 0, 1)[::2, :, 1:]
    assert not view.is_contiguous()
    spec = ScaleSpec(granularity=granularity, axis=1, block=5, clipping=clipping)
    made, plain = quantize(view, SF4, spec), quantize(view.contiguous(), SF4, spec)
    assert torch.equal(made.codes, plain.codes)
    assert torch.equal(made.scales, plain.scales)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("clipping", Clipping)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtypes_and_devices(dtype: torch.dtype, clipping: Clipping, device: str) -> None:
    if device == "mps" and dtype is torch.float64:
        pytest.skip("this device has no float64")
    values = random(5, 40, seed=6).to(dtype)
    spec = ScaleSpec(granularity=Granularity.BLOCK, block=16, clipping=clipping)
    made = quantize(values.to(device), NF4, spec)
    assert made.codes.dtype == torch.uint8
    assert made.codes.device.type == made.scales.device.type == device
    wide = torch.float64 if dtype is torch.float64 else torch.float32
    assert made.scales.dtype == wide
    assert made.dequantize().dtype == dtype
    same = quantize(values.to(wide), NF4, spec)
    assert torch.equal(made.codes.cpu(), same.codes)
    assert torch.equal(made.scales.cpu(), same.scales)
    assert torch.equal(made.dequantize(wide).cpu(), same.dequantize())


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_float8_input(dtype: torch.dtype) -> None:
    values = random(4, 8, seed=7).to(dtype)
    made = quantize(values, INT4, ScaleSpec(granularity=Granularity.CHANNEL))
    same = quantize(values.float(), INT4, ScaleSpec(granularity=Granularity.CHANNEL))
    assert torch.equal(made.codes, same.codes)
    assert torch.equal(made.dequantize().float(), same.dequantize().to(dtype).float())


@pytest.mark.parametrize("name", ["NVFP4", "MXFP4", "BitMoD-FP4"])
def test_float8_input_below_a_tensor_scale(name: str) -> None:
    block_format = find_block_format(name)
    values = random(4, 80, seed=7).to(torch.float8_e4m3fn)
    made, same = (
        quantize(tensor, block_format.format, block_format.spec())
        for tensor in (values, values.float())
    )
    assert torch.equal(made.codes, same.codes)
    assert torch.equal(made.scales, same.scales)


def test_float8_nan_is_found() -> None:
    values = torch.tensor([1.0, math.nan]).to(torch.float8_e4m3fn)
    with pytest.raises(TensorError, match=r"index \(1,\)"):
        quantize(values, INT4)


@pytest.mark.parametrize("clipping", Clipping)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    "known", [INT4, E2M1_SR, NO_ZERO, POSITIVE, DOWNWARD], ids=lambda known: known.name
)
def test_blocks_of_zeros(known: Format, clipping: Clipping, signed: bool) -> None:
    spec = ScaleSpec(granularity=Granularity.BLOCK, block=4, clipping=clipping, signed=signed)
    values = torch.cat([torch.zeros(4), random(4, seed=8), torch.zeros(2)])
    made = quantize(values, known, spec)
    expected = 1.0 if 0 in known.grid else torch.finfo(torch.float32).tiny
    assert [abs(float(made.scales[i])) for i in (0, 2)] == [expected, expected]
    back = made.dequantize()
    assert float(back[:4].abs().max()) < 1e-36
    assert float(back[8:].abs().max()) < 1e-36
    assert torch.equal(made.codes[4:8], quantize(values[4:8], known, spec).codes)


@pytest.mark.parametrize("clipping", Clipping)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("known", [INT8, E2M1_SR, SF4, NO_ZERO], ids=lambda known: known.name)
def test_extreme_magnitudes_stay_finite(
    known: Format, dtype: torch.dtype, clipping: Clipping
) -> None:
    info = torch.finfo(dtype)
    smallest = info.tiny * info.eps
    for largest in (smallest, 5 * smallest, info.tiny, info.max / 3, info.max):
        values = torch.tensor([1.0, -0.5, 0.25, 0.0], dtype=dtype) * largest
        for signed in (False, known.is_asymmetric):
            made = quantize(values, known, ScaleSpec(clipping=clipping, signed=signed))
            assert 0 < abs(float(made.scales)) < math.inf
            back = made.dequantize()
            assert bool(back.isfinite().all())
            # Saturation at the smaller side costs at most its distance to the larger side; a
            # scale of a few subnormal steps is itself coarse.
            assert float((back - values).abs().max() / largest) <= 1


@pytest.mark.parametrize("level", ["1e-18", "1e-9", "1e18"])
def test_scales_of_tiny_and_huge_formats_stay_finite(level: str) -> None:
    known = Format(name="Far", bits=2, grid=(0, 1, 2, -2), unit=Fraction(level))
    values = torch.tensor([3e38, -1e38, 0.0, 1e-40])
    made = quantize(values, known)
    assert bool(made.scales.isfinite().all())
    assert bool(made.dequantize().isfinite().all())


def test_half_precision_does_not_overflow_on_the_way_back() -> None:
    values = torch.tensor([65504.0, -65504.0, 1.0], dtype=torch.float16)
    back = quantize(values, SF4).dequantize()
    assert back.tolist()[:2] == [65504.0, -65504.0]
    assert quantize(torch.tensor([3e38]), SF4).dequantize(torch.float16).tolist() == [65504.0]


@pytest.mark.parametrize(
    ("known", "values", "sign"),
    [
        (INT4, [4.0, -1.0], -1),  # the extreme is positive, INT4's is -8
        (INT4, [-4.0, 1.0], 1),
        (INT4, [4.0, -4.0], 1),
        (E2M1_SR, [4.0, -1.0], 1),  # E2M1+SR's extreme is +8
        (E2M1_SR, [-4.0, 1.0], -1),
        (E2M1_SR, [-4.0, 4.0], 1),
        (POSITIVE, [-4.0, 1.0], -1),
        (DOWNWARD, [4.0, 1.0], -1),
    ],
    ids=lambda value: value.name if isinstance(value, Format) else str(value),
)
def test_a_signed_scale_lets_the_extreme_meet_the_largest_level(
    known: Format, values: list[float], sign: int
) -> None:
    made = quantize(torch.tensor(values), known, ScaleSpec(signed=True))
    assert float(made.scales) == sign * 4 / float(known.largest_level)
    extreme = int(made.levels().abs().argmax())
    assert abs(float(made.levels()[extreme])) == float(known.largest_level)
    assert abs(values[extreme]) == 4
    assert float(made.dequantize()[extreme]) == values[extreme]


def test_without_a_signed_scale_the_extreme_may_saturate() -> None:
    made = quantize(torch.tensor([8.0, -1.0]), INT4)
    assert float(made.scales) == 1
    assert made.dequantize().tolist() == [7.0, -1.0]


def test_a_signed_scale_needs_an_asymmetric_format() -> None:
    with pytest.raises(UsageError, match=r"signed scale .* E2M1"):
        quantize(torch.ones(3), E2M1, ScaleSpec(signed=True))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("clipping", Clipping)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_nan_and_infinities_name_tensor_element_and_block(
    bad: float, clipping: Clipping, dtype: torch.dtype
) -> None:
    values = random(3, 50, seed=9).to(dtype)
    values[1, 37] = bad
    values[2, 2] = bad
    spec = ScaleSpec(granularity=Granularity.BLOCK, block=16, clipping=clipping)
    with pytest.raises(TensorError) as caught:
        quantize(values, INT4, spec, name="layers.0.weight")
    message = str(caught.value)
    words = ("'layers.0.weight'", str(bad), "index (1, 37)", "block (1, 2)", "2 such")
    assert all(word in message for word in words), message


@pytest.mark.parametrize("granularity", Granularity)
def test_nan_in_a_tensor_of_rank_0(granularity: Granularity) -> None:
    with pytest.raises(TensorError, match=r"nan at index \(\)"):
        quantize(torch.tensor(math.nan), INT4, ScaleSpec(granularity=granularity))


@pytest.mark.parametrize("granularity", Granularity)
def test_rank_0(granularity: Granularity) -> None:
    made = quantize(torch.tensor(-3.0), INT4, ScaleSpec(granularity=granularity))
    assert made.codes.shape == made.scales.shape == ()
    assert float(made.dequantize()) == -3.0
    assert made.packed().tolist() == [8]


@pytest.mark.parametrize(
    ("shape", "granularity", "scales"),
    [
        ((0,), Granularity.TENSOR, ()),
        ((0,), Granularity.BLOCK, (0,)),
        ((3, 0), Granularity.CHANNEL, (3, 0)),
        ((0, 300), Granularity.BLOCK, (0, 3)),
        ((0, 300), Granularity.CHANNEL, (0, 1)),
    ],
)
def test_tensors_without_elements(
    shape: tuple[int, ...], granularity: Granularity, scales: tuple[int, ...]
) -> None:
    made = quantize(torch.empty(shape), INT4, ScaleSpec(granularity=granularity))
    assert made.codes.shape == made.dequantize().shape == shape
    assert made.scales.shape == scales


@pytest.mark.parametrize(
    ("tensor", "word"),
    [
        (torch.ones(3, dtype=torch.int32), "int32"),
        (torch.ones(3, dtype=torch.complex64), "complex64"),
        (torch.ones(3).to_sparse(), "sparse"),
        (np.ones(3), "ndarray"),
        (None, "NoneType"),
    ],
    ids=["int32", "complex64", "sparse", "ndarray", "None"],
)
def test_what_is_no_dense_float_tensor_is_refused(tensor: object, word: str) -> None:
    with pytest.raises(TensorError, match=rf"'w' is .*{word}"):
        quantize(tensor, INT4, name="w")  # type: ignore[arg-type]


@pytest.mark.parametrize(("shape", "axis"), [((3,), 1), ((3,), -2), ((2, 3), 2), ((), 1)])
def test_an_axis_that_the_tensor_lacks_is_refused(shape: tuple[int, ...], axis: int) -> None:
    with pytest.raises(UsageError, match=f"axis is {axis}"):
        quantize(torch.ones(shape), INT4, ScaleSpec(granularity=Granularity.BLOCK, axis=axis))


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"granularity": "row"}, "granularity is 'row'"),
        ({"clipping": "max"}, "clipping is 'max'"),
        ({"clipping": None}, "clipping is None"),
        ({"axis": 0.5}, "axis is 0.5"),
        ({"axis": True}, "axis is True"),
        ({"block": 0}, "block is 0"),
        ({"block": -128}, "block is -128"),
        ({"block": True}, "block is True"),
        ({"block": 1.0}, "block is 1.0"),
        ({"signed": 1}, "signed is 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_scale_specifications_are_refused(fields: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        ScaleSpec(**fields)  # type: ignore[arg-type]


def test_scale_specifications_take_text() -> None:
    assert ScaleSpec(granularity="block", clipping="mse") == ScaleSpec(  # type: ignore[arg-type]
        granularity=Granularity.BLOCK, clipping=Clipping.MSE
    )


def test_gradients_do_not_follow() -> None:
    values = random(4, 4).requires_grad_()
    made = quantize(values, INT4, ScaleSpec(granularity=Granularity.CHANNEL, clipping=Clipping.MSE))
    assert not made.scales.requires_grad
    assert not made.dequantize().requires_grad


def test_large_tensors_are_quantized_in_groups_with_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = random(40, 33, seed=10)
    spec = ScaleSpec(granularity=Granularity.BLOCK, block=8, clipping=Clipping.MSE, signed=True)
    whole = quantize(values, INT4, spec)
    monkeypatch.setattr("nibblemac.formats.quantizer._GROUP", 50)
    grouped = quantize(values, INT4, spec)
    assert torch.equal(whole.codes, grouped.codes)
    assert torch.equal(whole.scales, grouped.scales)


@pytest.mark.parametrize("length", [1, 2, 7, 8])
def test_packed_codes_come_back(length: int) -> None:
    made = quantize(random(3, length, seed=11), SF4)
    assert made.packed().shape == (3, (length + 1) // 2)
    assert torch.equal(unpack_codes(made.packed(), length), made.codes)


@pytest.mark.parametrize("known", [INT5, INT8], ids=lambda known: known.name)
def test_wide_codes_do_not_pack(known: Format) -> None:
    with pytest.raises(FormatError, match=f"{known.name} has {known.bits} bits"):
        quantize(torch.ones(2), known).packed()


def test_a_dtype_that_holds_no_levels_is_refused() -> None:
    with pytest.raises(UsageError, match=r"torch\.int32"):
        quantize(torch.ones(2), INT4).dequantize(torch.int32)


@pytest.mark.parametrize(
    ("shape", "fields", "expected"),
    [
        ((4096, 4096), {"granularity": "block"}, (4096, 32)),
        ((4096, 4096), {"granularity": "block", "axis": 0}, (32, 4096)),
        ((7, 300), {"granularity": "block"}, (7, 3)),
        ((7, 300), {"granularity": "channel"}, (7, 1)),
        ((7, 300), {"granularity": "tensor"}, ()),
    ],
)
def test_scale_shapes(
    shape: tuple[int, ...], fields: dict[str, object], expected: tuple[int, ...]
) -> None:
    assert BlockLayout.of(shape, ScaleSpec(**fields)).scale_shape == expected  # type: ignore[arg-type]
