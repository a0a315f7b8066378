"""Plain names: what Amaranth calls things, and what Verilog gets to see."""

import re

import pytest
from nibblemac.formats.lookup import all_formats, find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.rtl.architectures import serving
from nibblemac.rtl.names import plain_names
from nibblemac.rtl.verilog import to_rtlil, top_name

RAW = r"""attribute \generator "Amaranth"
attribute \top 1
module \mac

  wire width 4 \weight$3

  wire width 1 \clear$4

  wire width 8 \sum

  wire width 4 input 0  \weight

  wire width 1 input 1  \clear

  wire width 1 input 2  \clk

  wire width 8 output 3  signed \accumulator

  cell \mac.multiplier \multiplier
    connect \code \weight [3:0]
    connect \port$14$0 \sum [7:0]
  end

  cell \mac.accumulator$9 \accumulator$9
    connect \clear \clear [0]
    connect \clk \clk [0]
    connect \sum \sum [7:0]
    connect \accumulator \accumulator [7:0]
  end

connect \weight$3 \weight [3:0]
connect \clear$4 \clear [0]

end

attribute \generator "Amaranth"
module \mac.multiplier

  wire width 4 \weight

  wire width 8 \product

  wire width 4 input 0  \code

  wire width 8 output 1  \port$14$0

connect \weight \code [3:0]
connect \product \port$14$0 [7:0]
connect \port$14$0 { 4'0000 \code [3:0] }

end

attribute \generator "Amaranth"
module \mac.accumulator$9

  wire width 1 input 0  \clear

  wire width 1 input 1  \clk

  wire width 8 input 2  \sum

  attribute \init 8'00000000
  wire width 8 output 3  signed \accumulator

  wire width 8 $1

  cell $add $2
    parameter \A_SIGNED 0
    connect \A \accumulator [7:0]
    connect \B \sum [7:0]
    connect \Y $1
  end

  cell $dff $3
    parameter \CLK_POLARITY 1
    connect \D $1 [7:0]
    connect \CLK \clk [0]
    connect \Q \accumulator
  end

end
"""


@pytest.fixture(scope="module")
def plain() -> str:
    return plain_names(RAW)


def modules(text: str) -> dict[str, str]:
    return dict(re.findall(r"^module \\(\S+)\n(.*?)^end$", text, re.DOTALL | re.MULTILINE))


def test_modules_are_joined_by_underscores(plain):
    assert list(modules(plain)) == ["mac", "mac_multiplier", "mac_accumulator"]
    assert r"cell \mac_multiplier \multiplier" in plain


def test_instance_named_as_a_port_gets_a_number(plain):
    assert r"cell \mac_accumulator \accumulator_1" in plain


def test_port_takes_the_name_of_what_it_is_connected_to(plain):
    assert r"connect \weight \weight [3:0]" in modules(plain)["mac"]
    assert r"input 2  \weight" in modules(plain)["mac_multiplier"]
    assert r"{ 4'0000 \weight [3:0] }" in modules(plain)["mac_multiplier"]


def test_clock_is_the_first_port(plain):
    for name in ("mac", "mac_accumulator"):
        numbered = re.findall(r"(?:input|output) (\d+) .*?\\(\w+)$", modules(plain)[name], re.M)
        assert min(numbered, key=lambda port: int(port[0]))[1] == "clk"
        assert len({number for number, _name in numbered}) == len(numbered)
        assert all(int(number) > 0 for number, _name in numbered)


def test_initial_values_and_idle_aliases_are_gone(plain):
    assert r"\init" not in plain
    assert "clear$" not in plain
    assert "clear_1" not in plain


def test_cells_of_yosys_keep_their_ports_and_parameters(plain):
    accumulator = modules(plain)["mac_accumulator"]
    assert r"    parameter \A_SIGNED 0" in accumulator
    assert r"    connect \Q \accumulator" in accumulator


@pytest.mark.parametrize("number_format", all_formats(), ids=lambda f: f.name)
def test_all_public_names_are_plain_and_unique(number_format):
    for enable, registered in ((False, False), (True, True))[number_format.bits // 8 :]:
        spec = MacSpec(
            weight=number_format,
            activation=find_format("E2M1+SP"),
            enable=enable,
            registered_product=registered,
        )
        for architecture in serving(spec):
            text = to_rtlil(spec, architecture)
            top = top_name(spec, architecture)
            found = modules(text)
            assert next(iter(found)) == top
            assert {f"{top}_multiplier", f"{top}_accumulator"} < set(found)
            assert all(name == top or name.startswith(f"{top}_") for name in found)
            assert re.findall(r"\\(?![A-Za-z_]\w*(?:\s|$))\S+", text) == []
            for body in found.values():
                names = re.findall(r"^  (?:wire .*|cell \S+) (\\\S+)$", body, re.M)
                assert len(names) == len(set(names))
