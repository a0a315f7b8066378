"""The format record: what a code means.

1. A code is an unsigned integer below ``2**bits``; ``grid[code]`` is the integer that the hardware
   computes with, and ``level = grid × unit``, exactly.
2. No code is NaN or infinite; values beyond the largest level saturate.
3. Where several codes share a level (E2M1's negative zero), the quantizer produces the lowest one.
4. A tie between two levels goes to the level with the even code, or to the lower level, as
   ``rounding`` says. Where both codes or neither are even, ``ties-to-even`` takes the lower level.
5. The top ``selector_bits`` of a code, where there are any, are the same for a whole block and
   stored with its scale: they select one of the format's variants, of ``stored_bits`` bits each.
"""

import enum
import hashlib
import json
import re
from dataclasses import dataclass
from fractions import Fraction

from .errors import FormatError
from .exact import exact_number, shown

NAME_PATTERN = re.compile(r"[A-Za-z0-9+\-_.]{1,64}", re.ASCII)
MIN_BITS = 2
MAX_BITS = 8
MAX_GRID_BITS = 24
MAX_TEXT = 500
#: Two identifiers, a library's and a recipe's name must fit into a file's name together.
MAX_IDENTIFIER = 64


class Rounding(enum.StrEnum):
    """Where a value half-way between two levels goes."""

    TIES_TO_EVEN = "ties-to-even"
    TIES_TO_LOWER = "ties-to-lower"


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """A number format of ``bits`` bits: ``2**bits`` integers indexed by code, and their unit.

    Raises :class:`FormatError` for a name outside ``[A-Za-z0-9+-_.]{1,64}`` or with an
    :attr:`identifier` of more than 64 characters, a grid whose length is not ``2**bits``, grid
    values that are no integers or wider than 24 bits, a grid of one value only, a unit outside
    1e-18 to 1e18, selector bits that leave fewer than two others, or a description or source that
    is not one printable line of at most 500 characters.
    """

    name: str
    bits: int
    grid: tuple[int, ...]
    unit: Fraction
    rounding: Rounding = Rounding.TIES_TO_LOWER
    description: str = ""
    source: str = ""
    selector_bits: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME_PATTERN.fullmatch(self.name):
            raise FormatError(
                f"The format name {shown(self.name)} is not allowed: use 1 to 64 letters, "
                "digits and + - _ . only."
            )
        if not re.search(r"[A-Za-z0-9]", self.name):
            raise FormatError(f"The format name {self.name!r} needs at least one letter or digit.")
        if len(self.identifier) > MAX_IDENTIFIER:
            raise FormatError(
                f"The format name {shown(self.name)} is too long: in Verilog, where + and . are "
                f"written out, it has {len(self.identifier)} characters; at most {MAX_IDENTIFIER} "
                "are possible."
            )
        where = f"Format {self.name}"
        _check_bits(self.bits, where)
        _check_grid(self.grid, self.bits, where)
        _check_selector(self.selector_bits, self.bits, where)
        if not isinstance(self.unit, Fraction) or self.unit <= 0:
            raise FormatError(
                f"{where}: unit is {shown(self.unit)}; it must be a positive Fraction."
            )
        exact_number(self.unit, f"{where}: unit")
        if not isinstance(self.rounding, Rounding):
            raise FormatError(
                f"{where}: rounding is {shown(self.rounding)}; it must be one of "
                + ", ".join(r.value for r in Rounding)
                + "."
            )
        for key, text in (("description", self.description), ("source", self.source)):
            # These reach comments in scripts and Verilog, where a line break would end them.
            if not isinstance(text, str) or not text.isprintable() or len(text) > MAX_TEXT:
                raise FormatError(
                    f"{where}: {key} is {shown(text)}; it must be one line of printable text, "
                    f"at most {MAX_TEXT} characters."
                )

    @property
    def levels(self) -> tuple[Fraction, ...]:
        """The exact level of each code."""
        return tuple(value * self.unit for value in self.grid)

    @property
    def largest_level(self) -> Fraction:
        """The largest magnitude among the levels."""
        return max(abs(value) for value in self.grid) * self.unit

    @property
    def sorted_grid(self) -> tuple[int, ...]:
        """The distinct grid values in ascending order."""
        return tuple(sorted(set(self.grid)))

    @property
    def canonical_codes(self) -> tuple[int, ...]:
        """For each value of :attr:`sorted_grid`, the code that the quantizer produces."""
        return tuple(self.grid.index(value) for value in self.sorted_grid)

    @property
    def is_asymmetric(self) -> bool:
        """Whether the largest magnitudes of the two signs differ, so that a signed scale helps."""
        return max(self.grid) != -min(self.grid)

    @property
    def stored_bits(self) -> int:
        """The bits of a code that each element stores: all but the block's selector."""
        return self.bits - self.selector_bits

    @property
    def variants(self) -> tuple["Format", ...]:
        """The formats of ``stored_bits`` that the selector's values choose; without one, itself."""
        if not self.selector_bits:
            return (self,)
        size = 2**self.stored_bits
        return tuple(
            Format(
                name=self.name,
                bits=self.stored_bits,
                grid=self.grid[value * size : (value + 1) * size],
                unit=self.unit,
                rounding=self.rounding,
                description=self.description,
                source=self.source,
            )
            for value in range(2**self.selector_bits)
        )

    @property
    def identifier(self) -> str:
        """The name as a part of Verilog identifiers and file names, in lower case."""
        words = {"+": "_plus_", "-": "_", ".": "_dot_"}
        return "".join(words.get(c, c) for c in self.name.lower())

    @property
    def digest(self) -> str:
        """SHA-256 of what the hardware and the quantizer depend on; the name is no part of it."""
        facts: list[object] = [self.bits, self.grid, str(self.unit), self.rounding.value]
        if self.selector_bits:
            facts.append(self.selector_bits)
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types; :meth:`from_json` is the inverse."""
        record: dict[str, object] = {
            "name": self.name,
            "bits": self.bits,
            "grid": list(self.grid),
            "unit": str(self.unit),
            "rounding": self.rounding.value,
            "description": self.description,
            "source": self.source,
        }
        if self.selector_bits:
            record["selector_bits"] = self.selector_bits
        return record

    @classmethod
    def from_json(cls, record: object) -> "Format":
        """Rebuild a format from :meth:`to_json`'s dictionary.

        Raises :class:`FormatError` where a key is missing or has the wrong type.
        """
        if not isinstance(record, dict):
            raise FormatError(f"A format record must be a JSON object, not {shown(record)}.")
        try:
            return cls(
                name=record["name"],
                bits=record["bits"],
                grid=tuple(record["grid"]),
                unit=exact_number(record["unit"], "The unit of a format record"),
                rounding=Rounding(record.get("rounding", Rounding.TIES_TO_LOWER)),
                description=str(record.get("description", "")),
                source=str(record.get("source", "")),
                selector_bits=record.get("selector_bits", 0),
            )
        except FormatError:
            raise
        except KeyError as error:
            raise FormatError(f"A format record lacks the key {error.args[0]!r}.") from error
        except (TypeError, ValueError) as error:
            raise FormatError(f"A format record is malformed: {error}.") from error


def _check_bits(bits: object, where: str) -> None:
    if isinstance(bits, bool) or not isinstance(bits, int):
        raise FormatError(f"{where}: bits is {shown(bits)}; it must be an integer.")
    if not MIN_BITS <= bits <= MAX_BITS:
        raise FormatError(
            f"{where}: bits is {shown(bits)}; it must be from {MIN_BITS} to {MAX_BITS}."
        )


def _check_selector(selector: object, bits: int, where: str) -> None:
    if isinstance(selector, bool) or not isinstance(selector, int):
        raise FormatError(f"{where}: selector_bits is {shown(selector)}; it must be an integer.")
    if not 0 <= selector <= bits - MIN_BITS:
        raise FormatError(
            f"{where}: selector_bits is {shown(selector)} of {bits} bits; it must be from 0 to "
            f"{bits - MIN_BITS}."
        )


def _check_grid(grid: object, bits: int, where: str) -> None:
    if not isinstance(grid, tuple):
        raise FormatError(f"{where}: grid is {shown(grid)}; it must be a tuple.")
    if len(grid) != 2**bits:
        raise FormatError(
            f"{where}: {len(grid)} grid values given; {bits} bits need {2**bits}, one for each "
            "code."
        )
    for code, value in enumerate(grid):
        if isinstance(value, bool) or not isinstance(value, int):
            raise FormatError(
                f"{where}: the grid value of code {code} is {shown(value)}; it must be an integer."
            )
        if abs(value) >= 2 ** (MAX_GRID_BITS - 1):
            raise FormatError(
                f"{where}: the grid value of code {code} is {shown(value)}; values must fit in "
                f"{MAX_GRID_BITS} signed bits. Choose a coarser grid."
            )
    if len(set(grid)) == 1:
        raise FormatError(
            f"{where}: all {len(grid)} grid values are {grid[0]}; a format needs at least two "
            "levels."
        )
