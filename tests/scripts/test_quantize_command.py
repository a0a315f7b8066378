"""``nibblemac quantize``: files, figures, exit codes and what is refused in a sentence."""

from pathlib import Path

import pytest
import torch
from nibblemac.formats.block_format import find_block_format
from nibblemac.formats.models.quantized_reader import dequantized_tensors, open_quantized
from nibblemac.formats.quantizer import quantize
from nibblemac.scripts import main as command
from safetensors.torch import load_file, save_file

WEIGHT, HEAD = "mlp.up_proj.weight", "lm_head.weight"


def call(*arguments: object) -> int:
    try:
        return command.main(["quantize", *(str(one) for one in arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    draw = torch.Generator().manual_seed(1)
    tensors = {
        WEIGHT: torch.randn(24, 256, generator=draw),
        HEAD: torch.randn(16, 256, generator=draw),
        "norm.weight": torch.ones(256),
    }
    path = tmp_path / "model.safetensors"
    save_file(tensors, path)
    return path


def test_a_model_becomes_codes_and_scales(model: Path, tmp_path: Path, capsys) -> None:
    output = tmp_path / "out.safetensors"
    assert call(model, "--format", "sf4", "-o", output) == 0
    captured = capsys.readouterr()
    # 10240 elements: a nibble each, and a scale of 16 bits for each block of 128.
    assert captured.out.splitlines() == [
        "SF4, blocks of 128, FP16 scales: 2 of 3 tensors, 10240 elements at 4.125 bits each",
        "those weights: 0.0 MB before, 0.0 MB now",
        str(output),
    ]
    assert "quantizing (MB)" in captured.err
    found = dict(dequantized_tensors(output))
    block_format = find_block_format("SF4")
    source = load_file(model)
    for name in (WEIGHT, HEAD):
        made = quantize(source[name], block_format.format, block_format.spec())
        assert torch.equal(found[name], made.dequantize())
    assert torch.equal(found["norm.weight"], torch.ones(256))


def test_every_option_counts(model: Path, tmp_path: Path, capsys) -> None:
    output = tmp_path / "folder"
    options = ("--block", 32, "--scale", "mse", "--signed", "--scale-format", "e4m3")
    options += ("--layers", "linear", "--keep", "lm_*")
    assert call(model, "--format", "INT4", "-o", output, *options) == 0
    assert "INT4, blocks of 32, E4M3 scales: 1 of 3 tensors" in capsys.readouterr().out
    opened = open_quantized(output)
    assert opened.quantized_names == (WEIGHT,)
    spec = opened.quantized(WEIGHT).spec
    assert (spec.block, spec.clipping.value, spec.signed) == (32, "mse", True)
    assert spec.scale_format is not None
    assert spec.scale_format.name == "E4M3"
    assert [path.name for path in output.iterdir()] == ["model.safetensors"]


def test_a_format_of_the_users_own(model: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('name = "Mine"\nbits = 2\nlevels = [-3, -1, 0, 2]\n')
    assert call(model, "--format", mine, "-o", tmp_path / "out.safetensors") == 0
    assert open_quantized(tmp_path / "out.safetensors").quantized(WEIGHT).format.name == "Mine"


@pytest.mark.parametrize(
    ("arguments", "code_and_words"),
    [
        (("--format", "NF5000"), (1, "NF5000")),
        (("--format", "NF9"), (1, "2 to 8")),
        (("--format", "all"), (2, "one format, not all")),
        (("--format", "NF4", "--signed"), (2, "signed")),
        (("--format", "NF4", "--block", 0), (2, "block is 0")),
        (("--format", "NF4", "--scale-format", "FP99"), (2, "FP99")),
        (("--format", "NF4", "--layers", "foo"), (2, "layer kind 'foo' is unknown")),
        (("--format", "NF4", "--keep", "*"), (1, "holds no weights to quantize")),
        (("--format", "MXFP4", "--signed"), (2, "sign")),
    ],
)
def test_what_is_refused(
    model: Path,
    tmp_path: Path,
    capsys,
    arguments: tuple[object, ...],
    code_and_words: tuple[int, str],
) -> None:
    code, words = code_and_words
    assert call(model, "-o", tmp_path / "out.safetensors", *arguments) == code
    said = capsys.readouterr().err
    assert words in said
    assert said.startswith("nibblemac: ")
    assert said.rstrip().endswith(".")
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_wide_formats_of_the_users_own_are_refused(model: Path, tmp_path: Path, capsys) -> None:
    wide = tmp_path / "wide.toml"
    wide.write_text('name = "Wide"\nbits = 9\nlevels = [' + ", ".join(map(str, range(512))) + "]\n")
    assert call(model, "--format", wide, "-o", tmp_path / "out.safetensors") == 1
    assert "it must be from 2 to 8" in capsys.readouterr().err
    assert not (tmp_path / "out.safetensors").exists()


def test_files_that_are_refused(model: Path, tmp_path: Path, capsys) -> None:
    missing = tmp_path / "nowhere"
    assert call(missing, "--format", "NF4", "-o", tmp_path / "o.safetensors") == 1
    assert "nowhere does not exist" in capsys.readouterr().err
    assert call(model, "--format", "NF4", "-o", model) == 1
    assert "is the model itself" in capsys.readouterr().err
    data = model.read_bytes()
    model.write_bytes(data[:-5])
    assert call(model, "--format", "NF4", "-o", tmp_path / "o.safetensors") == 1
    assert "no readable safetensors file" in capsys.readouterr().err
    (tmp_path / "model.bin").write_bytes(b"pickle")
    assert call(tmp_path / "model.bin", "--format", "NF4", "-o", tmp_path / "o.safetensors") == 1
    assert "pickles" in capsys.readouterr().err
    assert not (tmp_path / "o.safetensors").exists()


def test_nan_names_file_tensor_and_index(tmp_path: Path, capsys) -> None:
    weight = torch.zeros(5, 8)
    weight[4, 2] = torch.nan
    save_file({"fc.weight": weight}, tmp_path / "m.safetensors")
    assert (
        call(tmp_path / "m.safetensors", "--format", "NF4", "-o", tmp_path / "o.safetensors") == 1
    )
    said = capsys.readouterr().err
    assert "m.safetensors: the tensor 'fc.weight' holds nan at index (4, 2)" in said
    assert not (tmp_path / "o.safetensors").exists()
