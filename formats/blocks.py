"""Blocks of a tensor as rows of matrices, and back, without padding.

A block is a run of consecutive elements along the reduction axis. Where the block's length does
not divide the axis, the last block is shorter; it goes into a second matrix, so that no padding
can influence a scale.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import UsageError
from .scale import Granularity, ScaleSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockLayout:
    """How a tensor of ``shape`` falls into blocks of ``block`` elements along ``axis``.

    Splitting and joining are for tensors with at least one element. ``axis`` is
    None where all elements are one block; ``block`` is then their number.
    """

    shape: tuple[int, ...]
    axis: int | None
    block: int

    @classmethod
    def of(cls, shape: torch.Size | tuple[int, ...], spec: ScaleSpec) -> "BlockLayout":
        """Return the layout of a tensor's shape; a tensor of rank 0 is one block.

        Raises :class:`UsageError` for an axis that the tensor does not have.
        """
        shape = tuple(shape)
        rank = len(shape)
        if spec.granularity is Granularity.TENSOR:
            return cls(shape=shape, axis=None, block=torch.Size(shape).numel())
        if not -max(rank, 1) <= spec.axis < max(rank, 1):
            raise UsageError(
                f"axis is {spec.axis}, but the tensor has {rank} dimensions: {list(shape)}."
            )
        if rank == 0:
            return cls(shape=shape, axis=None, block=1)
        axis = spec.axis % rank
        block = spec.block if spec.granularity is Granularity.BLOCK else shape[axis]
        return cls(shape=shape, axis=axis, block=max(1, min(block, shape[axis])))

    @property
    def scale_shape(self) -> tuple[int, ...]:
        """The tensor's shape with the number of blocks in the axis's place; rank 0 for one block.

        Example: (4096, 4096) with axis −1 and block 128 has scales (4096, 32).
        """
        if self.axis is None:
            return ()
        blocks = -(-self.shape[self.axis] // self.block)
        return (*self.shape[: self.axis], blocks, *self.shape[self.axis + 1 :])

    def block_of(self, index: tuple[int, ...]) -> tuple[int, ...]:
        """Return the index in the scales of the block that holds an element."""
        if self.axis is None:
            return ()
        return (*index[: self.axis], index[self.axis] // self.block, *index[self.axis + 1 :])

    def split(self, tensor: Tensor) -> list[Tensor]:
        """Return the blocks as rows of matrices: the full ones, then the shorter ones."""
        if self.axis is None:
            return [tensor.reshape(1, -1)]
        full, rest = divmod(self.shape[self.axis], self.block)
        moved = tensor.movedim(self.axis, -1)
        parts = []
        if full:
            parts.append(moved[..., : full * self.block].reshape(-1, self.block))
        if rest:
            parts.append(moved[..., full * self.block :].reshape(-1, rest))
        return parts

    def join(self, parts: list[Tensor]) -> Tensor:
        """Undo :meth:`split`."""
        if self.axis is None:
            return parts[0].reshape(self.shape)
        return _gather(parts, self.shape, self.axis)

    def split_scales(self, scales: Tensor) -> list[Tensor]:
        """Return the scales, of :attr:`scale_shape`, as columns beside :meth:`split`'s rows."""
        if self.axis is None:
            return [scales.reshape(1, 1)]
        full, rest = divmod(self.shape[self.axis], self.block)
        moved = scales.movedim(self.axis, -1)
        parts = []
        if full:
            parts.append(moved[..., :full].reshape(-1, 1))
        if rest:
            parts.append(moved[..., full:].reshape(-1, 1))
        return parts

    def join_scales(self, parts: list[Tensor]) -> Tensor:
        """Undo :meth:`split_scales`."""
        if self.axis is None:
            return parts[0].reshape(())
        return _gather(parts, self.shape, self.axis)


def _gather(parts: list[Tensor], shape: tuple[int, ...], axis: int) -> Tensor:
    """Lay the parts' columns side by side along ``axis`` of a tensor of otherwise ``shape``."""
    outer = (*shape[:axis], *shape[axis + 1 :])
    runs = torch.Size(outer).numel()
    shaped = [part.reshape(*outer, part.numel() // runs) for part in parts]
    joined = shaped[0] if len(shaped) == 1 else torch.cat(shaped, dim=-1)
    return joined.movedim(-1, axis).contiguous()
