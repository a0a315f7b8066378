"""Profiles of activations: the inputs of a model's layers while it reads text.

Each layer keeps running moments and a uniform sample of what it is given: memory depends on the
number of layers and the sample's cap, not on the text. Inputs that layers share count for each.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import DataError, NibblemacError, TensorError, UsageError
from ..exact import shown
from ..moments import RunningMoments
from ..outline import outline_of
from ..reservoir import Reservoir
from ..tensor_profile import MIN_ELEMENTS, profile_sample
from .layers import CONVOLUTION, EMBEDDING, LINEAR, Layer, check_kinds, model_layers
from .loading import CAUSAL
from .model_profile import LayerProfile
from .profile import DEFAULT_LAYERS, is_wanted

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .loading import LoadedModel

ACTIVATION_CAP = 2**16
DEFAULT_TOKENS = 4096
DEFAULT_WINDOW = 512
_CHARACTERS = 64  # more than a token stands for

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class ActivationProfiles:
    """The profiles of the layers' inputs, over ``tokens`` tokens of text.

    ``unused`` names layers that the model did not run; ``failures`` says why others have none.
    """

    layers: tuple[LayerProfile, ...]
    tokens: int
    unused: tuple[str, ...]
    failures: tuple[str, ...]


def check_activation_kinds(wanted: Iterable[str]) -> frozenset[str]:
    """Return the kinds and roles wanted.

    Raises :class:`UsageError` for an unknown kind, and for embeddings, which are given tokens.
    """
    asked = check_kinds(wanted)
    if EMBEDDING in asked:
        raise UsageError(
            "Embeddings are given tokens, not activations; of activations there are those of the "
            f"layer kinds {LINEAR} and {CONVOLUTION}."
        )
    return asked


def activation_layers(
    model: "LoadedModel", wanted: Iterable[str] = DEFAULT_LAYERS
) -> tuple[Layer, ...]:
    """Return the layers of the kinds and roles wanted.

    Raises as :func:`check_activation_kinds`, and :class:`DataError` where there are none.
    """
    asked = check_activation_kinds(wanted)
    found = tuple(one for one in model_layers(model.module) if is_wanted(one.kind, one.role, asked))
    if not found:
        raise DataError(
            f"{model.path} has no layer of the kinds asked for, {', '.join(sorted(asked))}."
        )
    return found


def text_windows(
    model: "LoadedModel", text: str, *, tokens: int = DEFAULT_TOKENS, window: int | None = None
) -> "list[Tensor]":
    """Return at most ``tokens`` of a text's tokens as windows, int64 of shape (1, window).

    Windows do not overlap; each begins and ends as the tokenizer begins and ends a text. The last
    may be shorter. Without ``window``, it is 512 or the model's context, whichever is less.

    Raises :class:`UsageError` for a window that the model cannot take or fewer than 16 tokens, and
    :class:`DataError` for a text shorter than a window.
    """
    import torch  # noqa: PLC0415 - slow to import

    context = model.context
    if window is None:
        window = min(context or DEFAULT_WINDOW, DEFAULT_WINDOW, max(tokens, 1))
    if context is not None and window > context:
        raise UsageError(
            f"The window is {shown(window)} tokens, but {model.name} takes at most {context}."
        )
    tokenizer = model.require_tokenizer()
    before, after = _frame(tokenizer)
    inner = window - len(before) - len(after)
    if inner < MIN_ELEMENTS or tokens < window:
        raise UsageError(
            f"{shown(tokens)} tokens in windows of {shown(window)} were asked for; it takes one "
            f"window at least, of {MIN_ELEMENTS + len(before) + len(after)} tokens at least."
        )
    ids = _tokens(tokenizer, text[: _CHARACTERS * tokens])[:tokens]
    if len(ids) < inner:
        raise DataError(
            f"The text has {len(ids)} tokens, fewer than one window of {window}; give a longer "
            "text or a smaller --window."
        )
    return [
        torch.tensor([[*before, *ids[start : start + inner], *after]], dtype=torch.int64)
        for start in range(0, len(ids), inner)
    ]


def profile_activations(
    model: "LoadedModel",
    windows: "list[Tensor]",
    layers: Iterable[Layer],
    *,
    cap: int = ACTIVATION_CAP,
    seed: int = 0,
    progress: Progress = lambda _done, _total, _name: None,
) -> ActivationProfiles:
    """Run a model on windows of tokens, and return the profiles of its layers' inputs.

    ``progress`` is called after each window. Raises :class:`TensorError`, naming the layer, where
    its inputs are not finite.
    """
    import torch  # noqa: PLC0415 - slow to import

    gathered = {layer: _Gathered(layer, cap, seed) for layer in layers}
    more = {"use_cache": False} if model.kind == CAUSAL else {}
    with torch.inference_mode(), _hooked(gathered.values()):
        for number, window in enumerate(windows, 1):
            model.module(input_ids=window.to(model.device), **more)
            progress(number, len(windows), "")
    found, unused, failures = [], [], []
    for layer, one in gathered.items():
        if not one.moments.count:
            unused.append(layer.name)
            continue
        try:
            found.append(one.profile())
        except NibblemacError as error:
            failures.append(str(error))
    tokens = sum(window.shape[1] for window in windows)
    return ActivationProfiles(
        layers=tuple(found), tokens=tokens, unused=tuple(unused), failures=tuple(failures)
    )


class _Gathered:
    """What is known of one layer's inputs so far."""

    def __init__(self, layer: Layer, cap: int, seed: int) -> None:
        self._layer = layer
        self._where = f"The input of the layer {shown(layer.name)}"
        self.moments = RunningMoments(self._where)
        # The same seed for all: layers that are given the same have the same profile.
        self._reservoir = Reservoir(cap, seed)

    @property
    def module(self) -> "nn.Module":
        return self._layer.module

    def __call__(self, module: "nn.Module", args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take a call's first argument; the signature is that of torch's hooks."""
        del module
        values: Tensor = args[0] if args else next(iter(kwargs.values()))
        self.moments.add(values)
        self._reservoir.add(values)

    def profile(self) -> LayerProfile:
        if self.moments.count < MIN_ELEMENTS:
            raise TensorError(
                f"{self._where} had {self.moments.count} elements; to fit a distribution it takes "
                f"at least {MIN_ELEMENTS}."
            )
        sample = self._reservoir.sample()
        tensor = profile_sample(
            sample,
            self.moments.result(),
            name=self._layer.name,
            kind=self._layer.kind,
            role=self._layer.role,
            elements=self.moments.count,
            leave_out_zeros=True,
        )
        fitted = sample[sample != 0] if tensor.zeros else sample
        return LayerProfile(tensor=tensor, outline=outline_of(fitted))


@contextlib.contextmanager
def _hooked(gathered: Iterable[_Gathered]) -> Iterator[None]:
    handles = [one.module.register_forward_pre_hook(one, with_kwargs=True) for one in gathered]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the tokens that a tokenizer puts before and after a text."""
    bare = _tokens(tokenizer, "a")
    whole = list(tokenizer("a", verbose=False)["input_ids"])
    for start in range(len(whole) - len(bare) + 1):
        if whole[start : start + len(bare)] == bare:
            return whole[:start], whole[start + len(bare) :]
    return [], []


def _tokens(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
