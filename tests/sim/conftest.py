"""Hand-written MACs, right and wrong, and the simulators to run them on."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from nibblemac.formats.errors import ToolError
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.record import Format, Rounding
from nibblemac.sim.design import Design
from nibblemac.sim.simulators import Simulator, find_simulator


def _twos_complement(bits: int) -> Format:
    half = 2 ** (bits - 1)
    return Format(
        name=f"T{bits}",
        bits=bits,
        grid=(*range(half), *range(-half, 0)),
        unit=Fraction(1),
        rounding=Rounding.TIES_TO_EVEN,
    )


def _case(spec: MacSpec, wrong_pair: tuple[int, int] | None, negate: bool) -> str:
    bits = spec.weight.bits + spec.activation.bits
    rows = []
    for weight, w in enumerate(spec.weight.grid):
        for activation, a in enumerate(spec.activation.grid):
            value = -w * a if negate else w * a
            value += (weight, activation) == wrong_pair
            sign = "-" if value < 0 else ""
            code = weight << spec.activation.bits | activation
            rows.append(f"{bits}'d{code}: product = {sign}32'sd{abs(value)};")
    return "\n      ".join(rows)


def hand_written(spec: MacSpec, top: str, fault: str = "") -> str:
    """Return a MAC's Verilog; ``fault`` is one of the names that stand below."""
    width = spec.accumulator_bits - (fault == "narrow") + (fault == "wide")
    state = width - 4 if fault == "wraps" else width
    late = spec.registered_product != (fault == "latency")
    clear = {"clear": "1'b0", "no first": "clear && count != 0"}.get(fault, "clear")
    enabled = spec.enable and fault != "enable"
    gate = "if (enable)" if enabled else ""
    wrong_pair = (2**spec.weight.bits - 1, 3) if fault == "pair" else None
    case = _case(spec, wrong_pair, fault == "sign")
    enable_port = "input enable," if spec.enable else ""
    unknown = "1'bx" if fault == "unknown" else "state[0]"
    return f"""
module {top} (
    input clk, input [{spec.weight.bits - 1}:0] weight,
    input [{spec.activation.bits - 1}:0] activation, input clear, {enable_port}
    output signed [{width - 1}:0] accumulator);
  reg signed [31:0] product, product_q;
  reg clear_q;
  reg signed [{state - 1}:0] state;
  wire signed [31:0] addend = {"product_q" if late else "product"};
  wire restart = {"clear_q" if late else clear};
  wire signed [{width - 1}:0] extended = state;
  assign accumulator = {{extended[{width - 1}:1], {unknown}}};
  always @* case ({{weight, activation}})
      {case}
  endcase
  always @(posedge clk) {gate} begin
    product_q <= product;
    clear_q <= {clear};
    state <= (restart ? 0 : state) + addend;
  end
endmodule
"""


def make_design(spec: MacSpec, fault: str = "", *, level: str = "rtl", top: str = "mac") -> Design:
    return Design(
        spec=spec,
        architecture=fault or "right",
        level=level,
        top=top,
        sources=(hand_written(spec, top, fault),),
    )


@pytest.fixture(scope="session")
def t4() -> Format:
    return _twos_complement(4)


@pytest.fixture(scope="session")
def twos_complement() -> Callable[[int], Format]:
    return _twos_complement


@pytest.fixture(scope="session")
def design_of() -> Callable[..., Design]:
    return make_design


@pytest.fixture(scope="session", params=["icarus", "verilator"])
def simulator(request: pytest.FixtureRequest) -> Simulator:
    try:
        return find_simulator(request.param)
    except ToolError as error:
        pytest.skip(f"{request.param} is not usable here: {str(error)[:40]}…")


@pytest.fixture(scope="session")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # One for all tests: Verilator's runtime is then compiled once.
    return tmp_path_factory.mktemp("models")
