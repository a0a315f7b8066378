"""The Yosys scripts of a proof: a design in its harness, made small, given to the SAT solver."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .specification import HARNESS, ProductForm

HARNESS_FILE, DESIGN_FILE, ABC_FILE, TRACE_FILE = (
    "harness.v",
    "design.v",
    "abc.script",
    "trace.json",
)
REGISTERS_FILE, STATE, NEXT = "registers.json", "register_state", "register_next"
#: Written behind the solver's answer, so it is there only where the answer was yes.
PROVEN_FILE = "proven.txt"
#: SAT sweeping: merges nodes of design and specification that ABC proves equal.
SWEEP = "strash; ifraig; scleanup; strash; fraig; strash\n"
INPUTS = ("weight", "activation", "clear", "enable")
SHOWN = ("weight", "activation", "clear", "accumulator", "expected")


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One way to go about a proof: a form of the product, with or without sweeping by ABC."""

    form: ProductForm
    sweep: bool


def load_lines(*, sweep: bool, top: str = HARNESS, harness: bool = True) -> list[str]:
    """Return the passes that turn the files into one module of gates and flip-flops.

    Undefined and undriven values become free, and initial values of the design are dropped: what
    is proven holds whatever they are.
    """
    lines = [
        f"read_verilog {DESIGN_FILE}",
        "proc -norom",
        "setattr -unset init w:*",
        "setattr -mod -unset keep_hierarchy *",
    ]
    if harness:
        lines += [f"read_verilog -formal {HARNESS_FILE}"]
    lines += [
        f"hierarchy -check -top {top}",
        "proc -norom",
        "flatten -noscopeinfo",
        "setundef -undriven -anyseq",
        "opt -full -nodffe -nosdff",
        "wreduce",
        "opt_clean",
        "async2sync",
        "dffunmap",
        "opt_clean",
        "techmap",
        "opt -full -nodffe -nosdff",
    ]
    if sweep:
        lines += [f"abc -g AND -script {ABC_FILE}", "opt -full -nodffe -nosdff"]
    return lines


def proof_script(attempt: Attempt, *, latency: int, seconds: int) -> str:
    """Return the script that proves the contract's transition from any state."""
    return "\n".join(
        [
            *_assertion_lines(attempt),
            f"sat -verify -tempinduct -prove-asserts -maxsteps {latency + 1} -timeout {seconds} "
            f"{HARNESS}",
            f"tee -q -o {PROVEN_FILE} log proven",
            "",
        ]
    )


def search_script(
    attempt: Attempt, where: Mapping[str, int], *, latency: int, enable: bool, seconds: int
) -> str:
    """Return the script that looks for a wrong transition; its trace is :data:`TRACE_FILE`.

    ``where`` gives values at the edge at which the accumulator is about to go wrong.
    """
    sets = " ".join(
        f"-set-at {1 if name in INPUTS else latency} {name} {value}"
        for name, value in where.items()
    )
    shown = " ".join(f"-show {name}" for name in ([*SHOWN, "enable"] if enable else SHOWN))
    return "\n".join(
        [
            *_assertion_lines(attempt),
            f"sat -seq {latency + 1} -prove-asserts -prove-skip {latency} {sets} {shown} "
            f"-timeout {seconds} -dump_json {TRACE_FILE} {HARNESS}",
            "",
        ]
    )


def _assertion_lines(attempt: Attempt) -> list[str]:
    return [
        *load_lines(sweep=attempt.sweep),
        "chformal -lower",
        "opt_clean",
        f"select -assert-count 1 {HARNESS}/t:$assert",
    ]


def replay_script(steps: Sequence[dict[str, int]], *, latency: int, waves: str) -> str:
    """Return the script that runs given inputs, with a wrong sum behind one of them.

    Trace and waveform ``waves`` are written if there is such a run; the first step starts from
    whatever state the solver picks, and values that the design leaves undefined are its choice too.
    """
    sets = [
        f"-set-at {number} {name} {value}"
        for number, step in enumerate(steps, 1)
        for name, value in step.items()
    ]
    shown = " ".join(f"-show {name}" for name in (*steps[0], "accumulator", "expected"))
    count = len(steps) + 1
    return "\n".join(
        [
            *load_lines(sweep=False),
            "chformal -lower",
            "opt_clean",
            f"sat -seq {count} -prove-asserts -prove-skip {latency} {' '.join(sets)} {shown} "
            f"-dump_json {TRACE_FILE} -dump_vcd {waves} {HARNESS}",
            "",
        ]
    )


def registers_script(top: str) -> str:
    """Return the script that writes a design, flat and of gates, to :data:`REGISTERS_FILE`."""
    lines = [*load_lines(sweep=False, top=top, harness=False), "splitnets", "opt_clean"]
    return "\n".join([*lines, f"write_json {REGISTERS_FILE}", ""])


def hold_script(top: str, seconds: int) -> str:
    """Return the script that proves: with ``enable`` low, every register's input is its output.

    :data:`REGISTERS_FILE` has the registers' inputs and outputs as ports.
    """
    return "\n".join(
        [
            f"read_json {REGISTERS_FILE}",
            f"sat -verify -set enable 0 -prove {NEXT} {STATE} -timeout {seconds} {top}",
            f"tee -q -o {PROVEN_FILE} log proven",
            "",
        ]
    )


def evert_registers(text: str, top: str) -> str:
    """Return a design of Yosys's JSON with its flip-flops taken out, between two ports.

    :data:`STATE` is what they hold, :data:`NEXT` what they will. Raises ValueError, KeyError or
    TypeError where the text is no such design, or has state of another kind.
    """
    design = json.loads(text)
    module = design["modules"][top]
    cells = module["cells"]
    registers = {name: cell for name, cell in cells.items() if cell["type"] == "$_DFF_P_"}
    others = {cell["type"] for cell in cells.values() if "DFF" in cell["type"]} - {"$_DFF_P_"}
    if others or not registers:
        raise ValueError(f"{top} has registers of the kinds {sorted(others)}")
    for port, pin, direction in ((STATE, "Q", "input"), (NEXT, "D", "output")):
        bits = [cell["connections"][pin][0] for cell in registers.values()]
        module["ports"][port] = {"direction": direction, "bits": bits}
    module["cells"] = {name: cell for name, cell in cells.items() if name not in registers}
    return json.dumps(design)
