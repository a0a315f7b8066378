"""What is verified: a design, and the identity of a verification."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ..formats.errors import SimulationError, UsageError
from ..formats.mac import MacSpec
from .modules import module_ports
from .simulators import Simulator

LEVELS = ("rtl", "netlist")


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """One MAC as Verilog: a top module and the texts, or files, that define it and what it uses.

    Raises :class:`UsageError` for a level other than rtl and netlist, and for no sources.
    """

    spec: MacSpec
    architecture: str
    level: str
    top: str
    sources: tuple[str | Path, ...]

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise UsageError(f"The level {self.level!r} is unknown; it must be rtl or netlist.")
        if not self.sources:
            raise UsageError(f"{self.name}: no Verilog sources are given.")

    @property
    def name(self) -> str:
        """Format, architecture and level as text."""
        formats = self.spec.weight.name
        if self.spec.activation.name != formats:
            formats += f" × {self.spec.activation.name}"
        return f"{formats}, {self.architecture}, {self.level}"

    def texts(self) -> tuple[str, ...]:
        """Return the Verilog texts; raises :class:`SimulationError` for an unreadable file."""
        return tuple(_text(source) for source in self.sources)

    def port_fault(self) -> str:
        """Return in a sentence how the top module's ports break the MAC's contract, or nothing."""
        text = "\n".join(self.texts())
        try:
            ports = module_ports(text, self.top)
        except UsageError as error:
            return str(error)
        for name, (direction, width) in _contract(self.spec).items():
            port = ports.get(name)
            if port is None:
                return f"The module {self.top} has no port {name}."
            if port.direction != direction:
                return f"The port {name} of {self.top} is an {port.direction}, not an {direction}."
            if port.width not in {None, width}:
                return f"The port {name} of {self.top} has {port.width} bits; it needs {width}."
        return ""


def verification_key(design: Design, simulator: Simulator, seed: int) -> str:
    """Return SHA-256 of all that a verdict depends on.

    These are the Verilog, what it should compute, the simulator and cocotb, and in place of the
    vectors, which need torch, all that they are made from: seed, torch's version, and the text of
    this package and of the formats.
    """
    spec = design.spec
    facts = [
        design.top,
        design.architecture,
        design.level,
        spec.weight.to_json(),
        spec.activation.to_json(),
        [spec.terms, spec.enable, spec.registered_product],
        [simulator.kind, simulator.version, simulator.path],
        [metadata.version("cocotb"), metadata.version("torch")],
        seed,
        _reference_digest(),
    ]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for text in design.texts():
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()


def _reference_digest() -> str:
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for folder in (here, here.parent / "formats"):
        for file in sorted(folder.glob("*.py")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _contract(spec: MacSpec) -> dict[str, tuple[str, int]]:
    contract = {
        "clk": ("input", 1),
        "weight": ("input", spec.weight.bits),
        "activation": ("input", spec.activation.bits),
        "clear": ("input", 1),
        "accumulator": ("output", spec.accumulator_bits),
    }
    return {**contract, "enable": ("input", 1)} if spec.enable else contract


def _text(source: str | Path) -> str:
    if isinstance(source, str):
        return source
    try:
        return source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SimulationError(f"The Verilog file {source} cannot be read: {error}.") from error


def describe_designs(designs: Sequence[Design]) -> str:
    """Return the designs as a phrase."""
    if len(designs) == 1:
        return designs[0].name
    return f"{len(designs)} designs ({designs[0].name}, …)"
