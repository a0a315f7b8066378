"""What a MAC must compute, as Verilog made from the formats' records alone.

It shares no code with ``rtl/``: a table of products, or of levels where that were too large, and
plain accumulation. The harness around a design states the MAC's contract as one transition: behind
each clock edge the accumulator is what it was before, or zero with ``clear``, plus the product of
the codes at that edge. With ``enable`` low nothing moves; with a registered product its product
and ``clear`` are those of the edge before.

The transition is asserted from any state, reachable or not, so by induction every sum from the
first ``clear`` on is the specification's, however long.
"""

from enum import StrEnum

from ..formats.mac import MacSpec, signed_bits
from ..formats.record import Format

HARNESS = "nibblemac_proof"
#: A product table with more code bits than this takes the tools too long to read.
TABLE_BITS = 9


class ProductForm(StrEnum):
    """How the product is written down: all three say the same."""

    TABLE = "table"
    SIGNED = "signed"
    MAGNITUDE = "magnitude"


def product_forms(spec: MacSpec) -> tuple[ProductForm, ...]:
    """Return the forms that serve a MAC: the table, or for many code bits the two others."""
    if spec.weight.bits + spec.activation.bits <= TABLE_BITS:
        return (ProductForm.TABLE,)
    return ProductForm.SIGNED, ProductForm.MAGNITUDE


def harness_verilog(spec: MacSpec, top: str, form: ProductForm) -> str:
    """Return the module :data:`HARNESS`: the design ``top``, and its contract as an assertion."""
    width = spec.accumulator_bits
    low, high = (limit * (spec.terms - 1) for limit in spec.product_range)
    low, high = min(low, 0), max(high, 0)
    inputs = {"clear": 1, "weight": spec.weight.bits, "activation": spec.activation.bits}
    if spec.enable:
        inputs["enable"] = 1
    # With a register between, edges without enable are a proof of their own: nothing may move.
    free_enable = spec.enable and not spec.registered_product
    taken = "enable" if free_enable else "1'b1"
    lines = [
        f"module {HARNESS}(input clk, "
        + ", ".join(f"input [{bits - 1}:0] {name}" for name, bits in inputs.items())
        + ");",
        f"  (* keep *) wire signed [{width - 1}:0] accumulator;",
        f"  {top} design(.clk(clk), "
        + ", ".join(f".{name}({_driver(spec, name)})" for name in inputs)
        + ", .accumulator(accumulator));",
        *_product(spec, form),
    ]
    clear, product = "clear", "product"
    if spec.registered_product:
        lines += [
            f"  reg signed [{spec.product_bits - 1}:0] product_before; reg clear_before;",
            "  always @(posedge clk) begin product_before <= product; clear_before <= clear; end",
        ]
        clear, product = "clear_before", "product_before"
    lines += [
        f"  (* keep *) reg signed [{width - 1}:0] expected;",
        "  always @(posedge clk)",
        f"    if (!{taken}) expected <= accumulator;",
        f"    else if ({clear}) expected <= {product};",
        f"    else expected <= accumulator + {product};",
        # Before this many edges, the harness's own registers mean nothing.
        f"  reg [{spec.latency - 1}:0] begun = 0;",
        "  always @(posedge clk) begun <= {begun, 1'b1};",
        "  (* keep *) wire wrong = expected != accumulator;",
        # Where sums can be that leave room for one more product.
        f"  (* keep *) wire inside = accumulator >= {_literal(low, width)}"
        f" && accumulator <= {_literal(high, width)};",
        f"  always @* if (begun[{spec.latency - 1}]) assert (!wrong);",
        "endmodule",
        "",
    ]
    return "\n".join(lines)


def _driver(spec: MacSpec, name: str) -> str:
    return "1'b1" if name == "enable" and spec.registered_product else name


def _product(spec: MacSpec, form: ProductForm) -> list[str]:
    bits = spec.product_bits
    weight, activation = spec.weight, spec.activation
    if form is ProductForm.TABLE:
        products = [w * a for w in weight.grid for a in activation.grid]
        return [
            f"  reg signed [{bits - 1}:0] product;",
            *_case("{weight, activation}", [f"product = {_literal(p, bits)};" for p in products]),
        ]
    if form is ProductForm.SIGNED:
        lines = []
        for name, item in (("weight", weight), ("activation", activation)):
            width = signed_bits(min(item.grid), max(item.grid))
            lines.append(f"  reg signed [{width - 1}:0] {name}_level;")
            levels = [f"{name}_level = {_literal(level, width)};" for level in item.grid]
            lines += _case(name, levels)
        return [*lines, f"  wire signed [{bits - 1}:0] product = weight_level * activation_level;"]
    sizes = [_size(weight), _size(activation)]
    lines = []
    for name, item, width in zip(
        ("weight", "activation"), (weight, activation), sizes, strict=True
    ):
        lines.append(f"  reg [{width - 1}:0] {name}_size; reg {name}_sign;")
        lines += _case(
            name,
            [
                f"begin {name}_size = {width}'d{abs(level)}; {name}_sign = {int(level < 0)}; end"
                for level in item.grid
            ],
        )
    return [
        *lines,
        f"  wire [{sum(sizes) - 1}:0] size = weight_size * activation_size;",
        f"  wire signed [{bits - 1}:0] product = weight_sign ^ activation_sign ? -size : size;",
    ]


def _case(selector: str, statements: list[str]) -> list[str]:
    bits = (len(statements) - 1).bit_length()
    entries = [f"    {bits}'d{code}: {statement}" for code, statement in enumerate(statements)]
    return [f"  always @* case ({selector})", *entries, "  endcase"]


def _size(item: Format) -> int:
    return max(1, max(abs(level) for level in item.grid).bit_length())


def _literal(value: int, bits: int) -> str:
    # One bit more than the value needs: the most negative one has no positive counterpart.
    return f"{'-' if value < 0 else ''}{bits + 1}'sd{abs(value)}"
