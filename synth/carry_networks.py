"""Carry networks for additions: how a sum's carries are computed, from small and slow to fast.

Each is a Yosys techmap for ``$add`` that computes from every bit's ``g`` (it generates a carry) and
``p`` (it propagates one) the carry out of every bit. ``ripple`` has depth n for n bits;
the others are parallel-prefix networks: Sklansky's has the least depth and large fan-outs,
Brent and Kung's the fewest nodes and almost twice the depth, Kogge and Stone's the least depth and
fan-out with the most nodes, and ``carry-increment`` (groups that ripple, with one more level that
adds the carry into each) lies between ripple and prefix.
"""

from types import MappingProxyType

from ..formats.errors import UsageError

_HEAD = """\
(* techmap_celltype = "$add" *)
module nibblemac_fast_add (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  localparam IS_SIGNED = A_SIGNED && B_SIGNED;
  localparam WIDTH = Y_WIDTH;
  (* force_downto *) input [A_WIDTH-1:0] A;
  (* force_downto *) input [B_WIDTH-1:0] B;
  (* force_downto *) output [Y_WIDTH-1:0] Y;
  (* force_downto *) wire [Y_WIDTH-1:0] a, b;
  \\$pos #(.A_SIGNED(IS_SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(Y_WIDTH)) pos_a (.A(A), .Y(a));
  \\$pos #(.A_SIGNED(IS_SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)) pos_b (.A(B), .Y(b));
  integer i, j;
  (* force_downto *) reg [WIDTH-1:0] p, g;
  wire [1023:0] _TECHMAP_DO_ = "proc; opt -fast";
  always @* begin
    p = a ^ b;
    g = a & b;
"""
_TAIL = """\
  end
  assign Y = a ^ b ^ (g << 1);
endmodule
"""
_COMBINE = "begin g[{i}] = g[{i}] | (p[{i}] & g[{j}]); p[{i}] = p[{i}] & p[{j}]; end"


def _combine(i: str, j: str) -> str:
    return _COMBINE.format(i=i, j=j)


# In each level the loop runs downwards, so that a node still reads the level before.
_BODIES = {
    "ripple": f"    for (j = 1; j < WIDTH; j = j + 1) {_combine('j', 'j-1')}\n",
    "carry-increment": (
        "    for (j = 1; j < WIDTH; j = j + 1)\n"
        f"      if (j % 4 != 0) {_combine('j', 'j-1')}\n"
        "    for (i = 4; i < WIDTH; i = i + 4)\n"
        "      for (j = i; j < i + 4 && j < WIDTH; j = j + 1)\n"
        f"        {_combine('j', 'i-1')}\n"
    ),
    "brent-kung": (
        "    for (i = 1; 2**i <= WIDTH; i = i + 1)\n"
        "      for (j = 2**i - 1; j < WIDTH; j = j + 2**i)\n"
        f"        {_combine('j', 'j - 2**(i-1)')}\n"
        "    for (i = $clog2(WIDTH); i > 0; i = i - 1)\n"
        "      for (j = 2**i + 2**(i-1) - 1; j < WIDTH; j = j + 2**i)\n"
        f"        {_combine('j', 'j - 2**(i-1)')}\n"
    ),
    "sklansky": (
        "    for (i = 0; i < $clog2(WIDTH); i = i + 1)\n"
        "      for (j = WIDTH - 1; j >= 0; j = j - 1)\n"
        f"        if (j & 2**i) {_combine('j', '(j & ~(2**i - 1)) - 1')}\n"
    ),
    "kogge-stone": (
        "    for (i = 0; i < $clog2(WIDTH); i = i + 1)\n"
        "      for (j = WIDTH - 1; j >= 2**i; j = j - 1)\n"
        f"        {_combine('j', 'j - 2**i')}\n"
    ),
}

#: The networks' names, slowest first.
CARRY_NETWORKS = tuple(_BODIES)
_TEXTS = MappingProxyType({name: _HEAD + body + _TAIL for name, body in _BODIES.items()})


def carry_techmap(name: str) -> str:
    """Return a network's techmap file in Verilog; raises :class:`UsageError` for another name."""
    if name not in _TEXTS:
        raise UsageError(
            f"There is no carry network {name[:60]!r}; there are {', '.join(CARRY_NETWORKS)}."
        )
    return _TEXTS[name]
