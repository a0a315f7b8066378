"""What the inputs of layers look like on a calibration text: largest magnitudes, and Hessians."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from .hooks import on_inputs
from .layers import LINEAR, Layer

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Calibration:
    """A model's run over the calibration text; ``mask`` says which tokens are no padding."""

    module: "nn.Module"
    run: Callable[[], None]
    mask: "Tensor | None" = None


class Inputs:
    """One input that layers share, with sums over the tokens that it was seen for."""

    def __init__(self, values: "Tensor", *, hessian: bool) -> None:
        size = values.shape[-1]
        self.layers: list[Layer] = []
        self.largest = values.new_zeros(size)
        self.tokens = 0
        self._squares = values.new_zeros(size, size) if hessian else None

    def add(self, rows: "Tensor") -> None:
        """Count rows of shape (tokens, inputs)."""
        self.tokens += len(rows)
        if len(rows):
            torch.maximum(self.largest, rows.abs().amax(dim=0), out=self.largest)
            if self._squares is not None:
                self._squares.addmm_(rows.t(), rows)

    @property
    def hessian(self) -> "Tensor":
        """2·Σ x·xᵀ ÷ tokens as float64, shape (inputs, inputs): of the squared output error."""
        if self._squares is None:
            raise AssertionError("no Hessian was asked for")
        return self._squares.double() * (2 / max(self.tokens, 1))


class Collector:
    """Collects the inputs of linear layers; those that get the very same tensor share one record.

    ``mask``, (sequences, tokens) of booleans, leaves padding out.
    """

    def __init__(self, *, hessian: bool, mask: "Tensor | None" = None) -> None:
        self._hessian = hessian
        self._mask = mask
        self._of: dict[str, Inputs] = {}
        self._last: tuple[Tensor, int, Inputs] | None = None

    def __call__(self, layer: Layer, values: "Tensor") -> "Tensor":
        """Count an input, and hand it on as it is."""
        last = self._last
        if last is not None and last[0] is values and last[1] == values._version:
            shared = last[2]
            if layer.name not in self._of:
                self._of[layer.name] = shared
                shared.layers.append(layer)
            return values
        inputs = self._of.get(layer.name)
        if inputs is None:
            inputs = self._of[layer.name] = Inputs(values, hessian=self._hessian)
            inputs.layers.append(layer)
        inputs.add(self._rows(values.detach()))
        self._last = (values, values._version, inputs)
        return values

    def _rows(self, values: "Tensor") -> "Tensor":
        if self._mask is not None and values.shape[:2] == self._mask.shape:
            return values[self._mask]
        return values.reshape(-1, values.shape[-1])

    def found(self) -> tuple[Inputs, ...]:
        """Return each input once, in the order in which layers were run."""
        unique = {id(inputs): inputs for inputs in self._of.values()}
        return tuple(unique.values())


@contextmanager
def collecting(
    layers: Iterable[Layer], *, hessian: bool, mask: "Tensor | None" = None
) -> Iterator[Collector]:
    """Collect the inputs of the linear ones among the layers while the model runs."""
    collector = Collector(hessian=hessian, mask=mask)
    with on_inputs([one for one in layers if one.kind == LINEAR], collector):
        yield collector
