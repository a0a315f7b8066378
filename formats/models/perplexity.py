"""Perplexity over a text, and the divergence from the unquantized model's predictions.

Perplexity is exp of the mean of −log p(token | what is before it in its window), over every token
but the first (:func:`.sliding_windows`). The divergence is the mean over the same tokens of
KL(P ‖ Q) = Σ p·(log p − log q) in nats, with P the unquantized model's distribution.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..errors import TensorError
from .calibration import Calibration
from .mapped import mapped_tensor
from .prediction import GROUP, Predictor
from .text import Window

if TYPE_CHECKING:
    from torch import Tensor

    from .layers import Layer
    from .loading import LoadedModel

PERPLEXITY, DIVERGENCE = "perplexity", "kl_divergence"


class LanguageScorer:
    """Scores a causal language model, first as it is and then as often as it is changed.

    ``ids`` are the text's tokens, ``windows`` cover them. What the unquantized model predicts is
    kept as its last states in a file in ``folder``, from which its output layer gives the logits
    again; where that cannot be done, as log-probabilities in half precision.
    """

    metrics = (PERPLEXITY, DIVERGENCE)

    def __init__(
        self,
        model: "LoadedModel",
        ids: "Tensor",
        windows: tuple[Window, ...],
        layers: "tuple[Layer, ...]",
        folder: Path,
    ) -> None:
        self._predictor = Predictor(model)
        self._module = model.module
        self._device = model.device
        self._ids = ids
        self._windows = windows
        self._layers = layers
        self._folder = folder
        self._head = self._predictor.head_of(layers)
        self._kept: Tensor | None = None

    @property
    def steps(self) -> int:
        """How often ``tick`` is called for one pass."""
        return len(self._windows)

    @torch.no_grad()
    def reference(self, tick: Callable[[], None]) -> dict[str, float]:
        """Score the model as it is, and keep what it predicts."""
        rows = sum(window.end - window.scored for window in self._windows)
        dtype = torch.float32 if self._predictor.is_split else torch.float16
        kept = mapped_tensor(self._folder / "states", (rows, self._predictor.width), dtype)
        loss = 0.0
        done = 0
        for window in self._windows:
            states, targets = self._scored(window)
            kept[done : done + len(states)] = states.to("cpu", dtype)
            done += len(states)
            for part, words in self._groups(states, targets):
                loss += self._loss(self._predictor.log_probabilities(part), words)
            tick()
        self._kept = kept
        return {PERPLEXITY: self._perplexity(loss, rows), DIVERGENCE: 0.0}

    @torch.no_grad()
    def score(self, tick: Callable[[], None]) -> dict[str, float]:
        """Score the model as it is now beside what :meth:`reference` kept."""
        if self._kept is None:
            raise AssertionError("the unquantized model comes first")
        loss = divergence = 0.0
        done = 0
        for window in self._windows:
            states, targets = self._scored(window)
            before = self._kept[done : done + len(states)]
            start = 0
            for part, words in self._groups(states, targets):
                ours = self._predictor.log_probabilities(part)
                old = before[start : start + len(part)].to(self._device)
                theirs = self._predictor.log_probabilities(old, self._head)
                loss += self._loss(ours, words)
                each = (theirs.exp() * (theirs - ours)).sum(dim=1, dtype=torch.float64)
                divergence += float(each.sum())
                start += len(part)
            done += len(states)
            tick()
        return {PERPLEXITY: self._perplexity(loss, done), DIVERGENCE: divergence / done}

    def calibration(self, ids: "Tensor") -> Calibration:
        """Return the model's run over calibration tokens, (sequences, tokens)."""

        @torch.no_grad()
        def run() -> None:
            self._predictor.calibrate(ids, self._layers)

        return Calibration(module=self._module, run=run)

    def _scored(self, window: Window) -> "tuple[Tensor, Tensor]":
        """Return the states that predict a window's scored tokens, and those tokens."""
        states = self._predictor.states(self._ids[window.start : window.end])
        targets = self._ids[window.scored : window.end].to(self._device)
        return states[window.scored - window.start - 1 : -1], targets

    def _groups(self, states: "Tensor", targets: "Tensor") -> "Iterator[tuple[Tensor, Tensor]]":
        size = max(1, GROUP // self._predictor.words)
        for start in range(0, len(states), size):
            yield states[start : start + size], targets[start : start + size]

    @staticmethod
    def _loss(logs: "Tensor", targets: "Tensor") -> float:
        return float(-logs.gather(1, targets[:, None]).sum(dtype=torch.float64))

    @staticmethod
    def _perplexity(loss: float, tokens: int) -> float:
        mean = loss / tokens
        if not math.isfinite(mean) or mean > math.log(1e300):
            raise TensorError(
                "The model's predictions are not finite under this format; it has no perplexity."
            )
        return math.exp(mean)
