"""Whole models quantized from disk to disk: exact on the way back, memory, damage, restarts."""

import errno
import json
import math
import os
import struct
import subprocess
import sys
from collections import namedtuple
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from nibblemac.formats.block_format import BlockFormat, all_block_formats, find_block_format
from nibblemac.formats.errors import DataError, OutputError, TensorError, UsageError
from nibblemac.formats.models import stream
from nibblemac.formats.models.checkpoint import open_checkpoint
from nibblemac.formats.models.quantized_reader import dequantized_tensors, open_quantized
from nibblemac.formats.models.stream import StreamResult, quantize_checkpoint
from nibblemac.formats.models.stream_tasks import StreamSetup
from nibblemac.formats.quantizer import quantize
from nibblemac.formats.scale import Clipping
from nibblemac.formats.scale_format import SCALE_FORMATS, find_scale_format
from safetensors import safe_open
from safetensors.torch import load_file, save_file

NF4 = find_block_format("NF4", block=32)
Q = "layers.0.self_attn.q_proj.weight"
EXPERTS = "layers.0.mlp.experts.down_proj"


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def model() -> dict[str, torch.Tensor]:
    tensors = {
        "embed_tokens.weight": random(50, 8, seed=1, dtype=torch.bfloat16),
        Q: random(40, 96, seed=2),
        "layers.0.self_attn.q_proj.bias": random(40, seed=3),
        "layers.0.mlp.down_proj.weight": random(33, 75, seed=4, dtype=torch.bfloat16),
        EXPERTS: random(3, 5, 40, seed=5, dtype=torch.float16),
        "layers.0.norm.weight": random(40, seed=6),
        "layers.1.zeros.weight": torch.zeros(20, 64),
        "layers.1.wide.weight": random(1, 700, seed=7, dtype=torch.float64),
        "layers.1.tall.weight": random(300, 1, seed=8),
        "layers.1.small.weight": random(6, 40, seed=9).to(torch.float8_e4m3fn),
        "layers.1.empty.weight": torch.zeros(0, 7),
        "conv.weight": random(8, 3, 3, 3, seed=10),
        "steps": torch.arange(5),
        "mask": torch.tensor([[True, False]]),
        "temperature": torch.tensor(0.5),
    }
    tensors[Q][3] *= 1e-30
    return tensors


QUANTIZED = {
    *(Q, EXPERTS, "conv.weight", "layers.0.mlp.down_proj.weight"),
    *(f"layers.1.{name}.weight" for name in ("zeros", "wide", "tall", "small")),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_file(model(), path)
    return path


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of a few rows, as large tensors have them."""
    monkeypatch.setattr(stream, "GROUP_ELEMENTS", 200)


def run(source: Path, output: Path, block_format: BlockFormat = NF4, **settings) -> StreamResult:
    setup = StreamSetup(block_format=block_format, **settings)
    return quantize_checkpoint(open_checkpoint(source), output, setup)


def matrix_of(name: str, tensor: torch.Tensor) -> torch.Tensor:
    if name == EXPERTS:
        return tensor.flatten(0, 1)
    return tensor.flatten(1)


def expected(
    name: str, tensor: torch.Tensor, block_format: BlockFormat, *, axis: int = -1, **settings
) -> torch.Tensor:
    spec = block_format.spec(axis=axis, **settings)
    made = quantize(matrix_of(name, tensor), block_format.format, spec)
    return made.dequantize().reshape(tensor.shape)


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Compare bit by bit, so that the sign of a zero counts."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    flat = [part.contiguous().reshape(-1).view(torch.uint8) for part in (one, other)]
    return torch.equal(*flat)


def check(output: Path, block_format: BlockFormat, **settings) -> None:
    tensors = model()
    opened = open_quantized(output)
    assert set(opened.quantized_names) == QUANTIZED
    assert set(opened.names) == set(tensors)
    found = dict(dequantized_tensors(output))
    assert list(found) == list(opened.names)
    for name, tensor in tensors.items():
        wanted = tensor
        if name in QUANTIZED:
            wanted = expected(name, tensor, block_format, **settings)
        assert same(found[name], wanted), name


@pytest.mark.parametrize("block_format", all_block_formats(), ids=lambda one: one.name)
def test_every_format_comes_back_exactly(
    source: Path, tmp_path: Path, small_groups: None, block_format: BlockFormat
) -> None:
    output = tmp_path / "out.safetensors"
    made = run(source, output, block_format)
    check(output, block_format)
    assert (made.quantized, made.copied) == (len(QUANTIZED), len(model()) - len(QUANTIZED))
    assert made.files == (output,)
    assert made.elements == sum(model()[name].numel() for name in QUANTIZED)
    assert made.bytes_before == sum(model()[name].nbytes for name in QUANTIZED)
    held = load_file(output)
    stored = [name for name in held if name not in model()]
    assert made.bytes_after == sum(held[name].nbytes for name in stored)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("NF4", {"clipping": Clipping.MSE}),
        ("INT4", {"signed": True}),
        ("Four-over-six", {"clipping": Clipping.MSE}),
    ],
)
def test_settings_come_back_exactly(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    settings: dict[str, object],
) -> None:
    monkeypatch.setattr(stream, "GROUP_ELEMENTS", 2000)
    block_format = find_block_format(name, block=24)
    run(source, tmp_path / "out", block_format, **settings)
    check(tmp_path / "out", block_format, **settings)
    made = open_quantized(tmp_path / "out" / "model.safetensors").quantized(Q)
    assert made.spec == block_format.spec(axis=-1, **settings)
    assert made.format == block_format.format


@pytest.mark.parametrize(
    ("store", "block"),
    [
        *((store, 7) for store in SCALE_FORMATS),
        (find_scale_format("UINT16"), 7),
        *((find_scale_format(name), block) for name in ("E4M3", "UINT6") for block in (1, 1000)),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_scale_formats_and_blocks(
    source: Path, tmp_path: Path, small_groups: None, store, block: int
) -> None:
    block_format = find_block_format("E2M1", block=block, scale_format=store)
    run(source, tmp_path / "out.safetensors", block_format)
    check(tmp_path / "out.safetensors", block_format)


def test_the_file_is_what_its_header_says(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    run(source, output)
    with safe_open(output, framework="pt") as handle:
        record = json.loads(handle.metadata()["nibblemac"])
        codes, scales = handle.get_tensor(f"{Q}.codes"), handle.get_tensor(f"{Q}.scales")
    # Two codes to a byte, the even position low; the record alone is enough to read them.
    assert record["format"]["name"] == "NF4"
    assert record["tensors"][Q] == {
        "shape": [40, 96],
        "dtype": "F32",
        "matrix": [40, 96],
        "axis": -1,
    }
    assert codes.shape == (40, 48)
    assert scales.shape == (40, 96 // record["block"])
    assert scales.dtype == torch.float16
    assert [Fraction(level) for level in record["levels"]] == list(NF4.format.levels)
    unit = torch.tensor([float(Fraction(level)) for level in record["levels"]])
    pairs = torch.stack([codes & 15, codes >> 4], dim=-1).flatten(1).long()
    back = unit[pairs] * scales.float().repeat_interleave(record["block"], dim=1)
    assert torch.equal(back, expected(Q, model()[Q], NF4))
    # Every tensor begins at a multiple of its element's size.
    with output.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    assert length % 8 == 0
    for name, entry in header.items():
        if name != "__metadata__":
            size = math.prod(entry["shape"])
            begin, end = entry["data_offsets"]
            assert not size or begin % ((end - begin) // size) == 0


def test_transposed_layers_are_quantized_along_their_inputs(
    tmp_path: Path, small_groups: None
) -> None:
    """transformers' Conv1D keeps its weight as (inputs, outputs)."""
    tensors = {"h.0.attn.c_attn.weight": random(100, 36), "h.0.attn.other.weight": random(9, 70)}
    folder = tmp_path / "gpt2"
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    for block_format in (NF4, find_block_format("BitMoD-FP4"), find_block_format("NVFP4")):
        output = tmp_path / f"{block_format.name}.safetensors"
        run(folder, output, block_format)
        found = dict(dequantized_tensors(output))
        for axis, (name, tensor) in zip((0, -1), tensors.items(), strict=True):
            assert same(found[name], expected(name, tensor, block_format, axis=axis))


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"layers": ("embedding",)}, {"embed_tokens.weight"}),
        ({"layers": ("attention",)}, {Q}),
        ({"layers": ("convolution",)}, {"conv.weight"}),
        ({"keep": ("layers.*",)}, {"conv.weight"}),
        ({"keep": ("conv.weight", "layers.1.*", EXPERTS, "*down_proj.weight")}, {Q}),
    ],
)
def test_what_is_quantized(
    source: Path, tmp_path: Path, settings: dict[str, tuple[str, ...]], names: set[str]
) -> None:
    run(source, tmp_path / "out.safetensors", **settings)
    opened = open_quantized(tmp_path / "out.safetensors")
    assert set(opened.quantized_names) == names
    for name in set(model()) - names:
        assert same(opened.tensor(name), model()[name])


# ---- Folders of shards ----


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "sharded"
    folder.mkdir()
    tensors = list(model().items())
    weight_map = {}
    for index, first in enumerate(range(0, len(tensors), 5), 1):
        file = f"model-{index:05d}-of-00003.safetensors"
        save_file(dict(tensors[first : first + 5]), folder / file)
        weight_map |= dict.fromkeys(dict(tensors[first : first + 5]), file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_shards_stay_shards_or_become_one_file(shards: Path, tmp_path: Path) -> None:
    made = run(shards, tmp_path / "out")
    assert [path.name for path in made.files] == [
        f"model-{index:05d}-of-00003.safetensors" for index in (1, 2, 3)
    ]
    check(tmp_path / "out", NF4)
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    held = {name for path in made.files for name in load_file(path)}
    assert set(index["weight_map"]) == held
    assert len(list((tmp_path / "out").iterdir())) == 4
    run(shards, tmp_path / "one.safetensors")
    check(tmp_path / "one.safetensors", NF4)


class Stop(Exception):  # noqa: N818
    pass


def stopped(source: Path, output: Path, after: int, block_format: BlockFormat = NF4) -> None:
    calls = 0

    def progress(done: int, total: int, name: str) -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Stop

    setup = StreamSetup(block_format=block_format)
    with pytest.raises(Stop):
        quantize_checkpoint(open_checkpoint(source), output, setup, progress=progress)


@pytest.mark.parametrize("after", [0, 3, 7, 12])
def test_an_interrupted_folder_is_completed(shards: Path, tmp_path: Path, after: int) -> None:
    run(shards, tmp_path / "whole")
    output = tmp_path / "out"
    stopped(shards, output, after)
    before = {path.name: path.stat().st_ino for path in output.glob("*.safetensors")}
    assert len(before) == after // 5
    assert not list(output.glob(".*"))
    run(shards, output)
    assert contents(output) == contents(tmp_path / "whole")
    # What was finished was not written again.
    for name, node in before.items():
        assert (output / name).stat().st_ino == node


def test_an_interrupted_folder_of_another_run_is_refused(shards: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    stopped(shards, output, 6)
    held = contents(output)
    with pytest.raises(OutputError, match="unfinished run with another model or other settings"):
        run(shards, output, find_block_format("NF4", block=16))
    with pytest.raises(OutputError, match="unfinished run with another model or other settings"):
        run(shards, output, clipping=Clipping.MSE)
    tensors = load_file(shards / "model-00001-of-00003.safetensors")
    save_file(tensors, shards / "model-00001-of-00003.safetensors")
    os.utime(shards / "model-00001-of-00003.safetensors", (1, 1))
    with pytest.raises(OutputError, match="unfinished run with another model or other settings"):
        run(shards, output)
    assert contents(output) == held


def test_a_damaged_shard_of_an_interrupted_run_is_written_again(
    shards: Path, tmp_path: Path
) -> None:
    run(shards, tmp_path / "whole")
    output = tmp_path / "out"
    stopped(shards, output, 6)
    (shard,) = output.glob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:-1])
    run(shards, output)
    assert contents(output) == contents(tmp_path / "whole")


def test_an_interrupted_file_leaves_nothing(source: Path, tmp_path: Path) -> None:
    stopped(source, tmp_path / "out.safetensors", 4)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_progress_counts_all_bytes(shards: Path, tmp_path: Path) -> None:
    said: list[tuple[int, int, str]] = []
    setup = StreamSetup(block_format=NF4)
    quantize_checkpoint(
        open_checkpoint(shards), tmp_path / "out", setup, progress=lambda *call: said.append(call)
    )
    total = sum(tensor.nbytes for tensor in model().values())
    assert [done for done, _, _ in said] == sorted(done for done, _, _ in said)
    assert said[-1][:2] == (total, total)
    assert {name for _, _, name in said} == {n for n, t in model().items() if t.numel()}


# ---- Refused, in sentences ----


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("name", "index"), [(Q, (37, 95)), (EXPERTS, (2, 1, 30)), ("conv.weight", (7, 2, 0, 1))]
)
def test_numbers_that_are_not_finite_are_named(
    tmp_path: Path, small_groups: None, name: str, index: tuple[int, ...], bad: float
) -> None:
    tensors = model()
    tensors[name][index] = bad
    save_file(tensors, tmp_path / "bad.safetensors")
    with pytest.raises(TensorError) as caught:
        run(tmp_path / "bad.safetensors", tmp_path / "out.safetensors")
    for word in ("bad.safetensors", repr(name), str(bad), f"index {index}", "--keep"):
        assert word in str(caught.value)
    assert not (tmp_path / "out.safetensors").exists()
    assert len(list(tmp_path.iterdir())) == 1
    run(tmp_path / "bad.safetensors", tmp_path / "out.safetensors", keep=(name,))


def test_a_model_without_weights(tmp_path: Path) -> None:
    save_file(
        {"norm.weight": torch.ones(3), "n": torch.ones(3, 3).int()}, tmp_path / "m.safetensors"
    )
    with pytest.raises(DataError, match=r"m\.safetensors holds no weights .* among 2 tensors"):
        run(tmp_path / "m.safetensors", tmp_path / "out.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no model weights"):
        run(tmp_path / "empty", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_quantized_twice_is_refused(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "once.safetensors")
    with pytest.raises(DataError, match="holds no weights"):
        run(tmp_path / "once.safetensors", tmp_path / "twice.safetensors")


@pytest.mark.parametrize("left", [0, 7, 100, -1])
def test_a_truncated_file(source: Path, tmp_path: Path, left: int) -> None:
    data = source.read_bytes()
    source.write_bytes(data[:left])
    with pytest.raises(DataError, match=r"model\.safetensors is no readable safetensors file"):
        run(source, tmp_path / "out.safetensors")


@pytest.mark.parametrize("keep", [(), ("*",)])
def test_a_file_cut_while_it_is_read(source: Path, tmp_path: Path, keep: tuple[str, ...]) -> None:
    keep = tuple(n for n in QUANTIZED if n != "conv.weight") if keep else ()
    checkpoint = open_checkpoint(source)
    source.write_bytes(source.read_bytes()[:2000])
    with pytest.raises(DataError, match="was cut short while it was being read"):
        quantize_checkpoint(
            checkpoint, tmp_path / "out.safetensors", StreamSetup(block_format=NF4, keep=keep)
        )
    assert len(list(tmp_path.iterdir())) == 1


def test_outputs_that_exist(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    output.write_text("precious")
    with pytest.raises(OutputError, match=r"out\.safetensors exists already"):
        run(source, output)
    assert output.read_text() == "precious"
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "notes").write_text("precious")
    with pytest.raises(OutputError, match="folder exists and holds files"):
        run(source, folder)
    assert contents(folder) == {"notes": b"precious"}
    with pytest.raises(OutputError, match="is the model itself"):
        run(source, source)
    with pytest.raises(OutputError, match="is the model itself"):
        run(source, tmp_path)
    with pytest.raises(OutputError, match="cannot be written"):
        run(source, tmp_path / "folder" / "notes")
    with pytest.raises(OutputError, match="cannot be written"):
        run(source, tmp_path / "nowhere" / "out.safetensors")
    with pytest.raises(OutputError, match="cannot be written"):
        run(source, tmp_path / "a\0b.safetensors")


def test_a_full_disk_is_told_beforehand(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**6, 10**6 - 10, 10))
    with pytest.raises(OutputError, match=r"out\.safetensors cannot be written: it takes .* free"):
        run(source, tmp_path / "out.safetensors")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_disk_that_fills_up_while_it_is_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("nibblemac.formats.models.tensor_file.TensorFile.append", full)
    with pytest.raises(OutputError, match=r"out\.safetensors cannot be written: No space left"):
        run(source, tmp_path / "out.safetensors")
    assert len(list(tmp_path.iterdir())) == 1


def test_settings_without_a_meaning(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    with pytest.raises(UsageError, match="signed scale"):
        run(source, output, signed=True)
    with pytest.raises(UsageError, match="layer kind 'foo' is unknown"):
        run(source, output, layers=("foo",))
    assert not output.exists()


def test_names_that_are_taken(tmp_path: Path) -> None:
    save_file(
        {"a.weight": torch.ones(2, 2), "a.weight.codes": torch.ones(1)}, tmp_path / "m.safetensors"
    )
    with pytest.raises(DataError, match=r"already holds a tensor 'a\.weight\.codes'"):
        run(tmp_path / "m.safetensors", tmp_path / "out.safetensors")


# ---- Damaged and foreign files on the way back ----


def rewritten(path: Path, change) -> None:
    """Write a quantized file again with its tensors and its record changed."""
    with safe_open(path, framework="pt") as handle:
        record = json.loads(handle.metadata()["nibblemac"])
        tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    text = change(record, tensors)
    text = text if isinstance(text, str) else json.dumps(record)
    save_file(tensors, path, {"nibblemac": text})


def remove(name: str):
    return lambda record, tensors: tensors.pop(name)


def put(key: str, value: object):
    return lambda record, tensors: record.__setitem__(key, value)


def put_tensor(name: str, change):
    return lambda record, tensors: tensors.__setitem__(name, change(tensors[name]))


def put_shape(**values: object):
    return lambda record, tensors: record["tensors"][Q].update(values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record, tensors: "no JSON", "damaged metadata"),
        (lambda record, tensors: "[]", "damaged metadata"),
        (lambda record, tensors: "{}", "damaged metadata"),
        (put("version", 2), "version 2"),
        (put("block", 0), "block is 0"),
        (put("block", 16), "by the header"),
        (put("clipping", "x"), "damaged metadata"),
        (put("scale_format", "E9M9"), "E9M9"),
        (put("targets", ["x"]), "damaged metadata"),
        (put("tensors", []), "damaged metadata"),
        (put_shape(shape=[40, 97]), "damaged metadata"),
        (put_shape(shape="wide"), "damaged metadata"),
        (put_shape(matrix=[96, 40]), "by the header"),
        (put_shape(matrix=[40]), "damaged metadata"),
        (put_shape(axis=1), "damaged metadata"),
        (put_shape(dtype="I64"), "damaged metadata"),
        (remove(f"{Q}.codes"), r"lacks the tensor .*codes"),
        (remove(f"{Q}.scales"), r"lacks the tensor .*scales"),
        (put_tensor(f"{Q}.scales", lambda t: t * math.nan), "NaN"),
        (put_tensor(f"{Q}.codes", lambda t: t.float()), r"of torch\.uint8"),
        (put_tensor(f"{Q}.codes", lambda t: t[1:].clone()), "by the header"),
    ],
)
def test_damaged_quantized_files(source: Path, tmp_path: Path, change, words: str) -> None:
    output = tmp_path / "out.safetensors"
    run(source, output)
    rewritten(output, change)
    with pytest.raises(DataError, match=words) as caught:
        open_quantized(output).quantized(Q)
    assert "out.safetensors" in str(caught.value)


def test_codes_that_a_format_does_not_have(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    run(source, output, find_block_format("NF3"))
    rewritten(output, put_tensor(f"{Q}.codes", lambda t: t | 8))
    with pytest.raises(DataError, match="the codes of NF3 are 0 to 7"):
        open_quantized(output).tensor(Q)


def test_other_files_are_not_quantized(source: Path) -> None:
    with pytest.raises(DataError, match="holds no quantized weights"):
        open_quantized(source)


def test_unknown_tensors(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "out.safetensors")
    with pytest.raises(DataError, match="no quantized tensor 'foo'"):
        open_quantized(tmp_path / "out.safetensors").tensor("foo")


# ---- Memory ----

MEASURE = """
import json, sys, threading, torch
from pathlib import Path
from nibblemac.formats.block_format import find_block_format
from nibblemac.formats.models.checkpoint import open_checkpoint
from nibblemac.formats.models.stream import quantize_checkpoint
from nibblemac.formats.models.stream_tasks import StreamSetup
from nibblemac.formats.quantizer import quantize

def status():
    lines = Path("/proc/self/status").read_text().splitlines()
    rows = [line.split() for line in lines if line.startswith(("Vm", "Rss"))]
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows}

path, output, name = sys.argv[1:]
setup = StreamSetup(block_format=find_block_format(name))
quantize(torch.ones(2048, 128, dtype=torch.bfloat16), setup.block_format.format, setup.spec_of(-1))
checkpoint = open_checkpoint(Path(path))
Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
before = status()
anonymous, over = [before["RssAnon"]], threading.Event()

def watch():
    while not over.wait(0.002):
        anonymous.append(status()["RssAnon"])

watcher = threading.Thread(target=watch)
watcher.start()
made = quantize_checkpoint(checkpoint, Path(output), setup)
over.set()
watcher.join()
print(json.dumps({
    "all": status()["VmHWM"] - before["VmRSS"],
    "anonymous": max(anonymous) - before["RssAnon"],
    "largest": max(one.end - one.begin for one in checkpoint.tensors),
    "size": sum(one.end - one.begin for one in checkpoint.tensors),
    "samples": len(anonymous),
}))
"""


def sparse_checkpoint(path: Path, layers: int, width: int, vocabulary: int) -> None:
    """Write a header for bfloat16 weights and leave the data a hole, but for some numbers."""
    shapes = {"lm_head.weight": (vocabulary, width)}
    for layer in range(layers):
        shapes[f"layers.{layer}.mlp.up_proj.weight"] = (4 * width, width)
        shapes[f"layers.{layer}.mlp.down_proj.weight"] = (width, 4 * width)
    header: dict[str, object] = {}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pattern = random(width, dtype=torch.bfloat16).view(torch.uint8).numpy().tobytes()
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + end)
        for place in range(0, end - len(pattern), max(end // 64, 1)):
            stream.seek(8 + len(text) + place - place % 2)
            stream.write(pattern)


def measured(path: Path, output: Path, name: str) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), str(output), name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    said = ", ".join(f"{key} {value / 2**20:.1f}" for key, value in found.items())
    sys.stdout.write(f"\n{name}, MiB: {said}\n")
    return found


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="peaks of memory are read from Linux's /proc"
)


@needs_proc
@pytest.mark.parametrize("name", ["NF4", "NVFP4"])
def test_memory_of_a_small_model(tmp_path: Path, name: str) -> None:
    """Anonymous memory is the program's own; mapped pages of the model belong to the disk cache."""
    sparse_checkpoint(tmp_path / "model.safetensors", layers=3, width=1024, vocabulary=40_000)
    found = measured(tmp_path / "model.safetensors", tmp_path / "out.safetensors", name)
    assert found["largest"] == 80_000 * 1024
    assert found["size"] > 120e6
    assert found["samples"] > 3
    assert found["all"] < 3 * found["largest"]
    assert found["anonymous"] < (1 if name == "NF4" else 2) * found["largest"]


@needs_proc
@pytest.mark.fuzz
@pytest.mark.parametrize("name", ["NF4", "NVFP4"])
def test_memory_of_ten_gigabytes(tmp_path: Path, name: str) -> None:
    """NVFP4's tensor scale needs a whole tensor mapped, and its codes and scales in memory."""
    path, output = tmp_path / "model.safetensors", tmp_path / "out.safetensors"
    sparse_checkpoint(path, layers=34, width=4096, vocabulary=128_000)
    try:
        found = measured(path, output, name)
        assert found["size"] > 10e9
        assert found["all"] < 3 * found["largest"]
        assert found["anonymous"] < 2 * found["largest"]
    finally:
        path.unlink()
        output.unlink(missing_ok=True)
