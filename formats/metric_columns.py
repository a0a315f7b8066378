"""What the header of a metric's column says: name, unit, direction."""

import re
from dataclasses import dataclass

from .errors import DataError

_LOWER = frozenset(
    {
        "perplexity",
        "ppl",
        "loss",
        "losses",
        "error",
        "errors",
        "err",
        "kl",
        "divergence",
        "mse",
        "rmse",
        "mae",
        "nll",
        "degradation",
    }
)
_HIGHER = frozenset(
    {
        "accuracy",
        "acc",
        "sqnr",
        "snr",
        "psnr",
        "cosine",
        "similarity",
        "change",
        "f1",
        "bleu",
        "rouge",
        "auc",
        "top1",
        "top5",
    }
)
# No blanks before and after: a run of them would be tried from each of them.
_SUFFIX = re.compile(
    r"(?:\[\s*+(?P<a>lower|higher)\s*+\]|:\s*+(?P<b>lower|higher))$", re.IGNORECASE
)
_UNIT = re.compile(r"\((?P<unit>[^()]*+)\)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricColumn:
    """A metric's name, its unit (may be empty) and its direction."""

    name: str
    unit: str
    higher_is_better: bool


def metric_column(header: str, where: str) -> MetricColumn:
    """Read a header such as ``perplexity``, ``accuracy (%)`` or ``score[higher]``.

    Raises :class:`DataError` where neither the name nor a suffix tells the direction, or where
    the words of the name contradict each other.
    """
    suffix = _SUFFIX.search(header.rstrip())
    rest = (header[: suffix.start()] if suffix else header).rstrip()
    unit = _UNIT.search(rest)
    name = (rest[: unit.start()] if unit else rest).strip()
    if not name:
        raise DataError(f"{where}, column {header!r:.80}: the metric has no name.")
    if suffix:
        higher = (suffix["a"] or suffix["b"]).lower() == "higher"
    else:
        words = set(re.findall(r"[a-z0-9_\-]+", name.lower()))
        words |= {part for word in words for part in re.split(r"[_\-]", word)}
        is_lower, is_higher = bool(words & _LOWER), bool(words & _HIGHER)
        if is_lower == is_higher:
            raise DataError(
                f"{where}, column {header!r:.80}: the name does not tell whether higher or lower "
                f"is better. Write it as '{name:.60}[higher]' or '{name:.60}[lower]'."
            )
        higher = is_higher
    return MetricColumn(
        name=name, unit=unit["unit"].strip() if unit else "", higher_is_better=higher
    )
