"""What happens to a layer's input before the layer sees it: smoothed, watched, quantized.

Layers that share an input (query, key and value) share the work: the last result of each step is
kept, and given again for the same tensor.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from .layers import CONVOLUTION, EMBEDDING, Layer

if TYPE_CHECKING:
    from torch import Tensor, nn

#: From a layer and its input to what the layer gets instead.
InputStep = Callable[[Layer, "Tensor"], "Tensor"]


class Remembered:
    """A function of a tensor and a key, with its last result given again for the same of both."""

    def __init__(self, function: "Callable[[Tensor, Any], Tensor]") -> None:
        self._function = function
        self._last: tuple[Tensor, int, Any, Tensor] | None = None

    def __call__(self, values: "Tensor", key: Any = None) -> "Tensor":
        """Return the function's result; a tensor written to in between counts as another."""
        last = self._last
        if last is not None and last[0] is values and last[1] == values._version and last[2] is key:
            return last[3]
        result = self._function(values, key)
        self._last = (values, values._version, key, result)
        return result


@contextmanager
def on_inputs(layers: Iterable[Layer], step: InputStep) -> Iterator[None]:
    """Let ``step`` replace the inputs of layers; embeddings, whose inputs are tokens, are left out.

    Steps that are nested run in the order in which they were entered.
    """
    with ExitStack() as stack:
        for layer in layers:
            if layer.kind != EMBEDDING:
                handle = layer.module.register_forward_pre_hook(_hook(layer, step))
                stack.callback(handle.remove)
        yield


def _hook(
    layer: Layer, step: InputStep
) -> "Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...]]":
    def replace(module: "nn.Module", inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        del module
        return (step(layer, inputs[0]), *inputs[1:])

    return replace


def input_axis(layer: Layer) -> int:
    """Return the axis of a layer's input that its sums run along: channels, or features."""
    if layer.kind != CONVOLUTION:
        return -1
    dimensions = len(layer.weight.shape) - 2
    return -1 - dimensions
