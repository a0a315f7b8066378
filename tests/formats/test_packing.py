"""Two codes a byte: layout, inverse, refusals."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.errors import TensorError
from nibblemac.formats.packing import pack_codes, unpack_codes


def test_the_low_nibble_comes_first_and_an_odd_end_is_padded() -> None:
    codes = torch.tensor([0x1, 0xA, 0xF], dtype=torch.uint8)
    assert pack_codes(codes).tolist() == [0xA1, 0x0F]


@given(
    outer=st.lists(st.integers(0, 3), max_size=3),
    length=st.integers(0, 9),
    seed=st.integers(0, 2**16),
)
def test_unpacking_is_the_inverse(outer: list[int], length: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 16, (*outer, length), generator=generator).to(torch.uint8)
    before = codes.clone()
    packed = pack_codes(codes)
    assert packed.shape == (*outer, (length + 1) // 2)
    assert packed.dtype == torch.uint8
    assert torch.equal(unpack_codes(packed, length), codes)
    assert torch.equal(codes, before)


def test_every_byte_unpacks_to_its_nibbles() -> None:
    every = torch.arange(256, dtype=torch.uint8)
    expected = [nibble for byte in range(256) for nibble in (byte % 16, byte // 16)]
    assert unpack_codes(every, 512).tolist() == expected
    assert torch.equal(pack_codes(unpack_codes(every, 512)), every)


def test_strided_codes() -> None:
    codes = torch.arange(12, dtype=torch.uint8).reshape(3, 4).T
    assert torch.equal(pack_codes(codes), pack_codes(codes.contiguous()))


def test_rank_0_is_one_code() -> None:
    assert pack_codes(torch.tensor(9, dtype=torch.uint8)).tolist() == [9]


@pytest.mark.parametrize(
    ("codes", "word"),
    [
        (torch.tensor([16], dtype=torch.uint8), "16"),
        (torch.tensor([1]), "int64"),
        ([1], "list"),
    ],
    ids=["16", "int64", "list"],
)
def test_what_cannot_be_packed_is_refused(codes: object, word: str) -> None:
    with pytest.raises(TensorError, match=word):
        pack_codes(codes)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [-1, 0, 4, 7])
def test_a_length_that_does_not_fill_the_bytes_is_refused(length: int) -> None:
    with pytest.raises(TensorError, match="3 bytes"):
        unpack_codes(torch.zeros(3, dtype=torch.uint8), length)


@pytest.mark.parametrize("packed", [torch.zeros(3), torch.tensor(3, dtype=torch.uint8), [3]])
def test_what_is_no_packed_tensor_is_refused(packed: object) -> None:
    with pytest.raises(TensorError, match="uint8"):
        unpack_codes(packed, 1)  # type: ignore[arg-type]
