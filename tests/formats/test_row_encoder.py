"""The compiled encoder against torch's, and what happens where there is no compiler."""

import math
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from nibblemac.formats import native_kernel as module
from nibblemac.formats.cache_folder import ENVIRONMENT, CacheWarning
from nibblemac.formats.catalog import CATALOG, E2M1, INT4, INT8, NF4
from nibblemac.formats.codec import codec
from nibblemac.formats.lookup import find_format
from nibblemac.formats.native_kernel import NativeEncoder, kernel, largest_natively
from nibblemac.formats.quantizer import quantize
from nibblemac.formats.record import Format
from nibblemac.formats.row_encoder import row_encoder
from nibblemac.formats.scale import Clipping, Granularity, ScaleSpec

CPU = torch.device("cpu")
FORMATS = [*CATALOG, find_format("NF8-top8191")]
needs_compiler = pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("c++")), reason="there is no C++ compiler"
)


@pytest.fixture
def again(cache_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """The session's cache, and a kernel that is looked for anew here and after the test."""
    monkeypatch.setenv(ENVIRONMENT, str(cache_folder))
    kernel.cache_clear()
    yield
    kernel.cache_clear()


@pytest.fixture
def native(again, monkeypatch: pytest.MonkeyPatch):
    """Return the compiled encoder's codes of values ÷ scales, for matrices of any size."""
    monkeypatch.setattr(module, "WORTHWHILE", 0)

    def codes_of(values: torch.Tensor, scales: torch.Tensor, known: Format) -> torch.Tensor:
        tables = codec(known, torch.float32, CPU)
        encode, _ = row_encoder(tables, values, torch.float32)
        assert isinstance(encode, NativeEncoder)
        codes = torch.full(values.shape, 255, dtype=torch.uint8)
        encode(values, scales, codes)
        return codes

    return codes_of


def by_search(values: torch.Tensor, scales: torch.Tensor, known: Format) -> torch.Tensor:
    tables = replace(codec(known, torch.float32, CPU), cells=None)
    return tables.encode(values / scales)


@needs_compiler
@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
def test_every_cell_and_midpoint_is_decided_as_by_torch(native, known: Format) -> None:
    tables = codec(known, torch.float32, CPU)
    assert tables.cells is not None
    count = len(tables.cells.bounds) - 1
    first = (torch.arange(count, dtype=torch.int32) - count // 2) << tables.cells.shift
    ends = [first, first | (2**tables.cells.shift - 1)]
    ends += [edge.view(torch.int32) for edge in (tables.cells.bounds, tables.thresholds)]
    near = torch.cat([end + step for end in ends for step in (-1, 0, 1)]).view(torch.float32)
    values = near[~near.isnan()][None]
    ones = torch.ones(1, 1)
    assert torch.equal(native(values, ones, known), by_search(values, ones, known))


@needs_compiler
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 300_001), (7, 257), (1000, 1), (3000, 128), (513, 255), (0, 5), (5, 0)]
)
@pytest.mark.parametrize("known", [NF4, E2M1, INT8], ids=lambda known: known.name)
def test_rows_of_any_length_and_scale(native, known: Format, shape: tuple[int, int]) -> None:
    draw = torch.Generator().manual_seed(1)
    values = torch.randn(shape, generator=draw) * 3
    scales = torch.randn((shape[0], 1), generator=draw)
    assert torch.equal(native(values, scales, known), by_search(values, scales, known))


@needs_compiler
def test_quotients_are_rounded_as_by_torch(native) -> None:
    """Quotients beside midpoints, whose side depends on the last bit of the division."""
    scales = torch.rand(4000, 1, generator=torch.Generator().manual_seed(2)) + 1e-3
    thresholds = codec(NF4, torch.float32, CPU).thresholds
    products = (thresholds * scales).view(torch.int32)
    values = torch.cat([(products + step).view(torch.float32) for step in range(-3, 4)], dim=1)
    codes = native(values, scales, NF4)
    assert torch.equal(codes, by_search(values, scales, NF4))
    # A rounded reciprocal decides otherwise here and there, so that this test can fail.
    tables = codec(NF4, torch.float32, CPU)
    assert not torch.equal(codes, tables.encode(values * (1 / scales)))


@needs_compiler
def test_scales_and_values_without_order_in_memory(native) -> None:
    values = torch.randn(64, 48, generator=torch.Generator().manual_seed(3)).T
    scales = torch.arange(1.0, 97.0)[::2, None]
    assert torch.equal(native(values, scales, INT4), by_search(values, scales, INT4))


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_nothing(native, threads: int) -> None:
    values = torch.randn(900, 128, generator=torch.Generator().manual_seed(4))
    scales = values.abs().amax(dim=1, keepdim=True)
    expected = by_search(values, scales, NF4)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(native(values, scales, NF4), expected)
    finally:
        torch.set_num_threads(before)


@needs_compiler
def test_values_that_are_not_finite_end_nowhere_else(native) -> None:
    values = torch.tensor([[math.nan, -math.nan, math.inf, -math.inf, 0.0, -0.0]])
    ones = torch.ones(1, 1)
    codes = native(values, ones, INT4)
    assert codes[0, 2:].tolist() == [7, 8, 0, 0]
    assert int(codes.max()) < 16
    assert int(native(torch.zeros(1, 3), torch.zeros(1, 1), INT4).max()) < 16


@needs_compiler
@pytest.mark.parametrize("shape", [(1, 1), (3, 100_000), (2000, 129), (40_000, 1), (0, 5)])
def test_largest_magnitudes(again, shape: tuple[int, int]) -> None:
    library = kernel()
    assert library is not None
    values = torch.randn(shape, generator=torch.Generator().manual_seed(7))
    found = largest_natively(library, values)
    assert torch.equal(found, values.abs().amax(dim=1, keepdim=True))
    if not len(values):
        return
    for bad in (math.inf, -math.inf, math.nan, -math.nan):
        wrong = values.clone()
        wrong[-1, -1] = bad
        found = largest_natively(library, wrong)
        assert torch.equal(found[:-1], values[:-1].abs().amax(dim=1, keepdim=True))
        assert math.isnan(found[-1]) if math.isnan(bad) else float(found[-1]) == math.inf


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("clipping", Clipping)
def test_the_quantizer_gives_the_same_with_and_without(
    again, dtype: torch.dtype, clipping: Clipping, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = torch.randn(20, 4001, generator=torch.Generator().manual_seed(5)).to(dtype)
    for granularity in Granularity:
        spec = ScaleSpec(granularity=granularity, block=100, clipping=clipping, signed=True)
        monkeypatch.setattr(module, "WORTHWHILE", 0)
        one = quantize(values, INT4, spec)
        monkeypatch.setattr(module, "WORTHWHILE", 2**60)
        other = quantize(values, INT4, spec)
        assert torch.equal(one.codes, other.codes)
        assert torch.equal(one.scales, other.scales)


def test_without_a_compiler_torch_encodes(
    again, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "WORTHWHILE", 0)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    values = torch.randn(8, 16, generator=torch.Generator().manual_seed(6))
    # Warnings are errors here: there is none.
    assert kernel() is None
    assert torch.equal(quantize(values, NF4).codes, by_search(values, values.abs().max(), NF4))


def test_a_compiler_that_is_nowhere_warns_once(
    again, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "WORTHWHILE", 0)
    monkeypatch.setenv("CXX", str(tmp_path / "nowhere"))
    with pytest.warns(CacheWarning, match=r"quantizer's kernel .* with .*nowhere .*torch") as said:
        quantize(torch.ones(4, 4), NF4)
    assert len(said) == 1
    quantize(torch.ones(4, 4), NF4)


@needs_compiler
def test_the_source_raises_no_warnings(tmp_path: Path) -> None:
    source = Path(module.__file__).parent / "native" / "quantize.cpp"
    options = ["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    compiler = shutil.which("g++") or shutil.which("c++")
    assert compiler is not None
    command = [compiler, *options, "-c", str(source), "-o", str(tmp_path / "made.o")]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


def test_small_tensors_start_no_compiler(
    again, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # It would warn, and warnings are errors here.
    monkeypatch.setenv("CXX", str(tmp_path / "nowhere"))
    quantize(torch.ones(64, 64), NF4)
