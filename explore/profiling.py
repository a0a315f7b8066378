"""A model's profile from its path: which files count, what is known already, what fails."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.errors import DataError, NibblemacError, UsageError
from ..formats.exact import shown
from ..formats.models.checkpoint import open_checkpoint
from ..formats.models.layers import CONVOLUTION, LINEAR, check_kinds
from ..formats.models.model_profile import ACTIVATIONS, WEIGHTS, LayerProfile, ModelProfile
from ..formats.tensor_profile import MIN_ELEMENTS, SAMPLE_CAP
from ..synth.cache import Cache, cache_key

if TYPE_CHECKING:
    import torch

    from ..formats.models.profile import Weight

MAX_CAP = 2**24
MAX_SEED = 2**63 - 1
_VERSION = 1  # of what a cached profile means
_MAGIC = b"GGUF"
# Names in files are anybody's; progress is printed, and read as markup.
_UNUSUAL = re.compile(r"[^A-Za-z0-9_./-]")
_SHOWN = 60
_ALREADY = {
    WEIGHTS: "these are the distributions of rounded values, not of the model's own weights.",
    ACTIVATIONS: "these are the activations of the quantized model.",
}
_ASYMMETRIC = (
    "Both fits have a mean of zero, as the paper's; where activations lean to one side, as after a "
    "GELU, neither fits and KS-Δ says little."
)
_SHARED = (
    "Activations are the inputs of layers; layers that are given the same, such as query, key and "
    "value, have the same figures."
)

Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileSetup:
    """What is profiled, and how: ``layers`` are kinds and roles, ``cap`` values a tensor.

    Raises :class:`UsageError` for an unknown kind, a cap outside 16 to 2^24 and a negative seed.
    """

    layers: tuple[str, ...] = (LINEAR, CONVOLUTION)
    cap: int = SAMPLE_CAP
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        check_kinds(self.layers)
        if not MIN_ELEMENTS <= self.cap <= MAX_CAP:
            raise UsageError(
                f"The sample's cap is {shown(self.cap)}; it must be from {MIN_ELEMENTS} to "
                f"{MAX_CAP}."
            )
        if not 0 <= self.seed <= MAX_SEED:
            raise UsageError(f"The seed is {shown(self.seed)}; it must be from 0 to {MAX_SEED}.")


def profile_weights(
    path: Path,
    setup: ProfileSetup = ProfileSetup(),
    *,
    cache: Cache | None = None,
    progress: Progress = lambda _step, _done, _total, _name: None,
) -> ModelProfile:
    """Profile the weights of a model: a safetensors file, a folder with one or more, a GGUF file.

    A tensor that cannot be fitted is named in the profile's failures. What ``cache`` holds is not
    computed again. Raises :class:`DataError` for what is no model, or where all tensors fail;
    :class:`UsageError` where CUDA is asked for and absent; :class:`ToolError` for a GGUF file where
    transformers is not installed.
    """
    from ..formats.models.device import find_device  # noqa: PLC0415 - imports torch
    from ..formats.models.profile import checkpoint_weights, model_weights  # noqa: PLC0415

    device = find_device(setup.device)
    quantized = ""
    if is_gguf(path):
        from ..formats.models.loading import load_model  # noqa: PLC0415

        progress("load", 0, 1, "")
        model = load_model(path, device="cpu")
        progress("load", 1, 1, "")
        weights, name = model_weights(model, setup.layers), model.name
        quantized = model.note
    else:
        weights = checkpoint_weights(open_checkpoint(path), setup.layers)
        name = _name(path)
    layers, failures = _profiles(weights, setup, device, cache, progress)
    if not layers:
        more = f"; so did {len(failures) - 1} others" if len(failures) > 1 else ""
        raise DataError(f"No tensor of {path} has a profile: {failures[0].rstrip('.')}{more}.")
    return ModelProfile(
        model=name,
        kind=WEIGHTS,
        layers=tuple(layers),
        cap=setup.cap,
        seed=setup.seed,
        quantized=quantized,
        notes=_notes(quantized, WEIGHTS),
        failures=tuple(failures),
        tools=_tools(),
    )


def profile_activations(
    path: Path,
    text: str,
    setup: ProfileSetup,
    *,
    tokens: int,
    window: int | None = None,
    source: str = "text",
    progress: Progress = lambda _step, _done, _total, _name: None,
) -> ModelProfile:
    """Profile what a model's layers are given while it reads a text that ``source`` names.

    ``path`` is a model folder or a GGUF file. Raises as :func:`.load_model`,
    :func:`.activation_layers` and :func:`.text_windows`, and :class:`TensorError`, naming the
    layer, for activations that are not finite.
    """
    from ..formats.models.activations import (  # noqa: PLC0415 - imports torch
        activation_layers,
        check_activation_kinds,
        text_windows,
    )
    from ..formats.models.activations import profile_activations as run  # noqa: PLC0415
    from ..formats.models.loading import load_model  # noqa: PLC0415

    check_activation_kinds(setup.layers)
    progress("load", 0, 1, "")
    model = load_model(path, device=setup.device)
    progress("load", 1, 1, "")
    layers = activation_layers(model, setup.layers)
    windows = text_windows(model, text, tokens=tokens, window=window)
    found = run(
        model,
        windows,
        layers,
        cap=setup.cap,
        seed=setup.seed,
        progress=lambda done, total, name: progress("windows of text", done, total, name),
    )
    if not found.layers:
        said = found.failures[0] if found.failures else "the model ran none of its layers."
        raise DataError(f"No layer of {path} has a profile: {said}")
    notes = [_SHARED, _ASYMMETRIC, *_notes(model.note, ACTIVATIONS)]
    if found.unused:
        notes.append(
            f"{len(found.unused)} layers were not run by this text, such as {found.unused[0]}."
        )
    return ModelProfile(
        model=model.name,
        kind=ACTIVATIONS,
        layers=found.layers,
        cap=setup.cap,
        seed=setup.seed,
        text=source,
        tokens=found.tokens,
        quantized=model.note,
        notes=tuple(notes),
        failures=found.failures,
        tools=_tools(model=True),
    )


def is_gguf(path: Path) -> bool:
    """Return whether a path is a file that begins as GGUF files do, or is called one."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return path.suffix.lower() == ".gguf" or stream.read(len(_MAGIC)) == _MAGIC
    except (OSError, ValueError):
        return False  # whoever opens it says why


def _profiles(
    weights: "Sequence[Weight]",
    setup: ProfileSetup,
    device: "torch.device",
    cache: Cache | None,
    progress: Progress,
) -> tuple[list[LayerProfile], list[str]]:
    from ..formats.models.profile import profile_weight  # noqa: PLC0415 - imports torch

    layers, failures = [], []
    for number, weight in enumerate(weights):
        progress("tensors", number, len(weights), _UNUSUAL.sub("?", weight.name)[:_SHOWN])
        key = cache_key(
            {
                "record": "layer profile",
                "version": _VERSION,
                "tensor": dict(weight.identity),
                "layer": [weight.kind, weight.role],
                "cap": setup.cap,
                "seed": setup.seed,
                "device": device.type,
            }
        )
        found = None if cache is None else cache.read(key, LayerProfile.from_json)
        if found is None:
            try:
                found = profile_weight(weight, cap=setup.cap, seed=setup.seed, device=device)
            except NibblemacError as error:
                failures.append(str(error))
                continue
            if cache is not None:
                cache.put(key, found.to_json())
        layers.append(found)
    progress("tensors", len(weights), len(weights), "")
    return layers, failures


def _notes(note: str, kind: str) -> tuple[str, ...]:
    return (f"{note[:1].upper()}{note[1:]}: {_ALREADY[kind]}",) if note else ()


def _name(path: Path) -> str:
    """Return a model's name from its path: a folder's, or a file's without what stores it."""
    name = path.resolve().name
    for suffix in (".safetensors.index.json", ".safetensors"):
        name = name.removesuffix(suffix)
    return name or str(path)


def _tools(*, model: bool = False) -> dict[str, str]:
    from importlib.metadata import version  # noqa: PLC0415

    names = ("nibblemac", "torch", *(("transformers",) if model else ()))
    return {name: version(name) for name in names}
