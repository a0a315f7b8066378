"""Files that are as large as they may be, and shaped to cost their reader the most.

Those that take more than a moment run with ``pytest -m fuzz`` only.
"""

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from nibblemac.formats import csv_table
from nibblemac.formats.accuracy import read_accuracy
from nibblemac.formats.errors import NibblemacError
from nibblemac.formats.safetensors_file import tensor_names
from nibblemac.formats.user import load_format
from nibblemac.synth import library, record_file
from nibblemac.synth.distill import distill
from nibblemac.synth.liberty import parse_liberty
from nibblemac.synth.library import load_liberty
from nibblemac.synth.record_file import read_record, record_text
from nibblemac.synth.result import load_areas

MOST = csv_table.MAX_BYTES
TINY = (Path(__file__).parents[1] / "synth" / "data" / "tiny.lib").read_text()
NAND = '"!(A*B)"'

FORMATS = {
    "parts of keys on many lines": "".join(f"a{i}" + ".a" * 900 + "=1\n" for i in range(35)),
    "parts of keys, quoted": '"a"' + '."a"' * 990 + " = 1\n",
    "parts of the names of tables": "".join(f"[a{i}{'.a' * 900}]\n" for i in range(35)),
    "tables": "".join(f"[a{i}]\n" for i in range(9000)),
    "arrays of tables": "[[a]]\n" * 10_000,
    "empty lists": "x = [" + "[]," * 20_000 + "]",
    "inline tables": "x = {" + ",".join(f"a{i}={{}}" for i in range(6000)) + "}",
    "lists in lists": "x = " + "[" * 60_000,
    "tables in tables": "x = " + "{a=" * 20_000,
    "digits": "x = " + "9" * 60_000,
    "decimals": "x = 0." + "9" * 60_000,
    "exponent": "x = 1e" + "9" * 60_000,
    "hexadecimal": "x = 0x" + "f" * 60_000,
    "quotes": "x = '''" + "''\n" * 20_000,
    "escapes": 'x = "' + "\\n" * 30_000 + '"',
    "line ends": "\n" * 60_000,
    "comments": "#\n" * 30_000,
}
TABLES = {
    "commas": "," * MOST,
    "columns": ",".join(f"c{i}" for i in range(1_000_000)),
    "a heading of blanks": "format,a" + " " * 10_000_000 + "b\nINT4,1\n",
    "a heading of brackets": "format,a" + "[ " * 4900 + "b\nINT4,1\n",
    "a heading of parentheses": "format,a" + "( " * 4900 + "b\nINT4,1\n",
    "long headings": "format,"
    + ",".join("acc" + "x" * 9990 + f"{i:03}" for i in range(900))
    + "\n",
    "rows": "format,acc\n" + "INT4,1\n" * 2_000_000,
    "unknown formats": "format,acc\n" + "".join(f"f{i},1\n" for i in range(99_000)),
    "long unknown formats": "format,acc\n" + "".join(f"f{i}{'x' * 900},1\n" for i in range(9000)),
    "line ends": "\n" * MOST,
    "quotes": '"' * (MOST - 1),
    "a quoted cell": 'format,acc\n"' + "x" * (MOST - 20),
    "digits": "format,acc\nINT4," + "9" * 9990 + "\n",
    "blanks": " " * MOST,
}
LIBERTY = {
    "attributes": "library (l) { " + "a : 1;\n" * 300_000 + "}",
    "complex attributes": "library (l) { " + "a (1, 2);\n" * 200_000 + "}",
    "groups": "library (l) { " + "g () { }\n" * 200_000 + "}",
    "comments": "library (l) { " + "/* * / */" * 200_000 + "}",
    "line continuations": "library (l) { a : " + "\\\n" * 300_000 + "1; }",
    "an argument": "library (l) { a (" + "x" * 2_000_000 + "); }",
    "arguments": "library (l) { a (" + "x," * 1_000_000 + "); }",
    "strings": "library (l) { a (" + '"x",' * 500_000 + "); }",
    "escapes": 'library (l) { a : "' + '\\"' * 500_000 + '"; }',
    "a string without end": 'library (l) { a ("' + "x\\\n" * 500_000,
    "a comment without end": "library (l) { " + "/*" * 500_000,
    "parentheses": "library (l) { a (" + "(" * 1_000_000,
    "cells of one name": TINY.replace("cell (XOR2)", "cell (X) { }\n" * 50_000 + "cell (XOR2)"),
    "cells": TINY.replace(
        "cell (XOR2)", "".join(f"cell (X{i}) {{ }}\n" for i in range(50_000)) + "cell (XOR2)"
    ),
    "a long function": TINY.replace(NAND, '"' + "A*B+" * 4900 + 'A"', 1),
    "a function of inversions": TINY.replace(NAND, '"' + "!" * 19_000 + 'A"', 1),
    "a function of parities": TINY.replace(NAND, '"' + "A^B^" * 4900 + 'A"', 1),
    "a function of parentheses": TINY.replace(NAND, '"' + "(" * 9000 + "A" + ")" * 9000 + '"', 1),
    "a function of many pins": TINY.replace(
        NAND, '"' + "*".join(f"P{i}" for i in range(2000)) + '"', 1
    ),
    "a table": TINY.replace("cell (XOR2)", "lu_table_template (grid) { index_1 (\""
        + ",".join(str(i) for i in range(200_000)) + '"); }\ncell (XOR2)'),
}  # fmt: skip


def refused_or_read(read: Callable[[], object], is_sentence) -> None:
    try:
        read()
    except NibblemacError as error:
        is_sentence(error)


@pytest.mark.parametrize("kind", FORMATS)
def test_format(kind: str, tmp_path: Path, bounded, is_sentence) -> None:
    path = tmp_path / "f.toml"
    path.write_text(FORMATS[kind])
    with bounded(2.0, 128):
        refused_or_read(lambda: load_format(path), is_sentence)


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", TABLES)
def test_accuracy(kind: str, tmp_path: Path, bounded, is_sentence) -> None:
    path = tmp_path / "q.csv"
    path.write_text(TABLES[kind])
    with bounded(5.0, 400):
        refused_or_read(lambda: read_accuracy(path, skip_unknown=True), is_sentence)
        refused_or_read(lambda: load_areas(path), is_sentence)


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", LIBERTY)
def test_liberty(kind: str, bounded, is_sentence) -> None:
    data = LIBERTY[kind].encode()
    with bounded(5.0, 400):
        refused_or_read(lambda: distill([parse_liberty(data, "x.lib")]), is_sentence)


@pytest.mark.fuzz
def test_packed_liberty(monkeypatch: pytest.MonkeyPatch, bounded, is_sentence) -> None:
    """A small file that unpacks to a large one; the bound itself is lowered to spare memory."""
    monkeypatch.setattr("nibblemac.synth.liberty.MAX_BYTES", 2**20)
    data = gzip.compress(b" " * 2**28, 1)
    with bounded(2.0, 32):
        refused_or_read(lambda: parse_liberty(data, "x.lib.gz"), is_sentence)


JSONS = {
    "lists in lists": "[" * 2**23,
    "lists": "[" + "[]," * 2_700_000,
    "objects": "[" + '{"a":0},' * 1_000_000,
    "digits": "9" * 2**22,
    "a string": '"' + "x" * 2**22 + '"',
    "too long": " " * (2**23 + 1),
}


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", JSONS)
def test_json(kind: str, tmp_path: Path, bounded, is_sentence) -> None:
    text = JSONS[kind]
    (tmp_path / "x.json").write_text(text)
    with bounded(5.0, 500):
        refused_or_read(lambda: load_liberty([tmp_path / "x.json"]), is_sentence)


@pytest.mark.fuzz
def test_a_record_that_is_too_large(tmp_path: Path, bounded) -> None:
    path = tmp_path / "x.json"
    path.write_text(record_text({"a": "x" * record_file.MAX_BYTES}))
    with bounded(2.0, 100), pytest.raises(ValueError, match="larger than"):
        read_record(path)


def test_what_the_package_ships_is_far_below_the_bounds() -> None:
    root = Path(library.__file__).parent
    sizes = [path.stat().st_size for path in root.glob("*/*.json")]
    assert len(sizes) >= 6
    assert max(sizes) < library.MAX_BYTES / 10


@pytest.mark.parametrize("length", [2**63, 2**40, 2**31, 100_000_001, 90_000_000])
def test_safetensors_header(length: int, tmp_path: Path, bounded, is_sentence) -> None:
    path = tmp_path / "x.safetensors"
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", length) + json.dumps({"a": 1}).encode())
        stream.truncate(100_000_000)
    with bounded(2.0, 200):
        refused_or_read(lambda: tensor_names(path), is_sentence)
