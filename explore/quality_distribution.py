"""The error of formats on a distribution: integrals and limits, each computed once."""

import functools
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from ..formats.block_theory import BlockTheory
from ..formats.clipped_limit import best_found_levels
from ..formats.distribution import Distribution
from ..formats.errors import UsageError
from ..formats.exact import shown
from ..formats.format_quality import FormatQuality, Limit, Method
from ..formats.integrated_quality import integrated_quality
from ..formats.lloyd_max import Histogram, block_histogram, optimal_levels
from ..formats.measured_quality import OWN_REACH, BlockHistogram, MeasuredError, own_limit
from ..formats.scale import Clipping, Granularity, ScaleSpec
from ..formats.weighted_cells import Array
from .quality import BlockShape, Setting, record

_SEARCHED = 2**18
_SHAPE_CELLS = 400
MAX_ELEMENTS = 2**28


class DistributionSource:
    """A distribution, what is known of it in each block, and seeded samples of it.

    Raises :class:`UsageError` for a number of elements outside 1 to 2**28.
    """

    def __init__(self, distribution: Distribution, *, elements: int, seed: int) -> None:
        if not 1 <= elements <= MAX_ELEMENTS:
            raise UsageError(
                f"{shown(elements)} elements were asked for; it must be 1 to {MAX_ELEMENTS}."
            )
        self.distribution = distribution
        self._elements = elements
        self._seed = seed
        # Bound to the instance, so that what is cached goes with it.
        self.theory = functools.cache(self._theory)
        self.histogram = functools.cache(self._histogram)
        self.limit_levels = functools.cache(self._limit_levels)
        self._limit_noise = functools.cache(self._find_limit_noise)
        self._samples = functools.lru_cache(maxsize=1)(self._draw)
        self._best_found = functools.cache(self._find_best_found)

    def quality(self, setting: Setting) -> FormatQuality:
        """Return a setting's error beside the limit."""
        block, signed = setting.entry.block, setting.rule.is_signed
        bits = setting.entry.format.stored_bits
        if setting.is_integrable:
            limit_mse = self._limit_noise(block, signed, 2**bits)
            return integrated_quality(
                setting.entry, self.theory(block, signed), limit_mse=limit_mse
            )
        own = BlockHistogram(reach=OWN_REACH)
        done = MeasuredError(setting.entry.format, setting.spec(), histogram=own, independent=True)
        done.add(self._samples(block), self.distribution.name)
        if setting.is_stored:
            limit, limit_mse = Limit.OWN_SCALES, own_limit(own, bits) / done.elements
        else:
            limit, limit_mse = Limit.BEST_FOUND, self._best_found(block, signed, bits)
        return record(
            setting,
            done,
            data=self.distribution.name,
            method=Method.SAMPLES,
            limit_mse=limit_mse,
            limit=limit,
        )

    def shape(self, block: int, bits: Sequence[int]) -> BlockShape:
        """Return the distribution of elements in blocks, and the limit's levels for widths."""
        edges = np.linspace(-1, 1, _SHAPE_CELLS + 1)
        shares = self.theory(block, False).cells(edges[1:-1], extremes=False).shares[0]
        return BlockShape(
            block=block,
            edges=tuple(edges.tolist()),
            density=tuple((shares / np.diff(edges)).tolist()),
            extremes=(0.5 / block, 0.5 / block),
            limit={
                width: tuple(self.limit_levels(block, False, 2**width).tolist()) for width in bits
            },
        )

    def _theory(self, block: int, signed: bool) -> BlockTheory:
        return BlockTheory(self.distribution, block=block, signed=signed)

    def _histogram(self, block: int, signed: bool) -> Histogram:
        return block_histogram(self.theory(block, signed))

    def _limit_levels(self, block: int, signed: bool, count: int) -> Array:
        return optimal_levels(self.histogram(block, signed), count)

    def _find_limit_noise(self, block: int, signed: bool, count: int) -> float:
        return self.theory(block, signed).noise(self.limit_levels(block, signed, count)).value

    def _draw(self, block: int) -> Tensor:
        rows = -(-self._elements // block)
        return self.distribution.sample(rows, block, seed=self._seed)

    def _find_best_found(self, block: int, signed: bool, bits: int) -> float:
        """Return the mean squared error of the best codebook found for clipped scales."""
        samples = self._samples(block)
        known = best_found_levels(
            samples[: max(1, _SEARCHED // block)],
            self.limit_levels(block, signed, 2**bits),
            bits=bits,
            signed=signed,
        )
        spec = ScaleSpec(
            granularity=Granularity.BLOCK,
            block=block,
            clipping=Clipping.MSE,
            signed=signed and known.is_asymmetric,
        )
        done = MeasuredError(known, spec)
        done.add(samples, self.distribution.name)
        return done.noise / done.elements
