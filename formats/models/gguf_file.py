"""GGUF files: what their tensors went through, and transformers' reader of them made quicker.

transformers parses a file's header, seconds each, for the configuration, the weights and the
tokenizer, and makes the table of names anew for each module. :func:`quick_gguf` shares both.
"""

import contextlib
import functools
import importlib.util
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DataError, ToolError

_UNQUANTIZED = {"F64", "F32", "F16", "BF16"}


def check_gguf(path: Path) -> None:
    """Raise :class:`DataError` for what is no GGUF file, :class:`ToolError` without its reader."""
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise DataError(f"The file {path} cannot be read: {error.strerror}.") from error
    if magic != b"GGUF":
        raise DataError(f"{path} is no GGUF file: it does not begin with the letters GGUF.")
    # transformers asks for accelerate where the file is a GGUF.
    if any(importlib.util.find_spec(name) is None for name in ("gguf", "accelerate")):
        raise ToolError(
            f"To read {path} takes the packages gguf and accelerate; install nibblemac with its "
            "extra 'models', as in pip install 'nibblemac[models]'."
        )


def gguf_note(path: Path) -> str:
    """Return how the tensors of a file are quantized already, in words; empty where they are not.

    A damaged file makes gguf raise nearly anything.
    """
    import gguf  # noqa: PLC0415 - optional

    kinds = Counter(tensor.tensor_type.name for tensor in gguf.GGUFReader(str(path)).tensors)
    already = [name for name, _ in kinds.most_common() if name not in _UNQUANTIZED]
    return f"weights already quantized in the file ({', '.join(already)})" if already else ""


@contextlib.contextmanager
def quick_gguf(path: Path) -> Iterator[None]:
    """Let transformers read one file's header and table of names once, and without bars."""
    import gguf  # noqa: PLC0415 - optional
    from transformers import modeling_gguf_pytorch_utils as reading  # noqa: PLC0415 - slow

    make_reader, make_names, bar = gguf.GGUFReader, gguf.get_tensor_name_map, reading.tqdm
    shared: list[Any] = []

    def reader(asked: object, *args: object, **options: object) -> Any:
        if args or options or Path(str(asked)).resolve() != path.resolve():
            return make_reader(asked, *args, **options)
        if not shared:
            shared.append(make_reader(str(path)))
        return shared[0]

    def no_bar(items: Any, *args: object, **options: object) -> Any:
        del args, options
        return items

    gguf.GGUFReader = reader
    gguf.get_tensor_name_map = functools.cache(make_names)
    reading.tqdm = no_bar
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map, reading.tqdm = make_reader, make_names, bar
