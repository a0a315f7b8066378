"""The cocotb bench: streams every design's vectors at once and compares every accumulator value.

Runs inside the simulator: standard library and cocotb only. The job file (path in the environment
variable ``NIBBLEMAC_BENCH``) lists bundles, each with its lanes; a lane is one set of vectors and
the designs that it drives. One wide input and one wide output a bundle keep the traffic between
simulator and Python at two accesses a cycle, however many designs there are. As a whole response
is compared as one string, only a cycle with a difference is taken apart.
"""

import itertools
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from .vectors import CLEAR, ENABLE, Vectors

PERIOD_NS = 10


@dataclass(kw_only=True, slots=True)
class Verdict:
    """What the bench saw of one design; ``first`` has (step, value as bits) of early failures."""

    design: int
    steps: int = 0
    failures: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)


class Lane:
    """One set of vectors and the verdicts of the designs that it drives."""

    def __init__(self, vectors: Vectors, designs: list[int]) -> None:
        self.undefined = vectors.latency - 1
        self.length = len(vectors)
        self.bits = vectors.accumulator_bits
        self.verdicts = [Verdict(design=index) for index in designs]
        weight, activation = f"0{vectors.weight_bits}b", f"0{vectors.activation_bits}b"
        # Clear, enable, activation, weight: the order of the wrapper's slices.
        self.stimulus = [
            f"{c & CLEAR:d}{(c & ENABLE) >> 1:d}{a:{activation}}{w:{weight}}"
            for c, a, w in zip(vectors.control, vectors.activation, vectors.weight, strict=True)
        ]
        mask, accumulator = (1 << self.bits) - 1, f"0{self.bits}b"
        self.expected = [format(value & mask, accumulator) for value in vectors.expected]


class Bundle:
    """Lanes of similar length that share one stimulus and one response."""

    def __init__(self, dut: Any, index: int, lanes: list[Lane]) -> None:
        self.stimulus = getattr(dut, f"stimulus{index}")
        self.response = getattr(dut, f"response{index}")
        self.lanes = lanes
        self.length = max(lane.length for lane in lanes)

    def drive(self, step: int) -> None:
        """Set the inputs of ``step``; a lane that has ended holds its last step."""
        text = "".join(lane.stimulus[min(step, lane.length - 1)] for lane in self.lanes)
        self.stimulus.value = int(text, 2)

    def check(self, step: int) -> None:
        """Compare all outputs with the values expected after the clock edge of ``step``."""
        got = str(self.response.value)
        expected = "".join(
            lane.expected[min(step, lane.length - 1)] * len(lane.verdicts) for lane in self.lanes
        )
        if got != expected:
            self._blame(step, got)

    def _blame(self, step: int, got: str) -> None:
        position = 0
        for lane in self.lanes:
            for verdict in lane.verdicts:
                value = got[position : position + lane.bits]
                position += lane.bits
                if lane.undefined <= step < lane.length and value != lane.expected[step]:
                    verdict.failures += 1
                    if len(verdict.first) < job()["keep"]:
                        verdict.first.append((step, value))


def job() -> Any:
    """Return the job file's contents."""
    if not _JOB:
        _JOB.update(json.loads(Path(os.environ["NIBBLEMAC_BENCH"]).read_text()))
    return _JOB


_JOB: dict[str, Any] = {}


@cocotb.test()
async def bench(dut: Any) -> None:
    """Drive all bundles to their ends, write the verdicts, and fail if any design differs."""
    bundles = [
        Bundle(
            dut,
            index,
            [Lane(Vectors.read(Path(lane["vectors"])), lane["designs"]) for lane in lanes],
        )
        for index, lanes in enumerate(job()["bundles"])
    ]
    for bundle in bundles:
        bundle.drive(0)
    running = (1 << len(bundles)) - 1
    dut.run.value = running
    Clock(dut.clk, PERIOD_NS, unit="ns", impl="gpi").start(start_high=False)
    # The clock's first change, from X to 0, counts as a falling edge in some simulators.
    await RisingEdge(dut.clk)
    falling = FallingEdge(dut.clk)
    await falling
    # This edge has taken the first step over to the designs; each edge from here on comes after
    # the rising edge that sampled a step, and takes over the next one.
    active = list(enumerate(bundles))
    for step in itertools.count():
        for _, bundle in active:
            bundle.drive(min(step + 1, bundle.length - 1))
        await falling
        for index, bundle in list(active):
            bundle.check(step)
            if step == bundle.length - 1:
                active.remove((index, bundle))
                running &= ~(1 << index)
                dut.run.value = running
        if not active:
            break
    verdicts = []
    for bundle in bundles:
        for lane in bundle.lanes:
            for verdict in lane.verdicts:
                verdict.steps = lane.length - lane.undefined
                verdicts.append(verdict)
    report = {
        "cocotb": cocotb.__version__,
        "simulator": f"{cocotb.SIM_NAME} {cocotb.SIM_VERSION}",
        "verdicts": [
            {"design": v.design, "steps": v.steps, "failures": v.failures, "first": v.first}
            for v in verdicts
        ],
    }
    path = Path(job()["report"])
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(json.dumps(report))
    temporary.replace(path)
    wrong = sum(v.failures > 0 for v in verdicts)
    if wrong:
        raise AssertionError(f"{wrong} of {len(verdicts)} designs differ from the reference")
