"""Distilling Liberty: facts of a hand-written library, worked out by hand."""

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.errors import LibraryError, OutputError
from nibblemac.synth import cell_json
from nibblemac.synth.cells import CellKind, WireLoad
from nibblemac.synth.distill import distill, main, write_json
from nibblemac.synth.liberty import parse_liberty, read_liberty
from nibblemac.synth.liberty_writer import quiet_condition, to_liberty
from nibblemac.synth.library import load_liberty
from nibblemac.synth.tables import LOAD_FACTORS, SLEW_FACTORS, Table, choose_grid, sample

PATH = Path(__file__).parent / "data" / "tiny.lib"
TEXT = PATH.read_text()


def from_text(*texts, **options):
    files = [parse_liberty(text.encode(), f"{i}.lib") for i, text in enumerate(texts)]
    return distill(files, **options)


@pytest.fixture(scope="module")
def tiny():
    return distill([read_liberty(PATH)])


def test_what_is_kept_and_left_out(tiny):
    assert [cell.name for cell in tiny.cells] == [
        "BUF", "DFFE", "DFFQN", "DFFRS", "FA", "INV", "NAND2", "NAND2X2", "TIE", "XOR2",
    ]  # fmt: skip
    assert tiny.dropped == {
        "clock gate": 1,
        "dont_use attribute": 1,
        "latch": 1,
        "multi-voltage": 1,
        "no area": 1,
        "no logic": 1,
        "probe": 1,
        "scan flip-flop": 1,
        "tristate": 1,
        "unusual name": 1,
    }
    assert tiny.name == "tiny"
    assert tiny.notice == "Copyright 2000 Nobody\nLicensed for tests."
    assert [(s.file, s.sha256) for s in tiny.sources] == [
        ("tiny.lib", hashlib.sha256(PATH.read_bytes()).hexdigest())
    ]
    assert (tiny.corner.voltage, tiny.corner.temperature) == (2.0, 25.0)


def test_logic(tiny):
    areas = {"INV": 1.5, "NAND2": 2, "NAND2X2": 3, "XOR2": 4, "FA": 9, "TIE": 1, "DFFQN": 10}
    assert {name: tiny.cell(name).area for name in areas} == areas
    assert tiny.cell("FA").truth_table("CO") == 0b11101000
    assert tiny.cell("FA").truth_table("S") == 0b10010110
    assert tiny.cell("FA").is_multi_output
    assert not tiny.cell("NAND2").is_multi_output
    assert tiny.cell("XOR2").truth_table("Y") == 0b0110
    assert tiny.nand2.name == "NAND2"
    assert tiny.cell("TIE").kind is CellKind.TIE
    for value, pin in ((0, "L"), (1, "H")):
        cell, name = tiny.tie(value)
        assert (cell.name, name) == ("TIE", pin)
    with pytest.raises(LibraryError, match="no cell 'TBUF'"):
        tiny.cell("TBUF")


def test_flip_flops(tiny):
    assert [cell.name for cell in tiny.flip_flops] == ["DFFQN", "DFFRS"]
    # DFFQN with an inverter behind it has 11.5 µm², less than DFFRS's 14.
    assert tiny.best_flip_flop.name == "DFFQN"
    assert tiny.other_flip_flops == ("DFFRS",)
    inverse = tiny.cell("DFFQN").flip_flop
    # The file says IQN := !D and QN = IQN: the same as IQ := D and QN = !IQ.
    assert str(inverse.next_state) == "D"
    assert str(tiny.cell("DFFQN").output("QN").function) == "IQN"
    both = tiny.cell("DFFRS").flip_flop
    assert (str(both.clear), str(both.preset), both.both) == ("!RN", "!SN", "LX")
    assert str(tiny.cell("DFFE").flip_flop.next_state) == "(D*E)+(IQ*!E)"
    assert not tiny.cell("DFFE").is_plain_flip_flop()


def test_timing_and_energy(tiny):
    assert tiny.slews == (10, 100)
    assert tiny.loads == (1, 10, 100)
    (arc,) = tiny.cell("INV").output("Y").arcs
    assert (arc.pin, arc.kind, arc.sense) == ("A", "combinational", "negative_unate")
    assert arc.rise_delay == (10, 20, 120, 15, 25, 125)
    assert arc.fall_delay == (11, 21, 121, 16, 26, 126)
    assert arc.fall_transition == (10, 30, 300, 20, 40, 310)
    # pF·V² are pJ; rise 1 + 0.5 and fall 3 + 1.5 over the two supply pins, their mean 3 fJ.
    assert arc.energy == (3.0,) * 6
    assert tiny.cell("INV").output("Y").max_capacitance == 500
    (arc,) = tiny.cell("XOR2").output("Y").arcs
    assert (arc.sense, arc.rise_delay, arc.fall_delay) == ("non_unate", (60,) * 6, (70,) * 6)
    xor_a = tiny.cell("XOR2").input("A")
    assert (xor_a.quiet, xor_a.rise_energy, xor_a.fall_energy) == (True, (3, 6), ())
    # The constraint's clock slew is taken at the second slew, 100 ps; the worse edge counts.
    assert tiny.cell("DFFQN").input("D").setup == (20, 40)
    assert tiny.cell("DFFQN").input("CK").clock
    assert [tiny.cell(name).leakage for name in ("INV", "NAND2", "FA")] == [2, 2, 0]
    assert [pin.capacitance for pin in tiny.cell("NAND2X2").inputs] == [4.5, 5]


def test_is_timed(tiny):
    assert not tiny.is_timed, "most of its cells have no delays"
    bare = from_text(TEXT, dont_use=["BUF", "NAND2X2", "XOR2", "FA"])
    assert not bare.is_timed
    nand2 = 'function : "(A B)\'";'
    arc = ' timing () { related_pin : "A B"; cell_rise (scalar) { values ("0.05"); } }'
    timed = from_text(TEXT.replace(nand2, nand2 + arc), dont_use=["BUF", "NAND2X2", "XOR2", "FA"])
    assert timed.is_timed
    assert [a.pin for a in timed.cell("NAND2").output("Y").arcs] == ["A", "B"]


def test_wire_load(tiny):
    model = tiny.wire_load
    assert model == WireLoad(points=((1, 0.5), (3, 2.05)), slope=1.0, resistance=0.002)
    found = [model.capacitance(n) for n in (0, 1, 2, 3, 5)]
    assert found == pytest.approx([0, 0.5, 1.275, 2.05, 4.05])


def test_distilling_again_changes_nothing(tiny):
    again = from_text(to_liberty(tiny))
    assert again == tiny
    assert again.digest == tiny.digest
    assert to_liberty(again) == to_liberty(tiny)


def test_json_round_trip(tiny):
    again = cell_json.from_text(cell_json.to_text(tiny), "x.json")
    assert again == tiny
    assert again.digest == tiny.digest
    assert (again.sources, again.notice, again.dropped) == (
        tiny.sources,
        tiny.notice,
        tiny.dropped,
    )


def test_digest_depends_on_every_fact(tiny):
    text = to_liberty(tiny)
    changes = [("area : 9;", "area : 9.5;"), ('"10, 20, 120"', '"10, 20, 121"'), ("A^B", "A*B")]
    for old, new in changes:
        assert old in text
        other = from_text(text.replace(old, new, 1))
        assert other.digest != tiny.digest
        assert other != tiny


def test_order_of_files_and_cells_does_not_matter(tiny):
    start = TEXT.index("  cell (XOR2)")
    end = TEXT.index("  cell (FA)")
    head = TEXT[: TEXT.index("  cell (INV)")]
    moved = head + TEXT[start:end] + "}"
    rest = TEXT[:start] + TEXT[end:]
    assert from_text(moved, rest).digest == tiny.digest
    assert from_text(rest, moved).digest == tiny.digest


def test_user_patterns():
    library = from_text(TEXT, dont_use=["*X2", "XO?2", "FA"], name="mine")
    names = {cell.name for cell in library.cells}
    assert names == {"BUF", "DFFE", "DFFQN", "DFFRS", "INV", "NAND2", "TIE"}
    assert library.dropped["dont_use option"] == 3
    assert library.name == "mine"


@pytest.mark.parametrize(
    ("patterns", "missing"),
    [
        (["DFFQN", "DFFRS"], "a D flip-flop"),
        (["INV"], "an inverter"),
        (["NAND2*"], "a two-input NAND or NOR"),
        (["*"], "an inverter and a two-input NAND or NOR and a D flip-flop"),
    ],
)
def test_indispensable_cells(patterns, missing):
    with pytest.raises(LibraryError, match=f"0.lib lacks {missing}"):
        from_text(TEXT, dont_use=patterns)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("cell (XOR2)", "cell (INV)", r"line \d+: the cell 'INV' is also at 0.lib, line"),
        ("area : 1.5;", "area : big;", r"line \d+: area in cell \(INV\) is 'big'"),
        ('"!A"; max', '"!A+"; max', r"function of pin \(Y\): The function \"!A\+\""),
        ('"0.010, 0.020, 0.120"', '"0.010, x"', "values in cell_rise"),
        ('"0.010, 0.020, 0.120"', '"0.010, 0.02"', "has 5 values; its indices need 6"),
        ('"0.01, 0.1");\n    index_2', '"0.1, 0.01");\n    index_2', "does not ascend"),
        ('time_unit : "1ns"', 'time_unit : "1 hour"', "time_unit is '1 hour'"),
        ('time_unit : "1ns"', 'time_unit : "5e-324ns"', "time_unit is '5e-324ns'"),
        ('time_unit : "1ns"', 'time_unit : "1e20ns"', "time_unit is '1e20ns'"),
        ("(1, pf)", "(0, pf)", "capacitive_load_unit is '0pf'"),
        ("cell (INV)", "include_file (x.lib); cell (INV)", "includes another file"),
        ("fanout_length (3, 20.5)", "fanout_length (3)", "lacks its length"),
    ],
)
def test_malformed(old, new, message):
    assert TEXT.count(old) >= 1
    with pytest.raises(LibraryError, match=message):
        from_text(TEXT.replace(old, new, 1))


def test_corners_do_not_mix():
    other = TEXT.replace("nom_voltage : 2.0", "nom_voltage : 1.8")
    with pytest.raises(LibraryError, match=r"1\.lib is characterised at 1\.8 V"):
        from_text(TEXT, other)
    with pytest.raises(LibraryError, match="No Liberty file"):
        distill([])


def test_library_without_timing():
    import re

    bare = re.sub(r"(timing|internal_power) \(\) \{(?:[^{}]|\{[^{}]*\})*\}", "", TEXT)
    library = from_text(bare)
    assert (library.slews, library.loads) == ((), ())
    assert all(not pin.arcs for cell in library.cells for pin in cell.outputs)
    assert from_text(to_liberty(library)) == library


def test_units_do_not_matter(tiny):
    scaled = TEXT.replace('time_unit : "1ns"', 'time_unit : "1000ps"')
    scaled = scaled.replace("(1, pf)", "(1000, ff)").replace('"1uW"', '"1000nW"')
    assert from_text(scaled) == tiny


AXIS = [0.01, 0.023, 0.053, 0.122, 0.282, 0.65, 1.5]
NUMBER = st.integers(1, 1000)


@given(NUMBER, NUMBER, NUMBER, NUMBER)
def test_sampling_is_exact_for_bilinear_tables(a, b, c, d):
    def delay(slew, load):
        return a + b * slew + c * load + d * slew * load

    table = Table(
        tuple(AXIS), tuple(AXIS), tuple(tuple(delay(s, load) for load in AXIS) for s in AXIS)
    )
    slews, loads = (0.005, 0.06, 0.2, 2.0), (0.001, 0.1, 3.0)
    expected = [delay(slew, load) for slew in slews for load in loads]
    assert sample(table, slews, loads) == pytest.approx(expected, rel=1e-3)
    for slew in AXIS:
        for load in AXIS:
            assert table.at(slew, load) == delay(slew, load)


def test_choice_of_grid():
    rows = tuple(tuple(10 + 2 * s + 3 * load for load in AXIS) for s in AXIS)
    table = Table(tuple(AXIS), tuple(AXIS), rows)
    other = Table(tuple(AXIS[1:]), tuple(AXIS), rows[1:])
    # With a transition of t = 10 + 2t/10 + 3·4C the slew settles; C = 0.01.
    scaled = Table(
        tuple(AXIS),
        tuple(AXIS),
        tuple(tuple(10 + 0.2 * s + 3 * load for load in AXIS) for s in AXIS),
    )
    settled = (10 + 3 * 0.04) / 0.8
    slews, loads = choose_grid([table, other], 0.01, [scaled])
    assert slews == tuple(float(f"{settled * factor:.2g}") for factor in SLEW_FACTORS)
    assert loads == tuple(0.01 * factor for factor in LOAD_FACTORS)
    small = Table((1.0, 2.0), (1.0,), ((1.0,), (2.0,)))
    constant = Table((0.0,), (0.0,), ((5.0,),))
    assert choose_grid([small, constant], 0.01, [scaled]) == ((1.0, 2.0), (1.0,))
    assert choose_grid([constant], 0.01, []) == ((0.0,), (0.0,))
    assert choose_grid([], 0.01, []) == ((), ())


def test_quiet_condition(tiny):
    assert str(quiet_condition(tiny.cell("NAND2"), "A")) in ("!(1^!B)", "!B")
    table = quiet_condition(tiny.cell("NAND2"), "A").truth_table(("A", "B"))
    assert table == 0b0011  # the output stays where B is 0
    assert str(quiet_condition(tiny.cell("DFFRS"), "CK")) == "!(D^Q)"
    assert str(quiet_condition(tiny.cell("DFFQN"), "CK")) == "!(D^!QN)"


def cell(**changes):
    """Return an inverter's record with changes."""
    pins = {"inputs": [["A", 1, 0, 0, [], [], []]], "outputs": [["Y", "!A", None, []]]}
    return {"name": "A", "area": 1, "leakage": 0, **pins, **changes}


def test_a_cell_that_is_well(tiny):
    record = json.loads(cell_json.to_text(tiny))
    record["cells"] = [cell()]
    (found,) = cell_json.from_text(json.dumps(record), "x.json").cells
    assert found.truth_table("Y") == 0b01


MUTATIONS = [
    ("schema", "other"),
    ("cells", "no"),
    ("cells", [{}]),
    ("cells", [{"name": "A", "area": 1, "leakage": 0, "inputs": [["x"]], "outputs": []}]),
    ("cells", [{"name": "a b", "area": 1, "leakage": 0, "inputs": [], "outputs": []}]),
    ("cells", [{"name": "a", "area": -1, "leakage": 0, "inputs": [], "outputs": []}]),
    ("cells", [{"name": "a", "area": True, "leakage": 0, "inputs": [], "outputs": []}]),
    ("cells", [{"name": "a", "area": 1, "leakage": 1e400, "inputs": [], "outputs": []}]),
    ("cells", [cell(area=0)]),
    ("cells", [cell(outputs=[])]),
    ("cells", [cell(outputs=[["Y", "A*B", None, []]])]),
    ("cells", [cell(outputs=[["A", "!A", None, []]])]),
    ("cells", [cell(outputs=[["IQ", "!A", None, []]])]),
    ("cells", [cell(outputs=[["Y", "IQ", None, []]])]),
    ("cells", [cell(flip_flop=["CK", "A", None, None, ""])]),
    ("cells", [cell(outputs=[["Y", "!A", None, [["B", 0, 0, [], [], [], [], []]]]])]),
    ("cells", [cell(inputs=[[f"A{n}", 1, 0, 0, [], [], []] for n in range(13)])]),
    ("slews", [3, 2, 1]),
    ("loads", [1, 1]),
    ("corner", {}),
    ("name", 3),
    ("name", ""),
    ("name", "../x"),
    ("name", 'x") { } library ("y'),
    ("name", "x" * 65),
    ("loads", [1, 2]),
    ("dropped", {"latch": float("inf")}),
    ("dropped", {"latch": "1"}),
    ("notice", ["\ud800"]),
    ("wire_load", [1]),
]


@pytest.mark.parametrize(("key", "value"), MUTATIONS)
def test_malformed_json(tiny, key, value):
    record = json.loads(cell_json.to_text(tiny))
    record[key] = value
    with pytest.raises(LibraryError, match=r"x\.json"):
        cell_json.from_text(json.dumps(record), "x.json")
    del record[key]
    with pytest.raises(LibraryError, match=r"x\.json"):
        cell_json.from_text(json.dumps(record), "x.json")


def test_a_name_that_is_none_is_not_written(tiny):
    with pytest.raises(LibraryError, match="not a library's name"):
        cell_json.to_text(dataclasses.replace(tiny, name="a b"))


def test_not_json():
    for text in ("", "{", "[]", "3", '{"schema": 1}', "[" * 100_000):
        with pytest.raises(LibraryError, match=r"x\.json"):
            cell_json.from_text(text, "x.json")


def test_command(tmp_path, capsys):
    output = tmp_path / "out.json"
    assert main(["mine", str(output), str(PATH), "--dont-use", "FA"]) == 0
    assert "9 cells" in capsys.readouterr().out
    library = load_liberty([output])
    assert (library.name, len(library.cells)) == ("mine", 9)
    assert main(["mine", str(tmp_path / "no" / "out.json"), str(PATH)]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert main(["mine", str(output), str(tmp_path / "none.lib")]) == 1
    assert "does not exist" in capsys.readouterr().err
    assert load_liberty([output]) == library, "a failed run leaves the file as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    with pytest.raises(LibraryError, match="give it alone"):
        load_liberty([output, PATH])


def test_failed_write_leaves_nothing(tiny, tmp_path, monkeypatch):
    def broken(_path, _target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OutputError, match="No space left"):
        write_json(tiny, tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []
