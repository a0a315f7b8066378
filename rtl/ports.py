"""The ports of an emitted MAC, declared once for the Verilog header and the manifest."""

from dataclasses import asdict, dataclass

from ..formats.mac import MacSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    """A port: ``direction`` is input or output, ``width`` in bits, ``signed`` two's complement."""

    name: str
    direction: str
    width: int
    signed: bool
    meaning: str

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types."""
        return asdict(self)


def ports(spec: MacSpec) -> tuple[Port, ...]:
    """Return the ports of a MAC in the order in which the Verilog module lists them."""
    edges = "one clock edge" if spec.latency == 1 else f"{spec.latency} clock edges"
    inputs = [
        ("clk", 1, "rising edge"),
        ("weight", spec.weight.bits, f"code of {spec.weight.name}"),
        ("activation", spec.activation.bits, f"code of {spec.activation.name}"),
        ("clear", 1, "the accumulator starts again from this product"),
    ]
    if spec.enable:
        inputs.append(("enable", 1, "without it every register holds"))
    accumulator = Port(
        name="accumulator",
        direction="output",
        width=spec.accumulator_bits,
        signed=True,
        meaning=f"sum of products in units of {spec.unit}, {edges} after the inputs",
    )
    return (
        *(
            Port(name=name, direction="input", width=width, signed=False, meaning=meaning)
            for name, width, meaning in inputs
        ),
        accumulator,
    )
