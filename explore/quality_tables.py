"""The tables of formats' quality: SQNR by block beside the limit, all figures, use of the codes."""

import math
from collections.abc import Sequence

from ..formats.format_quality import FormatQuality, Limit, Method
from ..formats.metrics import METRICS
from ..formats.record import Format
from .text_table import MISSING, Column, TextTable, heading, number, shown

LIMIT = "Lloyd-Max limit"
_INFINITE = "∞"


def figure_table(found: Sequence[FormatQuality]) -> TextTable:
    """Return one row a record with all figures; the best SQNR of each number of bits is strong."""
    best: dict[tuple[int, str, int], float] = {}
    for one in found:
        key = (one.bits, one.scale, one.block)
        best[key] = max(best.get(key, -math.inf), one.sqnr_db)
    rows, strong = [], set()
    for index, one in enumerate(found):
        rows.append(
            (
                one.format,
                shown("bits_per_element", one.bits_per_element),
                str(one.block),
                one.scale + (f", {one.scale_format}" if one.scale_format else ""),
                _figure("sqnr_db", one.sqnr_db),
                _uncertainty(one),
                _figure("limit_db", one.limit_db) + _mark(one),
                _figure("below_limit_db", one.below_limit_db),
                _significant(one.mse),
                shown("max_error", one.max_error),
                shown("entropy_bits", one.entropy_bits),
                str(one.use.unused),
            )
        )
        if one.sqnr_db == best[one.bits, one.scale, one.block]:
            strong.add((index, 4))
    columns = (
        Column(label="format", numeric=False),
        heading("bits_per_element"),
        Column(label="block"),
        Column(label="scale", numeric=False),
        heading("sqnr_db"),
        Column(label="±", meaning="standard error of samples; an integral's error is below 1e-6"),
        heading("limit_db"),
        heading("below_limit_db"),
        heading("mse"),
        heading("max_error"),
        heading("entropy_bits"),
        Column(label="codes unused", meaning="codes that are never produced"),
    )
    return TextTable(columns=columns, rows=tuple(rows), strong=frozenset(strong))


def block_table(found: Sequence[FormatQuality]) -> TextTable:
    """Return SQNR by format and (scale, block), then the limit of each number of bits.

    The best of each number of bits in a column is strong. ``found`` are records of the same data.
    """
    keys = list(dict.fromkeys((one.scale, one.block) for one in found))
    by_format: dict[tuple[int, str], dict[tuple[str, int], FormatQuality]] = {}
    for one in found:
        by_format.setdefault((one.bits, one.format), {})[one.scale, one.block] = one
    rows: list[tuple[str, ...]] = []
    strong: set[tuple[int, int]] = set()
    marked: set[int] = set()
    for bits in sorted({bits for bits, _ in by_format}):
        names = [name for width, name in by_format if width == bits]
        best = {
            key: max(
                (
                    by_format[bits, name][key].sqnr_db
                    for name in names
                    if key in by_format[bits, name]
                ),
                default=None,
            )
            for key in keys
        }
        for name in names:
            here = by_format[bits, name]
            for column, key in enumerate(keys, 2):
                if key in here and here[key].sqnr_db == best[key]:
                    strong.add((len(rows), column))
            cells = (
                _figure("sqnr_db", here[key].sqnr_db) if key in here else MISSING for key in keys
            )
            rows.append((name, str(bits), *cells))
        limits = [_shared_limit(found, bits, key) for key in keys]
        if any(limit is not None for limit in limits):
            marked.add(len(rows))
            rows.append((LIMIT, str(bits), *(_figure("limit_db", limit) for limit in limits)))
    columns = (
        Column(label="format", numeric=False),
        Column(label="bits"),
        *(Column(label=f"block {block}", group=f"SQNR (dB), {scale}") for scale, block in keys),
    )
    return TextTable(
        columns=columns, rows=tuple(rows), strong=frozenset(strong), marked=frozenset(marked)
    )


def tensor_table(found: Sequence[FormatQuality]) -> TextTable:
    """Return SQNR by tensor and (format, scale, block); the best of a row is strong."""
    keys = list(dict.fromkeys((one.format, one.scale, one.block) for one in found))
    by_tensor: dict[str, dict[tuple[str, str, int], float]] = {}
    for one in found:
        by_tensor.setdefault(one.tensor, {})[one.format, one.scale, one.block] = one.sqnr_db
    rows, strong = [], set()
    for index, (tensor, here) in enumerate(by_tensor.items()):
        rows.append((tensor or "all together", *(_figure("sqnr_db", here.get(k)) for k in keys)))
        best = max(here.values())
        strong |= {(index, c) for c, k in enumerate(keys, 1) if here.get(k) == best}
    columns = (
        Column(label="tensor", numeric=False),
        *(
            Column(label=f"{scale}, block {block}", group=f"{name}, SQNR (dB)")
            for name, scale, block in keys
        ),
    )
    return TextTable(columns=columns, rows=tuple(rows), strong=frozenset(strong))


def use_table(known: Format, found: Sequence[FormatQuality]) -> TextTable:
    """Return a format's codes with the share of all elements that each stands for, in percent."""
    known = known.variants[0]
    rows = tuple(
        (
            str(code),
            f"{code:0{known.bits}b}",
            f"{float(level):.6g}".replace("-", "−"),
            *(number(100 * one.use.shares[code], 3) for one in found),
        )
        for code, level in sorted(enumerate(known.levels), key=lambda pair: (pair[1], pair[0]))
    )
    columns = (
        Column(label="code"),
        Column(label="bits"),
        Column(label="level"),
        *(
            Column(label=f"{one.scale}, block {one.block}", group="share of elements (%)")
            for one in found
        ),
    )
    return TextTable(columns=columns, rows=rows)


def notes(found: Sequence[FormatQuality]) -> list[str]:
    """Return what a reader must know of the figures, a sentence each."""
    methods = {one.method for one in found}
    said = []
    if Method.INTEGRATION in methods:
        worst = max(one.uncertainty_db or 0 for one in found if one.method is Method.INTEGRATION)
        said.append(
            "Without ± SQNR is integrated, scales as real numbers; the estimated error of the "
            f"integrals is at most {max(worst, 1e-12):.0e} dB."
        )
    sampled = [one for one in found if one.method is Method.SAMPLES]
    if sampled:
        least = min(one.elements for one in sampled)
        said.append(f"With ± SQNR is from {least:,} samples or more; ± is its standard error.")
    if any(one.limit is Limit.OWN_SCALES for one in found):
        said.append(
            "¹ The best codebook of as many levels for the scales that the format itself chose."
        )
    if any(one.limit is Limit.BEST_FOUND for one in found):
        said.append(
            "² The best pair of codebook and clipped scales that was found; no proof that there "
            "is no better one."
        )
    if any(one.is_choice for one in found):
        said.append(
            "³ Each block chooses between variants of the format, which is more than one codebook: "
            "it may pass the limit, that of a single one."
        )
    return said


def _shared_limit(found: Sequence[FormatQuality], bits: int, key: tuple[str, int]) -> float | None:
    """Return the limit that does not depend on a format's own scales."""
    limits = (
        one.limit_db
        for one in found
        if one.bits == bits
        and (one.scale, one.block) == key
        and one.limit in {Limit.OPTIMAL, Limit.BEST_FOUND}
    )
    return next(limits, None)


def _figure(name: str, value: float | None) -> str:
    if value is not None and math.isinf(value):
        return _INFINITE if value > 0 else f"−{_INFINITE}"
    return shown(name, value)


def _significant(value: float) -> str:
    return f"{value:.4g}".replace("-", "−") if value else "0"


def _uncertainty(one: FormatQuality) -> str:
    if one.method is not Method.SAMPLES or one.uncertainty_db is None:
        return ""
    return number(one.uncertainty_db, METRICS["sqnr_db"].digits + 1)


def _mark(one: FormatQuality) -> str:
    if one.is_choice:
        return "³"
    return {Limit.OWN_SCALES: "¹", Limit.BEST_FOUND: "²"}.get(one.limit or Limit.OPTIMAL, " ")
