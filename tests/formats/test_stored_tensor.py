"""Tensors in safetensors files, read by windows: values, offsets, dtypes."""

import json
import struct
from pathlib import Path

import pytest
import torch
from nibblemac.formats.errors import DataError
from nibblemac.formats.stored_tensor import stored_tensors
from safetensors.torch import save_file

DTYPES = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
)


def write(path: Path, header: dict, data: bytes = b"", padding: str = "") -> Path:
    text = (json.dumps(header) + padding).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


@pytest.mark.parametrize("elements", [1, 7, 64, 1000])
def test_windows_are_the_tensors(tmp_path: Path, elements: int) -> None:
    made = {
        f"{number}.weight": torch.randn(13, 17, generator=torch.Generator().manual_seed(1)).to(
            dtype
        )
        for number, dtype in enumerate(DTYPES)
    }
    made["scalar"], made["none"] = torch.tensor(3.5), torch.empty(0, 4)
    save_file(made, tmp_path / "m.safetensors")
    found = {one.name: one for one in stored_tensors(tmp_path / "m.safetensors")}
    assert found.keys() == made.keys()
    for name, tensor in made.items():
        stored = found[name]
        assert (stored.shape, stored.elements) == (tuple(tensor.shape), tensor.numel())
        windows = list(stored.windows(elements))
        assert all(0 < len(one) <= elements for one in windows)
        assert len(windows) == -(-tensor.numel() // elements)
        bits = tensor.reshape(-1).view(torch.uint8).tolist() if tensor.numel() else []
        assert [byte for one in windows for byte in one.view(torch.uint8).tolist()] == bits
        assert stored.tensor().dtype == tensor.dtype
        assert torch.equal(stored.tensor().float(), tensor.float())


@pytest.mark.parametrize("padding", range(9))
def test_values_need_not_be_aligned(tmp_path: Path, padding: int) -> None:
    header = {"w": {"dtype": "F64", "shape": [3], "data_offsets": [0, 24]}}
    data = struct.pack("<3d", 1.5, -2.0, 1e-300)
    path = write(tmp_path / "m.safetensors", header, data, " " * padding)
    (stored,) = stored_tensors(path)
    assert stored.tensor().tolist() == [1.5, -2.0, 1e-300]
    assert [one.tolist() for one in stored.windows(2)] == [[1.5, -2.0], [1e-300]]


def test_what_is_written_to_a_window_does_not_reach_the_file(tmp_path: Path) -> None:
    save_file({"w": torch.ones(4)}, tmp_path / "m.safetensors")
    before = (tmp_path / "m.safetensors").read_bytes()
    (stored,) = stored_tensors(tmp_path / "m.safetensors")
    next(stored.windows()).zero_()
    assert (tmp_path / "m.safetensors").read_bytes() == before


def test_integers_are_named_and_refused(tmp_path: Path) -> None:
    save_file({"codes": torch.arange(4)}, tmp_path / "m.safetensors")
    (stored,) = stored_tensors(tmp_path / "m.safetensors")
    assert not stored.is_float
    with pytest.raises(DataError, match="'codes' is I64; only floating-point"):
        stored.tensor()


def test_damaged_files(tmp_path: Path) -> None:
    save_file({"w": torch.ones(100)}, tmp_path / "m.safetensors")
    data = (tmp_path / "m.safetensors").read_bytes()
    for length in (0, 4, 8, 30, len(data) - 1):
        (tmp_path / "cut.safetensors").write_bytes(data[:length])
        with pytest.raises(DataError, match=r"cut\.safetensors is no readable safetensors file"):
            stored_tensors(tmp_path / "cut.safetensors")
    (stored,) = stored_tensors(tmp_path / "m.safetensors")
    (tmp_path / "m.safetensors").write_bytes(data[:-1])
    with pytest.raises(DataError, match="cut short while"):
        stored.tensor()
    (tmp_path / "m.safetensors").unlink()
    with pytest.raises(DataError, match="cannot be read: No such file"):
        stored.tensor()
