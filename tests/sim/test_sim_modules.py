import pytest
from nibblemac.formats.errors import UsageError
from nibblemac.sim.modules import (
    Port,
    assemble,
    defined_modules,
    module_ports,
    rename_modules,
    used_names,
)

NETLIST = """\
// module commented (a);
/* nand2 also_commented (a); */
(* keep = "nand2 quoted (a)" *)
module mac(clk, \\odd.name , y);
  input clk; input [3:0] \\odd.name ;
  output [1:0] y; // nand2 trailing
  wire nand2 = clk;
  nand2 _0_ ( .A(clk), .nand2(nand2), .Y(y[0]) );
  nand2 /* gap */ nand2_b (.A(clk), .nand2(1'b0), .Y(y[1]));
  \\mac.deco  #(.W(4)) inner (.a(\\odd.name ));
  initial $display("nand2 x (a)");
endmodule
module \\mac.deco (input [3:0] a); parameter W = 1; endmodule
"""
CELLS = "module nand2(input A, nand2, output Y); assign Y = ~(A & nand2); endmodule\n"


def test_definitions_and_uses_are_found_among_comments_strings_and_attributes():
    assert defined_modules(NETLIST) == ("mac", "mac.deco")
    assert {"nand2", "mac.deco"} <= used_names(NETLIST)
    assert not {"_0_", "commented", "quoted", "odd.name", "y"} & used_names(NETLIST)


def test_renaming_touches_types_of_instances_and_nothing_else():
    renamed = rename_modules(NETLIST, {"mac": "P_mac", "nand2": "P_nand2", "mac.deco": "P_m.d"})
    expected = (
        NETLIST.replace("module mac(", "module P_mac(")
        .replace("  nand2 _0_", "  P_nand2 _0_")
        .replace("  nand2 /*", "  P_nand2 /*")
        .replace("  \\mac.deco  #", "  \\P_m.d   #")
        .replace("module \\mac.deco (", "module \\P_m.d  (")
    )
    assert renamed == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NETLIST, {"clk": ("input", 1), "odd.name": ("input", 4), "y": ("output", 2)}),
        (
            "module mac #(parameter N = 4) (input wire clk, input [3:0] w, a, clear,\n"
            " output reg signed [15:0] acc = 0, inout [0:7] z); function f; input [2:0] w;"
            " endfunction endmodule module other(input later); endmodule",
            {
                "clk": ("input", 1),
                "w": ("input", 4),
                "a": ("input", 4),
                "clear": ("input", 4),
                "acc": ("output", 16),
                "z": ("inout", 8),
            },
        ),
        (
            "module mac(input [N-1:0] w, input clk); endmodule",
            {"w": ("input", None), "clk": ("input", 1)},
        ),
    ],
)
def test_ports_are_read_from_both_styles_of_declaration(text: str, expected: dict):
    ports = {name: Port(direction=d, width=w) for name, (d, w) in expected.items()}
    assert module_ports(text, "mac") == ports


def test_equal_cells_are_shared_and_equal_names_kept_apart():
    rtl = "module mac(input clk); endmodule\n"
    other_cells = CELLS.replace("~", "")
    assembly = assemble(
        [
            ("mac", [NETLIST, CELLS]),
            ("mac", [rtl]),
            ("mac", [NETLIST.replace("_0_", "_9_"), CELLS]),
            ("mac", [NETLIST, other_cells]),
            ("mac", [rtl]),
        ]
    )
    tops = assembly.tops
    assert tops[1] == tops[4]
    assert len(set(tops)) == 4
    assert all(top.endswith("_mac") for top in tops)
    # Three netlists, two cell libraries, one RTL.
    assert len(assembly.units) == 6
    everything = "".join(assembly.units.values())
    names = defined_modules(everything)
    assert len(names) == len(set(names)) == 3 * 2 + 2 + 1
    instances = [name for name in used_names(everything) if name.endswith("_nand2")]
    assert set(instances) <= set(names)
    assert len(instances) == 2


def test_a_design_without_its_top_or_with_a_double_is_refused():
    with pytest.raises(UsageError, match="do not define a module of that name"):
        assemble([("mca", [NETLIST, CELLS])])
    with pytest.raises(UsageError, match="define the module 'nand2' twice"):
        assemble([("mac", [NETLIST, CELLS, CELLS + "\n"])])
