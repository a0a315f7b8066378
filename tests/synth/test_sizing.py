"""Sizing against the whole analysis, and against what can be found by hand or by trying all."""

import dataclasses
import itertools

import pytest
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.resolve import find_format
from nibblemac.synth.cells import NAND2, CellKind
from nibblemac.synth.delay import measure_delay
from nibblemac.synth.delay_conditions import Conditions
from nibblemac.synth.library import load_library
from nibblemac.synth.netlist import Instance, Netlist, Port
from nibblemac.synth.recipes import find_recipe
from nibblemac.synth.sizing import Sizer, resized, variants
from nibblemac.synth.sweep import Task, make_design


@pytest.fixture(scope="module")
def library():
    return load_library("sky130hd")


@pytest.fixture(scope="module", params=["INT4", "E2M1"])
def netlist(request, flow):
    form = find_format(request.param)
    design = make_design(MacSpec(weight=form, activation=form), "sign-magnitude")
    (mapped,) = flow.run([Task(design=design, recipe=find_recipe("adders"))])
    return mapped.graph


def delay(netlist, library, conditions):
    return measure_delay(netlist, library, conditions, engine="tables").ps


def area(netlist, library):
    return sum(library.cell(one.cell).area for one in netlist.instances)


def test_variants_have_the_same_function(library):
    groups = variants(library)
    assert groups["sky130_fd_sc_hd__nand2_1"][0] == library.nand2.name
    assert {"sky130_fd_sc_hd__fa_1", "sky130_fd_sc_hd__fa_4"} <= set(
        groups["sky130_fd_sc_hd__fa_2"]
    )
    for name, others in groups.items():
        one = library.cell(name)
        assert name in others
        areas = [library.cell(other).area for other in others]
        assert areas == sorted(areas)
        for other in map(library.cell, others):
            assert (other.kind, other.input_names) == (one.kind, one.input_names)
            assert [pin.name for pin in other.outputs] == [pin.name for pin in one.outputs]
            if one.kind is not CellKind.FLIP_FLOP:
                for pin in one.outputs:
                    assert one.truth_table(pin.name) == other.truth_table(pin.name)


@pytest.mark.parametrize(
    "conditions",
    [
        Conditions(),
        Conditions(driver="", wires=False),
        Conditions(driver="sky130_fd_sc_hd__buf_1", load_ff=30),
    ],
)
def test_delays_stay_those_of_the_whole_analysis(netlist, library, conditions):
    sizer = Sizer(netlist, library, conditions.resolve(library))
    assert sizer.ps == pytest.approx(delay(netlist, library, conditions), abs=1e-3)
    for state in itertools.islice(sizer.speed_up(0), 6):
        changed = resized(netlist, state.cells)
        assert state.ps == pytest.approx(delay(changed, library, conditions), abs=1e-3)
        assert state.area == pytest.approx(area(changed, library))


def test_trials_leave_no_trace(netlist, library):
    conditions = Conditions().resolve(library)
    sizer = Sizer(netlist, library, conditions)
    before = sizer.result()
    for place in range(0, len(sizer._gates), 3):
        for cell in sizer._options(place):
            sizer._try(place, cell, 0.0)
    fresh = Sizer(netlist, library, conditions)
    assert sizer.result() == before
    assert (sizer._arrivals, sizer._slews) == (fresh._arrivals, fresh._slews)
    assert (sizer._loads, sizer._causes) == (fresh._loads, fresh._causes)


def test_faster_means_larger_and_trimming_gives_area_back(netlist, library):
    conditions = Conditions()
    resolved = conditions.resolve(library)
    slow = delay(netlist, library, conditions)
    target = 0.95 * slow
    sizer = Sizer(netlist, library, resolved)
    states = list(sizer.speed_up(target))
    assert states[-1].ps <= target < slow
    assert all(later.ps <= slow for later in states)
    trimmed = sizer.recover(target)
    assert trimmed.ps <= target
    assert area(netlist, library) < trimmed.area <= states[-1].area
    # With all the time there is, every gate becomes its smallest.
    least = Sizer(resized(netlist, trimmed.cells), library, resolved).recover(1e6)
    groups = variants(library)
    assert least.area == pytest.approx(
        sum(library.cell(groups[one.cell][0]).area for one in netlist.instances)
    )


def test_cells_keep_their_function(netlist, library):
    sizer = Sizer(netlist, library, Conditions().resolve(library))
    last = list(itertools.islice(sizer.speed_up(0), 12))[-1]
    groups = variants(library)
    exchanged = 0
    for before, after in zip(netlist.instances, last.cells, strict=True):
        assert after in groups[before.cell]
        exchanged += after != before.cell
    assert exchanged > 0


def chain(cells):
    """NANDs in a row that drive a large load."""
    instances = tuple(
        Instance(name=f"u{i}", cell=cell, pins={"A": 2 + i, "B": 2 + i, "Y": 3 + i})
        for i, cell in enumerate(cells)
    )
    return Netlist(
        top="chain",
        ports=(
            Port(name="a", direction="input", nets=(2,)),
            Port(name="y", direction="output", nets=(2 + len(cells),)),
        ),
        instances=instances,
    )


def test_a_chain_gets_close_to_the_best_of_all_choices(library):
    conditions = Conditions(load_ff=60)
    names = [cell.name for cell in library.with_truth_table(2, NAND2)]
    best = min(
        delay(chain(cells), library, conditions) for cells in itertools.product(names, repeat=3)
    )
    start = chain([names[0]] * 3)
    sizer = Sizer(start, library, conditions.resolve(library))
    states = list(sizer.speed_up(0))
    assert states[-1].ps <= 1.05 * best
    assert states[-1].ps < 0.9 * delay(start, library, conditions)


def test_results_repeat(netlist, library):
    conditions = dataclasses.replace(Conditions(), load_ff=10).resolve(library)
    first, second = (
        list(itertools.islice(Sizer(netlist, library, conditions).speed_up(0), 5)) for _ in range(2)
    )
    assert first == second
