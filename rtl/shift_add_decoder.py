"""Decoders for shift-and-add: an operand as mantissa and exponent, or as two powers of two."""

from collections.abc import Sequence

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..formats.record import Format
from . import lookup
from .structure import FloatForm, TwoPowersForm, signs


class FloatDecoder(wiring.Component):
    """``grid[code] = (-1)**sign × mantissa × 2**(exponent - bias)``, combinational.

    The bias is chosen so that most exponent bits are bits of the code: the exponents are only
    added, and a bias costs nothing in the shift that follows. A zero may have any sign and
    exponent. ``bias`` may be negative.

    Members
    -------
    code : In(bits)
    sign : Out(1)
    mantissa : Out(1 or 2)
    exponent : Out(width of the largest exponent)
    """

    def __init__(self, number_format: Format, form: FloatForm) -> None:
        self._format = number_format
        self._form = form
        self.bias, exponent_bits = _bias(number_format.bits, form.exponents)
        super().__init__(
            {
                "code": In(number_format.bits),
                "sign": Out(1),
                "mantissa": Out(form.mantissa_bits),
                "exponent": Out(exponent_bits),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the tables."""
        m = Module()
        lookup.drive(m, self.sign, self.code, signs(self._format))
        lookup.drive(m, self.mantissa, self.code, self._form.mantissas)
        lookup.drive(m, self.exponent, self.code, _biased(self._form.exponents, self.bias))
        return m


def _biased(exponents: Sequence[int | None], bias: int) -> list[int | None]:
    return [None if exponent is None else exponent + bias for exponent in exponents]


def _bias(code_bits: int, exponents: Sequence[int | None]) -> tuple[int, int]:
    """Return the bias that leaves the fewest exponent bits to logic, and the exponent's width."""
    known = [exponent for exponent in exponents if exponent is not None]
    choices = []
    for floor in range(4):
        bias = floor - min(known)
        width = (max(known) + bias).bit_length()
        free = lookup.free_bits(code_bits, width, _biased(exponents, bias))
        choices.append((len(free), width, floor, bias))
    _free, width, _floor, bias = min(choices)
    return bias, width


class TwoPowersDecoder(wiring.Component):
    """``grid[code] = (-1)**sign × (2**first + 2**second)``, combinational; one-hot exponents.

    Members
    -------
    code : In(bits)
    sign : Out(1)
    first : Out(number of exponents in ``form.first_set``), at most one bit set
    second : Out(the same of ``form.second_set``), at most one bit set
    """

    def __init__(self, number_format: Format, form: TwoPowersForm) -> None:
        self._format = number_format
        self._form = form
        super().__init__(
            {
                "code": In(number_format.bits),
                "sign": Out(1),
                "first": Out(len(form.first_set)),
                "second": Out(len(form.second_set)),
            }
        )

    def elaborate(self, _platform: object) -> Module:
        """Build the tables."""
        m = Module()
        form = self._form
        lookup.drive(m, self.sign, self.code, signs(self._format))
        lookup.drive(m, self.first, self.code, _one_hot(form.first, form.first_set))
        lookup.drive(m, self.second, self.code, _one_hot(form.second, form.second_set))
        return m


def _one_hot(exponents: Sequence[int | None], members: Sequence[int]) -> list[int]:
    return [0 if e is None else 1 << members.index(e) for e in exponents]
