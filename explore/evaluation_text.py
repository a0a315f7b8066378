"""From a text to what a model is scored on: windows of tokens, or sentences; and to calibration."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.errors import DataError, UsageError
from ..formats.models.text import read_model_text, sentences, sliding_windows, token_ids

if TYPE_CHECKING:
    from ..formats.models.calibration import Calibration
    from ..formats.models.embedding import EncoderScorer
    from ..formats.models.layers import Layer
    from ..formats.models.loading import LoadedModel
    from ..formats.models.perplexity import LanguageScorer
    from .evaluation import EvaluationRequest

#: A window where none is asked for: Hugging Face's usual one, and a sentence's longest.
WINDOW, SENTENCE = 1024, 256


@dataclass(frozen=True, kw_only=True, slots=True)
class TextSource:
    """A text and what it is called."""

    name: str
    text: str

    @classmethod
    def read(cls, path: Path) -> "TextSource":
        """Read a file; raises :class:`DataError` as :func:`.read_model_text` does."""
        return cls(name=path.name, text=read_model_text(path))

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def shown(self) -> str:
        """The name with the first digits of the digest."""
        return f"{self.name} (sha256 {self.digest[:12]})"


def language_scorer(
    model: "LoadedModel", request: "EvaluationRequest", layers: "tuple[Layer, ...]", folder: Path
) -> "tuple[LanguageScorer, Calibration | None, str]":
    """Return what scores a causal language model, its calibration, and what is read, in words."""
    from ..formats.models.perplexity import LanguageScorer  # noqa: PLC0415 - imports torch

    window = _window(model, request, WINDOW)
    stride = max(1, window // 2) if request.stride is None else request.stride
    _check_calibration(request)
    after = request.calibration_tokens if _takes_rest(request) else 0
    most = None if request.tokens is None else request.tokens + after
    ids = token_ids(model, request.text.text, most)
    rest = ids[request.tokens :] if request.tokens is not None else ids[:0]
    ids = ids[: request.tokens]
    windows = sliding_windows(len(ids), window, stride)
    scorer = LanguageScorer(model, ids, windows, layers, folder)
    read = f"{request.text.shown}, {len(ids)} tokens in windows of {window} by {stride}"
    if not request.method.calibrates:
        return scorer, None, read
    if request.calibration is not None:
        rest = token_ids(model, request.calibration.text, request.calibration_tokens)
    rows = len(rest) // window
    if rows == 0:
        raise DataError(
            f"The calibration text has {len(rest)} tokens, fewer than one window of {window}; give "
            "a longer text with --calibration, or a smaller --window."
        )
    read += f", calibrated on {rows * window} tokens {_calibrated_on(request)}"
    return scorer, scorer.calibration(rest[: rows * window].view(rows, window)), read


def encoder_scorer(
    model: "LoadedModel", request: "EvaluationRequest"
) -> "tuple[EncoderScorer, Calibration | None, str]":
    """Return what scores an encoder, its calibration, and what is read, in words."""
    from ..formats.models.embedding import EncoderScorer, sentence_tokens  # noqa: PLC0415

    if request.stride is not None:
        raise UsageError("A stride is for causal language models; an encoder reads sentences.")
    window = _window(model, request, SENTENCE)
    _check_calibration(request)
    parts = sentences(request.text.text)
    found = sentence_tokens(model, parts, window=window, most=request.tokens)
    scorer = EncoderScorer(model, found)
    count = sum(map(len, found))
    read = f"{request.text.shown}, {len(found)} sentences of {count} tokens, each at most {window}"
    if not request.method.calibrates:
        return scorer, None, read
    rest = parts[len(found) :]
    if request.calibration is not None:
        rest = sentences(request.calibration.text)
    used = sentence_tokens(model, rest, window=window, most=request.calibration_tokens)
    read += f", calibrated on {sum(map(len, used))} tokens {_calibrated_on(request)}"
    return scorer, scorer.calibration(used), read


def _window(model: "LoadedModel", request: "EvaluationRequest", usual: int) -> int:
    limit = model.context
    window = request.window
    if window is None:
        return min(part for part in (usual, limit, request.tokens) if part is not None)
    if limit is not None and window > limit:
        raise UsageError(
            f"The window is {window} tokens; {model.name} takes at most {limit} at once."
        )
    return window


def _takes_rest(request: "EvaluationRequest") -> bool:
    return request.method.calibrates and request.calibration is None


def _check_calibration(request: "EvaluationRequest") -> None:
    if _takes_rest(request) and request.tokens is None:
        raise UsageError(
            "SmoothQuant and GPTQ need a text to calibrate on that is not the evaluated one: give "
            "--calibration FILE, or --tokens N, so that what follows the first N tokens serves."
        )


def _calibrated_on(request: "EvaluationRequest") -> str:
    return "after them" if request.calibration is None else f"of {request.calibration.shown}"
