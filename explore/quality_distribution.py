"""The error of formats on a distribution: integrals and limits, each computed once."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..formats.block_theory import BlockTheory
from ..formats.distribution import Distribution
from ..formats.format_quality import FormatQuality
from ..formats.integrated_quality import integrated_quality
from ..formats.lloyd_max import Histogram, block_histogram, optimal_levels
from ..formats.weighted_cells import Array
from .quality import BlockShape, Setting

if TYPE_CHECKING:
    from .quality_samples import SampleSource

_SHAPE_CELLS = 400


class DistributionSource:
    """A distribution, and what is known of it in each block."""

    def __init__(self, distribution: Distribution, *, elements: int, seed: int) -> None:
        self.distribution = distribution
        self._drawing = (elements, seed)
        # Bound to the instance, so that what is cached goes with it.
        self.theory = functools.cache(self._theory)
        self.histogram = functools.cache(self._histogram)
        self.limit_levels = functools.cache(self._limit_levels)
        self._limit_noise = functools.cache(self._find_limit_noise)
        self._samples = functools.cache(self._open_samples)

    def quality(self, setting: Setting) -> FormatQuality:
        """Return a setting's error beside the limit."""
        block, signed = setting.entry.block, setting.rule.is_signed
        count = 2**setting.entry.format.stored_bits
        if setting.is_integrable:
            theory = self.theory(block, signed)
            return integrated_quality(
                setting.entry, theory, limit_mse=self._limit_noise(block, signed, count)
            )
        return self._samples().quality(setting, self.limit_levels(block, signed, count))

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

    def _open_samples(self) -> "SampleSource":
        from .quality_samples import SampleSource  # noqa: PLC0415 - imports torch

        elements, seed = self._drawing
        return SampleSource(self.distribution, elements=elements, seed=seed)
