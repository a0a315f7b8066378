"""The ports of an emitted MAC, declared once for the Verilog header and the manifest."""

from dataclasses import asdict, dataclass

from ..formats.mac import MacSpec
from ..formats.record import Format


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


def _meaning(number_format: Format) -> str:
    text = f"code of {number_format.name}"
    if not number_format.selector_bits:
        return text
    top = number_format.bits - 1
    bits = f"{top}" if number_format.selector_bits == 1 else f"{top}:{number_format.stored_bits}"
    return f"{text}; [{bits}] selects the block's special value"


def ports(spec: MacSpec) -> tuple[Port, ...]:
    """Return the ports of a MAC in the order in which the Verilog module lists them."""
    edges = "one clock edge" if spec.latency == 1 else f"{spec.latency} clock edges"
    inputs = [
        ("clk", 1, "rising edge"),
        ("weight", spec.weight.bits, _meaning(spec.weight)),
        ("activation", spec.activation.bits, _meaning(spec.activation)),
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
