"""The block format: a number format with the block and the scale that it is stored with."""

from dataclasses import dataclass, replace
from fractions import Fraction

from .errors import UsageError
from .exact import shown
from .mac import MacSpec
from .record import Format
from .scale import PAPER_BLOCK, Clipping, Granularity, ScaleSpec
from .scale_format import FP16, ScaleFormat


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockFormat:
    """``format``'s codes in blocks of ``block`` elements, each with a scale in ``scale_format``.

    ``targets`` are the levels that a block's largest magnitude may be mapped to, none for the
    format's largest level. ``activation`` is what activations are stored in where weights have
    this format; None for the same.

    Raises :class:`UsageError` for a block that is no positive integer.
    """

    format: Format
    block: int = PAPER_BLOCK
    scale_format: ScaleFormat = FP16
    targets: tuple[Fraction, ...] = ()
    activation: "BlockFormat | None" = None

    def __post_init__(self) -> None:
        if isinstance(self.block, bool) or not isinstance(self.block, int) or self.block < 1:
            raise UsageError(f"block is {shown(self.block)}; it must be a positive integer.")

    @property
    def name(self) -> str:
        """The format's name."""
        return self.format.name

    @property
    def for_activations(self) -> "BlockFormat":
        """What activations are stored in where weights have this format."""
        return self if self.activation is None else self.activation

    @property
    def bits_per_element(self) -> float:
        """Stored bits an element: its code, and its share of the block's scale and selector.

        A tensor's or channel's parent scale is left out: 32 bits over all of its elements.
        """
        return self.format.stored_bits + self.scale_format.block_bits(
            self.block, selector_bits=self.format.selector_bits
        )

    def spec(
        self,
        *,
        axis: int = -1,
        block: int | None = None,
        clipping: Clipping | str = Clipping.ABSMAX,
        signed: bool = False,
    ) -> ScaleSpec:
        """Return what :func:`.quantize` takes beside :attr:`format`; ``block`` may be another."""
        return ScaleSpec(
            granularity=Granularity.BLOCK,
            axis=axis,
            block=self.block if block is None else block,
            clipping=Clipping(clipping),
            signed=signed,
            scale_format=self.scale_format,
            targets=self.targets,
        )


def block_format_of(format: Format) -> BlockFormat:  # noqa: A002 - the field's word
    """Return a catalogue entry's own block format, or any other in blocks of 128, FP16 scales."""
    from .block_catalog import BLOCK_CATALOG  # noqa: PLC0415 - it is made of this class

    for known in BLOCK_CATALOG:
        if known.format == format:
            return known
    return BlockFormat(format=format)


def own_mac(weight: Format) -> MacSpec:
    """Return the MAC of a weight format with the activations that it is meant for, 256 terms."""
    return MacSpec(weight=weight, activation=block_format_of(weight).for_activations.format)


def find_block_format(
    name: str, *, block: int | None = None, scale_format: ScaleFormat | None = None
) -> BlockFormat:
    """Return the block format of that name; of a number format's name, its own in blocks of 128.

    ``block`` and ``scale_format`` replace the entry's own. Raises what :func:`.find_format` raises.
    """
    from .lookup import find_format  # noqa: PLC0415 - the catalogue derives levels when imported

    found = block_format_of(find_format(name))
    if block is not None:
        found = replace(found, block=block)
    if scale_format is not None:
        found = replace(found, scale_format=scale_format)
    return found


def all_block_formats() -> tuple[BlockFormat, ...]:
    """Return the whole catalogue with its blocks and scales: number formats, then block formats."""
    from .block_catalog import BLOCK_CATALOG  # noqa: PLC0415
    from .lookup import all_formats  # noqa: PLC0415

    return (*(BlockFormat(format=item) for item in all_formats()), *BLOCK_CATALOG)
