"""Decoders: from the stored code to the integer that the hardware computes with."""

from amaranth.hdl import Module, Shape
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..formats.record import Format
from . import lookup
from .structure import magnitudes, signs


class Decoder(wiring.Component):
    """``value = grid[code]``, combinational.

    Members
    -------
    code : In(bits)
    value : Out(shape), the narrowest shape that holds the grid: unsigned where no level is
        negative, otherwise two's complement.
    """

    def __init__(self, number_format: Format) -> None:
        self._format = number_format
        shape = Shape.cast(range(min(0, *number_format.grid), max(0, *number_format.grid) + 1))
        super().__init__({"code": In(number_format.bits), "value": Out(shape)})

    def elaborate(self, _platform: object) -> Module:
        """Build the table."""
        m = Module()
        lookup.drive(m, self.value, self.code, self._format.grid)
        return m


class SignMagnitudeDecoder(wiring.Component):
    """``grid[code] = (-1)**sign × magnitude``, combinational; a zero may have either sign.

    Members
    -------
    code : In(bits)
    sign : Out(1)
    magnitude : Out(width of the largest magnitude)
    """

    def __init__(self, number_format: Format) -> None:
        self._format = number_format
        width = max(magnitudes(number_format)).bit_length()
        super().__init__({"code": In(number_format.bits), "sign": Out(1), "magnitude": Out(width)})

    def elaborate(self, _platform: object) -> Module:
        """Build the tables."""
        m = Module()
        lookup.drive(m, self.sign, self.code, signs(self._format))
        lookup.drive(m, self.magnitude, self.code, magnitudes(self._format))
        return m
