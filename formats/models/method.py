"""How a model is quantized, apart from the format: what gets which scales, and by which method."""

import enum
import math
from dataclasses import dataclass, replace
from typing import TypeVar

from ..block_format import BlockFormat, find_block_format
from ..errors import FormatError, UsageError
from ..exact import shown
from ..scale import Clipping, ScaleSpec
from .layers import CONVOLUTION, HEAD, LINEAR, Layer, check_kinds, select_layers

ACTIVATIONS_OF_W4A8 = "INT8"

_Member = TypeVar("_Member", bound=enum.StrEnum)


class Setting(enum.StrEnum):
    """What is quantized beside the weights: nothing, activations alike, activations to INT8."""

    WEIGHT_ONLY = "weight-only"
    W4A4 = "W4A4"
    W4A8 = "W4A8"


class Scaling(enum.StrEnum):
    """How a block's scale is chosen; SIGNED is ABSMAX with a sign."""

    ABSMAX = "absmax"
    MSE = "mse"
    SIGNED = "signed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """A setting, its scales, and what corrects for the error.

    ``block`` is None for each format's own. Blocks run along the inputs of a layer, for weights and
    activations alike; the scales of activations are found anew for each token. MSE clips weights
    only: activations keep the absmax scale. ``smoothquant`` is the migration strength α;
    ``gptq`` rounds linear layers' weights with error feedback. ``layers`` are kinds and roles,
    none for all linear and convolution layers but the output head.

    Raises :class:`UsageError` for what has no meaning.
    """

    setting: Setting = Setting.WEIGHT_ONLY
    block: int | None = None
    scaling: Scaling = Scaling.ABSMAX
    smoothquant: float | None = None
    gptq: bool = False
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "setting", _member(Setting, self.setting, "The setting"))
        object.__setattr__(self, "scaling", _member(Scaling, self.scaling, "The scaling"))
        if self.block is not None and self.block < 1:
            raise UsageError(f"The block is {self.block}; it must be a positive integer.")
        alpha = self.smoothquant
        if alpha is not None and not (math.isfinite(alpha) and 0 <= alpha <= 1):
            raise UsageError(
                f"SmoothQuant's migration strength is {shown(alpha)}; it must be from 0 to 1."
            )
        object.__setattr__(self, "layers", tuple(sorted(check_kinds(self.layers))))

    @property
    def calibrates(self) -> bool:
        """Whether activations on a calibration text are needed."""
        return self.gptq or self.smoothquant is not None

    @property
    def description(self) -> str:
        """The setting of a table of figures, in words."""
        block = "block 128 or the format's own" if self.block is None else f"block {self.block}"
        parts = [self.setting.value, block, f"{self.scaling.value} scales"]
        if self.smoothquant is not None:
            parts.append(f"SmoothQuant {self.smoothquant:g}")
        parts.append("GPTQ" if self.gptq else "RTN")
        layers = "embeddings and head unquantized"
        if self.layers:
            layers = f"{' and '.join(self.layers)} layers only"
        return f"{', '.join(parts)}; {layers}"

    def choose(self, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
        """Return the layers to quantize; raises :class:`DataError` where there are none."""
        if self.layers:
            return select_layers(layers, self.layers)
        body = [one for one in layers if one.role != HEAD]
        return select_layers(body, (LINEAR, CONVOLUTION))

    def stored(self, item: BlockFormat) -> BlockFormat:
        """Return a block format with the block that is asked for."""
        return item if self.block is None else replace(item, block=self.block)

    def weight_spec(self, item: BlockFormat) -> ScaleSpec:
        """Return the scales of weights of shape (outputs, inputs)."""
        clipping = Clipping.MSE if self.scaling is Scaling.MSE else Clipping.ABSMAX
        return self.stored(item).spec(clipping=clipping, signed=self.scaling is Scaling.SIGNED)

    def activation(self, item: BlockFormat) -> BlockFormat | None:
        """Return what activations are stored in; None where they stay as they are."""
        if self.setting is Setting.WEIGHT_ONLY:
            return None
        if self.setting is Setting.W4A8:
            eight = find_block_format(ACTIVATIONS_OF_W4A8)
            return replace(eight, block=self.stored(item).block)
        return self.stored(item.for_activations)

    def activation_spec(self, item: BlockFormat, axis: int = -1) -> ScaleSpec:
        """Return the scales of activations stored in ``item``, with the inputs along ``axis``."""
        signed = self.scaling is Scaling.SIGNED and item.format.is_asymmetric
        return item.spec(axis=axis, signed=signed)

    def check(self, item: BlockFormat) -> None:
        """Raise :class:`FormatError` for a format that cannot hold the setting."""
        if self.scaling is Scaling.SIGNED:
            if not item.format.is_asymmetric:
                raise FormatError(
                    f"{item.name} cannot have signed scales: its largest levels are equal in "
                    "magnitude, so that a sign changes nothing; use --scale absmax or mse."
                )
            if not item.scale_format.spare_bits:
                raise FormatError(
                    f"{item.name} cannot have signed scales: {item.scale_format.name} has no bit "
                    "for a sign; use --scale absmax or mse."
                )
        inputs = self.activation(item)
        if inputs is not None and any(0 not in one.grid for one in inputs.format.variants):
            raise FormatError(
                f"{inputs.name} cannot hold the setting {self.setting.value}: it has no zero, "
                "which activations need; use --setting weight-only or W4A8."
            )


def _member(kind: type[_Member], value: object, what: str) -> _Member:
    for member in kind:
        if member == value:
            return member
    choices = ", ".join(member.value for member in kind)
    raise UsageError(f"{what} {shown(value)} is unknown; it is one of {choices}.")
