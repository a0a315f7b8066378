"""Finding a model's tensors: files, shards, folders, and what is wrong with them."""

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from nibblemac.formats.errors import DataError
from nibblemac.formats.models.checkpoint import natural, open_checkpoint
from safetensors.torch import save_file

NAMES = ("layers.0.w", "layers.2.w", "layers.10.w", "norm")


def tensors(*names: str) -> dict[str, torch.Tensor]:
    return {name: torch.full((2, 3), float(len(name))) for name in names}


def index(folder: Path, shards: dict[str, object], name: str = "model") -> Path:
    path = folder / f"{name}.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    return path


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    save_file(tensors(*NAMES[::2]), tmp_path / "model-00001-of-00002.safetensors")
    save_file(tensors(*NAMES[1::2]), tmp_path / "model-00002-of-00002.safetensors")
    index(
        tmp_path,
        {
            name: f"model-0000{number % 2 + 1}-of-00002.safetensors"
            for number, name in enumerate(NAMES)
        },
    )
    (tmp_path / "config.json").write_text('{"vocab_size": 7}')
    return tmp_path


def test_files_and_folders(tmp_path: Path) -> None:
    save_file(tensors(*NAMES), tmp_path / "model.safetensors")
    save_file(tensors("other"), tmp_path / "other.safetensors")
    for path in (tmp_path, tmp_path / "model.safetensors"):
        checkpoint = open_checkpoint(path)
        assert tuple(one.name for one in checkpoint.tensors) == NAMES
        assert checkpoint.files == (tmp_path / "model.safetensors",)
        assert (checkpoint.path, checkpoint.config, checkpoint.elements) == (path, {}, 24)
    (tmp_path / "model.safetensors").rename(tmp_path / "weights.safetensors")
    assert len(open_checkpoint(tmp_path).tensors) == 5


def test_shards_by_folder_and_by_index(sharded: Path) -> None:
    for path in (sharded, sharded / "model.safetensors.index.json"):
        checkpoint = open_checkpoint(path)
        assert tuple(one.name for one in checkpoint.tensors) == NAMES
        assert [float(one.tensor()[0, 0]) for one in checkpoint.tensors] == [
            float(len(name)) for name in NAMES
        ]
        assert len(checkpoint.files) == 2
    assert open_checkpoint(sharded).config == {"vocab_size": 7}


def test_tensors_that_the_index_leaves_out_do_not_count(sharded: Path) -> None:
    index(sharded, {"norm": "model-00002-of-00002.safetensors"})
    assert [one.name for one in open_checkpoint(sharded).tensors] == ["norm"]


@pytest.mark.parametrize(
    "file",
    [
        "../outside.safetensors",
        "a/../../outside.safetensors",
        "/etc/passwd",
        "/outside.safetensors",
        "..\\outside.safetensors",
        "C:\\outside.safetensors",
        "C:outside.safetensors",
        "a\0.safetensors",
        "..",
        "",
        "config.json",
        "pytorch_model.bin",
        7,
        None,
        ["model.safetensors"],
    ],
)
def test_an_index_cannot_leave_its_folder(tmp_path: Path, file: object) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(tensors("w"), tmp_path / "outside.safetensors")
    index(folder, {"w": file})
    with pytest.raises(DataError, match=r"the tensor 'w' in .*; it must be a file in the index's"):
        open_checkpoint(folder)


def test_missing_shards_and_tensors(sharded: Path) -> None:
    index(sharded, {"layers.0.w": "model-00003.safetensors"})
    with pytest.raises(DataError, match=r"the shard 'model-00003\.safetensors', which is missing"):
        open_checkpoint(sharded)
    for shard in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"):
        index(sharded, {"absent": shard})
        with pytest.raises(DataError, match=f"'absent' in {shard}, which does not"):
            open_checkpoint(sharded)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", r"is \[\]; it must be a JSON object"),
        ("{}", "no object 'weight_map'"),
        ('{"weight_map": {}}', "no object 'weight_map'"),
        ('{"weight_map": ["a"]}', "no object 'weight_map'"),
    ],
)
def test_broken_indices(sharded: Path, text: str, said: str) -> None:
    (sharded / "model.safetensors.index.json").write_text(text)
    with pytest.raises(DataError, match=rf"index\.json (has )?{said}"):
        open_checkpoint(sharded)


def test_broken_configuration(sharded: Path) -> None:
    (sharded / "config.json").write_text("{'a': 1}")
    with pytest.raises(DataError, match=r"config\.json is no JSON"):
        open_checkpoint(sharded)


def test_several_indices_need_a_choice(sharded: Path) -> None:
    (sharded / "model.safetensors.index.json").rename(sharded / "a.safetensors.index.json")
    assert len(open_checkpoint(sharded).tensors) == 4
    index(sharded, {"norm": "model-00002-of-00002.safetensors"}, "b")
    with pytest.raises(
        DataError, match=r"several indices, a\.safetensors.*, b\.safetensors.*; give"
    ):
        open_checkpoint(sharded)
    assert len(open_checkpoint(sharded / "b.safetensors.index.json").tensors) == 1


def test_a_tensor_in_two_files(tmp_path: Path) -> None:
    save_file(tensors("w", "a"), tmp_path / "1.safetensors")
    save_file(tensors("w", "b"), tmp_path / "2.safetensors")
    with pytest.raises(DataError, match=r"1\.safetensors and .*2\.safetensors both hold .* 'w'"):
        open_checkpoint(tmp_path)


class Canary:
    def __reduce__(self):
        return os.mkdir, (os.environ["CANARY"],)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.PTH", "last.ckpt"])
def test_pickles_are_never_opened(tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.setenv("CANARY", str(tmp_path / "ran"))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / name).write_bytes(pickle.dumps(Canary()))
    (folder / "config.json").write_text("{}")
    for path in (folder, folder / name):
        with pytest.raises(DataError, match=rf"{name}.*Only safetensors and GGUF files are read"):
            open_checkpoint(path)
    assert not (tmp_path / "ran").exists()


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent does not exist; give a safetensors file"):
        open_checkpoint(tmp_path / "absent")
    with pytest.raises(DataError, match="holds no model weights"):
        open_checkpoint(tmp_path)
    with pytest.raises(DataError, match=r"a\\x00b does not exist"):
        open_checkpoint(Path("a\0b"))
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"notes\.txt is no readable safetensors file"):
        open_checkpoint(tmp_path / "notes.txt")
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(DataError, match=r"holds m\.gguf; give the GGUF file itself"):
        open_checkpoint(tmp_path)


def test_names_sort_as_people_sort_them() -> None:
    names = ["h.10.w", "h.9.w", "h.9", "10", "9a", "b", "h.٣", "9" * 30]
    assert sorted(names, key=natural) == [
        "9a",
        "10",
        "9" * 30,
        "b",
        "h.9",
        "h.9.w",
        "h.10.w",
        "h.٣",
    ]
