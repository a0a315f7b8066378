"""Nearest level, ties and saturation, against foreign implementations and exact fractions."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from nibblemac.formats.catalog import CATALOG, E2M1, INT4, INT5, INT8
from nibblemac.formats.cells import CellEncoder, Cells
from nibblemac.formats.codec import codec, decode, encode
from nibblemac.formats.errors import TensorError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.record import Format, Rounding

DEVICES = [
    "cpu",
    *(["cuda"] if torch.cuda.is_available() else []),
    *(["mps"] if torch.backends.mps.is_available() else []),
]
PARAMETRISED = [find_format(name) for name in ("NF4-top11", "SF4-nu7-top31", "NF2", "NF8-top8191")]
FORMATS = [*CATALOG, *PARAMETRISED]


def nearest_code(value: Fraction, known: Format) -> int:
    """Return the code by comparing exact distances to every level: the tests' own oracle."""
    steps = value / known.unit
    distance = {step: abs(steps - step) for step in known.grid}
    least = min(distance.values())
    codes = [known.grid.index(step) for step in sorted(distance) if distance[step] == least]
    even = [code for code in codes if code % 2 == 0]
    if known.rounding is Rounding.TIES_TO_EVEN and len(even) == 1:
        return even[0]
    return codes[0]


def _every(dtype: torch.dtype) -> torch.Tensor:
    """Return all finite values of a 16-bit float dtype."""
    patterns = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)
    return patterns[patterns.isfinite()]


@pytest.mark.parametrize(
    ("dtype", "foreign"),
    [(torch.float16, np.float16), (torch.bfloat16, ml_dtypes.bfloat16)],
    ids=["float16", "bfloat16"],
)
def test_e2m1_equals_ml_dtypes_on_every_value(dtype: torch.dtype, foreign: type) -> None:
    values = _every(dtype)
    assert len(values) == {torch.float16: 63488, torch.bfloat16: 65280}[dtype]
    ours = decode(encode(values, E2M1), E2M1)
    theirs = values.view(torch.int16).numpy().view(foreign).astype(ml_dtypes.float4_e2m1fn)
    assert torch.equal(ours, torch.from_numpy(theirs.astype(np.float32)))


@pytest.mark.parametrize("tie", [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_e2m1_equals_ml_dtypes_on_every_tie(tie: float, sign: int) -> None:
    # To the even mantissa: 0.25 → 0, 0.75 → 1, 1.25 → 1, 1.75 → 2, 2.5 → 2, 3.5 → 4, 5 → 4.
    even = {0.25: 0.0, 0.75: 1.0, 1.25: 1.0, 1.75: 2.0, 2.5: 2.0, 3.5: 4.0, 5.0: 4.0}[tie]
    ours = decode(encode(torch.tensor([sign * tie]), E2M1), E2M1)
    theirs = np.array([sign * tie], dtype=np.float32).astype(ml_dtypes.float4_e2m1fn)
    assert float(ours[0]) == float(theirs[0]) == sign * even


@pytest.mark.parametrize("known", [INT4, INT5, INT8], ids=lambda known: known.name)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_integers_equal_torch_round_and_clamp(known: Format, dtype: torch.dtype) -> None:
    values = _every(dtype)
    half = 2 ** (known.bits - 1)
    expected = values.float().round().clamp(-half, half - 1)
    assert torch.equal(decode(encode(values, known), known), expected + 0.0)


def _around_every_midpoint(known: Format, dtype: torch.dtype) -> torch.Tensor:
    """Return each midpoint's nearest float and its two neighbours on both sides."""
    levels = sorted(set(known.levels))
    centre = torch.tensor([float((a + b) / 2) for a, b in itertools.pairwise(levels)], dtype=dtype)
    up, down = torch.tensor(math.inf, dtype=dtype), torch.tensor(-math.inf, dtype=dtype)
    around = [centre]
    for end in (up, down):
        step = centre
        for _ in range(2):
            step = torch.nextafter(step, end)
            around.append(step)
    return torch.cat(around)


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_midpoint_is_decided_exactly(known: Format, dtype: torch.dtype) -> None:
    values = _around_every_midpoint(known, dtype)
    expected = [nearest_code(Fraction(value), known) for value in values.tolist()]
    assert encode(values, known).tolist() == expected


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
def test_ties_that_floats_can_hold_occur_and_go_where_the_format_says(known: Format) -> None:
    levels = sorted(set(known.levels))
    for low, high in itertools.pairwise(levels):
        tie = (low + high) / 2
        if Fraction(float(tie)) != tie:
            continue
        value = torch.tensor([float(tie)], dtype=torch.float64)
        code = int(encode(value, known)[0])
        if known.rounding is Rounding.TIES_TO_EVEN:
            assert code % 2 == 0
            assert known.levels[code] in {low, high}
        else:
            assert known.levels[code] == low


def _cell_ends(cells: Cells, dtype: torch.dtype) -> torch.Tensor:
    """Return the first and last float of every cell, the bounds, and their neighbours."""
    integers = torch.int64 if dtype == torch.float64 else torch.int32
    count = len(cells.bounds) - 1
    first = (torch.arange(count, dtype=integers) - count // 2) << cells.shift
    ends = torch.cat([first, first | (2**cells.shift - 1), cells.bounds.view(integers)])
    near = torch.cat([ends + step for step in (-1, 0, 1)]).view(dtype)
    return near[~near.isnan()]


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cells_decide_as_the_search_at_the_ends_of_every_cell(
    known: Format, dtype: torch.dtype
) -> None:
    tables = codec(known, dtype, torch.device("cpu"))
    if tables.cells is None:
        assert dtype == torch.float64
        assert known.bits > 5
        return
    values = torch.cat(
        [
            _cell_ends(tables.cells, dtype),
            _every(torch.bfloat16).to(dtype),
            _around_every_midpoint(known, dtype),
            -_around_every_midpoint(known, dtype),
        ]
    )
    searched = replace(tables, cells=None)
    assert torch.equal(tables.encode(values), searched.encode(values))


@pytest.mark.fuzz
@pytest.mark.parametrize("name", ["NF4", "E2M1", "INT4", "APoT4+SP", "NF8-top8191"])
def test_cells_decide_as_the_search_for_every_float32(name: str) -> None:
    tables = codec(find_format(name), torch.float32, torch.device("cpu"))
    assert tables.cells is not None
    searched = replace(tables, cells=None)
    step = 2**24
    for first in range(-(2**31), 2**31, step):
        values = torch.arange(first, first + step).to(torch.int32).view(torch.float32)
        values = values[~values.isnan()]
        assert torch.equal(tables.encode(values), searched.encode(values))


@pytest.mark.parametrize("bounds", [[0.0], [-1e-45], [1.0], [-1.0, 1.0]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cells_around_zero(bounds: list[float], dtype: torch.dtype) -> None:
    thresholds = torch.tensor(bounds, dtype=dtype)
    tiny = 5e-324 if dtype == torch.float64 else 1e-45
    values = torch.tensor([-2.0, -1.0, -tiny, -0.0, 0.0, tiny, 1.0, 2.0, math.inf], dtype=dtype)
    codes = torch.arange(len(bounds) + 1, dtype=torch.uint8)
    cells = Cells.of(thresholds, codes)
    assert cells is not None
    found = torch.empty(len(values), dtype=torch.uint8)
    CellEncoder(cells, 20).encode(values, found)
    expected = [sum(value > bound for bound in thresholds.tolist()) for value in values.tolist()]
    assert found.tolist() == expected


def test_thresholds_too_close_for_tables_are_searched() -> None:
    thresholds = torch.tensor([1.0, 1.0000001])
    assert Cells.of(thresholds, torch.arange(3, dtype=torch.uint8)) is None


@pytest.mark.parametrize("count", [1, 4095, 4096, 4097, 3 * 2**17 + 5])
def test_values_are_encoded_and_decoded_in_parts_with_the_same_result(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = torch.randn(count, generator=torch.Generator().manual_seed(count))
    tables = codec(E2M1, torch.float32, torch.device("cpu"))
    whole = replace(tables, cells=None).encode(values)
    for part in (1000, 5000, 2**17):
        monkeypatch.setattr("nibblemac.formats.codec._PART", part)
        assert torch.equal(tables.encode(values), whole)
        assert torch.equal(tables.decode(whole), tables.levels[whole.long()])


floats32 = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(known=st.sampled_from(FORMATS), data=st.data())
def test_any_value_goes_to_the_nearest_level(known: Format, data: st.DataObject) -> None:
    limit = 2.0 * math.ceil(known.largest_level)
    near = st.floats(-limit, limit, width=32)
    values = data.draw(st.lists(near | floats32, min_size=1, max_size=20))
    expected = [nearest_code(Fraction(value), known) for value in values]
    for dtype in (torch.float32, torch.float64):
        assert encode(torch.tensor(values, dtype=dtype), known).tolist() == expected


@st.composite
def any_format(draw: st.DrawFn) -> Format:
    bits = draw(st.integers(2, 5))
    step = draw(st.sampled_from([4, 100, 2**23 - 1]))
    value = st.integers(-step, step)
    grid = draw(
        st.lists(value, min_size=2**bits, max_size=2**bits).filter(lambda g: len(set(g)) > 1)
    )
    return Format(
        name="Any",
        bits=bits,
        grid=tuple(grid),
        unit=draw(st.sampled_from([Fraction(1), Fraction(1, 10), Fraction(1, 127), Fraction(7)])),
        rounding=draw(st.sampled_from(Rounding)),
    )


@given(made=any_format())
@example(
    # The outer midpoints lie between even codes and between odd ones: to the lower level.
    made=Format(
        name="Parity",
        bits=2,
        grid=(0, 4, 1, 5),
        unit=Fraction(1),
        rounding=Rounding.TIES_TO_EVEN,
    )
)
def test_any_format_decides_its_midpoints_exactly(made: Format) -> None:
    for dtype in (torch.float32, torch.float64):
        values = _around_every_midpoint(made, dtype)
        expected = [nearest_code(Fraction(value), made) for value in values.tolist()]
        levels = [made.levels[code] for code in encode(values, made).tolist()]
        assert levels == [made.levels[code] for code in expected]
        assert encode(values, made).tolist() == expected


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
def test_each_level_encodes_to_the_lowest_code_that_has_it(known: Format) -> None:
    codes = torch.arange(2**known.bits, dtype=torch.uint8)
    levels = decode(codes, known, torch.float64)
    assert levels.tolist() == [float(level) for level in known.levels]
    expected = [known.grid.index(value) for value in known.grid]
    assert encode(levels, known).tolist() == expected


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_values_beyond_the_levels_saturate(known: Format, dtype: torch.dtype) -> None:
    huge = torch.finfo(dtype).max
    levels = decode(encode(torch.tensor([huge, -huge], dtype=dtype), known), known, torch.float64)
    assert levels.tolist() == [float(max(known.levels)), float(min(known.levels))]


def test_negative_zero_encodes_as_zero() -> None:
    assert encode(torch.tensor([-0.0, 0.0, -1e-45]), E2M1).tolist() == [0, 0, 0]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4), (2, 0, 3)])
def test_shape_dtype_and_device_are_kept(shape: tuple[int, ...], device: str) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(device)
    codes = encode(values, INT4)
    assert (codes.shape, codes.dtype) == (values.shape, torch.uint8)
    assert codes.device.type == device
    back = decode(codes, INT4, torch.float16)
    assert (back.shape, back.dtype) == (values.shape, torch.float16)
    assert torch.equal(back.cpu(), values.cpu().round().clamp(-8, 7).half() + 0)


def test_transposed_and_strided_values() -> None:
    values = torch.randn(6, 10, generator=torch.Generator().manual_seed(2)) * 3
    assert torch.equal(encode(values.T, E2M1), encode(values, E2M1).T)
    assert torch.equal(encode(values[::2, 1::3], E2M1), encode(values, E2M1)[::2, 1::3])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_nan_and_infinities_are_refused(bad: float, dtype: torch.dtype) -> None:
    with pytest.raises(TensorError, match="NaN or infinite"):
        encode(torch.tensor([0.0, bad], dtype=dtype), E2M1)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ([1.0], "list"),
        (torch.tensor([1]), "int64"),
        (torch.tensor([True]), "bool"),
        (torch.tensor([1j]), "complex64"),
        (torch.tensor([1.0]).to_sparse(), "sparse"),
    ],
    ids=["list", "int64", "bool", "complex", "sparse"],
)
def test_what_is_no_dense_float_tensor_is_refused(value: object, word: str) -> None:
    with pytest.raises(TensorError, match=word):
        encode(value, E2M1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("codes", "word"),
    [
        (torch.tensor([16]), "0 to 15"),
        (torch.tensor([-1]), "0 to 15"),
        (torch.tensor([1.0]), "float32"),
        (torch.tensor([True]), "bool"),
        ([1], "list"),
    ],
    ids=["16", "-1", "float", "bool", "list"],
)
def test_wrong_codes_are_refused(codes: object, word: str) -> None:
    with pytest.raises(TensorError, match=word):
        decode(codes, E2M1)  # type: ignore[arg-type]


def test_tables_are_shared() -> None:
    first = codec(E2M1, torch.float32, torch.device("cpu"))
    assert codec(E2M1, torch.float32, torch.device("cpu")) is first
