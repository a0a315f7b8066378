"""Which mutants are the original all over: the same next state and outputs, from any state.

All mutants in question stand beside the original in one module, with every register cut into an
input (its state, which they share) and an output (its next state). ABC's SAT sweeping merges what
it proves equal, and whose comparison with the original has become the constant 1 is equal for all
inputs and states, reachable or not, hence for ever. What is not merged may still be equivalent.
"""

import json
import shutil
import tempfile
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ..formats.errors import OutputError, SynthesisError
from ..formats.scratch import mark
from .modules import escaped
from .mutants import SELECT, MutatedDesign, YosysTool
from .proof_script import SWEEP

_CUT, _SWEEP = "cut.ys", "sweep.ys"
_BESIDE = "nibblemac_mutants"


def equal_mutants(
    design: MutatedDesign,
    numbers: Sequence[int],
    yosys: YosysTool,
    *,
    workdir: Path,
    timeout: float,
    cancel: threading.Event | None = None,
) -> frozenset[int]:
    """Return those of the mutants ``numbers`` that are proven equal to the design without a fault.

    Raises :class:`SynthesisError` where Yosys leaves no answer, and its own errors; its files are
    then left in ``workdir``.
    """
    if not numbers:
        return frozenset()
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"equal-{mark()}", dir=workdir)).absolute()
        (folder / "design.v").write_text(design.verilog, encoding="utf-8")
        (folder / "abc.script").write_text(SWEEP, encoding="utf-8")
        (folder / _CUT).write_text(_cut_script(design.top), encoding="utf-8")
        yosys.run(_CUT, folder, timeout=timeout, cancel=cancel)
        beside = _beside_verilog(design, numbers, _ports(folder / "cut.json", design.top))
        (folder / "beside.v").write_text(beside, encoding="utf-8")
        (folder / _SWEEP).write_text(_sweep_script(), encoding="utf-8")
        yosys.run(_SWEEP, folder, timeout=timeout, cancel=cancel)
        ports = _ports(folder / "swept.json", _BESIDE)
        equal = frozenset(number for number in numbers if ports[f"same{number}"]["bits"] == ["1"])
    except (FileNotFoundError, KeyError, TypeError, ValueError) as error:
        raise SynthesisError(
            f"Yosys left no answer on the mutants of {design.name} ({error!r})."
        ) from error
    except OSError as error:
        if isinstance(error, InterruptedError):
            raise
        raise OutputError(f"A proof's files cannot be written to {workdir}: {error}.") from error
    shutil.rmtree(folder, ignore_errors=True)
    return equal


def _cut_script(top: str) -> str:
    return "\n".join(
        [
            "read_verilog design.v",
            f"hierarchy -check -top {top}",
            *("proc -norom", "flatten -noscopeinfo", "setundef -undriven -anyseq", "opt -full"),
            *("async2sync", "dffunmap", "opt_clean", "splitnets", "opt_clean"),
            # Every register becomes ports: NAME.q is its state, NAME.d its next one.
            "expose -evert-dff t:$dff %x1:+[Q]",
            "opt_clean",
            "select -assert-none t:*dff* t:*DFF* t:*latch* t:*LATCH* %%",
            "write_json cut.json",
            "write_rtlil cut.il",
            "",
        ]
    )


def _sweep_script() -> str:
    return "\n".join(
        [
            "read_rtlil cut.il",
            "read_verilog beside.v",
            f"hierarchy -check -top {_BESIDE}",
            *("flatten -noscopeinfo", "opt -full", "techmap", "opt -full"),
            *("abc -g AND -script abc.script", "opt -full"),
            "write_json swept.json",
            "",
        ]
    )


def _beside_verilog(
    design: MutatedDesign, numbers: Collection[int], ports: Mapping[str, Mapping[str, object]]
) -> str:
    """Return a module with the original, the mutants, and an output ``sameN`` for each of them."""
    inputs = {name: _width(port) for name, port in ports.items() if port["direction"] == "input"}
    outputs = {name: _width(port) for name, port in ports.items() if port["direction"] == "output"}
    del inputs[SELECT]
    states = {name.removesuffix(".q") for name in inputs if name.endswith(".q")}
    if not states or any(f"{name}.d" not in outputs for name in states):
        raise ValueError(f"{design.top} has no registers that could be cut")
    header = [f"input [{width - 1}:0] {_name(name)}" for name, width in inputs.items()]
    header += [f"output same{number}" for number in numbers]
    lines = [f"module {_BESIDE} ({', '.join(header)});"]
    for number in (0, *numbers):
        pins = [f".{_name(name)}({_name(name)})" for name in inputs]
        pins.append(f".{SELECT}({design.select_bits}'d{number})")
        for name, width in outputs.items():
            wire = _name(f"{name}#{number}")
            lines.append(f"  wire [{width - 1}:0] {wire};")
            pins.append(f".{_name(name)}({wire})")
        lines.append(f"  {escaped(design.top)} mutant{number} ({', '.join(pins)});")
        if number:
            pairs = [f"{_name(f'{name}#{number}')} == {_name(f'{name}#0')}" for name in outputs]
            lines.append(f"  assign same{number} = {' && '.join(pairs)};")
    return "\n".join([*lines, "endmodule", ""])


def _name(name: str) -> str:
    return f"\\{name} "


def _width(port: Mapping[str, object]) -> int:
    bits = port["bits"]
    if not isinstance(bits, list):
        raise TypeError(f"its bits are {bits!r:.40}")
    return len(bits)


def _ports(path: Path, module: str) -> Mapping[str, Mapping[str, object]]:
    ports: Mapping[str, Mapping[str, object]] = json.loads(path.read_text(encoding="utf-8"))[
        "modules"
    ][module]["ports"]
    return ports
