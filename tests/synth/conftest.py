"""Product blocks by their values, for tests that need no mapped ones."""

from collections.abc import Callable, Mapping, Sequence

import pytest
from nibblemac.formats.mac import MacSpec
from nibblemac.synth.builder import Builder
from nibblemac.synth.gates import GateLibrary
from nibblemac.synth.netlist import ONE, ZERO, Net, Netlist, Port

Blocks = Callable[[GateLibrary, MacSpec, Mapping[str, Sequence[Sequence[int]]]], Netlist]


def _build(
    gates: GateLibrary, spec: MacSpec, outputs: Mapping[str, Sequence[Sequence[int]]]
) -> Netlist:
    builder = Builder(gates, "t")
    codes = [builder.net() for _ in range(spec.weight.bits + spec.activation.bits)]
    known: dict[tuple[int, ...], Net] = {}

    def net_of(rows: tuple[int, ...]) -> Net:
        """Return a net with these values, by the code bits that tell the rows apart."""
        if len(set(rows)) == 1:
            return ONE if rows[0] else ZERO
        if rows not in known:
            half = len(rows) // 2
            select = codes[half.bit_length() - 1]
            low, high = net_of(rows[:half]), net_of(rows[half:])
            choice = [(select, True), (low, False), (select, False), (high, False)]
            known[rows] = low if low == high else builder.gate((2, 2), choice)
        return known[rows]

    ports = [
        Port(name="weight", direction="input", nets=tuple(codes[: spec.weight.bits])),
        Port(name="activation", direction="input", nets=tuple(codes[spec.weight.bits :])),
    ]
    for name, columns in outputs.items():
        nets = tuple(net_of(tuple(column)) for column in columns)
        ports.append(Port(name=name, direction="output", nets=nets))
    return builder.netlist("product", ports)


@pytest.fixture(scope="session")
def build_block() -> Blocks:
    """A function that builds a block: by port and bit the values for all pairs of codes.

    Pairs are in order, the weight's code fastest. Constants are read as such.
    """
    return _build
