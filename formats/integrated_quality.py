"""The error of a format with absmax scales on a distribution, by integration."""

from fractions import Fraction

import numpy as np

from .block_format import BlockFormat
from .block_theory import BlockTheory
from .code_use import CodeUse
from .errors import UsageError
from .format_quality import FormatQuality, Limit, Method, decibels
from .record import Format
from .weighted_cells import Array, middles


def unit_levels(format: Format, *, signed: bool) -> Array:  # noqa: A002 - the field's word
    """Return the distinct levels ÷ the largest magnitude, ascending from at least −1 to at most 1.

    With ``signed`` they are mirrored where the larger side is the negative one, as
    :class:`.BlockTheory` wants them. Raises :class:`UsageError` for a signed scale with a format
    whose largest magnitudes agree.
    """
    grid = format.sorted_grid
    largest = max(map(abs, grid))
    levels = np.array([float(Fraction(value, largest)) for value in grid])
    if not signed:
        return levels
    if not format.is_asymmetric:
        raise UsageError(
            f"A signed scale was asked for, but {format.name}'s largest levels are equal in "
            "magnitude, so that the sign changes nothing; use absmax."
        )
    return -levels[::-1] if is_mirrored(format) else levels


def is_mirrored(format: Format) -> bool:  # noqa: A002
    """Whether the format's larger side is the negative one, as INT4's −8."""
    return max(format.grid) < -min(format.grid)


def integrated_quality(
    entry: BlockFormat, theory: BlockTheory, *, limit_mse: float | None = None
) -> FormatQuality:
    """Return a format's quality with absmax scales that are not rounded when they are stored.

    ``limit_mse`` is :meth:`.BlockTheory.noise` of the best levels. Raises :class:`UsageError` for a
    format whose blocks choose between variants or targets, and as :func:`unit_levels`.
    """
    known = entry.format
    if known.selector_bits or len(entry.targets) > 1:
        raise UsageError(
            f"{known.name}'s blocks choose what errs least, which no integral here knows; its "
            "error comes from samples."
        )
    levels = unit_levels(known, signed=theory.signed)
    noise, shares = theory.assess(levels)
    if theory.signed and is_mirrored(known):
        shares = shares[::-1]
    return FormatQuality(
        format=known.name,
        bits=known.bits,
        bits_per_element=stored_bits(entry, theory.block, signed=theory.signed),
        data=theory.distribution.name,
        block=theory.block,
        scale="signed" if theory.signed else "absmax",
        method=Method.INTEGRATION,
        signal_power=theory.signal,
        mse=noise.value,
        uncertainty_db=decibels(noise.value + noise.error, noise.value) if noise.value else 0.0,
        max_error=_largest_error(levels),
        limit_mse=limit_mse,
        limit=None if limit_mse is None else Limit.OPTIMAL,
        use=CodeUse.of_levels(known, [float(share) for share in shares]),
    )


def stored_bits(entry: BlockFormat, block: int, *, signed: bool) -> float:
    """Return the stored bits an element in blocks of ``block``, scale and selector included."""
    known = entry.format
    return known.stored_bits + entry.scale_format.block_bits(
        block, selector_bits=known.selector_bits, signed=signed
    )


def _largest_error(levels: Array) -> float:
    """Return the least upper bound of |y − q(y)| for y between −1 and 1."""
    places = np.concatenate([[-1.0], middles(levels).clip(-1, 1), [1.0]])
    return float(np.abs(places[:, None] - levels).min(axis=1).max())
