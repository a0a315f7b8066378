import itertools

import pytest
from nibblemac.synth.adders import adder_techmap, find_full_adder
from nibblemac.synth.library import load_library
from nibblemac.synth.yosys import Yosys

SHAPES = [
    # A signed, A width, B signed, B width, Y width, constant carry-in trick
    (1, 17, 1, 9, 17, True),
    (1, 16, 1, 8, 16, False),
    (1, 8, 1, 8, 8, False),
    (0, 6, 0, 9, 10, False),
    (1, 5, 0, 5, 8, False),
    (1, 1, 1, 1, 1, False),
    (1, 3, 1, 12, 12, False),
    (0, 4, 0, 4, 5, True),
]


@pytest.mark.parametrize(
    ("name", "cell", "inverted"),
    [("sky130hd", "sky130_fd_sc_hd__fa_1", False), ("asap7", "FAx1_ASAP7_75t_R", True)],
)
def test_full_adder_is_found(name: str, cell: str, inverted: bool) -> None:
    adder = find_full_adder(load_library(name))
    assert adder is not None
    assert adder.cell.name == cell
    assert (adder.total_inverted, adder.carry_inverted) == (inverted, inverted)
    for values in itertools.product((0, 1), repeat=3):
        inputs = dict(zip(adder.cell.input_names, values, strict=True))
        total = adder.cell.output(adder.total).function.evaluate(inputs)
        carry = adder.cell.output(adder.carry).function.evaluate(inputs)
        assert int(total) ^ inverted == sum(values) % 2
        assert int(carry) ^ inverted == sum(values) // 2


def test_library_without_full_adder() -> None:
    assert find_full_adder(load_library("sg13g2")) is None


@pytest.mark.parametrize("library", ["sky130hd", "asap7", "sg13g2"])
def test_techmap_adds(library: str, yosys: Yosys, tmp_path) -> None:
    """Yosys proves the mapped additions equal to its own, for all inputs."""
    from nibblemac.synth.cell_models import cell_models

    found = load_library(library)
    adder = find_full_adder(found)
    (tmp_path / "adders.v").write_text(adder_techmap(found))
    (tmp_path / "cells.v").write_text(cell_models(found, [adder.cell.name] if adder else []))
    modules, proofs = [], []
    for index, (a_signed, a, b_signed, b, y, carry) in enumerate(SHAPES):
        sign_a, sign_b = ("signed" * a_signed, "signed" * b_signed)
        one = f"{{A[{a - 1}:1], 1'b1}}" if carry else "A"
        cast = "$signed" if a_signed else "$unsigned"
        modules.append(
            f"module m{index}(input {sign_a} [{a - 1}:0] A, input {sign_b} [{b - 1}:0] B, "
            f"output [{y - 1}:0] Y); assign Y = {cast}({one}) + B; endmodule"
        )
        proofs += [
            f"copy m{index} gold{index}",
            f"techmap -map adders.v m{index}",
            f"select -assert-none m{index}/t:$add",
            f"flatten m{index}",
            f"miter -equiv -flatten gold{index} m{index} miter{index}",
            f"sat -verify -prove trigger 0 miter{index}",
        ]
    (tmp_path / "m.v").write_text("\n".join(modules))
    script = ["read_verilog m.v", "read_verilog cells.v", "proc", "opt_clean", *proofs]
    (tmp_path / "prove.ys").write_text("\n".join(script) + "\n")
    yosys.run("prove.ys", tmp_path)
    assert (tmp_path / "yosys.log").read_text().count("SAT proof finished - no model found") == len(
        SHAPES
    )
    assert adder is None or adder.cell.name in (tmp_path / "yosys.log").read_text()
