"""A whole model's weights quantized from disk to disk, a group of rows at a time.

Sizes of what is written follow from shapes alone, so that a file's header goes first. A tensor is
read by windows of memory map and written as it is made; in memory are one group of rows and its
results. Formats whose block scales stand below a tensor's own need all of a tensor for the first
of its scales: of that one the codes are in memory too, a quarter of a float32 tensor.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, OutputError, TensorError
from ..files import reason
from ..scale_format import Parent
from ..stored_tensor import StoredTensor
from .checkpoint import SUFFIX, Checkpoint
from .layers import check_kinds
from .quantized_layout import KEY, PARENTS, StoredShape, narrow_parents, stored_parts
from .stream_folder import OutputFolder, exists
from .stream_tasks import StreamSetup, Task, entries_of, file_contents, find_tasks
from .tensor_file import TensorFile, new_tensor_file

if TYPE_CHECKING:
    from torch import Tensor

    from ..quantizer import Quantized

#: Elements that are quantized at once, about.
GROUP_ELEMENTS = 2**22
_COPY_BYTES = 2**22

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamResult:
    """What was written: files, counts of tensors, and bytes of the quantized tensors' data."""

    files: tuple[Path, ...]
    quantized: int
    copied: int
    elements: int
    bytes_before: int
    bytes_after: int

    @property
    def bits_per_element(self) -> float:
        """Bits that the files hold for each quantized element, scales included."""
        return 8 * self.bytes_after / self.elements


def quantize_checkpoint(
    checkpoint: Checkpoint,
    output: Path,
    setup: StreamSetup,
    *,
    progress: Progress | None = None,
) -> StreamResult:
    """Quantize a checkpoint's weights into a new safetensors file, or a new folder of them.

    ``output`` is a file where it ends in ``.safetensors``, and gets all tensors; otherwise a
    folder that gets one file for each of the checkpoint's, and an index where they are several. A
    file appears when it is complete. A folder that a run left unfinished is completed by the same
    run again, as long as neither model nor settings have changed.

    ``progress`` is called with bytes of the input done, all of them, and a tensor's name. Raises
    :class:`DataError` for a checkpoint without such weights or that is damaged,
    :class:`TensorError` naming file and tensor for NaN and infinities, and :class:`OutputError`
    for an output that exists or cannot be written.
    """
    _check_setup(setup)
    tasks = find_tasks(checkpoint, setup)
    if not any(task.stored for task in tasks):
        raise DataError(
            f"{checkpoint.path} holds no weights to quantize: no floating-point tensor of "
            f"{' or '.join(setup.layers)} layers that --keep does not name, among "
            f"{len(tasks)} tensors."
        )
    files = _output_files(checkpoint, output, tasks)
    _check_apart(files, checkpoint.files)
    folder = None if output.suffix == SUFFIX else OutputFolder(output, checkpoint, setup, tasks)
    if folder is None and exists(output):
        raise OutputError(f"{output} exists already; give another place, or remove it first.")
    done, total = 0, sum(task.source.end - task.source.begin for task in tasks)
    for path, held in files.items():
        entries, record = file_contents(held, setup)
        metadata = {KEY: record.to_text()}
        if folder is not None and folder.has(path, entries, metadata):
            done += sum(task.source.end - task.source.begin for task in held)
            continue
        with new_tensor_file(path, entries, metadata) as file:
            for task in held:
                for size in _write(task, setup, file):
                    done += size
                    if progress is not None:
                        progress(done, total, task.source.name)
    if folder is not None:
        folder.finish(files, setup)
    quantized = [task for task in tasks if task.stored]
    sizes = {one.name: one.size for task in quantized for one in entries_of(task, setup)}
    return StreamResult(
        files=tuple(files),
        quantized=len(quantized),
        copied=len(tasks) - len(quantized),
        elements=sum(task.source.elements for task in quantized),
        bytes_before=sum(task.source.end - task.source.begin for task in quantized),
        bytes_after=sum(sizes.values()),
    )


def _check_apart(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    for path in outputs:
        try:
            if path.resolve() in {one.resolve() for one in inputs}:
                raise OutputError(f"{path} is the model itself; give another place for the output.")
        except (OSError, ValueError) as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"{str(path)!r} cannot be written: {reason(error)}.") from error


def _check_setup(setup: StreamSetup) -> None:
    """Raise what the quantizer says of settings that have no meaning."""
    import torch  # noqa: PLC0415 - slow to import

    from ..quantizer import quantize  # noqa: PLC0415

    check_kinds(setup.layers)
    quantize(torch.ones(1, 1), setup.block_format.format, setup.spec_of(-1))


def _write(task: Task, setup: StreamSetup, file: TensorFile) -> Iterator[int]:
    """Write a tensor's bytes; yield how many of the input's were dealt with, group by group."""
    source, stored = task.source, task.stored
    if stored is None:
        for data in _raw(source):
            file.append(source.name, data)
            yield len(data)
        return
    from ..quantizer import parents_of, quantize  # noqa: PLC0415 - import torch

    item, spec = setup.block_format, setup.spec_of(stored.axis)
    columns = stored.matrix[1]
    first = 0
    for window in source.windows(_group_rows(stored, setup) * columns):
        rows = window.view(-1, columns)
        try:
            made = quantize(rows, item.format, spec)
        except TensorError:
            raise _not_finite(source, rows, first) from None
        parents = parents_of(rows, item.format, spec)
        if parents is not None:
            parents = narrow_parents(parents, item.scale_format, stored.axis)
            file.append(source.name + PARENTS, parents)
        for piece, above in _pieces(made, parents, _step_rows(stored, setup)):
            for suffix, part in stored_parts(piece, above, item.scale_format, stored.dtype).items():
                file.append(source.name + suffix, part)
        first += len(rows)
        yield window.nbytes


def _pieces(
    made: "Quantized", parents: "Tensor | None", step: int
) -> "Iterator[tuple[Quantized, Tensor | None]]":
    """Yield groups of a matrix's rows, with the parents of their scales."""
    block = made.layout.block if made.spec.axis == 0 else 1
    for top in range(0, made.codes.shape[0], step):
        above = parents
        if parents is not None and len(parents) > 1:
            above = parents[top : top + step]
        piece = replace(
            made,
            codes=made.codes[top : top + step],
            scales=made.scales[top // block : -(-(top + step) // block)],
        )
        yield piece, above


def _step_rows(stored: StoredShape, setup: StreamSetup) -> int:
    """Return how many rows are about so many elements as to be dealt with at once: whole blocks."""
    rows, columns = stored.matrix
    step = min(setup.block_format.block, rows) if stored.axis == 0 else 1
    return step * max(1, GROUP_ELEMENTS // (columns * step))


def _group_rows(stored: StoredShape, setup: StreamSetup) -> int:
    """Return how many rows are quantized at once: whole blocks, and all where scales need it."""
    parent = setup.block_format.scale_format.parent
    rows, _ = stored.matrix
    if parent is Parent.TENSOR or (parent is Parent.CHANNEL and stored.axis == 0):
        return rows
    return min(rows, _step_rows(stored, setup))


def _not_finite(source: StoredTensor, rows: "Tensor", first: int) -> TensorError:
    bad = (~rows.float().isfinite()).nonzero()[0].tolist()
    at = (first + bad[0]) * rows.shape[1] + bad[1]
    index = []
    for size in reversed(source.shape):
        at, place = divmod(at, size)
        index.append(place)
    return TensorError(
        f"{source.path}: the tensor {source.name!r:.80} holds {float(rows[bad[0], bad[1]])} at "
        f"index {tuple(reversed(index))}; only finite values can be quantized. Mend the model, or "
        "leave the tensor as it is with --keep."
    )


def _raw(source: StoredTensor) -> Iterator[bytes]:
    """Yield a tensor's bytes in parts."""
    try:
        with source.path.open("rb") as stream:
            stream.seek(source.begin)
            left = source.end - source.begin
            while left:
                data = stream.read(min(left, _COPY_BYTES))
                if not data:
                    raise DataError(f"{source.path} was cut short while it was being read.")
                left -= len(data)
                yield data
    except OSError as error:
        if isinstance(error, (DataError, OutputError)):
            raise
        raise DataError(f"{source.path} cannot be read: {reason(error)}.") from error


def _output_files(
    checkpoint: Checkpoint, output: Path, tasks: Iterable[Task]
) -> dict[Path, list[Task]]:
    """Return which tasks go into which file."""
    if output.suffix == SUFFIX:
        return {output: list(tasks)}
    names = {path: path.name for path in checkpoint.files}
    if len(set(names.values())) < len(names):
        names = {path: f"{index:05d}-{path.name}" for index, path in enumerate(checkpoint.files, 1)}
    files: dict[Path, list[Task]] = {output / name: [] for name in names.values()}
    for task in tasks:
        files[output / names[task.source.path]].append(task)
    return {path: held for path, held in files.items() if held}
