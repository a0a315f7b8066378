"""How a quantized tensor lies in a safetensors file: which tensors, and what the header tells.

For a weight ``NAME`` the file holds, of its matrix (outputs, inputs), the reduction axis being the
last (or the first, where the layer keeps its weight transposed):

- ``NAME.codes``: uint8; two codes to a byte along the last axis, the even position in the low
  nibble (:mod:`..packing`), or one code a byte where they have more than 4 bits;
- ``NAME.scales``: one for each block along the reduction axis, in the narrowest of float16,
  bfloat16 and float32 that holds every value of the scale format (float64 for float64 weights);
- ``NAME.selectors``: uint8, one for each block, for formats whose blocks choose a variant.

The header's metadata has one key, ``nibblemac``: JSON with the format (its grid of integers, unit
and rounding), how it was quantized, and each quantized tensor's original shape and dtype.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, TypeGuard

from ..blocks import BlockLayout
from ..errors import DataError, NibblemacError, UsageError
from ..exact import shown
from ..packing import pack_codes, unpack_codes
from ..record import Format
from ..scale import Clipping, Granularity, ScaleSpec
from ..scale_format import Parent, ScaleFormat, find_scale_format

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..quantizer import Quantized

KEY = "nibblemac"
CODES, SCALES, SELECTORS = ".codes", ".scales", ".selectors"
VERSION = 1
_NIBBLE = 4
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredShape:
    """A quantized tensor's original shape and dtype, its matrix, and the matrix's reduction axis.

    ``dtype`` is a word of safetensors'.
    """

    shape: tuple[int, ...]
    dtype: str
    matrix: tuple[int, int]
    axis: int

    def scale_shape(self, block: int) -> tuple[int, int]:
        """Return the shape of the scales."""
        spec = ScaleSpec(granularity=Granularity.BLOCK, axis=self.axis, block=block)
        rows, columns = BlockLayout.of(self.matrix, spec).scale_shape
        return rows, columns

    def codes_shape(self, format: Format) -> tuple[int, int]:  # noqa: A002
        """Return the shape of the stored codes."""
        rows, columns = self.matrix
        return rows, -(-columns // 2) if format.stored_bits <= _NIBBLE else columns


def scale_dtype(store: ScaleFormat | None, dtype: str) -> str:
    """Return the dtype, in safetensors' words, that holds every scale of a tensor of ``dtype``."""
    if store is not None and store.parent is Parent.NONE:
        if store.power_rule is not None:
            return "BF16"
        if store.mantissa_bits <= 10 and store.min_exponent >= -14 and store.largest <= 65504:
            return "F16"
    return "F64" if dtype == "F64" else "F32"


def torch_dtype(word: str) -> "torch.dtype":
    """Return torch's dtype for a word of safetensors'."""
    import torch  # noqa: PLC0415 - slow to import

    found: torch.dtype = getattr(torch, _DTYPES[word])
    return found


def stored_parts(made: "Quantized", word: str) -> "dict[str, Tensor]":
    """Return what is stored of a quantized matrix, or of a group of its rows, by suffix.

    ``word`` is the scales' dtype.
    """
    import torch  # noqa: PLC0415

    spec, bits = made.spec, made.format.stored_bits
    scales = made.scales.to(torch_dtype(word))
    if not torch.equal(scales.to(made.scales.dtype), made.scales):
        raise AssertionError(f"scales do not fit {word}")
    codes, parts = made.codes, {SCALES: scales}
    if made.format.selector_bits:
        heads = torch.arange(0, codes.shape[spec.axis], made.layout.block)
        parts[SELECTORS] = codes.index_select(spec.axis, heads) >> bits
        codes = codes & (2**bits - 1)
    parts[CODES] = pack_codes(codes) if bits <= _NIBBLE else codes
    return parts


def restored(
    record: "LayoutRecord", stored: StoredShape, parts: "Mapping[str, Tensor]"
) -> "Quantized":
    """Return the quantized matrix of :func:`stored_parts`, the whole one's.

    Raises :class:`DataError` where the parts do not fit together.
    """
    import torch  # noqa: PLC0415

    from ..codec import check_codes, compute_dtype  # noqa: PLC0415
    from ..quantizer import Quantized  # noqa: PLC0415

    format, spec = record.format, record.spec(stored.axis)  # noqa: A001 - the field's word
    shapes = {CODES: stored.codes_shape(format), SCALES: stored.scale_shape(record.block)}
    if format.selector_bits:
        shapes[SELECTORS] = shapes[SCALES]
    for suffix, shape in shapes.items():
        if tuple(parts[suffix].shape) != shape:
            raise DataError(
                f"the tensor with {suffix!r} has the shape {list(parts[suffix].shape)}; by the "
                f"header it is {list(shape)}"
            )
    codes, dtype = parts[CODES], torch_dtype(stored.dtype)
    if format.stored_bits <= _NIBBLE:
        codes = unpack_codes(codes, stored.matrix[1])
    if format.selector_bits:
        axis = stored.axis % 2
        length = stored.matrix[axis]
        selectors = parts[SELECTORS].repeat_interleave(record.block, axis).narrow(axis, 0, length)
        codes = codes | selectors << format.stored_bits
    check_codes(codes, format, "the tensor with '.codes'")
    scales = parts[SCALES].to(compute_dtype(dtype))
    if not bool(torch.isfinite(scales).all()):
        raise DataError("the tensor with '.scales' holds NaN or infinities")
    return Quantized(codes=codes, scales=scales, format=format, spec=spec, dtype=dtype)


@dataclass(frozen=True, kw_only=True, slots=True)
class LayoutRecord:
    """What the header tells: the format, how it was quantized, and each tensor's original shape."""

    format: Format
    block: int
    clipping: str
    signed: bool
    scale_format: str | None
    targets: tuple[str, ...]
    tensors: Mapping[str, StoredShape]
    version: int = VERSION

    def spec(self, axis: int) -> ScaleSpec:
        """Return how a matrix with that reduction axis was quantized."""
        return ScaleSpec(
            granularity=Granularity.BLOCK,
            axis=axis,
            block=self.block,
            clipping=Clipping(self.clipping),
            signed=self.signed,
            scale_format=None
            if self.scale_format is None
            else find_scale_format(self.scale_format),
            targets=tuple(Fraction(target) for target in self.targets),
        )

    def to_text(self) -> str:
        """Return the record as the metadata's text; :meth:`from_text` is the inverse."""
        record = {
            "version": self.version,
            "format": self.format.to_json(),
            "levels": [str(level) for level in self.format.levels],
            "block": self.block,
            "clipping": self.clipping,
            "signed": self.signed,
            "scale_format": self.scale_format,
            "targets": list(self.targets),
            "tensors": {
                name: {
                    "shape": list(one.shape),
                    "dtype": one.dtype,
                    "matrix": list(one.matrix),
                    "axis": one.axis,
                }
                for name, one in self.tensors.items()
            },
        }
        return json.dumps(record, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str, where: str) -> "LayoutRecord":
        """Rebuild a record; raises :class:`DataError`, naming ``where``, for any other text."""
        try:
            record = json.loads(text)
            made = cls(
                version=record["version"],
                format=Format.from_json(record["format"]),
                block=record["block"],
                clipping=record["clipping"],
                signed=record["signed"],
                scale_format=record["scale_format"],
                targets=tuple(str(target) for target in record["targets"]),
                tensors={name: _stored_shape(one) for name, one in record["tensors"].items()},
            )
            made.spec(-1)
            if made.version != VERSION:
                raise ValueError(f"version {shown(made.version)} in place of {VERSION}")  # noqa: TRY301
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            said = str(error) if isinstance(error, NibblemacError) else repr(error)[:200]
            raise DataError(f"{where} has damaged metadata: {said}") from error
        return made


def _stored_shape(record: Mapping[str, object]) -> StoredShape:
    shape, matrix, dtype, axis = (record[key] for key in ("shape", "matrix", "dtype", "axis"))
    if not _is_shape(shape) or not _is_shape(matrix) or len(matrix) != 2:
        raise UsageError(f"the shapes {shown(shape)} and {shown(matrix)}.")
    if math.prod(shape) != math.prod(matrix) or axis not in {-1, 0} or dtype not in _DTYPES:
        raise UsageError(
            f"the shape {shown(shape)} as {shown(matrix)}, of {shown(dtype)} along {shown(axis)}."
        )
    return StoredShape(
        shape=tuple(shape), dtype=str(dtype), matrix=(matrix[0], matrix[1]), axis=int(axis == 0) - 1
    )


def _is_shape(value: object) -> TypeGuard[Sequence[int]]:
    return isinstance(value, list) and all(
        isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**48 for size in value
    )
