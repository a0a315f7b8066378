"""One of several ways to quantize a block: the variant and the target with the least squared error.

A variant is one of the formats that a block's selector chooses; a target is the level that the
block's largest magnitude is mapped to (four-over-six: 6 or 4). The sum of squares is float64, and
the first of the candidates with the least one wins.
"""

from collections.abc import Iterator
from fractions import Fraction

import torch
from torch import Tensor

from .clipping import absmax_scales, mse_scales, stored_scales
from .codec import codec
from .record import Format
from .scale import Clipping, ScaleSpec


def has_choice(format: Format, spec: ScaleSpec) -> bool:  # noqa: A002 - the field's word
    """Whether blocks have more than one candidate."""
    return bool(format.selector_bits) or (
        len(spec.targets) > 1 and spec.clipping is Clipping.ABSMAX
    )


def row_scales(
    rows: Tensor,
    format: Format,  # noqa: A002
    spec: ScaleSpec,
    parents: Tensor | None,
    target: Fraction | None = None,
) -> Tensor:
    """Return the scale of each row by ``spec``, shape (rows, 1); ``format`` has one variant."""
    store = spec.scale_format
    if spec.clipping is Clipping.MSE:
        return mse_scales(rows, format, signed=spec.signed, store=store, parents=parents)
    if store is not None:
        return stored_scales(
            rows, format, store, signed=spec.signed, parents=parents, target=target
        )
    scales = absmax_scales(rows, format, signed=spec.signed)
    if target is None or target == format.largest_level:
        return scales
    return scales * float(format.largest_level / target)


def chosen_rows(
    rows: Tensor,
    format: Format,  # noqa: A002
    spec: ScaleSpec,
    parents: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return the codes (rows, length) and scales (rows, 1) of each row's best candidate.

    ``rows`` is float32 or float64. A row with NaN or infinities has a scale that is not finite.
    """
    best = codes = scales = None
    for selector, variant, target in _candidates(format, spec):
        tables = codec(variant, rows.dtype, rows.device)
        tried = row_scales(rows, variant, spec, parents, target)
        coded = tables.encode(rows / tried)
        back = tables.decode(coded) * tried
        error = (rows - back).double().square().sum(dim=1, keepdim=True)
        coded += selector << variant.bits
        if best is None or codes is None or scales is None:
            best, codes, scales = error, coded, tried
            continue
        better = error < best
        best = torch.where(better, error, best)
        codes = torch.where(better, coded, codes)
        scales = torch.where(better, tried, scales)
    if codes is None or scales is None:
        raise AssertionError("a format has at least one variant")
    return codes, scales


def first_target(format: Format, spec: ScaleSpec) -> Fraction:  # noqa: A002
    """Return the level that the largest magnitude meets in the first candidate."""
    return spec.targets[0] if spec.targets else format.variants[0].largest_level


def _candidates(
    format: Format,  # noqa: A002
    spec: ScaleSpec,
) -> Iterator[tuple[int, Format, Fraction | None]]:
    absmax = spec.clipping is Clipping.ABSMAX
    for selector, variant in enumerate(format.variants):
        for target in spec.targets if spec.targets and absmax else (None,):
            yield selector, variant, target
