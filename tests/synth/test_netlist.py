import json

import pytest
from nibblemac.formats.errors import SynthesisError
from nibblemac.synth.cells import CellKind
from nibblemac.synth.library import load_library
from nibblemac.synth.netlist import Instance, Netlist, Port, read_yosys_json

INV, FF = "sky130_fd_sc_hd__inv_1", "sky130_fd_sc_hd__dfxtp_1"


@pytest.fixture(scope="module")
def library():
    return load_library("sky130hd")


def netlist(*instances, ports=()):
    return Netlist(top="t", ports=tuple(ports), instances=tuple(instances))


def inverter(name, a, y):
    return Instance(name=name, cell=INV, pins={"A": a, "Y": y})


def test_json_round_trip():
    one = netlist(inverter("u", 2, 3), ports=[Port(name="a", direction="input", nets=(2, 0, 1))])
    assert Netlist.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_order_follows_the_wires(library):
    chain = netlist(inverter("c", 4, 5), inverter("b", 3, 4), inverter("a", 2, 3))
    assert [one.name for one in chain.topological(library)] == ["a", "b", "c"]


def test_flip_flops_break_loops(library):
    state = Instance(name="r", cell=FF, pins={"CLK": 9, "D": 3, "Q": 2})
    loop = netlist(inverter("u", 2, 3), state)
    assert [one.name for one in loop.topological(library)] == ["u"]
    assert list(loop.flip_flops(library)) == [state]


def test_combinational_loops_are_refused(library):
    with pytest.raises(SynthesisError, match=r"combinational loop through [uv]"):
        netlist(inverter("u", 2, 3), inverter("v", 3, 2)).topological(library)


def test_nets_driven_twice_are_refused(library):
    with pytest.raises(SynthesisError, match="drives a net twice: u and v"):
        netlist(inverter("u", 2, 4), inverter("v", 3, 4)).drivers(library)


def test_unknown_ports_are_refused():
    with pytest.raises(SynthesisError, match="no port 'x'"):
        netlist().port("x")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"modules": {"t": {"ports": {}}}}', "[" * 100_000]
)
def test_other_texts_are_refused(text):
    with pytest.raises(SynthesisError, match="netlist of t cannot be read"):
        read_yosys_json(text, "t")


@pytest.mark.parametrize("bit", ["x", "z", -1, 1, True, None, 2.5])
def test_undefined_bits_are_refused(bit):
    module = {"ports": {"a": {"direction": "input", "bits": [bit]}}, "cells": {}}
    with pytest.raises(SynthesisError, match="cannot be read"):
        read_yosys_json(json.dumps({"modules": {"t": module}}), "t")


def test_yosys_netlists_hold_every_cell(flow, library):
    from nibblemac.formats.lookup import find_format
    from nibblemac.formats.mac import MacSpec
    from nibblemac.synth.recipes import find_recipe
    from nibblemac.synth.sweep import Task, make_design

    design = make_design(
        MacSpec(weight=find_format("INT3"), activation=find_format("INT3")), "signed"
    )
    (mapped,) = flow.run([Task(design=design, recipe=find_recipe("amap"))])
    graph = mapped.graph
    assert sum(mapped.cells.values()) == len(graph.instances)
    combinational = [c for c in graph.instances if library.cell(c.cell).kind != CellKind.FLIP_FLOP]
    assert len(graph.topological(library)) == len(combinational)
    assert {port.name for port in graph.inputs} >= {"weight", "activation", "clear", "clk"}
    assert Netlist.from_json(mapped.to_json()["graph"]) == graph
