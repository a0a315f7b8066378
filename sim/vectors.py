"""Test vectors of one MAC as a compact file; read inside the simulator, so standard library only.

A step is one clock cycle: its inputs (codes, ``clear``, ``enable``) and the value that the
accumulator holds after the clock edge that samples them. With a latency of two, that value does
not contain the step's own product yet. The file is one line of JSON, then the weight codes, the
activation codes, the control bytes (bit 0 ``clear``, bit 1 ``enable``), one byte a step, and the
expected values as little-endian signed integers.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from ..formats.errors import DataError

CLEAR = 1
ENABLE = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Vectors:
    """Steps and expected accumulator values; every sequence has one entry a step.

    ``phases`` names runs of steps: (name, first step) in ascending order. ``full_length`` tells
    whether both extremes of the accumulator's range are reached. ``expected`` means nothing in
    the first ``latency`` − 1 steps. The last steps clear, so that the inputs may be held on
    without changing the accumulator.
    """

    weight_bits: int
    activation_bits: int
    accumulator_bits: int
    latency: int
    full_length: bool
    phases: tuple[tuple[str, int], ...]
    weight: bytes
    activation: bytes
    control: bytes
    expected: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.control)

    @property
    def stimulus_bits(self) -> int:
        """The width of a step's inputs: clear, enable, activation, weight."""
        return 2 + self.activation_bits + self.weight_bits

    def phase(self, step: int) -> str:
        """Return the name of the phase that ``step`` belongs to."""
        return [name for name, first in self.phases if first <= step][-1]

    def source(self, step: int) -> int:
        """Return the step whose product is the last one in the accumulator after ``step``."""
        behind = self.latency
        for index in range(step, -1, -1):
            behind -= self.control[index] & ENABLE > 0
            if behind == 0:
                return index
        return 0

    def to_bytes(self) -> bytes:
        """Return the file's contents; :meth:`from_bytes` is the inverse."""
        size = self.accumulator_bits // 8 + 1
        header = {
            "weight_bits": self.weight_bits,
            "activation_bits": self.activation_bits,
            "accumulator_bits": self.accumulator_bits,
            "latency": self.latency,
            "full_length": self.full_length,
            "phases": self.phases,
            "steps": len(self),
        }
        values = b"".join(v.to_bytes(size, "little", signed=True) for v in self.expected)
        text = json.dumps(header, sort_keys=True).encode() + b"\n"
        return b"".join((text, self.weight, self.activation, self.control, values))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Vectors":
        """Rebuild the vectors; raises :class:`DataError` for contents of the wrong length."""
        head, _, body = data.partition(b"\n")
        try:
            header = json.loads(head)
            steps = int(header.pop("steps"))
            size = int(header["accumulator_bits"]) // 8 + 1
            header["phases"] = tuple((str(name), int(first)) for name, first in header["phases"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"The test vectors have a malformed header: {error}.") from error
        if len(body) != steps * (3 + size):
            raise DataError(
                f"The test vectors hold {len(body)} bytes; {steps} steps need {steps * (3 + size)}."
            )
        values = memoryview(body)[3 * steps :]
        return cls(
            **header,
            weight=body[:steps],
            activation=body[steps : 2 * steps],
            control=body[2 * steps : 3 * steps],
            expected=tuple(
                int.from_bytes(values[i : i + size], "little", signed=True)
                for i in range(0, len(values), size)
            ),
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the file's contents."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def write(self, path: Path) -> None:
        """Write the file whole or not at all."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_bytes(self.to_bytes())
        temporary.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Vectors":
        """Read a file that :meth:`write` wrote."""
        return cls.from_bytes(path.read_bytes())
