"""The Liberty reader: what it reads, and that everything else is a LibraryError."""

import gzip
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibblemac.formats.errors import LibraryError
from nibblemac.synth import cell_json, liberty
from nibblemac.synth.distill import distill
from nibblemac.synth.liberty import parse_liberty, read_liberty
from nibblemac.synth.liberty_writer import to_liberty

TINY = (Path(__file__).parent / "data" / "tiny.lib").read_bytes()


def cell(document, name):
    return next(c for c in document.library.children("cell") if c.args == (name,))


def test_reads_tiny():
    document = parse_liberty(TINY, "tiny.lib")
    library = document.library
    assert library.args == ("tiny",)
    assert library.line == TINY.decode().split("\n").index("library (tiny) {") + 1
    assert library.text("voltage_unit") == "1V"
    assert library.complex("capacitive_load_unit") == ("1", "pf")
    assert library.number("nom_temperature") == 25
    assert library.number("no_such") is None
    nand2 = cell(document, "NAND2")
    assert nand2.number("area") == 2
    pin = next(nand2.children("pin"))
    assert pin.args == ("A", "B")
    assert pin.text("direction") == "input"
    assert pin.number("capacitance") == 0.003
    timing = next(
        next(p for p in cell(document, "INV").groups if p.args == ("Y",)).children("timing")
    )
    rise = next(timing.children("cell_rise"))
    assert rise.args == ("grid",)
    assert rise.numbers("values") == ((0.010, 0.020, 0.120), (0.015, 0.025, 0.125))


@pytest.mark.parametrize(
    ("body", "key", "value"),
    [
        ("a : b ;", "a", "b"),
        ("a : b", "a", "b"),
        ("a:b;", "a", "b"),
        ('a : "b c";', "a", "b c"),
        ('a : "b, \\\n  c";', "a", "b, c"),
        ('a : "say \\"b\\"";', "a", 'say "b"'),
        ('a : "no /* comment */";', "a", "no /* comment */"),
        ("a : b /* comment */ ;", "a", "b"),
        ("a : b // comment\n", "a", "b"),
        ("a : \\\n b;", "a", "b"),
        ("a : VDD + 0.5;", "a", "VDD + 0.5"),
        ("a : 1/2;", "a", "1/2"),
        ("a : b\r\n c : d\r\n", "c", "d"),
        ("a : b } x () { c : d;", "", ""),
        ("a : ;", "a", ""),
        ("a : b;; c : d;", "c", "d"),
    ],
)
def test_simple_attributes(body, key, value):
    library = parse_liberty(f"library (l) {{ {body} }}".encode(), "x.lib").library if key else None
    if library is None:
        with pytest.raises(LibraryError, match="after the end of the library"):
            parse_liberty(f"library (l) {{ {body} }}".encode(), "x.lib")
    else:
        assert library.text(key) == value


@pytest.mark.parametrize(
    ("raw", "arguments"),
    [
        ("1, pf", ("1", "pf")),
        ('1.0, "pf"', ("1.0", "pf")),
        ('"0, 1", \\\n  "2, 3"', ("0, 1", "2, 3")),
        ("", ()),
        ('"a(b)", c', ("a(b)", "c")),
        ("a /* b, c */, d", ("a", "d")),
        ('"a;b" "c{d}"', ("a;b", "c{d}")),
    ],
)
def test_complex_attributes(raw, arguments):
    library = parse_liberty(f"library (l) {{ c ({raw}); }}".encode(), "x.lib").library
    assert library.complex("c") == arguments


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.lib is empty"),
        (" \n ", "x.lib is empty"),
        ("/* nothing */ // here\n", "no library group"),
        ("module m(); endmodule", "line 1: this is not a Liberty file"),
        ("\n\n<html>", "line 3: this is not a Liberty file"),
        ("cell (a) { }", "not a Liberty file"),
        ("library : a;", "not a Liberty file"),
        ("}", "not a Liberty file"),
        ("library (l) { a : b; ", r"ends inside the group library \(l\) that opens at line 1"),
        ("library (l) {\n cell (c) {\n area", r"inside the group cell \(c\) that opens at line 2"),
        ('library (l) {\n cell (c) {\n x : "abc', r"cell \(c\) that opens at line 2"),
        ('library (l) {\n cell (c) {\n x ("1, 2", "3', r"cell \(c\) that opens at line 2"),
        ("library (l) {\n cell (c) {\n x (a, b", r"cell \(c\) that opens at line 2"),
        ("library (l) {\n cell (c) {\n /* x", r"cell \(c\) that opens at line 2"),
        ("library (l) { } }", "line 1: '}' stands after the end"),
        ("library (l) { }\nlibrary (m) { }", "line 2: 'library"),
        ("library (l) {\n = 3; }", r"line 2: '= 3; }' in library \(l\)"),
        ("library (l) {\n a = 3; }", "neither an attribute nor a group"),
        ("library (l) {\n a (b { c : d; } }", "neither an attribute nor a group"),
        ("library (l) { " + "g () { " * 40, "nested deeper"),
        ("library (l) { " + "g () { " * 200_000, "nested deeper"),
        ("library (l) { a : b\x00; }", "the byte 0x00"),
    ],
)
def test_errors(text, message):
    with pytest.raises(LibraryError, match=message):
        parse_liberty(text.encode(), "x.lib")


def test_encodings():
    assert parse_liberty('library (l) { a : "©µ"; }'.encode(), "x").library.text("a") == "©µ"
    assert parse_liberty('library (l) { a : "©"; }'.encode("latin-1"), "x").library.text("a") == "©"
    assert parse_liberty(b"\xef\xbb\xbflibrary (l) { }", "x").library.args == ("l",)
    with pytest.raises(LibraryError, match="another encoding"):
        parse_liberty("library (l) { }".encode("utf-16"), "x")


def test_numbers_must_be_numbers():
    library = parse_liberty(
        b"library (l) {\n a : x1;\n b : nan;\n c : 1_0; d : inf; }", "x"
    ).library
    for name in "abcd":
        with pytest.raises(LibraryError, match=f"x, line 1: {name} in library"):
            library.number(name)


def test_cut_anywhere():
    whole = TINY.rstrip()
    for length in range(len(whole) - 1, 0, -7):
        with pytest.raises(LibraryError, match=r"t\.lib"):
            parse_liberty(whole[:length], "t.lib")


def test_cut_says_where():
    text = TINY.decode()
    cut = text.index("fall_transition (grid)") + 30
    line = text[: text.index("fall_transition (grid)")].count("\n") + 1
    with pytest.raises(LibraryError, match=rf"fall_transition \(grid\) that opens at line {line};"):
        parse_liberty(TINY[:cut], "t.lib")


def test_gzip(tmp_path):
    packed = gzip.compress(TINY)
    path = tmp_path / "named-without-suffix"
    path.write_bytes(packed)
    document = read_liberty(path)
    assert document.library.args == ("tiny",)
    assert document.text.encode() == TINY
    for length in (1000, len(packed) // 2, len(packed) - 1):
        with pytest.raises(LibraryError, match="cut short"):
            parse_liberty(packed[:length], "t.lib.gz")
    broken = bytearray(packed)
    broken[len(packed) // 2] ^= 0xFF
    with pytest.raises(LibraryError, match="gzip"):
        parse_liberty(bytes(broken), "t.lib.gz")


def test_bounded_memory(monkeypatch):
    monkeypatch.setattr(liberty, "MAX_BYTES", 10_000)
    with pytest.raises(LibraryError, match="unpacks to more"):
        parse_liberty(gzip.compress(b" " * 20_000_000), "bomb.gz")


def test_missing_files(tmp_path):
    with pytest.raises(LibraryError, match="does not exist"):
        read_liberty(tmp_path / "none.lib")
    with pytest.raises(LibraryError, match="not a file"):
        read_liberty(tmp_path)
    with pytest.raises(LibraryError, match=r"does not exist|cannot be read"):
        read_liberty(Path("a\0b"))


@pytest.mark.parametrize(
    "text",
    [
        "library (l) { " + "a (" * 50_000,
        "library (l) { a (" + "/*" * 50_000,
        'library (l) { a ("' + '\\"' * 50_000,
        "library (l) { " + '"' * 50_001,
        "library (l) { a : " + "/" * 100_000,
        "library (l) { " + "a" * 100_000,
        "library (l) { " + "\\\n" * 50_000 + "!",
        "/*" * 50_000,
    ],
)
def test_hostile_text_is_refused_quickly(text):
    started = time.perf_counter()
    with pytest.raises(LibraryError):
        parse_liberty(text.encode(), "x.lib")
    assert time.perf_counter() - started < 5


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data):
    with pytest.raises(LibraryError):
        parse_liberty(data, "x.lib")


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, len(TINY) - 1),
    st.integers(0, 40),
    st.text(alphabet='(){};:"\\/*\n a1', max_size=8),
)
def test_damaged_file(start, removed, inserted):
    data = TINY[:start] + inserted.encode() + TINY[start + removed :]
    try:
        document = parse_liberty(data, "x.lib")
        library = distill([document])
    except LibraryError:
        return
    assert cell_json.from_text(cell_json.to_text(library), "x.json") == library
    assert distill([parse_liberty(to_liberty(library).encode(), "y.lib")]) == library
