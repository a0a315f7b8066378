"""Multiplication without a multiplier: exponents are added, or shifted copies are summed."""

import enum
from functools import reduce
from operator import or_
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Signal, Value

from ..formats.mac import MacSpec
from ..formats.record import Format
from .decoder import SignMagnitudeDecoder
from .multiplier import Multiplier
from .shift_add_decoder import FloatDecoder, TwoPowersDecoder
from .structure import float_form, two_powers_form, without_float_form, without_two_powers


class Strategy(enum.StrEnum):
    """How the product of two magnitudes comes about."""

    EXPONENT = "exponent addition and one shift"
    MANTISSA = "mantissa product shifted by the exponents' sum"
    TWO_POWERS = "sum of two shifted copies"


class ShiftAddMultiplier(Multiplier):
    """Shift-and-add, in one of three strategies that the formats decide.

    - Every magnitude is zero or a power of two (E3M0): exponents are added, and one shift of the
      other operand (of a single 1 where both are powers of two) is the product.
    - Every magnitude is a mantissa of at most two bits times a power of two (E2M1): the mantissas'
      product is shifted by the sum of the exponents.
    - Every magnitude is a sum of at most two powers of two (APoT): two shifted copies of the other
      operand are added.

    One structured operand is enough; the other one may have any levels. The sign is treated as in
    :class:`SignMagnitudeMultiplier`. For members see :class:`Multiplier`.
    """

    name = "shift-add"
    description = "add exponents and shift, or sum two shifted copies, as the format allows"

    @classmethod
    def strategy(cls, spec: MacSpec) -> Strategy | None:
        """Return the strategy that serves ``spec``, or None."""
        forms = [form for form in map(float_form, _formats(spec)) if form is not None]
        if forms:
            one_bit = all(form.mantissa_bits == 1 for form in forms)
            return Strategy.EXPONENT if one_bit else Strategy.MANTISSA
        if any(two_powers_form(number_format) for number_format in _formats(spec)):
            return Strategy.TWO_POWERS
        return None

    @classmethod
    def refusal(cls, spec: MacSpec) -> str | None:
        """Refuse pairs in which neither format is made of few powers of two."""
        if cls.strategy(spec) is not None:
            return None
        culprits = []
        for number_format in dict.fromkeys(_formats(spec)):
            code = without_two_powers(number_format)
            if code is None:
                code = without_float_form(number_format)
            culprits.append(
                f"{number_format.name}'s level {number_format.levels[code]} (code {code}, grid "
                f"value {number_format.grid[code]})"
            )
        are = "is neither" if len(culprits) == 1 else "are neither"
        return (
            f"The architecture {cls.name} cannot serve {spec.weight.name} × "
            f"{spec.activation.name}: {' and '.join(culprits)} {are} a mantissa of two bits "
            "times a power of two nor a sum of at most two powers of two; use another "
            "architecture."
        )

    @classmethod
    def ones_complement(cls, spec: MacSpec) -> bool:
        """Return whether any product is negative."""
        return spec.product_range[0] < 0

    def elaborate(self, _platform: object) -> Module:
        """Build the strategy."""
        m = Module()
        if self.strategy(self.spec) is Strategy.TWO_POWERS:
            self._two_powers(m)
        else:
            self._floating(m)
        return m

    def _floating(self, m: Module) -> None:
        weight, activation = [
            _floating_operand(m, name, code, number_format)
            for name, code, number_format in self._operands()
        ]
        mantissa = Signal(len(weight.mantissa) + len(activation.mantissa))
        exponent = Signal(max(len(weight.exponent), len(activation.exponent)) + 1)
        magnitude = Signal(len(self.product))
        m.d.comb += [
            mantissa.eq(weight.mantissa * activation.mantissa),
            exponent.eq(weight.exponent + activation.exponent),
        ]
        # A case for each sum that occurs makes less logic than a shifter for all sums. Another sum
        # is met with a mantissa of zero only, so zero is right for it.
        with m.Switch(exponent):
            for total in sorted({w + a for w in weight.exponents for a in activation.exponents}):
                with m.Case(total + weight.bias + activation.bias):
                    m.d.comb += magnitude.eq(mantissa << total)
            with m.Default():
                m.d.comb += magnitude.eq(0)
        self.drive_product(m, weight.sign ^ activation.sign, magnitude)

    def _two_powers(self, m: Module) -> None:
        weight, activation = self._operands()
        choices = [
            (form, split, whole)
            for split, whole in ((weight, activation), (activation, weight))
            if (form := two_powers_form(split[2])) is not None
        ]
        # The copies for the operand with fewer shifts cost fewer gates.
        form, (name, code, number_format), whole = min(choices, key=lambda c: c[0].shifts)
        powers = m.submodules[f"{name}_decoder"] = TwoPowersDecoder(number_format, form)
        m.d.comb += powers.code.eq(code)
        name, code, number_format = whole
        plain = m.submodules[f"{name}_decoder"] = SignMagnitudeDecoder(number_format)
        m.d.comb += plain.code.eq(code)
        first = _shifted_copy(plain.magnitude, powers.first, form.first_set)
        second = _shifted_copy(plain.magnitude, powers.second, form.second_set)
        self.drive_product(m, powers.sign ^ plain.sign, first + second)

    def _operands(self) -> list[tuple[str, Value, Format]]:
        return [
            ("weight", self.weight, self.spec.weight),
            ("activation", self.activation, self.spec.activation),
        ]


class _Operand(NamedTuple):
    """An operand as ``(-1)**sign × mantissa × 2**(exponent - bias)``.

    ``exponents`` are the values of ``exponent - bias`` that occur.
    """

    sign: Value
    mantissa: Value
    exponent: Value
    bias: int
    exponents: set[int]


def _floating_operand(m: Module, name: str, code: Value, number_format: Format) -> _Operand:
    """Decode an operand; one without the floating form is a mantissa with exponent zero."""
    form = float_form(number_format)
    if form is None:
        plain = m.submodules[f"{name}_decoder"] = SignMagnitudeDecoder(number_format)
        m.d.comb += plain.code.eq(code)
        return _Operand(plain.sign, plain.magnitude, Const(0, 1), 0, {0})
    decoder = m.submodules[f"{name}_decoder"] = FloatDecoder(number_format, form)
    m.d.comb += decoder.code.eq(code)
    exponents = {exponent for exponent in form.exponents if exponent is not None}
    return _Operand(decoder.sign, decoder.mantissa, decoder.exponent, decoder.bias, exponents)


def _shifted_copy(value: Value, select: Value, shifts: tuple[int, ...]) -> Value:
    """Return ``value << shifts[i]`` for the one bit i that is set in ``select``, else 0."""
    copies = [
        Cat(Const(0, shift), value & select[place].replicate(len(value)))
        for place, shift in enumerate(shifts)
    ]
    return reduce(or_, copies)


def _formats(spec: MacSpec) -> tuple[Format, Format]:
    return spec.weight, spec.activation
