"""Drive a mapped MAC with real operands, and hold every accumulator value against the reference.

The lanes run side by side. Each goes through its own dot product and into the beginning of the
next lane's, so that what is counted later is exactly one dot product in its steady state: from the
second product to the next dot product's first, ``clear`` included, ``terms`` clock edges in all.
"""

from typing import TYPE_CHECKING

from ..formats.errors import SimulationError, UsageError, VerificationError
from ..formats.mac import MacSpec
from .cells import CellLibrary
from .gate_model import gate_model
from .gate_simulation import Settled, simulate
from .netlist import Netlist

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..formats.operands import Operands


def simulate_mac(
    netlist: Netlist, library: CellLibrary, spec: MacSpec, operands: "Operands"
) -> Settled:
    """Return the settled values of a MAC over ``spec.terms + 1 + spec.latency`` cycles.

    From cycle ``spec.latency`` on every state is defined by the stimulus. An ``enable`` input is
    always on. Raises :class:`VerificationError`, with the first difference, where an accumulator
    value is not the reference's, :class:`UsageError` for operands of another length, and as
    :func:`.gate_model` and :func:`.simulate`.
    """
    import numpy as np  # noqa: PLC0415 - slow to import

    if operands.terms != spec.terms:
        raise UsageError(
            f"The operands are dot products of {operands.terms} terms; {spec.name} has "
            f"{spec.terms}."
        )
    lanes, cycles = operands.lanes, spec.terms + 1 + spec.latency
    order = np.arange(lanes)[:, None] * spec.terms + np.arange(cycles)
    clear = np.broadcast_to(np.arange(cycles) % spec.terms == 0, (lanes, cycles))

    def streamed(codes: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
        found: NDArray[np.uint8] = codes.reshape(-1)[order % codes.size]
        return found

    inputs = {
        "weight": _lanes(streamed(operands.weight.numpy()), spec.weight.bits),
        "activation": _lanes(streamed(operands.activation.numpy()), spec.activation.bits),
        "clear": _lanes(clear.astype(np.uint8), 1),
    }
    if spec.enable:
        inputs["enable"] = _lanes(np.ones((lanes, cycles), dtype=np.uint8), 1)
    settled = simulate(gate_model(netlist, library), inputs, lanes)
    sums = operands.sums(spec).numpy().reshape(-1)[order % (lanes * spec.terms)]
    _compare(settled, sums[:, : cycles - spec.latency], spec)
    return settled


def _lanes(codes: "NDArray[np.uint8]", bits: int) -> list[list[int]]:
    """Return, for each cycle and bit, the lanes of codes of shape (lanes, cycles)."""
    import numpy as np  # noqa: PLC0415

    packed = [np.packbits(codes >> bit & 1, axis=0, bitorder="little").T for bit in range(bits)]
    return [
        [int.from_bytes(one[cycle].tobytes(), "little") for one in packed]
        for cycle in range(codes.shape[1])
    ]


def _compare(settled: Settled, expected: "NDArray[np.int64]", spec: MacSpec) -> None:
    """Hold the accumulators of all cycles with a defined one against ``expected``."""
    import numpy as np  # noqa: PLC0415

    lanes, width = settled.lanes, (settled.lanes + 7) // 8
    bits = settled.port("accumulator")[spec.latency :]
    if len(bits[0]) != spec.accumulator_bits:
        raise SimulationError(
            f"The accumulator of {settled.model.netlist.top} has {len(bits[0])} bits; {spec.name} "
            f"needs {spec.accumulator_bits}."
        )
    found = np.zeros((len(bits), lanes), dtype=np.int64)
    for bit in range(spec.accumulator_bits):
        packed = b"".join(cycle[bit].to_bytes(width, "little") for cycle in bits)
        rows = np.frombuffer(packed, dtype=np.uint8).reshape(len(bits), width)
        ones = np.unpackbits(rows, axis=1, bitorder="little")[:, :lanes].astype(np.int64)
        found += -ones << bit if bit == spec.accumulator_bits - 1 else ones << bit
    wrong = np.argwhere(expected != found.T)
    if len(wrong):
        lane, cycle = (int(index) for index in wrong[0])
        raise VerificationError(
            f"The netlist {settled.model.netlist.top} is no MAC of {spec.name}: after product "
            f"{cycle + 1} of lane {lane} its accumulator holds {found[cycle, lane]} instead of "
            f"{expected[lane, cycle]}; {len(wrong)} of {expected.size} values differ. Its power "
            "means nothing."
        )
