"""The error of formats on a distribution or on tensors, by block and scale, beside the limit."""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..formats.block_catalog import BLOCK_CATALOG
from ..formats.block_format import BlockFormat
from ..formats.errors import UsageError
from ..formats.exact import shown
from ..formats.format_quality import FormatQuality, Limit, Method
from ..formats.scale import Clipping, Granularity, ScaleSpec
from ..formats.scale_format import ScaleFormat

if TYPE_CHECKING:
    from ..formats.distribution import Distribution
    from ..formats.measured_quality import MeasuredError
    from .quality_tensors import TensorSource

SAMPLED_ELEMENTS = 2**20
Tick = Callable[[str], None]


class ScaleRule(enum.StrEnum):
    """How a block's scale is chosen: by its largest magnitude, or the least squared error."""

    ABSMAX = "absmax"
    SIGNED = "signed"
    MSE = "mse"
    SIGNED_MSE = "signed-mse"

    @property
    def is_signed(self) -> bool:
        """Whether a scale may be negative."""
        return self in {ScaleRule.SIGNED, ScaleRule.SIGNED_MSE}

    @property
    def clipping(self) -> Clipping:
        """The quantizer's word for it, but for the sign."""
        return Clipping.ABSMAX if self in {ScaleRule.ABSMAX, ScaleRule.SIGNED} else Clipping.MSE


def find_rule(name: str) -> ScaleRule:
    """Return the rule of that name; raises :class:`UsageError` with the names for any other."""
    for rule in ScaleRule:
        if rule == name.strip().casefold():
            return rule
    raise UsageError(f"The scale {shown(name)} is unknown; give one of {', '.join(ScaleRule)}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """A format in blocks of ``entry.block`` with scales by ``rule``.

    ``is_stored``: scales are rounded to ``entry.scale_format``; otherwise they are real numbers,
    and the scale format only counts for the bits.
    """

    entry: BlockFormat
    rule: ScaleRule
    is_stored: bool

    def __post_init__(self) -> None:
        known = self.entry.format
        if self.rule.is_signed and not known.is_asymmetric:
            raise UsageError(
                f"A signed scale was asked for, but {known.name}'s largest levels are equal in "
                "magnitude, so that the sign changes nothing; leave the format out or use "
                f"--scale {self.rule.removeprefix('signed').removeprefix('-') or 'absmax'}."
            )
        self.spec()

    @property
    def is_integrable(self) -> bool:
        """Whether the error on a distribution is an integral: no search, no rounded scales."""
        return self.rule.clipping is Clipping.ABSMAX and not self.is_stored

    @property
    def is_choice(self) -> bool:
        """Whether each block chooses between variants of the format."""
        return bool(self.entry.format.selector_bits)

    def spec(self) -> ScaleSpec:
        """Return what the quantizer takes; blocks run along the last axis."""
        known, rule = self.entry, self.rule
        if self.is_stored:
            return known.spec(clipping=rule.clipping, signed=rule.is_signed)
        return ScaleSpec(
            granularity=Granularity.BLOCK,
            block=known.block,
            clipping=rule.clipping,
            signed=rule.is_signed,
        )


def settings_of(
    entries: Iterable[BlockFormat],
    blocks: Sequence[int] = (),
    rules: Sequence[ScaleRule] = (ScaleRule.ABSMAX,),
    *,
    scale_format: ScaleFormat | None = None,
) -> tuple[Setting, ...]:
    """Return each format in each block, its own unless given, with each rule.

    Block formats of the catalogue round their scales as they are stored, other formats do not;
    with ``scale_format`` all are rounded to that. Raises :class:`UsageError` for a block that is no
    positive integer, and for a signed scale with a format, or a scale format, that has no sign to
    spare.
    """
    found = [
        (
            entry if scale_format is None else replace(entry, scale_format=scale_format),
            scale_format is not None or _is_block_format(entry),
        )
        for entry in entries
    ]
    wanted: list[int | None] = [*dict.fromkeys(blocks)] or [None]
    return tuple(
        Setting(
            entry=entry if block is None else replace(entry, block=block),
            rule=rule,
            is_stored=stored,
        )
        for rule in dict.fromkeys(rules)
        for block in wanted
        for entry, stored in found
    )


def _is_block_format(entry: BlockFormat) -> bool:
    return any(entry.format == known.format for known in BLOCK_CATALOG)


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockShape:
    """How elements divided by their block's largest magnitude are distributed.

    ``density`` belongs to the cells between ``edges``, from −1 to 1, and does not count the blocks'
    extremes: ``extremes`` are their shares at −1 and at 1. ``limit`` has, by the number of bits,
    the levels of the Lloyd-Max limit with absmax scales.
    """

    block: int
    edges: tuple[float, ...]
    density: tuple[float, ...]
    extremes: tuple[float, float]
    limit: Mapping[int, tuple[float, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class QualitySurvey:
    """Formats' quality on one distribution or file, and the shape of its blocks where asked for.

    ``found`` has all tensors together first, setting by setting, then each tensor by itself.
    """

    data: str
    found: tuple[FormatQuality, ...]
    shapes: tuple[BlockShape, ...] = field(default=())

    @property
    def whole(self) -> tuple[FormatQuality, ...]:
        """The records of all data together: a distribution's, or a file's, or its only tensor's."""
        kept = tuple(one for one in self.found if not one.tensor)
        return kept or self.found


def distribution_quality(
    distribution: "Distribution",
    settings: Sequence[Setting],
    *,
    elements: int = SAMPLED_ELEMENTS,
    seed: int = 0,
    shapes: bool = False,
    tick: Tick | None = None,
) -> QualitySurvey:
    """Return each setting's error on a distribution of scale 1, in the settings' order.

    With absmax scales that are not rounded it is integrated, and the limit is exact. Otherwise the
    figures are from at least ``elements`` samples in whole blocks, the same for all formats, drawn
    with ``seed``. ``tick`` is called with the name of each setting that is done.
    """
    from .quality_distribution import DistributionSource  # noqa: PLC0415 - imports torch, scipy

    source = DistributionSource(distribution, elements=elements, seed=seed)
    found = []
    for setting in settings:
        found.append(source.quality(setting))
        if tick is not None:
            tick(setting.entry.name)
    pictured = _bits_by_block(settings) if shapes else {}
    return QualitySurvey(
        data=distribution.name,
        found=tuple(found),
        shapes=tuple(source.shape(block, bits) for block, bits in pictured.items()),
    )


def tensor_quality(
    source: "TensorSource",
    settings: Sequence[Setting],
    *,
    shapes: bool = False,
    tick: Tick | None = None,
) -> QualitySurvey:
    """Return each setting's error on all tensors together, then on each, with every setting.

    SQNR of all together is the ratio of the sums. The limit is that of all together. ``tick`` is
    called with the name of each tensor that is done.
    """
    from .quality_tensors import measured  # noqa: PLC0415 - imports torch

    return measured(source, settings, _bits_by_block(settings) if shapes else {}, tick)


def _bits_by_block(settings: Iterable[Setting]) -> dict[int, tuple[int, ...]]:
    found: dict[int, dict[int, None]] = {}
    for one in settings:
        found.setdefault(one.entry.block, {})[one.entry.format.stored_bits] = None
    return {block: tuple(bits) for block, bits in found.items()}


def record(
    setting: Setting,
    done: "MeasuredError",
    *,
    data: str,
    tensor: str = "",
    method: Method,
    limit_mse: float | None = None,
    limit: Limit | None = None,
) -> FormatQuality:
    """Return the record of what was measured."""
    from ..formats.integrated_quality import stored_bits  # noqa: PLC0415 - imports numpy

    entry = setting.entry
    return FormatQuality(
        format=entry.name,
        bits=entry.format.stored_bits,
        bits_per_element=stored_bits(entry, entry.block, signed=setting.rule.is_signed),
        data=data,
        tensor=tensor,
        block=entry.block,
        scale=setting.rule.value,
        scale_format=entry.scale_format.name if setting.is_stored else "",
        method=method,
        elements=done.elements,
        signal_power=done.signal / done.elements,
        mse=done.noise / done.elements,
        uncertainty_db=done.standard_error_db,
        max_error=done.max_error,
        limit_mse=limit_mse,
        limit=limit,
        is_choice=setting.is_choice,
        use=done.use,
    )
