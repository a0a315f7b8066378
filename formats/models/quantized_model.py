"""A model under a format: weights replaced by what their codes mean, inputs quantized as they come.

Weights are quantized once a format, and put back as they were at the end.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..quantizer import quantize
from .gptq_model import gptq_model
from .hooks import Remembered, input_axis, on_inputs
from .layers import Layer
from .mapped import KeptWeights

if TYPE_CHECKING:
    from torch import Tensor

    from ..block_format import BlockFormat
    from .calibration import Calibration
    from .method import Method

#: Called after each layer whose weight is quantized.
Tick = Callable[[], None]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Bench:
    """The layers of a model to quantize, their weights as they were, and what GPTQ runs on."""

    layers: tuple[Layer, ...]
    kept: KeptWeights
    method: "Method"
    calibration: "Calibration | None" = None

    @contextmanager
    def quantized(self, item: "BlockFormat", tick: Tick) -> Iterator[None]:
        """Have the model under a format inside the context, and as it was after it."""
        try:
            if self.method.gptq and self.calibration is not None:
                gptq_model(self.layers, item, self.method, self.calibration, tick)
            else:
                for layer in self.layers:
                    round_weight(layer, self.kept[layer.name], item, self.method)
                    tick()
            with quantized_inputs(self.layers, item, self.method):
                yield
        finally:
            for layer in self.layers:
                layer.put(self.kept[layer.name].to(layer.weight.device))


def round_weight(layer: Layer, matrix: "Tensor", item: "BlockFormat", method: "Method") -> None:
    """Put the nearest values that a format has for ``matrix`` into a layer's weight."""
    values = matrix.to(layer.weight.device)
    coded = quantize(values, item.format, method.weight_spec(item), name=f"{layer.name}.weight")
    layer.put(coded.dequantize())


@contextmanager
def quantized_inputs(
    layers: Sequence[Layer], item: "BlockFormat", method: "Method"
) -> Iterator[None]:
    """Quantize the inputs of layers while the model runs, where the setting says so."""
    inputs = method.activation(item)
    if inputs is None:
        yield
        return
    stored = inputs

    def fake(values: "Tensor", axis: int) -> "Tensor":
        spec = method.activation_spec(stored, axis)
        return quantize(values, stored.format, spec, name="activations").dequantize()

    shared = Remembered(fake)

    def step(layer: Layer, values: "Tensor") -> "Tensor":
        return shared(values, input_axis(layer))

    with on_inputs(layers, step):
        yield
