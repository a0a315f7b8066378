import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.errors import DataError
from nibblemac.synth.result import AreaResult, from_csv, load_areas, to_csv

RESULT = AreaResult(
    format="E2M1+SP",
    activation="INT8",
    bits=4,
    terms=256,
    architecture="shift-add",
    library="sky130hd",
    recipe="amap",
    area_um2=1100.5,
    area_ge=293.2,
    sequential_um2=340.0,
    multiplier_um2=300.25,
    accumulator_um2=800.25,
    accumulator_bits=17,
    cells={"nand2_1": 12, "dfxtp_1": 17},
    tools={"yosys": '0.70 (git "quoted", commas)'},
    design="d" * 64,
    library_digest="l" * 64,
    netlist="n" * 64,
    seconds=0.7,
    delay_ps=6543.21,
    delay_method="OpenSTA 2.0.17",
    energy_fj=2187.5,
    energy_zero_delay_fj=1312.25,
    power_uw=None,
    megahertz=100.0,
    leakage_nw=0.43,
    conditions={"corner": "1.8 V, 25 °C", "load": 'four "inverters"'},
    unmeasured="",
    effort="quick",
    search_seconds=12.5,
)

text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20)
numbers = st.floats(0, 1e9)


@st.composite
def results(draw: st.DrawFn) -> AreaResult:
    values: dict[str, object] = {}
    for field in fields(AreaResult):
        if field.type is str:
            values[field.name] = draw(text).strip()
        elif field.type is int:
            values[field.name] = draw(st.integers(0, 10**6))
        elif field.type is float:
            values[field.name] = draw(numbers)
        elif field.type == float | None:
            values[field.name] = draw(st.none() | numbers)
        elif field.name == "cells":
            values[field.name] = draw(st.dictionaries(text, st.integers(0, 999), max_size=4))
        else:
            values[field.name] = draw(st.dictionaries(text, text, max_size=3))
    return AreaResult(**values)


@given(st.lists(results(), min_size=1, max_size=4))
def test_csv_and_json_round_trip(records: list[AreaResult]) -> None:
    assert list(from_csv(to_csv(records))) == records
    assert [AreaResult.from_json(json.loads(json.dumps(r.to_json()))) for r in records] == records


@pytest.mark.parametrize("name", [field.name for field in fields(AreaResult)])
def test_missing_json_key_is_named(name: str) -> None:
    record = RESULT.to_json()
    del record[name]
    with pytest.raises(DataError, match=f"lacks the key '{name}'"):
        AreaResult.from_json(record)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("area_um2", "1100"),
        ("area_um2", float("nan")),
        ("accumulator_bits", 17.0),
        ("accumulator_bits", True),
        ("cells", {"nand2_1": "12"}),
        ("cells", [1]),
        ("tools", {"yosys": 70}),
        ("format", 4),
        ("delay_ps", "6543"),
        ("power_uw", float("inf")),
        ("megahertz", True),
        ("conditions", {"load": 4}),
        ("search_seconds", None),
    ],
)
def test_wrong_json_type_is_named(name: str, value: object) -> None:
    with pytest.raises(DataError, match=f"{name} is "):
        AreaResult.from_json({**RESULT.to_json(), name: value})


def test_what_was_not_measured_is_empty() -> None:
    header, row = to_csv([RESULT]).splitlines()
    assert header.split(",").index("power_uw") == header.split(",").index("megahertz") - 1
    assert ",2187.5,1312.25,,100.0,0.43," in row
    (back,) = from_csv(f"{header}\n{row}")
    assert back.power_uw is None
    with pytest.raises(DataError, match="line 2: delay_ps is 'slow'"):
        from_csv(f"{header}\n{row.replace('6543.21', 'slow')}")
    with pytest.raises(DataError, match="line 2: area_um2 is ''"):
        from_csv(f"{header}\n{row.replace('1100.5', '')}")


def test_csv_errors_name_line_and_column(tmp_path) -> None:
    lines = to_csv([RESULT, replace(RESULT, format="INT4")]).splitlines()
    bad = [*lines[:2], lines[2].replace("1100.5", "many")]
    with pytest.raises(DataError, match=r"area\.csv, line 3: area_um2 is 'many'"):
        from_csv("\n".join(bad), "area.csv")
    with pytest.raises(DataError, match="line 1: the column 'area_um2' is missing"):
        from_csv("\n".join(lines).replace("area_um2", "area_mm2", 1), "area.csv")
    with pytest.raises(DataError, match="no rows"):
        from_csv(lines[0])
    path = tmp_path / "area.csv"
    path.write_text("\n".join(lines))
    assert load_areas(path)[1].format == "INT4"
