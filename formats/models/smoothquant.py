"""SmoothQuant: a part of activations' outliers moved into the weights, the function unchanged.

Input channel j of layers that share an input is divided by s_j, and their weights' column j is
multiplied by it: s_j = max|x_j|^α ÷ max|w_j|^(1 − α), each at least 1e-5 (Xiao et al., ICML 2023,
equation 4, and mit-han-lab/smoothquant). The division is applied to the layer's input where the
paper folds it into the normalisation before; the values are the same, and layers without one
before them are smoothed too.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from .hooks import Remembered, on_inputs
from .layers import Layer

if TYPE_CHECKING:
    from torch import Tensor

    from .calibration import Inputs

SMALLEST = 1e-5


def smoothing_factors(largest: "Tensor", matrices: "Iterable[Tensor]", strength: float) -> "Tensor":
    """Return s, shape (inputs,).

    ``largest`` holds the activations' largest magnitude per input, ``matrices`` are the weights,
    (outputs, inputs), of all layers that share the input; ``strength`` is α.
    """
    weights = torch.stack([matrix.abs().amax(dim=0) for matrix in matrices]).amax(dim=0)
    weights = weights.clamp(min=SMALLEST)
    return (largest.pow(strength) / weights.pow(1 - strength)).clamp(min=SMALLEST)


def smooth(found: "Iterable[Inputs]", strength: float) -> "dict[str, Tensor]":
    """Scale the weights in place; return by layer's name what to divide its inputs by.

    Layers that share an input share one tensor.
    """
    factors: dict[str, Tensor] = {}
    for inputs in found:
        matrices = [layer.matrix() for layer in inputs.layers]
        shared = smoothing_factors(inputs.largest, matrices, strength)
        for layer, matrix in zip(inputs.layers, matrices, strict=True):
            layer.put(matrix * shared)
            factors[layer.name] = shared
    return factors


@contextmanager
def smoothed_inputs(layers: Iterable[Layer], factors: "dict[str, Tensor]") -> Iterator[None]:
    """Divide the inputs of smoothed layers while the model runs."""
    divide = Remembered(lambda values, factor: values / factor)

    def step(layer: Layer, values: "Tensor") -> "Tensor":
        return divide(values, factors[layer.name])

    with on_inputs([one for one in layers if one.name in factors], step):
        yield
