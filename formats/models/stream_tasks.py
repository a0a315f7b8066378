"""What streaming quantization does with each tensor of a checkpoint, and what it writes for it."""

import fnmatch
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..block_format import BlockFormat
from ..errors import DataError
from ..scale import Clipping, ScaleSpec
from ..stored_tensor import StoredTensor
from .checkpoint import Checkpoint
from .layers import CONVOLUTION, LINEAR, kind_of_tensor, role_of
from .quantized_layout import LayoutRecord, StoredShape, parts_of
from .tensor_file import Entry

# transformers' Conv1D keeps its weight as (inputs, outputs).
_TRANSPOSING = {"gpt2", "openai-gpt", "imagegpt", "decision_transformer"}
_TRANSPOSED = re.compile(r"(^|\.)(c_attn|c_fc|c_proj|q_attn)\.weight$")


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamSetup:
    """How to quantize, and which weights; all other tensors are copied.

    The weights are those of layers of the kinds and roles ``layers``, less the tensors whose names
    match a pattern of ``keep``, as in a shell.
    """

    block_format: BlockFormat
    clipping: Clipping = Clipping.ABSMAX
    signed: bool = False
    layers: tuple[str, ...] = (LINEAR, CONVOLUTION)
    keep: tuple[str, ...] = ()

    def spec_of(self, axis: int) -> ScaleSpec:
        """Return what the quantizer takes for a matrix with that reduction axis."""
        return self.block_format.spec(axis=axis, clipping=self.clipping, signed=self.signed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A tensor of the input, and how it is stored where it is quantized."""

    source: StoredTensor
    stored: StoredShape | None


def find_tasks(checkpoint: Checkpoint, setup: StreamSetup) -> list[Task]:
    """Return a task for each tensor; raises :class:`DataError` where names would collide."""
    transposing = str(checkpoint.config.get("model_type")) in _TRANSPOSING
    tasks = [
        Task(
            source=source,
            stored=_shape_of(source, transposing) if _is_wanted(source, setup) else None,
        )
        for source in checkpoint.tensors
    ]
    names = {task.source.name for task in tasks}
    for task in tasks:
        for one in entries_of(task, setup) if task.stored else ():
            if one.name in names:
                raise DataError(
                    f"{task.source.path} already holds a tensor {one.name!r:.80}, which "
                    f"{task.source.name!r:.80} would be quantized into; leave the latter out with "
                    "--keep."
                )
    return tasks


def _is_wanted(source: StoredTensor, setup: StreamSetup) -> bool:
    kind = kind_of_tensor(source.name, source.shape)
    if kind is None or not source.is_float or not source.elements:
        return False
    if any(fnmatch.fnmatchcase(source.name, pattern) for pattern in setup.keep):
        return False
    return kind in setup.layers or role_of(source.name) in setup.layers


def _shape_of(source: StoredTensor, transposing: bool) -> StoredShape:
    """Return the tensor as a matrix of outputs and inputs; experts are matrices one below another.

    A convolution's inputs are flattened.
    """
    shape = source.shape
    linear = kind_of_tensor(source.name, shape) == LINEAR
    columns = shape[-1] if linear else math.prod(shape[1:])
    flipped = transposing and len(shape) == 2 and _TRANSPOSED.search(source.name) is not None
    return StoredShape(
        shape=shape,
        dtype=source.dtype,
        matrix=(source.elements // columns, columns),
        axis=0 if flipped else -1,
    )


def entries_of(task: Task, setup: StreamSetup) -> list[Entry]:
    """Return the tensors that the output has for one of the input's."""
    source, stored = task.source, task.stored
    if stored is None:
        size = source.end - source.begin
        return [Entry(name=source.name, dtype=source.dtype, shape=source.shape, size=size)]
    block_format = setup.block_format
    parts = parts_of(stored, block_format.format, block_format.block, block_format.scale_format)
    return [
        Entry(name=source.name + suffix, dtype=part.dtype, shape=part.shape, size=part.size)
        for suffix, part in parts.items()
    ]


def file_contents(held: Sequence[Task], setup: StreamSetup) -> tuple[list[Entry], LayoutRecord]:
    """Return the tensors of a file, and its record."""
    block_format = setup.block_format
    record = LayoutRecord(
        format=block_format.format,
        block=block_format.block,
        clipping=setup.clipping.value,
        signed=setup.signed,
        scale_format=block_format.scale_format.name,
        targets=tuple(str(target) for target in block_format.targets),
        tensors={task.source.name: task.stored for task in held if task.stored},
    )
    return [one for task in held for one in entries_of(task, setup)], record
