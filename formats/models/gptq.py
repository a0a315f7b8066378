"""GPTQ: a weight's columns rounded one after another, the error made good by those that follow.

Frantar et al., "GPTQ", ICLR 2023, and IST-DASLab/gptq. With H = 2·Σ x·xᵀ over the layer's inputs,
damped by a hundredth of its mean diagonal, and U the upper Cholesky factor of H⁻¹, column i is
rounded to q_i, and the columns j > i get w_j −= (w_i − q_i) ÷ U_ii · U_ij. Updates reach beyond a
run of about 128 columns only when that is done. Columns keep their order. A block's scale, and the
variant where it has one, are found when its first column is reached, from its weights at that time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from ..block_choice import chosen_rows, first_target, has_choice, row_scales
from ..blocks import BlockLayout
from ..codec import codec, compute_dtype
from ..scale import Granularity, ScaleSpec
from ..scale_format import Parent, parent_scales

if TYPE_CHECKING:
    from torch import Tensor

    from ..record import Format

DAMPING = 0.01
RUN = 128


def gptq(
    matrix: "Tensor",
    hessian: "Tensor",
    format: "Format",  # noqa: A002 - the field's word
    spec: ScaleSpec,
    *,
    damping: float = DAMPING,
) -> "Tensor":
    """Return the dequantized weight, of ``matrix``'s shape (outputs, inputs) and dtype.

    ``hessian`` is (inputs, inputs), symmetric and positive semidefinite; ``spec`` has its blocks
    along the last axis. An input that never differs from 0 gets weights of 0. With a diagonal
    Hessian the result is the nearest rounding.
    """
    work = matrix.to(compute_dtype(matrix.dtype)).clone()
    blocks = BlockColumns(work, format, spec)
    work, factor = _prepared(work, hessian, damping)
    # Transposed, a column lies in memory as one piece.
    turned = work.t().contiguous()
    columns = len(turned)
    run = blocks.length * max(1, RUN // blocks.length) if blocks.length < columns else RUN
    for start in range(0, columns, run):
        end = min(start + run, columns)
        part, upper = turned[start:end], factor[start:end, start:end]
        errors = torch.empty_like(part)
        with _one_thread():
            for index in range(end - start):
                column = start + index
                if column % blocks.length == 0:
                    block = turned[column : column + blocks.length].t()
                    blocks.enter(block, column // blocks.length)
                rounded = blocks.nearest(part[index])
                error = (part[index] - rounded) / upper[index, index]
                part[index + 1 :].addr_(upper[index, index + 1 :], error, alpha=-1)
                part[index] = rounded
                errors[index] = error
        turned[end:].addmm_(factor[start:end, end:].t(), errors, alpha=-1)
    return turned.t().to(matrix.dtype).contiguous()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep short operations on one thread: others would be waited for longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _prepared(work: "Tensor", hessian: "Tensor", damping: float) -> "tuple[Tensor, Tensor]":
    """Return the weights without those of idle inputs, and U of the damped Hessian's inverse."""
    hessian = hessian.double().clone()
    diagonal = hessian.diagonal()
    idle = diagonal == 0
    diagonal[idle] = 1
    work[:, idle] = 0
    step = damping * float(diagonal.mean())
    while True:
        diagonal += step
        lower, failed = torch.linalg.cholesky_ex(hessian)
        if not int(failed):
            break
        step *= 10  # so singular in floating point that a hundredth is not enough
    inverse = torch.cholesky_inverse(lower)
    upper, failed = torch.linalg.cholesky_ex(inverse, upper=True)
    if int(failed):
        # The inverse of what can be factored can be, but for rounding; then nothing is fed back.
        upper = torch.diag(inverse.diagonal().clamp(min=torch.finfo(inverse.dtype).tiny).sqrt())
    return work, upper.to(work.dtype)


class BlockColumns:
    """The blocks of a weight, entered one after another, each with scales fixed at its entry."""

    def __init__(self, matrix: "Tensor", format: "Format", spec: ScaleSpec) -> None:  # noqa: A002
        layout = BlockLayout.of(matrix.shape, spec)
        self._format, self._spec = format, spec
        self.length = layout.block if spec.granularity is Granularity.BLOCK else matrix.shape[1]
        self._parents = _parents(matrix, layout, format, spec)
        self._scales = matrix.new_ones(len(matrix), 1)
        self._selectors: Tensor | None = None

    def enter(self, values: "Tensor", index: int) -> None:
        """Fix the scales, and the variants, of the blocks that ``values``, (outputs, n), make."""
        parents = None if self._parents is None else self._parents[:, index : index + 1]
        if has_choice(self._format, self._spec):
            codes, self._scales = chosen_rows(values, self._format, self._spec, parents)
            if self._format.selector_bits:
                self._selectors = codes[:, 0].int() >> self._format.stored_bits
            return
        target = self._spec.targets[0] if self._spec.targets else None
        self._scales = row_scales(values, self._format, self._spec, parents, target)

    def nearest(self, column: "Tensor") -> "Tensor":
        """Return level × scale nearest to each value of a column, shape (outputs,)."""
        scales = self._scales[:, 0]
        scaled = column / scales
        result = torch.empty_like(column)
        for selector, variant in enumerate(self._format.variants):
            tables = codec(variant, column.dtype, column.device)
            levels = tables.decode(tables.encode(scaled))
            if self._selectors is None:
                return levels * scales
            result = torch.where(self._selectors == selector, levels * scales, result)
        return result


def _parents(
    matrix: "Tensor",
    layout: BlockLayout,
    format: "Format",  # noqa: A002
    spec: ScaleSpec,
) -> "Tensor | None":
    """Return the parent scale of each block, (outputs, blocks), or None without parents."""
    store = spec.scale_format
    if store is None or store.parent is Parent.NONE:
        return None
    level = float(first_target(format, spec))
    needed = [rows.abs().amax(dim=1, keepdim=True) / level for rows in layout.split(matrix)]
    return layout.join_scales(parent_scales(needed, store, layout))
