"""GPTQ over a model: block after block, each on inputs that the quantized blocks before it give.

The model runs once over the calibration text. When a block of layers is reached, it runs on its
inputs with the weights as they are, which gives the Hessians; its layers are quantized; and it runs
again, for the inputs of the next block.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from ..quantizer import quantize
from .calibration import Calibration, Inputs, collecting
from .gptq import gptq
from .layers import LINEAR, Layer

if TYPE_CHECKING:
    from torch import nn

    from ..block_format import BlockFormat
    from .method import Method


def gptq_model(
    layers: Sequence[Layer],
    item: "BlockFormat",
    method: "Method",
    calibration: "Calibration",
    tick: Callable[[], None],
) -> None:
    """Quantize the weights of layers in place; ``tick`` is called after each.

    Linear layers that the calibration text reaches get GPTQ, all others the nearest rounding.
    """
    spec = method.weight_spec(item)
    done: set[str] = set()

    def quantize_layers(found: Sequence[Inputs]) -> None:
        for inputs in found:
            hessian = inputs.hessian
            for layer in inputs.layers:
                if layer.name not in done:
                    layer.put(gptq(layer.matrix(), hessian, item.format, spec))
                    done.add(layer.name)
                    tick()

    with ExitStack() as stack:
        for owner, members in _owners(calibration.module, layers):
            stack.enter_context(_Staged(owner, members, calibration, quantize_layers))
        calibration.run()
    for layer in layers:
        if layer.name not in done:
            name = f"{layer.name}.weight"
            layer.put(quantize(layer.matrix(), item.format, spec, name=name).dequantize())
            tick()


class _Staged:
    """Has a module's layers quantized when it is first reached, on what reaches it."""

    def __init__(
        self,
        owner: "nn.Module",
        members: Sequence[Layer],
        calibration: "Calibration",
        quantize_layers: Callable[[Sequence[Inputs]], None],
    ) -> None:
        self._owner: Any = owner
        self._members = members
        self._calibration = calibration
        self._quantize = quantize_layers
        self._forward = owner.forward
        self._reached = False

    def __enter__(self) -> None:
        self._owner.forward = self._run

    def __exit__(self, *_: object) -> None:
        del self._owner.forward

    def _run(self, *args: Any, **options: Any) -> Any:
        if not self._reached:
            self._reached = True
            with collecting(self._members, hessian=True, mask=self._calibration.mask) as seen:
                if self._members[0].module is self._owner:
                    seen(self._members[0], args[0])  # its hooks have run already
                else:
                    self._forward(*args, **options)
            self._quantize(seen.found())
        return self._forward(*args, **options)


def _owners(
    module: "nn.Module", layers: Sequence[Layer]
) -> "list[tuple[nn.Module, tuple[Layer, ...]]]":
    """Return the model's blocks (members of its outermost lists) with their layers.

    A layer outside all blocks is one by itself.
    """
    from torch import nn  # noqa: PLC0415 - slow

    modules = dict(module.named_modules())
    members: dict[str, list[Layer]] = {}
    for layer in layers:
        if layer.kind != LINEAR:
            continue
        parts = layer.name.split(".")
        owner = layer.name
        for end in range(1, len(parts)):
            if isinstance(modules[".".join(parts[:end])], nn.ModuleList):
                owner = ".".join(parts[: end + 1])
                break
        members.setdefault(owner, []).append(layer)
    return [(modules[name], tuple(found)) for name, found in members.items()]
