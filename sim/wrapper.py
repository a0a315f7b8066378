"""One simulation of many designs: which share inputs, and the top module that holds them all."""

from collections.abc import Sequence
from dataclasses import dataclass

from .modules import escaped
from .vectors import Vectors

TOP = "nibblemac_bench"
_PUBLIC = "/* verilator public_flat_rw */"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """Vectors (by key) and the designs (by index) that they drive."""

    key: str
    designs: tuple[int, ...]


def plan_bundles(keys: Sequence[str], vectors: dict[str, Vectors]) -> tuple[tuple[Lane, ...], ...]:
    """Group the designs, given by the key of their vectors, into lanes and bundles.

    The lanes of a bundle differ in length by less than a factor of two, so that what has ended
    early costs little.
    """
    lanes = [
        Lane(key=key, designs=tuple(i for i, other in enumerate(keys) if other == key))
        for key in sorted(set(keys), key=lambda key: (len(vectors[key]), key))
    ]
    bundles: list[list[Lane]] = []
    for lane in lanes:
        if bundles and len(vectors[lane.key]) < 2 * len(vectors[bundles[-1][0].key]):
            bundles[-1].append(lane)
        else:
            bundles.append([lane])
    return tuple(tuple(bundle) for bundle in bundles)


def wrapper_verilog(
    bundles: Sequence[Sequence[Lane]],
    vectors: dict[str, Vectors],
    designs: Sequence[tuple[str, bool]],
) -> str:
    """Return the top module; ``designs`` has (module, whether it has ``enable``) by index.

    Bundle N is clocked while ``run[N]`` is set, so that what has ended costs nothing while longer
    vectors go on; ``run`` may change while ``clk`` is low. Its inputs come in ``stimulusN``: lane
    by lane, most significant first, clear, enable, activation and weight. Its accumulators leave
    in ``responseN`` in the order of the lanes and of their designs. Only these ports are visible
    to the bench, so that Verilator may optimise the rest. The falling edge takes the inputs over
    to the designs: Verilator evaluates what depends on a port at every event of any clock.
    """
    ports = [f"input wire clk {_PUBLIC}", f"input wire [{len(bundles) - 1}:0] run {_PUBLIC}"]
    body: list[str] = []
    for index, bundle in enumerate(bundles):
        inputs = sum(vectors[lane.key].stimulus_bits for lane in bundle)
        outputs = sum(vectors[lane.key].accumulator_bits * len(lane.designs) for lane in bundle)
        ports.append(f"input wire [{inputs - 1}:0] stimulus{index} {_PUBLIC}")
        ports.append(f"output wire [{outputs - 1}:0] response{index} {_PUBLIC}")
        body.append(f"    wire clk{index} = clk & run[{index}];")
        body.append(f"    reg [{inputs - 1}:0] held{index};")
        body.append(f"    always @(negedge clk{index}) held{index} <= stimulus{index};")
        for lane in bundle:
            top = vectors[lane.key]
            clear = inputs - 1
            activation = clear - 2
            weight = activation - top.activation_bits
            inputs -= top.stimulus_bits
            for design in lane.designs:
                module, has_enable = designs[design]
                outputs -= top.accumulator_bits
                high = outputs + top.accumulator_bits - 1
                pins = [
                    f".clk(clk{index})",
                    f".weight(held{index}[{weight}:{inputs}])",
                    f".activation(held{index}[{activation}:{weight + 1}])",
                    f".clear(held{index}[{clear}])",
                    *([f".enable(held{index}[{clear - 1}])"] if has_enable else []),
                    f".accumulator(response{index}[{high}:{outputs}])",
                ]
                body.append(f"    {escaped(module)} d{design} ({', '.join(pins)});")
    return "\n".join(
        [f"module {TOP} (", "    " + ",\n    ".join(ports), ");", *body, "endmodule", ""]
    )
