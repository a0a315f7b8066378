"""The error of formats on the tensors of a checkpoint, read part by part."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..formats.errors import DataError, TensorError
from ..formats.format_quality import FormatQuality, Limit, Method
from ..formats.lloyd_max import optimal_levels
from ..formats.measured_quality import (
    OWN_REACH,
    BlockedPart,
    BlockHistogram,
    MeasuredError,
    own_limit,
)
from ..formats.models.checkpoint import open_checkpoint
from ..formats.scale import Granularity, ScaleSpec
from ..formats.scale_format import Parent
from ..formats.stored_tensor import StoredTensor
from .quality import BlockShape, QualitySurvey, Setting, record

_PART = 2**20
_SHOWN = 5
_MOST_SHOWN = 200
_SHAPE_CELLS = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorSource:
    """Tensors of ``name``, a file or a folder. Blocks run along all axes after the first."""

    name: str
    tensors: tuple[StoredTensor, ...]


def open_tensors(path: Path, names: Sequence[str] = ()) -> TensorSource:
    """Return a checkpoint's floating-point tensors of two or more dimensions, or the named ones.

    ``path`` is a safetensors file, an index of shards or a model folder. Raises
    :class:`DataError` where it cannot be read, holds no such tensor, or none of a given name.
    """
    found = open_checkpoint(path).tensors
    if names:
        by_name = {one.name: one for one in found}
        for name in names:
            if name not in by_name:
                there = ", ".join(list(by_name)[:_SHOWN]) + (", …" if len(by_name) > _SHOWN else "")
                raise DataError(f"{path} holds {there or 'no tensors'}; none is {name!r:.80}.")
        kept = tuple(by_name[name] for name in dict.fromkeys(names))
    else:
        kept = tuple(one for one in found if one.is_float and len(one.shape) > 1 and one.elements)
    if not kept:
        raise DataError(
            f"{path} holds {len(found)} tensors, but none of a floating-point dtype with two or "
            "more dimensions; name the one that is meant."
        )
    return TensorSource(name=printable(path.resolve().name), tensors=kept)


def printable(name: str) -> str:
    """Return a name of any file or tensor as it may be shown: printable, and not too long."""
    return "".join(c if c.isprintable() else "?" for c in name)[:_MOST_SHOWN] or "?"


def measured(
    source: TensorSource,
    settings: Sequence[Setting],
    pictured: Mapping[int, Sequence[int]],
    tick: Callable[[str], None] | None,
) -> QualitySurvey:
    """Return all tensors' errors together, setting by setting, then each tensor's.

    ``pictured`` are the blocks whose shapes are wanted, with the widths of the limit's levels.
    """
    work = _Work(settings, pictured)
    single: list[FormatQuality] = []
    for tensor in source.tensors:
        for setting, error in zip(settings, work.add(tensor), strict=True):
            single.append(
                record(
                    setting,
                    error,
                    data=source.name,
                    tensor=printable(tensor.name),
                    method=Method.TENSORS,
                )
            )
        if tick is not None:
            # Where progress is shown, brackets would be taken for markup.
            tick(printable(tensor.name).replace("[", "("))
    if settings and not work.together[0].signal > 0:
        raise TensorError(
            f"{source.name}: the tensors hold no value other than 0, so that there is no signal to "
            "compare the quantization error with."
        )
    only = printable(source.tensors[0].name) if len(source.tensors) == 1 else ""
    pooled = work.pooled(source.name, only)
    return QualitySurvey(
        data=source.name,
        found=tuple(pooled if only else [*pooled, *single]),
        shapes=tuple(
            _shape(block, widths, work.shared[_absmax(block)]) for block, widths in pictured.items()
        ),
    )


class _Work:
    """What is summed up over all tensors."""

    def __init__(self, settings: Sequence[Setting], blocks: Iterable[int]) -> None:
        self._settings = settings
        # Formats whose scales follow from the largest magnitude alone share a limit.
        specs = [one.spec() for one in settings if one.is_integrable]
        specs += [_absmax(block) for block in blocks]
        self.shared = {spec: BlockHistogram() for spec in specs}
        self._specs = [*specs, *(one.spec() for one in settings)]
        self._own = [
            None if one.is_integrable else BlockHistogram(reach=OWN_REACH) for one in settings
        ]
        self.together = [MeasuredError(one.entry.format, one.spec()) for one in settings]

    def add(self, tensor: StoredTensor) -> list[MeasuredError]:
        """Measure a tensor with every setting, and count it with the others."""
        errors = [
            MeasuredError(one.entry.format, one.spec(), histogram=gathered)
            for one, gathered in zip(self._settings, self._own, strict=True)
        ]
        by_part: list[MeasuredError] = []
        by_whole: list[MeasuredError] = []
        for setting, error in zip(self._settings, errors, strict=True):
            (by_whole if _has_tensor_scale(setting) else by_part).append(error)
        blocks = {spec.block: spec for spec in self._specs}
        for part in _parts(tensor):
            blocked = {block: BlockedPart.of(part, spec) for block, spec in blocks.items()}
            for spec, histogram in self.shared.items():
                blocked[spec.block].gather(histogram, signed=spec.signed)
            for error in by_part:
                error.add(blocked[error.spec.block], tensor.name)
        if by_whole:
            matrix = _matrix(tensor.tensor(), tensor)
            for error in by_whole:
                error.add(BlockedPart.of(matrix, error.spec), tensor.name)
        for error, total in zip(errors, self.together, strict=True):
            total.merge(error)
        return errors

    def pooled(self, data: str, tensor: str) -> list[FormatQuality]:
        """Return all tensors' errors together beside the limit."""
        limits: dict[tuple[ScaleSpec, int], float] = {}
        found = []
        for setting, total, own in zip(self._settings, self.together, self._own, strict=True):
            bits, spec = setting.entry.format.stored_bits, setting.spec()
            if own is not None:
                limit, noise = Limit.OWN_SCALES, own_limit(own, bits)
            else:
                if (spec, bits) not in limits:
                    limits[spec, bits] = own_limit(self.shared[spec], bits)
                limit, noise = Limit.OPTIMAL, limits[spec, bits]
            found.append(
                record(
                    setting,
                    total,
                    data=data,
                    tensor=tensor,
                    method=Method.TENSORS,
                    limit_mse=noise / total.elements,
                    limit=limit,
                )
            )
        return found


def _absmax(block: int) -> ScaleSpec:
    return ScaleSpec(granularity=Granularity.BLOCK, block=block)


def _shape(block: int, widths: Sequence[int], gathered: BlockHistogram) -> BlockShape:
    counts = gathered.counts.reshape(_SHAPE_CELLS, -1).sum(axis=1)
    low, high = gathered.ends
    total = counts.sum() + low + high
    edges = np.linspace(-1, 1, _SHAPE_CELLS + 1)
    histogram = gathered.result()
    return BlockShape(
        block=block,
        edges=tuple(edges.tolist()),
        density=tuple((counts / total / np.diff(edges)).tolist()),
        extremes=(low / total, high / total),
        limit={width: tuple(optimal_levels(histogram, 2**width).tolist()) for width in widths},
    )


def _has_tensor_scale(setting: Setting) -> bool:
    """Whether a tensor must be quantized as a whole, since its blocks' scales depend on it."""
    return setting.is_stored and setting.entry.scale_format.parent is Parent.TENSOR


def _parts(tensor: StoredTensor) -> Iterator[Tensor]:
    """Yield a tensor's rows, a number of whole ones at a time, as matrices."""
    length = tensor.elements // tensor.shape[0] if len(tensor.shape) > 1 else tensor.elements
    rows = max(1, _PART // length)
    for window in tensor.windows(rows * length):
        yield _matrix(window.reshape(-1, length), tensor)


def _matrix(values: Tensor, tensor: StoredTensor) -> Tensor:
    """Return values as a matrix in float64 or float32, which hold all other dtypes' values."""
    length = tensor.elements // tensor.shape[0] if len(tensor.shape) > 1 else tensor.elements
    matrix = values.reshape(-1, length)
    matrix = matrix if matrix.dtype == torch.float64 else matrix.to(torch.float32)
    if not bool(matrix.isfinite().all()):
        raise TensorError(
            f"The tensor {tensor.name!r:.80} of {tensor.path} holds NaN or infinite values, which "
            "no format has; only finite values can be quantized."
        )
    return matrix
