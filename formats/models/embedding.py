"""Sentence embeddings of an encoder, beside those of the unquantized one.

A sentence's embedding is the mean of the last hidden states over its tokens, as
sentence-transformers pools by default; lengths do not matter to the cosine.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..errors import DataError, TensorError
from .calibration import Calibration

if TYPE_CHECKING:
    from torch import Tensor

    from .loading import LoadedModel

COSINE = "embedding_cosine"
_BATCH = 32


class EncoderScorer:
    """Scores a text encoder on sentences, first as it is and then as often as it is changed.

    ``sentences`` are token numbers, one sequence each, as :func:`sentence_tokens` gives them.
    """

    metrics = (COSINE,)

    def __init__(self, model: "LoadedModel", sentences: Sequence[Sequence[int]]) -> None:
        self._module: Any = model.module
        self._device = model.device
        pad = getattr(model.tokenizer, "pad_token_id", None)
        self._pad = 0 if pad is None else int(pad)
        # Of like length together: little padding.
        ordered = sorted(sentences, key=len)
        self._batches = [
            self._padded(ordered[start : start + _BATCH])
            for start in range(0, len(ordered), _BATCH)
        ]
        self._kept: Tensor | None = None

    @property
    def steps(self) -> int:
        """How often ``tick`` is called for one pass."""
        return len(self._batches)

    def reference(self, tick: Callable[[], None]) -> dict[str, float]:
        """Keep the embeddings of the model as it is."""
        self._kept = self._embeddings(tick)
        return {COSINE: 1.0}

    def score(self, tick: Callable[[], None]) -> dict[str, float]:
        """Return the mean cosine between the embeddings now and those that were kept."""
        if self._kept is None:
            raise AssertionError("the unquantized model comes first")
        now = self._embeddings(tick)
        cosine = torch.cosine_similarity(now, self._kept, dim=1, eps=1e-300)
        return {COSINE: float(cosine.mean())}

    def calibration(self, sentences: Sequence[Sequence[int]]) -> Calibration:
        """Return the model's run over calibration sentences, all at once."""
        ids, mask = self._padded(sentences)

        @torch.no_grad()
        def run() -> None:
            self._module(input_ids=ids, attention_mask=mask.long())

        return Calibration(module=self._module, run=run, mask=mask)

    @torch.no_grad()
    def _embeddings(self, tick: Callable[[], None]) -> "Tensor":
        """Return the embeddings as float64, (sentences, width), on the processor."""
        found = []
        for ids, mask in self._batches:
            states: Tensor = self._module(input_ids=ids, attention_mask=mask.long())[0]
            weights = mask[:, :, None].double()
            found.append(((states.double() * weights).sum(1) / weights.sum(1)).cpu())
            tick()
        whole = torch.cat(found)
        if not bool(whole.isfinite().all()):
            raise TensorError("The model's embeddings are not finite under this format.")
        return whole

    def _padded(self, sequences: Sequence[Sequence[int]]) -> "tuple[Tensor, Tensor]":
        longest = max(map(len, sequences))
        ids = torch.full((len(sequences), longest), self._pad, dtype=torch.int64)
        mask = torch.zeros(len(sequences), longest, dtype=torch.bool)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = torch.tensor(sequence)
            mask[row, : len(sequence)] = True
        return ids.to(self._device), mask.to(self._device)


def sentence_tokens(
    model: "LoadedModel", sentences: Sequence[str], *, window: int, most: int | None = None
) -> list[list[int]]:
    """Return the tokens of sentences, each cut to ``window``, ``most`` in all, with special ones.

    A sentence with which there would be more than ``most`` tokens ends the list. Raises
    :class:`DataError` where none is left.
    """
    tokenizer = model.require_tokenizer()
    found: list[list[int]] = []
    total = 0
    for sentence in sentences:
        ids = tokenizer(sentence, truncation=True, max_length=window)["input_ids"]
        total += len(ids)
        if most is not None and total > most:
            break
        found.append(ids)
    if not found:
        raise DataError(
            "The text has no sentence of at least four words within the tokens that are read; give "
            "a longer text or more --tokens."
        )
    return found
