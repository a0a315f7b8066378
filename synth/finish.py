"""The last step of a search: Yosys reads the netlist found, ties constants, checks and counts.

So a searched design's area comes from the same program as a mapped one's, and its sums are
simulated against the integer reference before it counts.
"""

import shutil
import time

from ..formats.errors import SynthesisError, VerificationError
from ..formats.mac import MacSpec
from ..formats.scratch import make_scratch
from .cells import CellLibrary
from .flow import FlowLibrary, Mapped, read_result, tie_lines
from .mac_simulation import simulate_mac
from .netlist import Netlist
from .netlist_verilog import to_verilog
from .yosys import Yosys

#: Longer sums have too many cycles to be simulated.
MAX_TERMS = 2**14
_LANES, _PRODUCTS, _SEED = 1024, 2**15, 20240516


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
    folder = make_scratch()
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
    """Simulate a MAC; raises :class:`SynthesisError` where a sum is wrong, or it is too long.

    The codes are random; a quarter of the dot products goes as far up or down as a sum can, two to
    the end and others up to a random place: random codes leave an accumulator's high bits alike.
    """
    import torch  # noqa: PLC0415 - slow to import

    from ..formats.operands import Operands  # noqa: PLC0415

    if spec.terms > MAX_TERMS:
        raise SynthesisError(
            f"A search checks dot products of at most {MAX_TERMS} terms by simulation; {spec.name} "
            f"has {spec.terms}."
        )
    generator = torch.Generator().manual_seed(_SEED)
    shape = max(8, min(_LANES, _PRODUCTS // spec.terms)), spec.terms
    weight, activation = (
        torch.randint(0, 1 << bits, shape, generator=generator).to(torch.uint8)
        for bits in (spec.weight.bits, spec.activation.bits)
    )
    count = len(spec.activation.grid)
    products = [w * a for w in spec.weight.grid for a in spec.activation.grid]
    extremes = [products.index(limit) for limit in (max(products), min(products))]
    for lane in range(shape[0] // 4):
        place = spec.terms
        if lane > 1:
            place = int(torch.randint(0, spec.terms + 1, (1,), generator=generator))
        pair = extremes[lane % 2]
        weight[lane, :place], activation[lane, :place] = pair // count, pair % count
    operands = Operands(weight=weight, activation=activation, description="random codes")
    try:
        simulate_mac(netlist, library, spec, operands)
    except VerificationError as error:
        raise SynthesisError(f"The search found a wrong netlist: {error}") from error
