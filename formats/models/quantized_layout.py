"""How a quantized tensor lies in a safetensors file: which tensors, and what the header tells.

For a weight ``NAME`` the file holds, of its matrix (outputs, inputs), the reduction axis being the
last (or the first, where the layer keeps its weight transposed):

- ``NAME.codes``: uint8; two codes to a byte along the last axis, the even position in the low
  nibble (:mod:`..packing`), or one code a byte where they have more than 4 bits;
- ``NAME.scales``: one for each block along the reduction axis, as :mod:`.stored_scales` says;
- ``NAME.parents``: for scale formats that have a parent, one for the tensor, or one for each run
  of elements along the reduction axis;
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
from .stored_scales import parent_dtype, restored_scales, scale_dtype, stored_scales

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..quantizer import Quantized

KEY = "nibblemac"
CODES, SCALES, PARENTS, SELECTORS = ".codes", ".scales", ".parents", ".selectors"
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
_INTEGERS = {"U8": "uint8", "U16": "uint16"}
_SIZES = {"F64": 8, "F32": 4, "F16": 2, "U16": 2}


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


def torch_dtype(word: str) -> "torch.dtype":
    """Return torch's dtype for a word of safetensors'."""
    import torch  # noqa: PLC0415 - slow to import

    found: torch.dtype = getattr(torch, (_DTYPES | _INTEGERS)[word])
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One of the tensors that a quantized one is stored as: dtype in safetensors' words, shape."""

    dtype: str
    shape: tuple[int, int]

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return math.prod(self.shape) * _SIZES.get(self.dtype, 1)


def parts_of(
    stored: StoredShape,
    format: Format,  # noqa: A002
    block: int,
    store: ScaleFormat | None,
) -> dict[str, Part]:
    """Return what a tensor is stored as, by suffix."""
    rows, columns = stored.scale_shape(block)
    parts = {
        CODES: Part(dtype="U8", shape=stored.codes_shape(format)),
        SCALES: Part(dtype=scale_dtype(store, stored.dtype), shape=(rows, columns)),
    }
    if store is not None and store.parent is not Parent.NONE:
        shape = (1, columns) if stored.axis == 0 else (rows, 1)
        if store.parent is Parent.TENSOR:
            shape = (1, 1)
        parts[PARENTS] = Part(dtype=parent_dtype(stored.dtype), shape=shape)
    if format.selector_bits:
        parts[SELECTORS] = Part(dtype="U8", shape=(rows, columns))
    return parts


def narrow_parents(parents: "Tensor", store: ScaleFormat, axis: int) -> "Tensor":
    """Return the different ones of :func:`.parents_of`: the tensor's, or one a run of elements."""
    if store.parent is Parent.TENSOR:
        return parents[:1, :1].clone()
    return parents.narrow(axis, 0, 1).clone()


def stored_parts(
    made: "Quantized", parents: "Tensor | None", store: ScaleFormat | None, dtype: str
) -> "dict[str, Tensor]":
    """Return what is stored of a quantized matrix, or of a group of its rows, by suffix.

    ``parents`` are :func:`narrow_parents`, stored beside; ``dtype`` is the original tensor's.
    """
    import torch  # noqa: PLC0415

    spec, bits, scales = made.spec, made.format.stored_bits, made.scales
    kept = stored_scales(scales, parents, store, torch_dtype(scale_dtype(store, dtype)))
    if not torch.equal(restored_scales(kept, parents, store, scales.dtype), scales):
        raise AssertionError(f"scales do not come back from {kept.dtype}")
    codes, parts = made.codes, {SCALES: kept}
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
    store = spec.scale_format
    for suffix, part in parts_of(stored, format, record.block, store).items():
        found = parts[suffix]
        if tuple(found.shape) != part.shape or found.dtype != torch_dtype(part.dtype):
            raise DataError(
                f"the tensor with {suffix!r} has the shape {list(found.shape)} of {found.dtype}; "
                f"by the header it is {list(part.shape)} of {torch_dtype(part.dtype)}"
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
    scales = restored_scales(parts[SCALES], parts.get(PARENTS), store, compute_dtype(dtype))
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

    def suffixes(self, name: str) -> tuple[str, ...]:
        """Return the suffixes of the tensors that a tensor is stored as."""
        store = self.spec(-1).scale_format
        return tuple(parts_of(self.tensors[name], self.format, self.block, store))

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
