"""Additions as a row of the library's full adders, with a toggle chain on top.

Below the shorter operand's sign bit each bit is a full adder. From there on the shorter operand
is its sign ``s`` repeated, and only a carry or a borrow runs: bit ``i`` toggles where
``t = s ^ carry`` is set, and ``t`` runs on while ``s ^ bit`` is set, which is smaller than a full
adder where the library's are large, and open to logic minimisation.

ABC uses no cell with two outputs, so full adders have to be placed before it runs. Libraries
without one (sg13g2) get the same row as plain logic.
"""

from dataclasses import dataclass

from .cells import Cell, CellKind, CellLibrary

SUM3, CARRY3 = 0b10010110, 0b11101000
_ALL3 = 0b11111111


@dataclass(frozen=True, kw_only=True, slots=True)
class FullAdder:
    """A library's full adder: its output pins, and whether each is complemented."""

    cell: Cell
    total: str
    total_inverted: bool
    carry: str
    carry_inverted: bool


def find_full_adder(library: CellLibrary) -> FullAdder | None:
    """Return the smallest cell with a sum and a carry of three inputs, or None."""
    found = []
    for cell in library.of_kind(CellKind.COMBINATIONAL):
        if len(cell.inputs) != 3 or len(cell.outputs) != 2:
            continue
        tables = {pin.name: cell.truth_table(pin.name) for pin in cell.outputs}
        totals = [name for name, table in tables.items() if table in (SUM3, SUM3 ^ _ALL3)]
        carries = [name for name, table in tables.items() if table in (CARRY3, CARRY3 ^ _ALL3)]
        if totals and carries:
            adder = FullAdder(
                cell=cell,
                total=totals[0],
                total_inverted=tables[totals[0]] != SUM3,
                carry=carries[0],
                carry_inverted=tables[carries[0]] != CARRY3,
            )
            found.append((cell.area, cell.name, adder))
    return min(found)[2] if found else None


def _full_adder_text(adder: FullAdder | None) -> str:
    if adder is None:
        return "\n".join(
            [
                "      wire half = long[i] ^ short[i];",
                "      assign Y[i] = half ^ carry[i];",
                "      assign carry[i+1] = half ? carry[i] : short[i];",
            ]
        )
    pins = [
        f".{pin.name}({value})"
        for pin, value in zip(adder.cell.inputs, ("long[i]", "short[i]", "carry[i]"), strict=True)
    ]
    pins += [f".{adder.total}(total)", f".{adder.carry}(next)"]
    return "\n".join(
        [
            "      wire total, next;",
            f"      {adder.cell.name} full_adder ({', '.join(pins)});",
            f"      assign Y[i] = {'~' * adder.total_inverted}total;",
            f"      assign carry[i+1] = {'~' * adder.carry_inverted}next;",
        ]
    )


def adder_techmap(library: CellLibrary) -> str:
    """Return a Yosys techmap file in Verilog that maps ``$add`` as this module says.

    A constant 1 in bit 0 of the first operand (the accumulator's way to add a carry-in) takes no
    cell.
    """
    return f"""\
(* techmap_celltype = "$add" *)
module nibblemac_add (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  parameter _TECHMAP_CONSTMSK_A_ = 0;
  parameter _TECHMAP_CONSTVAL_A_ = 0;
  (* force_downto *) input [A_WIDTH-1:0] A;
  (* force_downto *) input [B_WIDTH-1:0] B;
  (* force_downto *) output [Y_WIDTH-1:0] Y;
  localparam IS_SIGNED = A_SIGNED && B_SIGNED;
  localparam SHORT_WIDTH = A_WIDTH < B_WIDTH ? A_WIDTH : B_WIDTH;
  wire [Y_WIDTH-1:0] a, b;
  \\$pos #(.A_SIGNED(IS_SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(Y_WIDTH)) pos_a (.A(A), .Y(a));
  \\$pos #(.A_SIGNED(IS_SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)) pos_b (.A(B), .Y(b));
  wire [Y_WIDTH-1:0] long = B_WIDTH >= A_WIDTH ? b : a;
  wire [Y_WIDTH-1:0] short = B_WIDTH >= A_WIDTH ? a : b;
  wire [Y_WIDTH:0] carry;
  genvar i;
  generate for (i = 0; i < Y_WIDTH; i = i + 1) begin : bits
    if (i == 0 && _TECHMAP_CONSTMSK_A_[0] && _TECHMAP_CONSTVAL_A_[0]) begin
      assign carry[1] = B[0];
      assign Y[0] = ~B[0];
    end else if (i == 0) begin
      assign carry[1] = A[0] & B[0];
      assign Y[0] = A[0] ^ B[0];
    end else if (i < SHORT_WIDTH && i < Y_WIDTH - 1) begin
{_full_adder_text(find_full_adder(library))}
    end else begin
      wire toggle = short[i] ^ carry[i];
      assign Y[i] = long[i] ^ toggle;
      assign carry[i+1] = toggle ? long[i] : carry[i];
    end
  end endgenerate
endmodule
"""
