"""Profiles of weights: each tensor read once, window by window, whatever its size."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, TensorError
from ..exact import shown
from ..files import reason
from ..stored_tensor import StoredTensor
from ..tensor_profile import MIN_ELEMENTS, SAMPLE_CAP, profile_sample
from .checkpoint import Checkpoint
from .layers import (
    CONVOLUTION,
    EMBEDDING,
    LINEAR,
    OTHER,
    check_kinds,
    kind_of_tensor,
    model_layers,
    role_of,
)
from .model_profile import LayerProfile

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .loading import LoadedModel

DEFAULT_LAYERS = (LINEAR, CONVOLUTION)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Weight:
    """A layer's weight: ``windows`` gives its elements in order, in parts, each time anew.

    ``identity`` tells it from all others, as JSON types: a changed file gives another.
    """

    name: str
    kind: str
    role: str
    shape: tuple[int, ...]
    windows: Callable[[], Iterable["Tensor"]]
    identity: Mapping[str, object]

    @property
    def elements(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)


def checkpoint_weights(
    checkpoint: Checkpoint, wanted: Iterable[str] = DEFAULT_LAYERS
) -> tuple[Weight, ...]:
    """Return the weights of a checkpoint's layers of the kinds and roles wanted, by name and shape.

    Raises :class:`UsageError` for an unknown kind, and :class:`DataError` where there are none.
    """
    asked = check_kinds(wanted)
    found = []
    integers = 0
    for one in checkpoint.tensors:
        kind = kind_of_tensor(one.name, one.shape)
        role = OTHER if kind == EMBEDDING else role_of(one.name)
        if kind is None or not is_wanted(kind, role, asked):
            continue
        if not one.is_float:
            integers += 1
            continue
        found.append(_stored(one, kind, role))
    if not found:
        of_integers = f" but {integers} whose weights are no floating-point" if integers else ""
        raise DataError(
            f"{checkpoint.path} holds {len(checkpoint.tensors)} tensors, none of them the weight "
            f"of a layer of the kinds asked for, {', '.join(sorted(asked))}{of_integers}."
        )
    return tuple(found)


def model_weights(
    model: "LoadedModel", wanted: Iterable[str] = DEFAULT_LAYERS
) -> tuple[Weight, ...]:
    """Return the weights of a loaded model's layers; raises as :func:`checkpoint_weights`."""
    asked = check_kinds(wanted)
    file = model.files[0]
    facts = {**_file_identity(file.absolute()), "dtype": "dequantized"}
    found = []
    for layer in model_layers(model.module):
        if is_wanted(layer.kind, layer.role, asked):
            name = f"{layer.name}.weight"
            weight = layer.weight.detach()
            found.append(
                Weight(
                    name=name,
                    kind=layer.kind,
                    role=layer.role,
                    shape=tuple(weight.shape),
                    windows=lambda weight=weight: [weight],  # type: ignore[misc]
                    identity={**facts, "name": name, "shape": list(weight.shape)},
                )
            )
    if not found:
        raise DataError(
            f"{model.path} has no layer of the kinds asked for, {', '.join(sorted(asked))}."
        )
    return tuple(found)


def is_wanted(kind: str, role: str, asked: Iterable[str]) -> bool:
    """Return whether a layer is of a kind or a role asked for; embeddings are by kind alone."""
    return kind in asked or (kind != EMBEDDING and role in asked)


def profile_weight(
    weight: Weight,
    *,
    cap: int = SAMPLE_CAP,
    seed: int = 0,
    device: "torch.device | str" = "cpu",
) -> LayerProfile:
    """Return the profile of one weight, computed on ``device``; memory does not grow with it.

    Raises :class:`TensorError`, naming the tensor, for one that has fewer than 16 elements, NaN or
    infinities, or a single value; :class:`DataError` where its file can no longer be read.
    """
    import torch  # noqa: PLC0415 - slow to import

    from ..moments import RunningMoments  # noqa: PLC0415 - imports torch
    from ..outline import outline_of  # noqa: PLC0415
    from ..student_fit import sample_places  # noqa: PLC0415

    elements = weight.elements
    where = f"The tensor {shown(weight.name)}"
    if elements < MIN_ELEMENTS:
        raise TensorError(
            f"{where} has {elements} elements; to fit a distribution it takes at least "
            f"{MIN_ELEMENTS}."
        )
    places = sample_places(elements, cap, seed) if elements > cap else torch.arange(elements)
    moments = RunningMoments(where, weight.shape)
    sample = torch.empty(0)
    for window in weight.windows():
        flat = window.detach().reshape(-1).to(device)
        # Nothing is indexed by torch in types of eight bits.
        values = flat.float() if flat.dtype.itemsize == 1 else flat
        first = moments.count
        moments.add(values)
        from_, to = torch.searchsorted(places, torch.tensor([first, moments.count])).tolist()
        if not len(sample):
            # Small pieces, kept between windows, would keep the heap from shrinking.
            sample = values.new_empty(len(places))
        sample[from_:to] = values[(places[from_:to] - first).to(device)]
    tensor = profile_sample(
        sample,
        moments.result(),
        name=weight.name,
        kind=weight.kind,
        role=weight.role,
        elements=elements,
        leave_out_zeros=True,
    )
    fitted = sample[sample != 0] if tensor.zeros else sample
    return LayerProfile(tensor=tensor, outline=outline_of(fitted))


def _file_identity(path: Path) -> dict[str, object]:
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason(error)}.") from error
    return {"file": os.fspath(path), "size": found.st_size, "modified_ns": found.st_mtime_ns}


def _stored(one: StoredTensor, kind: str, role: str) -> Weight:
    def windows() -> Iterator["Tensor"]:
        return one.windows()

    return Weight(
        name=one.name,
        kind=kind,
        role=role,
        shape=one.shape,
        windows=windows,
        identity={
            **_file_identity(one.path.absolute()),
            "name": one.name,
            "dtype": one.dtype,
            "shape": list(one.shape),
            "begin": one.begin,
        },
    )
