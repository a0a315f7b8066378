import json
import os
import pickle
import struct

import pytest
import torch
from nibblemac.formats.errors import DataError
from nibblemac.formats.safetensors_file import read_tensor, tensor_names


def write(path, header, data=b""):
    """Write the format by hand: eight bytes of length, JSON, the buffer."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


@pytest.fixture
def two(tmp_path):
    header = {
        "w": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]},
        "b": {"dtype": "BF16", "shape": [2], "data_offsets": [8, 12]},
    }
    # 1.5 and -2 as float32, 1 and -1 as the upper halves of float32.
    data = struct.pack("<2f2H", 1.5, -2.0, 0x3F80, 0xBF80)
    return write(tmp_path / "two.safetensors", header, data)


def test_values(two):
    assert tensor_names(two) == ["b", "w"]
    assert torch.equal(read_tensor(two, "w"), torch.tensor([[1.5, -2.0]]))
    assert torch.equal(read_tensor(two, "b"), torch.tensor([1, -1], dtype=torch.bfloat16))


def test_the_only_tensor_needs_no_name(tmp_path, two):
    header = {"x": {"dtype": "I8", "shape": [1], "data_offsets": [0, 1]}}
    one = write(tmp_path / "one.safetensors", header, b"\x07")
    assert read_tensor(one).tolist() == [7]
    with pytest.raises(DataError, match="holds 2 tensors, b, w; name one of them"):
        read_tensor(two)


def test_unknown_names_are_refused(tmp_path, two):
    with pytest.raises(DataError, match="2 tensors, b, w; none is 'q'"):
        read_tensor(two, "q")
    with pytest.raises(DataError, match="no tensors; name one"):
        read_tensor(write(tmp_path / "none", {}))


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["w"].update(data_offsets=[0, 80]),
        lambda header: header["w"].update(data_offsets=[4, 12]),
        lambda header: header["w"].update(shape=[3]),
        lambda header: header["w"].update(shape=[-1, -2]),
        lambda header: header["w"].update(dtype="F33"),
        lambda header: header.pop("b"),
        lambda header: header.update(c=1),
    ],
)
def test_damaged_headers_are_refused(tmp_path, two, change):
    data = two.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    change(header)
    path = write(tmp_path / "bad", header, data[8 + length :])
    with pytest.raises(DataError, match="bad is no readable safetensors file"):
        read_tensor(path, "w")


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 8, b"\xff" * 20, struct.pack("<Q", 2**60) + b"{}", pickle.dumps([1])]
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(DataError, match="other is no readable safetensors file"):
        tensor_names(path)


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path, "not a regular file"),
        (tmp_path / "pipe", "not a regular file"),
        (tmp_path / "absent", "absent' cannot be read: No such file"),
        ("a\0b", "cannot be read"),
    ):
        with pytest.raises(DataError, match=message):
            read_tensor(path, "w")
