"""Build a netlist gate by gate from AND-OR forms, with whatever gates the library has.

What the library cannot do in one cell is made of several: inverters at the inputs or the output,
or a group of the form as a gate of its own.
"""

import itertools
from collections.abc import Sequence

from .gates import Form, Gate, GateLibrary
from .netlist import Instance, Net, Netlist, Port

#: A net, and whether it counts inverted.
Literal = tuple[Net, bool]


class Builder:
    """Collects cells; nets are given out from 2 on. ``prefix`` starts the names of instances."""

    def __init__(self, gates: GateLibrary, prefix: str = "g") -> None:
        self._gates = gates
        self._prefix = prefix
        self._inverters: dict[Net, Net] = {}
        self._next = 2
        self.instances: list[Instance] = []

    def net(self) -> Net:
        """Return a new net."""
        self._next += 1
        return self._next - 1

    def skip(self, net: Net) -> None:
        """Give out nets from this one on."""
        self._next = max(self._next, net)

    def cell(self, cell: str, pins: dict[str, Net]) -> None:
        """Add an instance."""
        name = f"{self._prefix}{len(self.instances)}"
        self.instances.append(Instance(name=name, cell=cell, pins=pins))

    def invert(self, net: Net) -> Net:
        """Return the complement of a net; one inverter serves all who ask."""
        if net not in self._inverters:
            self._inverters[net] = self._place(self._gates.inverter, (net,))
            self._inverters[self._inverters[net]] = net
        return self._inverters[net]

    def drive_inverted(self, net: Net, output: Net) -> None:
        """Drive ``output`` with the complement of a net."""
        gate = self._gates.inverter
        self.cell(gate.cell, {gate.pins[0]: net, gate.output: output})
        self._inverters[output] = net

    def gate(self, form: Form, literals: Sequence[Literal], *, inverted: bool = False) -> Net:
        """Return a net with the form's value of the literals, or its complement."""
        found = self._direct(form, literals, inverted)
        if found is not None:
            gate, flipped, output = found
            nets = [
                self.invert(net) if flip else net
                for (net, _), flip in zip(literals, flipped, strict=True)
            ]
            result = self._place(gate, nets)
            return self.invert(result) if output else result
        if isinstance(form, str):
            raise NotImplementedError(f"{self._gates.library.name} has no {form} gate")
        return self._split(form, literals, inverted)

    def _direct(
        self, form: Form, literals: Sequence[Literal], inverted: bool
    ) -> tuple[Gate, tuple[bool, ...], bool] | None:
        """Return the cheapest gate, and where inverters go: at which inputs, at the output."""
        unit = self._gates.inverter.area
        best = None
        for flipped in itertools.product((False, True), repeat=len(literals)):
            for output in (False, True):
                signs = tuple(sign ^ f for (_, sign), f in zip(literals, flipped, strict=True))
                gate = self._gates.cheapest.get((form, signs, inverted ^ output))
                if gate is None:
                    continue
                extra = sum(
                    f and net not in self._inverters
                    for (net, _), f in zip(literals, flipped, strict=True)
                )
                cost = gate.area + unit * (extra + output)
                if best is None or cost < best[0]:
                    best = cost, (gate, flipped, output)
        return None if best is None else best[1]

    def _split(self, form: tuple[int, ...], literals: Sequence[Literal], inverted: bool) -> Net:
        """Make the first group, or half of a lone one, a gate of its own."""
        size = form[0]
        if len(form) == 1:
            half = (size + 1) // 2
            first = self.gate((half,), literals[:half])
            return self.gate(
                (size - half + 1,), [(first, False), *literals[half:]], inverted=inverted
            )
        if size == 1:
            # An OR of literals is a complemented AND.
            flipped = [(net, not sign) for net, sign in literals]
            return self.gate((len(form),), flipped, inverted=not inverted)
        first = self.gate((size,), literals[:size])
        rest = sorted((*form[1:], 1), reverse=True)
        return self.gate(tuple(rest), [*literals[size:], (first, False)], inverted=inverted)

    def exclusive_or(self, a: Literal, b: Literal) -> Net:
        """Return ``a ^ b``."""
        literals = [(a[0], False), (b[0], False)]
        inverted = a[1] ^ b[1]
        if self._direct("xor2", literals, inverted) is not None:
            return self.gate("xor2", literals, inverted=inverted)
        return self.gate(
            (2, 2), [literals[0], (b[0], True), (a[0], True), literals[1]], inverted=inverted
        )

    def _place(self, gate: Gate, nets: Sequence[Net]) -> Net:
        output = self.net()
        pins = dict(zip(gate.pins, nets, strict=True))
        self.cell(gate.cell, {**pins, gate.output: output})
        return output

    def netlist(self, top: str, ports: Sequence[Port]) -> Netlist:
        """Return what was built."""
        return Netlist(top=top, ports=tuple(ports), instances=tuple(self.instances))
