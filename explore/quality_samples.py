"""The error of formats on seeded samples of a distribution, where no integral gives it."""

import functools

from ..formats.clipped_limit import best_found_levels
from ..formats.distribution import Distribution
from ..formats.errors import UsageError
from ..formats.exact import shown
from ..formats.format_quality import FormatQuality, Limit, Method
from ..formats.measured_quality import (
    OWN_REACH,
    BlockedPart,
    BlockHistogram,
    MeasuredError,
    own_limit,
)
from ..formats.scale import Clipping, Granularity, ScaleSpec
from ..formats.weighted_cells import Array
from .quality import Setting, record

_SEARCHED = 2**18
MAX_ELEMENTS = 2**28


class SampleSource:
    """Samples of a distribution in blocks, the same for all formats.

    Raises :class:`UsageError` for a number of elements outside 1 to 2**28.
    """

    def __init__(self, distribution: Distribution, *, elements: int, seed: int) -> None:
        if not 1 <= elements <= MAX_ELEMENTS:
            raise UsageError(
                f"{shown(elements)} samples were asked for; it must be 1 to {MAX_ELEMENTS}."
            )
        self.distribution = distribution
        self._elements = elements
        self._seed = seed
        # One block's samples at a time: settings come block by block.
        self._samples = functools.lru_cache(maxsize=1)(self._draw)
        self._found: dict[tuple[int, bool, int], float] = {}

    def quality(self, setting: Setting, start: Array) -> FormatQuality:
        """Return a setting's error beside the limit, whose search ``start`` begins.

        Raises :class:`UsageError` for a block of more elements than are drawn.
        """
        block, signed = setting.entry.block, setting.rule.is_signed
        bits = setting.entry.format.stored_bits
        own = BlockHistogram(reach=OWN_REACH) if setting.is_stored else None
        done = MeasuredError(setting.entry.format, setting.spec(), histogram=own, independent=True)
        done.add(self._samples(block), self.distribution.name)
        if own is not None:
            limit, limit_mse = Limit.OWN_SCALES, own_limit(own, bits) / done.elements
        else:
            limit = Limit.BEST_FOUND
            limit_mse = self._best_found(start, block=block, signed=signed, bits=bits)
        return record(
            setting,
            done,
            data=self.distribution.name,
            method=Method.SAMPLES,
            limit_mse=limit_mse,
            limit=limit,
        )

    def _draw(self, block: int) -> BlockedPart:
        if block > self._elements:
            raise UsageError(
                f"A block of {block} is longer than the {self._elements} samples that are drawn; "
                "ask for more samples or a shorter block."
            )
        drawn = self.distribution.sample(-(-self._elements // block), block, seed=self._seed)
        return BlockedPart.of(drawn, ScaleSpec(granularity=Granularity.BLOCK, block=block))

    def _best_found(self, start: Array, *, block: int, signed: bool, bits: int) -> float:
        """Return the mean squared error of the best codebook found for clipped scales."""
        key = block, signed, bits
        if key not in self._found:
            samples = self._samples(block)
            known = best_found_levels(
                samples.matrix[: max(1, _SEARCHED // block)], start, bits=bits, signed=signed
            )
            spec = ScaleSpec(
                granularity=Granularity.BLOCK,
                block=block,
                clipping=Clipping.MSE,
                signed=signed and known.is_asymmetric,
            )
            done = MeasuredError(known, spec)
            done.add(samples, self.distribution.name)
            self._found[key] = done.noise / done.elements
        return self._found[key]
