"""What the page of MAC sizes was made with."""

from collections.abc import Sequence
from importlib.metadata import version

from ..sim.simulators import Simulator
from ..synth.effort import Effort
from ..synth.kernel import engine
from ..synth.sweep import Flow
from .chain import describe_machine


def size_provenance(
    flows: Sequence[Flow],
    efforts: Sequence[Effort],
    simulator: Simulator | None,
    missing: Sequence[str],
    command: str,
) -> list[tuple[str, str]]:
    """Return the facts by name; there must be a flow.

    ``missing`` names what has no figure. The machine is the one that wrote the page: seconds of
    results that were in the cache before may be another's.
    """
    facts = [("command", f"`{command}`"), ("nibblemac", version("nibblemac"))]
    facts += list(flows[0].yosys.tools.items())
    facts.append(("annealing", engine()))
    if simulator is not None:
        facts.append(("testbench", f"cocotb {version('cocotb')}, {simulator.name}"))
    for flow in flows:
        library, corner = flow.library, flow.library.corner
        files = ", ".join(f"{one.file} ({one.sha256[:12]})" for one in library.sources)
        facts.append(
            (
                f"library {library.name}",
                f"process {corner.process:g}, {corner.voltage:g} V, {corner.temperature:g} °C; "
                f"from {files}",
            )
        )
    facts += [(f"effort {effort.name}", effort.description) for effort in efforts]
    machine = ", ".join(f"{name} {text}" for name, text in describe_machine().items())
    facts.append(("machine (of this run)", machine))
    if missing:
        facts.append(("without a netlist", ", ".join(missing)))
    return facts
