"""The last step of a search: Yosys reads the netlist found, ties constants, checks and counts.

So a searched design's area comes from the same program as a mapped one's, and its sums are
simulated against the integer reference on random codes before it counts.
"""

import shutil
import tempfile
import time
from pathlib import Path

from ..formats.errors import SynthesisError, VerificationError
from ..formats.mac import MacSpec
from .cells import CellLibrary
from .flow import FlowLibrary, Mapped, read_result, tie_lines
from .mac_simulation import simulate_mac
from .netlist import Netlist
from .netlist_verilog import to_verilog
from .yosys import Yosys

_LANES, _SEED = 128, 20240516


def finish(
    netlist: Netlist,
    top: str,
    spec: MacSpec,
    library: CellLibrary,
    yosys: Yosys,
    *,
    origin: str,
) -> Mapped:
    """Return a found netlist as a checked mapping; ``origin`` says in words how it was found.

    Raises :class:`SynthesisError` where Yosys finds a problem or the netlist computes other sums
    than the format's.
    """
    started = time.monotonic()
    script = "\n".join(
        [
            "read_liberty -lib library.lib",
            "read_verilog found.v",
            f"hierarchy -check -top {top}",
            "setundef -undriven -zero",
            "opt_clean -purge",
            *tie_lines(library),
            "opt_clean -purge",
            "check -mapped -assert",
            "write_verilog -noattr netlist.v",
            "write_json netlist.json",
            "tee -q -o stat.json stat -json -liberty library.lib",
            "",
        ]
    )
    folder = Path(tempfile.mkdtemp(prefix="nibblemac_"))
    try:
        found = Netlist(top=top, ports=netlist.ports, instances=netlist.instances)
        (folder / "found.v").write_text(to_verilog(found), encoding="utf-8")
        (folder / "library.lib").write_text(FlowLibrary.of(library).liberty, encoding="utf-8")
        (folder / "finish.ys").write_text(script, encoding="utf-8")
        yosys.run("finish.ys", folder)
        note = f"# {origin}\n{script}"
        mapped = read_result(folder, top, library, note, started, split=False)
    except OSError as error:
        raise SynthesisError(f"{top} could not be checked: {error}.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if mapped.graph is None:
        raise SynthesisError(f"{top} has no netlist.")
    check_sums(mapped.graph, library, spec)
    return mapped


def check_sums(netlist: Netlist, library: CellLibrary, spec: MacSpec) -> None:
    """Simulate a MAC on random codes; raises :class:`SynthesisError` where a sum is wrong."""
    import torch  # noqa: PLC0415 - slow to import

    from ..formats.operands import Operands  # noqa: PLC0415

    generator = torch.Generator().manual_seed(_SEED)

    def codes(bits: int) -> torch.Tensor:
        shape = (_LANES, spec.terms)
        return torch.randint(0, 1 << bits, shape, generator=generator).to(torch.uint8)

    operands = Operands(
        weight=codes(spec.weight.bits),
        activation=codes(spec.activation.bits),
        description="random codes",
    )
    try:
        simulate_mac(netlist, library, spec, operands)
    except VerificationError as error:
        raise SynthesisError(f"The search found a wrong netlist: {error}") from error
