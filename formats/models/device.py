"""Where models run: the processor, or a GPU where torch sees one."""

from typing import TYPE_CHECKING

from ..errors import UsageError
from ..exact import shown

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda")


def find_device(name: str) -> "torch.device":
    """Return the device of that name; ``auto`` is a GPU where there is one.

    Raises :class:`UsageError` for another name, and for CUDA where torch has none.
    """
    import torch  # noqa: PLC0415 - slow

    if name not in DEVICES:
        raise UsageError(f"The device {shown(name)} is unknown; it is one of {', '.join(DEVICES)}.")
    if name == "cuda" and not torch.cuda.is_available():
        built = "has no CUDA" if torch.version.cuda is None else "finds no GPU that it can use"
        raise UsageError(
            f"CUDA was asked for, but torch {torch.__version__} {built}; use --device cpu or auto."
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
