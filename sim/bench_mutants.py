"""The cocotb bench for mutants: streams the same vectors to each, up to its first difference.

Runs inside the simulator: standard library and cocotb only. The job file (path in the environment
variable ``NIBBLEMAC_BENCH``) has one design's vectors and the number of its mutants; mutant 0 is
the design without a fault and must pass. What is driven and compared, and when, is what
:mod:`.bench_mac` does. Before each mutant the design without a fault holds the vectors' last step,
which clears, so that no verdict depends on what the mutant before has left in the registers.
"""

import json
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from .bench_mac import PERIOD_NS, Lane
from .vectors import Vectors


@cocotb.test()
async def bench(dut: Any) -> None:
    """Drive every mutant, write the verdicts, and fail if the design without a fault differs."""
    job = json.loads(Path(os.environ["NIBBLEMAC_BENCH"]).read_text())
    vectors = Vectors.read(Path(job["vectors"]))
    lane = Lane(vectors, [0])
    stimulus, response = dut.stimulus, dut.response
    inputs = [int(text, 2) for text in lane.stimulus]
    inputs.append(inputs[-1])
    stimulus.value = inputs[-1]
    Clock(dut.clk, PERIOD_NS, unit="ns", impl="gpi").start(start_high=False)
    # The clock's first change, from X to 0, counts as a falling edge in some simulators.
    await RisingEdge(dut.clk)
    falling = FallingEdge(dut.clk)
    verdicts: list[tuple[int, int | None, str]] = []
    for mutant in range(job["mutants"] + 1):
        # The wrapper takes stimulus and selection over together, at the falling edge.
        select = mutant << vectors.stimulus_bits
        for _ in range(vectors.latency + 1):
            stimulus.value = inputs[-1]
            await falling
        stimulus.value = select | inputs[0]
        await falling
        verdict: tuple[int, int | None, str] = (mutant, None, "")
        for step, expected in enumerate(lane.expected):
            stimulus.value = select | inputs[step + 1]
            await falling
            got = str(response.value)
            if got != expected and step >= lane.undefined:
                verdict = (mutant, step, got)
                break
        verdicts.append(verdict)
        if mutant == 0 and verdict[1] is not None:
            break
    report = {
        "cocotb": cocotb.__version__,
        "steps": lane.length - lane.undefined,
        "verdicts": verdicts,
    }
    path = Path(job["report"])
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(json.dumps(report))
    temporary.replace(path)
    if verdicts[0][1] is not None:
        raise AssertionError("the design without a fault differs from the reference")
