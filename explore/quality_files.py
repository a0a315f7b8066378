"""Formats' quality as files: JSON with everything, CSV in the form of accuracy tables."""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence

from ..formats.accuracy import LONG_COLUMNS
from ..formats.errors import DataError
from ..formats.exact import shown
from ..formats.format_quality import FormatQuality
from ..formats.metrics import METRICS, Metric

POOLED_METRICS = (
    "sqnr_db",
    "mse",
    "max_error",
    "entropy_bits",
    "bits_per_element",
    "limit_db",
    "below_limit_db",
)
TENSOR_METRICS = ("sqnr_db",)
_MORE_COLUMNS = ("block", "scale", "scale_format", "method", "uncertainty_db")


def to_json(found: Iterable[FormatQuality]) -> str:
    """Return the records as a JSON list; :func:`from_json` is the inverse."""
    records = [one.to_json() for one in found]
    return json.dumps(records, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> tuple[FormatQuality, ...]:
    """Read :func:`to_json`'s text; raises :class:`DataError` for anything else."""
    try:
        records = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"The formats' quality is no JSON: {error}.") from error
    if not isinstance(records, list):
        raise DataError(f"The formats' quality is {shown(records)}; it must be a JSON list.")
    return tuple(FormatQuality.from_json(record) for record in records)


def to_csv(found: Sequence[FormatQuality], *, own_blocks: bool = False) -> str:
    """Return the figures in the long form that :func:`.read_accuracy` reads.

    ``model`` is the data, with the tensor where it is one of several; such rows have a setting of
    their own, so that nobody averages them with the whole. ``own_blocks`` names one setting for
    formats that each have the block and scale they are defined with. Infinite figures are left
    out. Further columns, which readers of accuracy tables ignore, say how a figure came about.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*LONG_COLUMNS, *_MORE_COLUMNS])
    several = any(not one.tensor for one in found)
    for one in found:
        is_part = several and bool(one.tensor)
        model = f"{one.data}: {one.tensor}" if one.tensor else one.data
        setting = setting_name(one, own_blocks=own_blocks) + (", one tensor" if is_part else "")
        for metric, value in _figures(one, TENSOR_METRICS if is_part else POOLED_METRICS):
            writer.writerow(
                [
                    _cell(model),
                    setting,
                    one.format,
                    metric.label,
                    metric.unit,
                    # A merit needs a direction; fewer bits are the better ones.
                    str(bool(metric.higher_is_better)).lower(),
                    f"{value:.10g}",
                    one.block,
                    one.scale,
                    one.scale_format,
                    one.method.value,
                    _uncertainty(one) if metric.name == "sqnr_db" else "",
                ]
            )
    return stream.getvalue()


def setting_name(one: FormatQuality, *, own_blocks: bool = False) -> str:
    """Return a setting in words: block and scale."""
    return f"own blocks, {one.scale}" if own_blocks else f"block {one.block}, {one.scale}"


def _figures(one: FormatQuality, names: Sequence[str]) -> Iterator[tuple[Metric, float]]:
    for name in names:
        value = getattr(one, name)
        if value is not None and math.isfinite(value):
            yield METRICS[name], value


def _uncertainty(one: FormatQuality) -> str:
    return "" if one.uncertainty_db is None else f"{one.uncertainty_db:.3g}"


def _cell(text: str) -> str:
    """Return a name without what CSV readers refuse or spreadsheets run."""
    shown_text = "".join(c if c.isprintable() else "?" for c in text)[:1000]
    return f"'{shown_text}" if shown_text[:1] in "=+-@" else shown_text
