"""Text for models: a file to tokens, tokens to windows, text to sentences."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, UsageError
from ..exact import shown
from ..files import read_text

if TYPE_CHECKING:
    from torch import Tensor

    from .loading import LoadedModel

MAX_TEXT = 256 * 2**20
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")
_FEWEST_WORDS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Tokens ``start`` to ``end`` (exclusive) at once, of which those from ``scored`` on count."""

    start: int
    end: int
    scored: int


def read_model_text(path: str | Path) -> str:
    """Return a text file's contents; raises :class:`DataError` for one that has none."""
    text = read_text(path, DataError, limit=MAX_TEXT)
    if not text.strip():
        raise DataError(f"The file {path} holds no text.")
    return text


def sliding_windows(tokens: int, window: int, stride: int) -> tuple[Window, ...]:
    """Return the windows in which each token but the first is predicted exactly once.

    As in Hugging Face's guide to perplexity: a window starts every ``stride`` tokens, ends after
    ``window`` or with the text, and counts what none before it did, so that a token has a context
    of at least ``window`` − ``stride`` tokens, the first window's apart. Raises
    :class:`UsageError` for a stride that is not from 1 to the window, and a window below 2;
    :class:`DataError` for fewer tokens than a window.
    """
    if window < 2:
        raise UsageError(f"The window is {shown(window)} tokens; it must be at least 2.")
    if not 1 <= stride <= window:
        raise UsageError(
            f"The stride is {shown(stride)}; it must be from 1 to the window of {window} tokens."
        )
    if tokens < window:
        raise DataError(
            f"The text has {tokens} tokens, fewer than one window of {window}; give a longer text "
            "or a smaller --window."
        )
    found = []
    done = 1  # nothing predicts the first token
    for start in range(0, tokens, stride):
        end = min(start + window, tokens)
        # Where windows do not overlap, each one's first token has no context either.
        found.append(Window(start=start, end=end, scored=max(done, start + 1)))
        done = end
        if end == tokens:
            break
    return tuple(one for one in found if one.scored < one.end)


def token_ids(model: "LoadedModel", text: str, most: int | None = None) -> "Tensor":
    """Return the text's tokens, at most ``most``, as int64 of shape (tokens,), on the processor.

    The tokenizer adds what it adds at a text's start; raises :class:`DataError` without one.
    """
    import torch  # noqa: PLC0415 - slow

    tokenizer = model.require_tokenizer()
    # What will not be reached is not read, unless tokens turn out to be very long.
    part = text if most is None else text[: 16 * most + 1000]
    ids = tokenizer(part, verbose=False)["input_ids"]
    if most is not None and len(part) < len(text) and len(ids) < most + 100:
        ids = tokenizer(text, verbose=False)["input_ids"]
    return torch.tensor(ids[:most], dtype=torch.int64)


def sentences(text: str, most: int | None = None) -> tuple[str, ...]:
    """Return the text's sentences of at least four words, without repetitions, at most ``most``."""
    found: dict[str, None] = {}
    for part in _SENTENCE_END.split(text):
        words = part.split()
        if len(words) >= _FEWEST_WORDS:
            found.setdefault(" ".join(words))
            if len(found) == most:
                break
    return tuple(found)
