"""Damaged safetensors files: headers that lie about lengths, types and places of the data."""

import json
import struct
from pathlib import Path

import pytest
import torch
from nibblemac.formats.errors import DataError, TensorError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.operands import tensor_operands
from nibblemac.formats.safetensors_file import read_tensor, tensor_names
from safetensors.torch import save

SPEC = MacSpec(weight=find_format("E2M1"), activation=find_format("E2M1"), terms=8)
DTYPES = [
    "F4", "F6_E2M3", "F6_E3M2", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F16", "BF16", "F32", "F64",
    "I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64", "BOOL", "C64", "f32", "",
]  # fmt: skip
SIZES = [0, 1, 2, 8, 16, 24, 96, 2**31, 2**32 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -1]


def parts(data: bytes) -> tuple[dict[str, object], bytes]:
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def whole(header: bytes, body: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + body


@pytest.fixture
def seeds() -> list[bytes]:
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(3, 16, generator=generator)
    return [
        save({"weight": values}),
        save({"a": values.half(), "b": values.bfloat16()}),
        save({"a": values[0], "b": torch.arange(16)}),
    ]


def test_safetensors(fuzz, tmp_path: Path, seeds: list[bytes], is_sentence) -> None:
    target = tmp_path / "t.safetensors"

    def make(damage) -> bytes:
        rng = damage.rng
        data = rng.choice(seeds)
        header, body = parts(data)
        choice = rng.random()
        if choice < 0.15:
            return damage.damaged(data)
        if choice < 0.3:
            return whole(json.dumps(header).encode(), body, rng.choice(SIZES) % 2**64)
        if choice < 0.5:
            return whole(damage.damaged(json.dumps(header).encode()), body)
        if choice < 0.6:
            return whole(json.dumps(damage.changed(header)).encode(), body)
        name = rng.choice(list(header))
        tensor = header[name]
        what = rng.choice(("dtype", "shape", "data_offsets", "name", "body", "values"))
        if what == "dtype":
            tensor["dtype"] = rng.choice(DTYPES)
        elif what == "shape":
            tensor["shape"] = [rng.choice(SIZES) for _ in range(rng.randrange(5))]
            if rng.random() < 0.5:
                tensor["shape"].insert(rng.randint(0, len(tensor["shape"])), 0)
                tensor["data_offsets"] = [len(body), len(body)]
        elif what == "data_offsets":
            tensor["data_offsets"] = [rng.choice(SIZES) for _ in range(rng.choice((1, 2, 2, 2, 3)))]
        elif what == "name":
            header[rng.choice(["", "\u0000", "../x", "é" * 500, "__metadata__"])] = header.pop(name)
        elif what == "body":
            body = rng.choice((body[: rng.randrange(len(body))], body + b"\0" * 9, b""))
        else:
            body = bytes(rng.choice((0x00, 0x7F, 0x80, 0xFF)) for _ in body)
        return whole(json.dumps(header).encode(), body)

    def read(case: bytes) -> bool:
        target.write_bytes(case)
        try:
            for name in tensor_names(target):
                tensor = read_tensor(target, name)
                tensor_operands(SPEC, tensor, lanes=2, name=name)
        except (DataError, TensorError) as error:
            is_sentence(error)
            return False
        return True

    fuzz.run("safetensors header", seeds, make, read, valid=seeds[:2], tokens=DTYPES)
