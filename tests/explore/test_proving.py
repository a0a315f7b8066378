"""Proofs of what is printed: netlists of candidates, tables, records, the commands."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from nibblemac.explore.cost_tables import cost_table
from nibblemac.explore.proof_table import NOT_PROVEN, proof_mark, proof_sentence, proof_table
from nibblemac.explore.proving import (
    CandidateProof,
    proofs_of,
    proofs_to_json,
    prove_candidates,
    with_proofs,
)
from nibblemac.explore.report import ReportData, render_report
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.published import published_hardware
from nibblemac.scripts import main as command
from nibblemac.sim.proof import Proof, Verdict
from nibblemac.synth.area import Candidate, map_candidates, plan
from nibblemac.synth.cache import Cache
from nibblemac.synth.library import load_library
from nibblemac.synth.recipes import find_recipe
from nibblemac.synth.result import from_csv, to_csv

INT3 = MacSpec(weight=find_format("INT3"), activation=find_format("INT3"))
QUICK = ("--architecture", "sign-magnitude", "--recipe", "amap")


@pytest.fixture(scope="module")
def candidate(flow) -> Candidate:
    found, failures = map_candidates(flow, plan([INT3], ["sign-magnitude"], [find_recipe("amap")]))
    assert failures == []
    return found[0]


@pytest.fixture(scope="module")
def broken(candidate: Candidate) -> Candidate:
    """The netlist with a NOR for one NAND: the least that a broken mapping could do."""
    netlist = candidate.mapped.netlist
    wrong = netlist.replace("sky130_fd_sc_hd__nand2_1 ", "sky130_fd_sc_hd__nor2_1 ", 1)
    assert wrong != netlist
    cells = {**candidate.mapped.cells, "sky130_fd_sc_hd__nor2_1": 1}
    return replace(candidate, mapped=replace(candidate.mapped, netlist=wrong, cells=cells))


@pytest.fixture(scope="module")
def proved(flow, candidate, broken, tmp_path_factory) -> list[CandidateProof]:
    folder = tmp_path_factory.mktemp("proving")
    own = replace(flow, cache=Cache(folder / "cache"))
    return prove_candidates([candidate, broken], own, waves=folder / "waves")


def test_a_wrong_netlist_is_refuted(proved) -> None:
    right, wrong = proved
    assert right.proven
    assert wrong.rtl == right.rtl
    assert wrong.rtl.proven
    assert wrong.netlist.verdict is Verdict.REFUTED
    assert not wrong.proven
    example = wrong.netlist.counterexample
    assert example is not None
    total = 0
    for step in example.steps:
        total = (0 if step.clear else total) + INT3.product(step.weight, step.activation)
    assert example.expected == total != example.got
    assert Path(example.waves).is_file()


def test_tables_and_sentences_count_proofs(proved) -> None:
    proofs = proofs_of(proved)
    assert [proof.level for proof in proofs] == ["rtl", "netlist", "netlist"]
    sentence = proof_sentence(proofs)
    assert "1 of 1 Verilog designs and 1 of 2 netlists" in sentence
    assert proof_sentence([]) == "Nothing was proven."
    table = proof_table(proofs)
    assert table.rows == (("INT3", "1 ✓", "1 ✓ 1 ✗"),)
    assert table.marked == {0}
    assert "refuted" in table.remarks[0, 2]
    records = json.loads(proofs_to_json(proofs))
    assert [Proof.from_json(record) for record in records] == proofs


@pytest.mark.parametrize(
    ("proof", "mark", "proven"),
    [
        ({}, "–", False),
        ({"rtl": "proven", "netlist": "proven"}, "✓", True),
        ({"rtl": "proven", "netlist": "unproven"}, "?", False),
        ({"rtl": "unproven", "netlist": "refuted"}, "✗", False),
        ({"rtl": "refuted", "netlist": "proven"}, "✗", False),
        ({"netlist": "proven"}, "✓", False),
        ({"rtl": "proven", "netlist": "perhaps"}, "?", False),
    ],
)
def test_marks_are_of_the_weaker_proof(area, proof, mark: str, proven: bool) -> None:
    one = area("INT4", 985, proof=proof)
    assert proof_mark(one) == mark
    assert one.proven is proven
    table = cost_table([one], published_hardware())
    assert table.rows[0][-1] == mark
    assert list(from_csv(to_csv([one]))) == [one]


def test_records_have_method_and_seconds(area, proved) -> None:
    (one,) = with_proofs([area("INT3", 5)], proved[:1])
    assert one.proven
    assert "tempinduct" in one.proof["method"]
    assert float(one.proof["seconds"]) > 0


def test_the_report_tells_what_is_proven(area, proved) -> None:
    data = ReportData(
        areas=(area("INT3", 5),), formats=(INT3.weight,), proofs=tuple(proofs_of(proved))
    )
    contents = render_report(data)
    page = contents["index.html"].decode()
    assert "1 of 2 netlists" in page
    assert "refuted" in page
    assert len(json.loads(contents["proofs.json"])) == 3
    assert "Nothing was proven" in render_report(replace(data, proofs=()))["index.html"].decode()


def test_the_library_must_have_the_functions(flow, candidate, tmp_path) -> None:
    """A netlist of one library is nothing in another."""
    from nibblemac.formats.errors import LibraryError

    other = replace(flow, library=load_library("asap7"), cache=Cache(tmp_path))
    with pytest.raises(LibraryError):
        prove_candidates([candidate], other)


def test_prove_command(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["prove", "INT3", *QUICK, "--json", "proofs.json"]) == 0
    out = capsys.readouterr().out
    assert "1 of 1 Verilog designs and 1 of 1 netlists" in out
    found = [Proof.from_json(one) for one in json.loads(Path("proofs.json").read_text())]
    assert [(proof.level, proof.proven) for proof in found] == [("rtl", True), ("netlist", True)]
    assert [path.name for path in tmp_path.iterdir()] == ["proofs.json"]


def test_prove_command_says_what_is_not_proven(capsys, monkeypatch, tmp_path) -> None:
    """Within a second the solver does not get to the end of eight bits."""
    monkeypatch.setenv("NIBBLEMAC_CACHE", str(tmp_path))
    arguments = ["prove", "INT8", "--architecture", "signed", "--level", "rtl", "--timeout", "0.5"]
    assert command.main(arguments) == 1
    captured = capsys.readouterr()
    assert "0 of 1 Verilog designs" in captured.out
    assert "INT8, signed, rtl: unproven: the time ran out" in captured.err


def test_area_without_proofs_says_so(capsys) -> None:
    assert command.main(["area", "INT3", *QUICK, "--no-prove"]) == 0
    assert NOT_PROVEN in capsys.readouterr().out
    assert command.main(["area", "INT3", *QUICK, "--csv", "-"]) == 0
    (one,) = from_csv(capsys.readouterr().out)
    assert one.proven


def test_area_with_a_design_that_is_not_proven_fails(capsys, monkeypatch) -> None:
    from nibblemac.explore import proving

    def unproven(candidates, flow, **_):
        return [
            CandidateProof(
                candidate=one,
                **{
                    level: Proof(
                        format="INT3",
                        activation="INT3",
                        architecture="sign-magnitude",
                        level=level,
                        verdict=Verdict.UNPROVEN,
                        method="none",
                        seconds=0.1,
                        detail="the time ran out",
                    )
                    for level in ("rtl", "netlist")
                },
            )
            for one in candidates
        ]

    monkeypatch.setattr(proving, "prove_candidates", unproven)
    assert command.main(["area", "INT3", *QUICK]) == 1
    captured = capsys.readouterr()
    assert "INT3, sign-magnitude, netlist: unproven: the time ran out" in captured.err
    assert "?" in captured.out
