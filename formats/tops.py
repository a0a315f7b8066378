"""A lookup format's top: what each integer grid costs in error, and what it asks of hardware.

``top`` is the grid value of the largest level. A larger one follows the real levels closer; its
products and the accumulator are wider, and more of the magnitudes differ. Area is what counts in
the end; the sizes here need no synthesis.
"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .absmax_error import AbsmaxErrors, sampled_errors
from .derive import lookup_format
from .distribution import NORMAL, STUDENT_5
from .encoding import longer_name, sign_magnitude_like
from .lookup import find_format, real_valued
from .mac import MacSpec
from .quantization_error import Estimate, QuantizationError, ratio_db
from .record import Format

TOPS = range(5, 128)


@dataclass(frozen=True, kw_only=True, slots=True)
class Top:
    """One top of a lookup format.

    ``format`` is the hardware version. ``errors`` has a record for each of the data, ``losses``
    the SQNR lost there against the real-valued levels, in dB; it may be negative.
    """

    top: int
    format: Format
    errors: tuple[QuantizationError, ...]
    losses: tuple[Estimate, ...]

    @property
    def largest_product(self) -> int:
        """The largest magnitude of a product, in grid steps."""
        return max(abs(value) for value in self.format.grid) ** 2

    @property
    def product_bits(self) -> int:
        """The width of the largest product's magnitude."""
        return self.largest_product.bit_length()

    @property
    def accumulator_bits(self) -> int:
        """The accumulator's width for 256 terms."""
        return MacSpec(weight=self.format, activation=self.format).accumulator_bits

    @property
    def distinct_magnitudes(self) -> int:
        """How many different magnitudes the grid has, 0 included."""
        return len({abs(value) for value in self.format.grid})

    @property
    def distinct_levels(self) -> int:
        """How many different levels the grid has; on a coarse grid levels coincide."""
        return len(set(self.format.grid))

    @property
    def size(self) -> tuple[int, int]:
        """Accumulator bits, then distinct magnitudes: what area grows with."""
        return self.accumulator_bits, self.distinct_magnitudes


def hardware_version(format: Format, top: int) -> Format:  # noqa: A002 - the field's word
    """Return a lookup format on the integer grid of ``top``, in sign-magnitude-like order.

    For NF and SF it is ``find_format("NF4-top11")``; for any other format the levels divided by
    the largest and rounded to multiples of 1 ÷ top. Raises :class:`FormatError` for a top outside
    1 to 8191, and where the version's name would be too long.
    """
    if real_valued(format) is not format:
        return find_format(f"{format.name}-top{top}")
    name = longer_name(format.name, f"-top{top}")
    levels = [level / format.largest_level for level in format.levels]
    ascending = lookup_format(name, levels, top, description=f"{format.name} on the grid ±{top}")
    return sign_magnitude_like(ascending, name=name)


def survey_tops(
    format: Format,  # noqa: A002 - the field's word
    tops: Iterable[int] = TOPS,
    data: Sequence[AbsmaxErrors] | None = None,
) -> tuple[Top, ...]:
    """Return error and size of a lookup format on each top.

    ``data`` are prepared samples or tensors: normal and t(5), in this order, unless given.
    """
    if data is None:
        data = [sampled_errors(distribution) for distribution in (NORMAL, STUDENT_5)]
    real = [sample.noise(real_valued(format)) for sample in data]
    found = []
    for top in tops:
        version = hardware_version(format, top)
        noise = [sample.noise(version) for sample in data]
        found.append(
            Top(
                top=top,
                format=version,
                errors=tuple(
                    sample.error_of(version.name, own)
                    for sample, own in zip(data, noise, strict=True)
                ),
                losses=tuple(ratio_db(own, best) for own, best in zip(noise, real, strict=True)),
            )
        )
    return tuple(found)


def non_dominated(
    tops: Sequence[Top], index: int = 0, size: Callable[[Top], tuple[float, ...]] | None = None
) -> tuple[Top, ...]:
    """Return the tops that no other beats in SQNR on data ``index`` without being larger.

    ``size`` gives the figures that must not be larger: accumulator bits and distinct magnitudes,
    or, for example, ``lambda top: (area[top.top],)``. Of equals the smallest top stays.
    """
    sizes = [top.size if size is None else size(top) for top in tops]
    quality = [top.errors[index].sqnr_db for top in tops]

    def beaten(i: int) -> bool:
        for j in range(len(tops)):
            smaller = all(a <= b for a, b in zip(sizes[j], sizes[i], strict=True))
            if j != i and smaller and quality[j] >= quality[i]:
                equal = sizes[j] == sizes[i] and quality[j] == quality[i]
                if not equal or tops[j].top < tops[i].top:
                    return True
        return False

    return tuple(top for i, top in enumerate(tops) if not beaten(i))


def tops_to_csv(tops: Iterable[Top]) -> str:
    """Return a row for each top and data: grid, SQNR, loss, sizes."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        [
            *("format", "top", "data", "sqnr_db", "sqnr_standard_error_db"),
            *("sqnr_loss_db", "sqnr_loss_standard_error_db", "accumulator_bits", "product_bits"),
            *("largest_product", "distinct_magnitudes", "distinct_levels", "grid"),
        ]
    )
    for top in tops:
        for error, loss in zip(top.errors, top.losses, strict=True):
            figures = (error.sqnr_db, error.standard_error_db, loss.value, loss.standard_error)
            writer.writerow(
                [
                    *(top.format.name, top.top, error.data),
                    *("" if figure is None else round(figure, 6) for figure in figures),
                    *(top.accumulator_bits, top.product_bits, top.largest_product),
                    *(top.distinct_magnitudes, top.distinct_levels),
                    " ".join(map(str, top.format.grid)),
                ]
            )
    return stream.getvalue()
