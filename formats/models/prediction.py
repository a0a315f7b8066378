"""A causal language model in two parts: tokens to states, and a few states at a time to logits.

Logits of a whole window take more memory than the model may: vocabularies have 10⁵ words.
"""

from typing import TYPE_CHECKING, Any

import torch

from ..errors import DataError
from .layers import HEAD, Layer

if TYPE_CHECKING:
    from torch import Tensor

    from .loading import LoadedModel

#: Logits computed at once, in elements.
GROUP = 2**23
_TRIED_TOKENS = 16


class Predictor:
    """States of token windows, and logits of states, on the model's device.

    Where the model's logits are not just its output layer on its last states (some scale or cap
    them), :attr:`is_split` is False, and states are the log-probabilities themselves.
    """

    def __init__(self, model: "LoadedModel") -> None:
        module: Any = model.module
        self._module = module
        self._device = model.device
        self._body: Any = getattr(module, "base_model", module)
        self._head: Any = module.get_output_embeddings()
        self.is_split = self._tried()

    @property
    def width(self) -> int:
        """The size of a token's state."""
        if self.is_split:
            return int(self._head.weight.shape[-1])
        return self.words

    @property
    def words(self) -> int:
        """The size of the vocabulary."""
        return int(self._module.config.vocab_size)

    def states(self, ids: "Tensor") -> "Tensor":
        """Return the states of tokens of shape (…, tokens), as float32 (…, tokens, width)."""
        batch = ids.to(self._device).reshape(-1, ids.shape[-1])
        if self.is_split:
            found: Tensor = self._body(input_ids=batch, use_cache=False)[0]
        else:
            found = self._module(input_ids=batch, use_cache=False).logits.log_softmax(-1)
        return found.reshape(*ids.shape, found.shape[-1])

    def log_probabilities(self, states: "Tensor", head: Any = None) -> "Tensor":
        """Return log p of each word after each state, (tokens, words); ``head`` may be another."""
        if not self.is_split:
            return states.float().log_softmax(-1)
        logits: Tensor = (head or self._head)(states)
        return logits.float().log_softmax(-1)

    def head_of(self, layers: tuple[Layer, ...]) -> Any:
        """Return a copy of the output layer where it is among layers to be changed, or None."""
        import copy  # noqa: PLC0415 - for this alone

        if not self.is_split:
            return None
        shared = {one.weight.data_ptr() for one in layers}
        return copy.deepcopy(self._head) if self._head.weight.data_ptr() in shared else None

    def calibrate(self, ids: "Tensor", layers: tuple[Layer, ...]) -> None:
        """Run over (sequences, tokens), the output layer only where it is among the layers."""
        states = self.states(ids)
        if self.is_split and any(one.role == HEAD for one in layers):
            flat = states.reshape(-1, states.shape[-1])
            self._head(flat[: max(1, GROUP // self._head.weight.shape[0])])

    @torch.no_grad()
    def _tried(self) -> bool:
        """Whether the two parts give what the model gives, on a few tokens."""
        ids = (torch.arange(_TRIED_TOKENS, device=self._device) * 7919 % self.words)[None]
        whole = self._module(input_ids=ids, use_cache=False).logits
        if whole.shape[-1] < 2:
            raise DataError("The model predicts fewer than two words; it is no language model.")
        if self._head is None or self._body is self._module:
            return False
        try:
            parts = self._head(self._body(input_ids=ids, use_cache=False)[0])
        except (RuntimeError, TypeError, ValueError):
            return False
        return parts.shape == whole.shape and torch.allclose(parts, whole, rtol=1e-4, atol=1e-4)
