"""Two codes a byte, and back. The code at the even position is the low nibble."""

import torch
from torch import Tensor

from .errors import TensorError

_NIBBLE = 16


def pack_codes(codes: Tensor) -> Tensor:
    """Pack codes below 16 along the last axis: uint8 of shape (…, n) becomes (…, ⌈n/2⌉).

    Byte i holds code 2i in its low nibble and code 2i + 1 in its high one; an odd n is padded with
    a zero nibble. Rank 0 counts as one code. Raises :class:`TensorError` for other dtypes and for
    codes from 16.
    """
    if not isinstance(codes, Tensor) or codes.dtype != torch.uint8:
        kind = codes.dtype if isinstance(codes, Tensor) else type(codes).__name__
        raise TensorError(f"Codes to pack are {kind}; they must be a tensor of torch.uint8.")
    if codes.numel() and int(codes.max()) >= _NIBBLE:
        raise TensorError(
            f"Codes to pack reach {int(codes.max())}; only codes of 4 bits or fewer, below 16, "
            "fit two to a byte."
        )
    codes = codes.reshape(1) if codes.dim() == 0 else codes
    low, high = codes[..., 0::2], codes[..., 1::2]
    packed = low.clone()
    packed[..., : high.shape[-1]] |= high << 4
    return packed


def unpack_codes(packed: Tensor, length: int) -> Tensor:
    """Undo :func:`pack_codes` for codes of shape (…, ``length``).

    Raises :class:`TensorError` where ``length`` codes do not fill the packed bytes.
    """
    if not isinstance(packed, Tensor) or packed.dtype != torch.uint8 or packed.dim() == 0:
        raise TensorError("Packed codes must be a tensor of torch.uint8 with at least one axis.")
    if (length + 1) // 2 != packed.shape[-1]:
        raise TensorError(
            f"The last axis has {packed.shape[-1]} bytes; {length} codes pack into "
            f"{(length + 1) // 2}."
        )
    return torch.stack([packed & 0xF, packed >> 4], dim=-1).flatten(-2)[..., :length].contiguous()
