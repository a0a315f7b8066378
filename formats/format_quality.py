"""The error of a format on data, as a record: what the quality tables are made of."""

import enum
import math
from dataclasses import dataclass, fields

from .code_use import CodeUse
from .errors import DataError
from .exact import shown


class Method(enum.StrEnum):
    """Where the figures come from."""

    INTEGRATION = "integration"
    SAMPLES = "samples"
    TENSORS = "tensors"


class Limit(enum.StrEnum):
    """What the Lloyd-Max limit is.

    OPTIMAL: the least error of all codebooks of as many levels, with scales that only depend on
    the block's largest magnitude. OWN_SCALES: the least error with the scales that the format
    chose. BEST_FOUND: codebook and scales improved in turn until neither helps, no proof that
    nothing is better. Where blocks choose between variants of a format (``is_choice``), each block
    has more codebooks than one, and the format may pass the limit of one.
    """

    OPTIMAL = "optimal"
    OWN_SCALES = "for the format's own scales"
    BEST_FOUND = "best found"


@dataclass(frozen=True, kw_only=True, slots=True)
class FormatQuality:
    """The error that a format makes on data in blocks.

    ``data`` is a distribution, of scale 1, or a file; ``tensor`` one of its tensors, empty for all
    together or a distribution. ``scale`` is the rule, ``scale_format`` how scales are stored, empty
    where they are not rounded. ``elements`` is 0 where nothing was sampled.

    ``signal_power`` and ``mse`` are mean squares in the data's units; ``limit_mse`` that of the
    Lloyd-Max limit, None where it was not computed. ``max_error`` is the largest |x − q(x)| ÷ the
    block's largest magnitude: by integration the least upper bound, or else the largest seen.
    ``uncertainty_db`` is SQNR's: the integration's error, the samples' standard error, or None.
    """

    format: str
    bits: int
    bits_per_element: float
    data: str
    tensor: str = ""
    block: int
    scale: str
    scale_format: str = ""
    method: Method
    elements: int = 0
    signal_power: float
    mse: float
    uncertainty_db: float | None = None
    max_error: float
    limit_mse: float | None = None
    limit: Limit | None = None
    is_choice: bool = False
    use: CodeUse

    @property
    def sqnr_db(self) -> float:
        """10·log10(signal power ÷ mse), infinite where nothing is lost."""
        return decibels(self.signal_power, self.mse)

    @property
    def limit_db(self) -> float | None:
        """The Lloyd-Max limit's SQNR."""
        return None if self.limit_mse is None else decibels(self.signal_power, self.limit_mse)

    @property
    def below_limit_db(self) -> float | None:
        """How far SQNR is below the Lloyd-Max limit."""
        if self.limit_mse is None:
            return None
        return 0.0 if self.mse == self.limit_mse else decibels(self.mse, self.limit_mse)

    @property
    def entropy_bits(self) -> float:
        """The entropy of the codes."""
        return self.use.entropy

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types, figures that follow from others included."""
        record: dict[str, object] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            record[item.name] = list(value.shares) if isinstance(value, CodeUse) else value
        for name in ("sqnr_db", "limit_db", "below_limit_db", "entropy_bits"):
            value = getattr(self, name)
            # JSON has no infinity; mse 0 says the same.
            record[name] = value if value is None or math.isfinite(value) else None
        return record

    @classmethod
    def from_json(cls, record: object) -> "FormatQuality":
        """Rebuild a record from :meth:`to_json`'s dictionary.

        Raises :class:`DataError` where a key is missing or a value has the wrong type.
        """
        if not isinstance(record, dict):
            raise DataError(f"A format's quality is {shown(record)}; it must be a JSON object.")
        try:
            values = {item.name: record[item.name] for item in fields(cls)}
            values["use"] = CodeUse(shares=tuple(float(share) for share in values["use"]))
            values["method"] = Method(values["method"])
            values["limit"] = None if values["limit"] is None else Limit(values["limit"])
        except KeyError as error:
            raise DataError(f"A format's quality lacks the key {error.args[0]!r}.") from error
        except (TypeError, ValueError) as error:
            raise DataError(f"A format's quality is malformed: {error}.") from error
        for name, value in values.items():
            if not _is_right(name, value):
                raise DataError(
                    f"A format's quality: {name} is {shown(value)}, which is of the wrong type or "
                    "not finite."
                )
        return cls(**values)


_WORDS = ("format", "data", "tensor", "scale", "scale_format")
_COUNTS = ("bits", "block", "elements")
_FIGURES = ("bits_per_element", "signal_power", "mse", "max_error")
_OPTIONAL = ("uncertainty_db", "limit_mse")


def _is_right(name: str, value: object) -> bool:
    if name in _WORDS:
        return isinstance(value, str)
    if name in _COUNTS:
        return type(value) is int and value >= 0
    if name in _FIGURES or (name in _OPTIONAL and value is not None):
        return type(value) in {int, float} and 0 <= value < math.inf  # type: ignore[operator]
    return name != "is_choice" or type(value) is bool


def decibels(over: float, under: float) -> float:
    """Return 10·log10(over ÷ under); infinite where ``under`` is 0."""
    if under == 0:
        return math.inf
    return 10 * math.log10(over / under) if over > 0 else -math.inf
