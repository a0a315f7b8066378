"""The quantizer's speed and memory beside other quantizers, in one run.

``make benchmark`` runs it; without ``--benchmark-enable`` everything is called once and nothing is
asserted. The tensor is float32, 4096 × 4096, in blocks of 128 with absmax scales.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import bitsandbytes.functional as bnb
import pytest
import torch
from nibblemac.formats.clipping import STEPS_PER_OCTAVE, absmax_scales, mse_scales
from nibblemac.formats.codec import codec
from nibblemac.formats.lookup import find_format
from nibblemac.formats.quantizer import quantize
from nibblemac.formats.record import Format
from nibblemac.formats.scale import Granularity, ScaleSpec

from .timing import best_times

SIZE, BLOCK = 4096, 128
SPEC = ScaleSpec(granularity=Granularity.BLOCK, block=BLOCK)
ROUNDS = 7
OVER_LOOP, OVER_BITSANDBYTES = 8.0, 1.5
#: bitsandbytes' name for its nearest codebook, of as many levels.
THEIRS = {"NF4": "nf4", "E2M1": "fp4"}


@pytest.fixture(scope="module")
def tensor() -> torch.Tensor:
    return torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def level_loop(tensor: torch.Tensor, known: Format) -> tuple[torch.Tensor, torch.Tensor]:
    """The usual loop, one torch.where a level: levels of the scaled tensor, and the scales."""
    tables = codec(known, torch.float32, tensor.device)
    levels = tables.levels[tables.ranked_codes.long()].tolist()
    rows = tensor.view(-1, BLOCK)
    scales = rows.abs().amax(dim=1, keepdim=True) / tables.largest
    scaled = rows / scales
    found = torch.full_like(scaled, levels[0])
    for middle, level in zip(tables.thresholds.tolist(), levels[1:], strict=True):
        found = torch.where(scaled > middle, level, found)
    return found, scales


def code_loop(tensor: torch.Tensor, known: Format) -> tuple[torch.Tensor, torch.Tensor]:
    """The same loop with codes of a byte in place of levels, which moves less memory."""
    tables = codec(known, torch.float32, tensor.device)
    rows = tensor.view(-1, BLOCK)
    scales = rows.abs().amax(dim=1, keepdim=True) / tables.largest
    scaled = rows / scales
    first, *codes = tables.ranked_codes
    found = first.expand(scaled.shape)
    for middle, code in zip(tables.thresholds.tolist(), codes, strict=True):
        found = torch.where(scaled > middle, code, found)
    return found, scales


@pytest.mark.parametrize("name", ["NF4", "E2M1", "INT4"])
def test_quantizer(benchmark: Any, tensor: torch.Tensor, name: str) -> None:
    known = find_format(name)
    made = quantize(tensor, known, SPEC)
    codes, scales = code_loop(tensor, known)
    levels, _ = level_loop(tensor, known)
    # All of them do the same work.
    assert torch.equal(made.codes, codes.view(tensor.shape))
    assert torch.equal(made.scales, scales.view(SIZE, -1))
    assert torch.equal(made.levels(), levels.view(tensor.shape))

    contenders = {
        "ours": lambda: quantize(tensor, known, SPEC),
        "loop of levels": lambda: level_loop(tensor, known),
        "loop of codes": lambda: code_loop(tensor, known),
    }
    theirs = THEIRS.get(name, "nf4")
    contenders[f"bitsandbytes {theirs}"] = lambda: bnb.quantize_4bit(
        tensor, blocksize=BLOCK, quant_type=theirs
    )
    rounds = 1 if benchmark.disabled else ROUNDS
    times = best_times(contenders, rounds)
    benchmark.pedantic(contenders["ours"], rounds=rounds)
    ours = times.pop("ours")
    ratios = {other: time / ours for other, time in times.items()}
    benchmark.extra_info.update(ratios)
    said = ", ".join(f"{ratio:.1f} × {other}" for other, ratio in ratios.items())
    print(f"\n{name}: {ours * 1e3:.1f} ms on {torch.get_num_threads()} threads: {said}")
    if benchmark.disabled:
        return
    assert min(ratios["loop of levels"], ratios["loop of codes"]) >= OVER_LOOP
    if name in THEIRS:
        assert ratios[f"bitsandbytes {theirs}"] >= OVER_BITSANDBYTES


MEMORY = """
import json, sys, torch
from pathlib import Path
from nibblemac.formats.lookup import find_format
from nibblemac.formats.quantizer import quantize
from nibblemac.formats.scale import Granularity, ScaleSpec

def kilobytes(key):
    (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(key)]
    return int(line.split()[1])

spec = ScaleSpec(granularity=Granularity.BLOCK, block=128)
tensor = torch.randn(4096, 4096)
quantize(tensor[:64], find_format(sys.argv[1]), spec)  # tables, and threads' stacks
Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
before = kilobytes("VmRSS")
made = quantize(tensor, find_format(sys.argv[1]), spec)
results = made.codes.nbytes + made.scales.nbytes
print(json.dumps([tensor.nbytes, 1024 * (kilobytes("VmHWM") - before), results]))
"""


@pytest.mark.parametrize("name", ["NF4", "E2M1", "INT4"])
def test_memory(benchmark: Any, name: str) -> None:
    """The tensor, the results and all temporaries: the process's peak over what it had before."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("peaks of memory are read from Linux's /proc")

    def measure() -> list[int]:
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, name], capture_output=True, text=True, check=True
        )
        found: list[int] = json.loads(done.stdout)
        return found

    size, grown, results = benchmark.pedantic(measure, rounds=1)
    print(
        f"\n{name}: tensor {size / 2**20:.0f} MiB; codes and scales {results / 2**20:.1f} MiB; at "
        f"the peak {grown / 2**20:.1f} MiB beside the tensor: {1 + grown / size:.2f} tensors"
    )
    assert grown >= results
    assert size + grown <= 2 * size


def scale_loop(rows: torch.Tensor, known: Format) -> torch.Tensor:
    """The usual search of a clipping: quantize with each candidate, and keep the best."""
    tables = codec(known, torch.float32, rows.device)
    absmax = absmax_scales(rows, known, signed=False)
    best = torch.full_like(absmax, torch.inf)
    chosen = absmax
    for step in range(STEPS_PER_OCTAVE + 1):
        scales = absmax * 2 ** (-step / STEPS_PER_OCTAVE)
        back = tables.decode(tables.encode(rows / scales)) * scales
        error = (rows - back).square().sum(dim=1, keepdim=True)
        better = error < best
        best, chosen = torch.where(better, error, best), torch.where(better, scales, chosen)
    return chosen


def test_search_of_clippings(benchmark: Any) -> None:
    """For information: the loop tries 33 candidates over one octave, ours up to 320 over ten."""
    rows = torch.randn(8192, BLOCK, generator=torch.Generator().manual_seed(1))
    known = find_format("NF4")
    contenders = {
        "ours": lambda: mse_scales(rows, known, signed=False),
        "loop": lambda: scale_loop(rows, known),
    }
    times = best_times(contenders, 1 if benchmark.disabled else 3)
    benchmark.pedantic(contenders["ours"], rounds=1)
    print(
        f"\nclipping by squared error, 1 Mi elements: ours {times['ours'] * 1e3:.0f} ms, loop "
        f"over one octave with our encoder {times['loop'] * 1e3:.0f} ms"
    )
