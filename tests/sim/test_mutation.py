"""Mutants: their list, their fates in the testbench, what the prover says of the survivors."""

import json
import re
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from nibblemac.formats.errors import DataError, SynthesisError, UsageError, VerificationError
from nibblemac.formats.mac import MacSpec
from nibblemac.sim import mutation
from nibblemac.sim.child import Run
from nibblemac.sim.mutant_equality import equal_mutants
from nibblemac.sim.mutant_model import run_mutants
from nibblemac.sim.mutants import (
    MODES,
    Mutant,
    MutatedDesign,
    make_mutants,
    parse_mutant,
    select_bits,
)
from nibblemac.sim.mutation import MutationSetup, mutant_design, mutate
from nibblemac.sim.mutation_result import (
    EQUIVALENT,
    KILLED,
    LIVE,
    UNPROVEN,
    MutantVerdict,
    MutationResult,
)
from nibblemac.sim.proof import Counterexample, Proof, Step, Verdict
from nibblemac.sim.runtime import SimulationWarning, prepare_runtime
from nibblemac.sim.simulators import find_simulator
from nibblemac.sim.stimulus import make_vectors
from nibblemac.sim.vectors import CLEAR, Vectors
from nibblemac.synth.sweep import make_design
from nibblemac.synth.yosys import Yosys

EXAMPLE = Counterexample(steps=(Step(weight=1, activation=7, clear=True),), expected=-1, got=3)
# Faults of the hand-written MAC: what each does to its next state, by number.
FAULTS = {
    1: "~~product + same",
    2: "product + (weight == 7 && activation == 3)",
    3: "product with the clear ignored",
    4: "product, wrong from 3,000 on",
    5: "product with the clear ignored, once more",
    6: "product, wrong beyond what 256 products reach",
    7: "product, wrong from one sum that the vectors leave out",
}


@dataclass(frozen=True, kw_only=True)
class Subject:
    spec: MacSpec
    architecture: str = "by-hand"
    top: str = "mac"
    rtlil: str = ""


def by_hand(spec: MacSpec, *, broken: bool = False) -> MutatedDesign:
    """Return a MAC for signed 3-bit integers with the faults above, selected by ``mutsel``."""
    low, high = spec.accumulator_range
    met = set(make_vectors(spec).expected)
    left_out = next(total for total in range(1000, high) if total not in met)
    verilog = f"""
module mac (input clk, input [2:0] weight, input [2:0] activation, input clear,
            output signed [{spec.accumulator_bits - 1}:0] accumulator, input [2:0] mutsel);
  reg signed [{spec.accumulator_bits - 1}:0] state;
  wire signed [15:0] w = $signed(weight), a = $signed(activation);
  wire signed [15:0] product = w * a {"+ (w == 1)" if broken else ""};
  wire signed [15:0] wrong = mutsel == 1 ? ~~product
      : mutsel == 2 ? product + (weight == 7 && activation == 3)
      : mutsel == 4 ? product + (state > 3000)
      : mutsel == 6 ? product + (state > {high} || state < {low})
      : mutsel == 7 ? product + (state == {left_out})
      : product;
  wire restart = clear && mutsel != 3 && mutsel != 5;
  always @(posedge clk) state <= (restart ? 0 : state) + wrong;
  assign accumulator = state;
endmodule
"""
    mutants = tuple(
        Mutant(
            number=number,
            mode="inv",
            cell=fault,
            port="Y",
            port_bit=0,
            control_bit=None,
            wire="",
            wire_bit=None,
            source="",
        )
        for number, fault in FAULTS.items()
    )
    return MutatedDesign(
        spec=spec, architecture="by-hand", top="mac", verilog=verilog, mutants=mutants
    )


@pytest.fixture(scope="module")
def spec(twos_complement) -> MacSpec:
    t3 = twos_complement(3)
    return MacSpec(weight=t3, activation=t3)


@pytest.fixture(scope="module")
def run(cache_folder: Path) -> Run:
    run = Run(
        simulator=find_simulator(),
        # Where verification has compiled Verilator's runtime already, in some other test.
        workdir=cache_folder / "simulation",
        waves=None,
        seed=1,
        timeout=300,
        jobs=1,
        cancel=threading.Event(),
    )
    prepare_runtime(run)
    return run


def setup_of(run: Run, yosys: Yosys, prover, **values) -> MutationSetup:
    return MutationSetup(
        yosys=yosys,
        prover=prover,
        workdir=run.workdir,
        simulator=run.simulator,
        **{"jobs": 1, **values},
    )


def says(verdict: str):
    """Return a stub of a prover that always says the same; it notes the designs in ``asked``."""
    asked = []

    def prover(design, yosys, *, workdir, timeout, cancel=None):
        asked.append(design)
        return Proof(
            format="T3",
            activation="T3",
            architecture="by-hand",
            level="rtl",
            verdict=Verdict(verdict),
            method="stub",
            seconds=0.0,
            counterexample=EXAMPLE if verdict == "refuted" else None,
            detail="no time" if verdict == "unproven" else "",
        )

    prover.asked = asked
    return prover


def refuse(*_arguments, **_keywords):
    raise AssertionError("nothing was to be proven")


# The list.


def test_a_line_of_yosys_is_read():
    line = (
        r"mutate -mode cnot1 -module mac -cell $flatten\accumulator_1.$3 -port A -portbit 6 "
        r"-ctrlbit 4 -wire accumulator -wirebit 5 -src a.v:1.2-3.4 -src b.v:5"
    )
    mutant = parse_mutant(line, 7)
    assert mutant == Mutant(
        number=7,
        mode="cnot1",
        cell=r"$flatten\accumulator_1.$3",
        port="A",
        port_bit=6,
        control_bit=4,
        wire="accumulator",
        wire_bit=5,
        source="a.v:1.2-3.4, b.v:5",
    )
    assert str(mutant) == (
        r"$flatten\accumulator_1.$3.A[6] inverted where its bit 4 is 1, on accumulator[5], "
        "from a.v:1.2-3.4, b.v:5"
    )


@pytest.mark.parametrize(
    "line",
    [
        "",
        "mutate -mode inv -cell x -port Y",
        "mutate -mode melt -cell x -port Y -portbit 0",
        "mutate -mode inv -port Y -portbit 0",
        "mutate -mode inv -cell x -port Y -portbit zero",
    ],
)
def test_a_line_that_is_none_is_refused(line: str):
    with pytest.raises(SynthesisError, match="cannot be read"):
        parse_mutant(line, 1)


def test_numbers_fit_their_port():
    assert [select_bits(count) for count in (1, 2, 3, 4, 7, 8, 200, 255, 256)] == (
        [1, 2, 2, 3, 3, 4, 8, 8, 9]
    )


@pytest.mark.parametrize("values", [{"count": 0}, {"count": 10_001}, {"seed": -1}, {"seed": 2**31}])
def test_counts_and_seeds_out_of_range_are_refused(spec: MacSpec, tmp_path: Path, values):
    with pytest.raises(UsageError, match="must be from"):
        make_mutants(Subject(spec=spec), refuse, workdir=tmp_path, **values)
    with pytest.raises(UsageError, match="must be from"):
        MutationSetup(yosys=refuse, prover=refuse, workdir=tmp_path, simulator=refuse, **values)


def test_mutants_are_different_and_depend_on_the_seed_alone(
    spec: MacSpec, yosys: Yosys, tmp_path: Path
):
    subject = make_design(spec, "signed")
    made = make_mutants(subject, yosys, workdir=tmp_path, count=60)
    assert [one.number for one in made.mutants] == list(range(1, 61))
    assert len({replace(one, number=0) for one in made.mutants}) == 60
    assert {one.mode for one in made.mutants} == set(MODES)
    assert not {one.port for one in made.mutants} & {"C", "CLK"}
    assert re.search(r"input \[5:0\] mutsel;", made.verilog)
    assert list(tmp_path.iterdir()) == []
    assert make_mutants(subject, yosys, workdir=tmp_path, count=60) == made
    other = make_mutants(subject, yosys, workdir=tmp_path, count=60, seed=2)
    assert {str(one) for one in other.mutants} != {str(one) for one in made.mutants}


def test_a_small_design_gives_all_that_it_has(spec: MacSpec, yosys: Yosys, tmp_path: Path):
    # One flip-flop: D and Q inverted and stuck at 0 and 1, since clocks are left out.
    rtlil = """
module \\mac
  wire input 1 \\clk
  wire input 2 \\clear
  wire output 3 \\accumulator
  cell $dff \\state
    parameter \\WIDTH 1
    parameter \\CLK_POLARITY 1
    connect \\CLK \\clk
    connect \\D \\clear
    connect \\Q \\accumulator
  end
end
"""
    made = make_mutants(Subject(spec=spec, rtlil=rtlil), yosys, workdir=tmp_path, count=50)
    assert sorted((one.port, one.mode) for one in made.mutants) == [
        (port, mode) for port in "DQ" for mode in ("const0", "const1", "inv")
    ]
    empty = "module \\mac\n  wire input 1 \\clk\nend\n"
    with pytest.raises(SynthesisError, match="nothing to mutate in mac"):
        make_mutants(Subject(spec=spec, rtlil=empty), yosys, workdir=tmp_path)


@dataclass(frozen=True)
class Pretender:
    """A Yosys that returns 0 and writes what it is told to."""

    files: dict[str, bytes]

    @property
    def tools(self) -> dict[str, str]:
        return {"pretender": "1"}

    def run(self, script: str, folder: Path, *, timeout: float, cancel=None) -> None:
        for name, data in self.files.items():
            (folder / name).write_bytes(data)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "ended without list.txt"),
        ({"list.txt": b"\xff\xfe"}, "ended without list.txt"),
        ({"list.txt": b""}, "nothing to mutate"),
        ({"list.txt": b"Segmentation fault\n"}, "cannot be read"),
        ({"list.txt": b"mutate -mode inv -cell a -port Y -portbit 0\n"}, "without mutated.v"),
    ],
)
def test_a_yosys_that_leaves_nothing_useful(spec: MacSpec, tmp_path: Path, files, said: str):
    with pytest.raises(SynthesisError, match=said):
        make_mutants(Subject(spec=spec), Pretender(files), workdir=tmp_path)


# Their fates.


@pytest.fixture(scope="module")
def fates(spec: MacSpec, run: Run):
    return run_mutants(by_hand(spec), make_vectors(spec), run)


def test_faults_are_killed_where_they_first_show(spec: MacSpec, fates):
    vectors = make_vectors(spec)
    assert fates.steps == len(vectors)
    # Codes in order: (7, 3) is the 7 × 8 + 3rd pair, alone in the accumulator.
    assert fates.killed_at[1] == 59
    # The sum before the step is above 3,000, the first time with 16 times 188 products.
    late = next(
        step
        for step in range(1, len(vectors))
        if vectors.expected[step - 1] > 3000 and not vectors.control[step] & CLEAR
    )
    assert fates.killed_at[3] == late


def test_a_fault_beyond_the_range_is_killed_by_the_sum_that_goes_around(spec: MacSpec, fates):
    assert make_vectors(spec).phase(fates.killed_at[5]) == "around"


def test_what_is_equivalent_or_never_met_lives(fates):
    assert fates.killed_at[0] is None
    assert fates.killed_at[6] is None


def test_no_fate_depends_on_the_mutant_before(fates):
    assert fates.killed_at[2] is not None
    assert fates.killed_at[2] == fates.killed_at[4]


def test_a_design_that_is_wrong_without_a_fault_has_no_fates(spec: MacSpec, run: Run):
    with pytest.raises(VerificationError, match=r"T3, by-hand differs .* without any fault"):
        run_mutants(by_hand(spec, broken=True), make_vectors(spec), run)


# The survivors.


def test_only_what_equals_the_original_in_every_state_is_equal(
    spec: MacSpec, yosys: Yosys, tmp_path: Path
):
    def equal(*numbers: int) -> frozenset[int]:
        return equal_mutants(by_hand(spec), numbers, yosys, workdir=tmp_path, timeout=60)

    assert equal(1, 2, 3, 6, 7) == {1}
    assert equal() == frozenset()
    assert list(tmp_path.iterdir()) == []


def test_a_yosys_without_an_answer_makes_no_mutant_equal(spec: MacSpec, tmp_path: Path):
    damaged = [{}, {"cut.json": b"{}"}, {"cut.json": b'{"modules": {"mac": {"ports": {}}}}'}]
    for files in damaged:
        with pytest.raises(SynthesisError, match="no answer on the mutants of T3, by-hand"):
            equal_mutants(by_hand(spec), [1], Pretender(files), workdir=tmp_path, timeout=60)


@pytest.fixture
def hand_made(monkeypatch, spec: MacSpec, fates):
    """Let the mutants be those made by hand, and their simulation the one above."""
    monkeypatch.setattr(mutation, "make_mutants", lambda *_a, **_k: by_hand(spec))
    monkeypatch.setattr(mutation, "run_mutants", lambda *_a: fates)
    monkeypatch.setattr(mutation, "equal_mutants", lambda *_a, **_k: frozenset())
    return Subject(spec=spec)


@pytest.mark.parametrize(
    ("said", "verdict", "why"),
    [
        ("proven", EQUIVALENT, ""),
        ("refuted", LIVE, str(EXAMPLE)),
        ("unproven", UNPROVEN, "no time"),
    ],
)
def test_only_a_proof_makes_a_survivor_equivalent(
    hand_made, run: Run, yosys: Yosys, *, said: str, verdict: str, why: str
):
    prover = says(said)
    (result,) = mutate([hand_made], setup_of(run, yosys, prover, count=7))
    assert [one.verdict for one in result.verdicts] == [verdict, *[KILLED] * 5, verdict]
    assert [one.phase for one in result.verdicts[1:3]] == ["every pair, cleared"] * 2
    assert len(prover.asked) == 2
    assert result.passed == (verdict == EQUIVALENT)
    if not result.passed:
        assert result.describe().splitlines()[0] == (
            f"T3, by-hand: mutant 1 is {verdict}: ~~product + same.Y[0] inverted; {why}"
        )
    assert MutationResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_a_prover_that_fails_proves_nothing(monkeypatch, hand_made, run: Run, yosys: Yosys):
    def fails(*_arguments, **_keywords):
        raise SynthesisError("Yosys crashed.")

    monkeypatch.setattr(mutation, "equal_mutants", fails)
    (result,) = mutate([hand_made], setup_of(run, yosys, fails, count=7))
    assert [one.counterexample for one in result.of(UNPROVEN)] == ["Yosys crashed."] * 2
    assert not result.passed
    # What fails in one go may be proven one by one.
    assert mutate([hand_made], setup_of(run, yosys, says("proven"), count=7))[0].passed


def test_a_mutant_alone_keeps_the_contract_of_the_mac(spec: MacSpec):
    made = by_hand(spec)
    designs = [mutant_design(made, one) for one in made.mutants]
    assert [one.port_fault() for one in designs] == [""] * 7
    assert len({one.texts() for one in designs}) == 7
    assert ".mutsel(3'd2)" in designs[1].texts()[0]


def test_results_come_from_the_cache_but_for_unproven_ones(hand_made, run: Run, yosys: Yosys):
    class Cache(dict):
        put = dict.__setitem__

    cache = Cache()
    (open_,) = mutate([hand_made], setup_of(run, yosys, says("unproven"), count=7, cache=cache))
    assert not open_.is_settled
    assert not cache
    proven = setup_of(run, yosys, says("proven"), count=7, cache=cache)
    first = mutate([hand_made], proven)
    assert list(cache) == [proven.key(hand_made)]
    settled: list[int] = []
    again = setup_of(run, yosys, refuse, count=7, cache=cache)
    assert mutate([hand_made], again, lambda _, count: settled.append(count)) == first
    assert settled == [7]
    cache[proven.key(hand_made)] = {"format": "damaged"}
    with pytest.warns(SimulationWarning, match="damaged: A mutation record lacks the key"):
        (again_made,) = mutate([hand_made], proven)
    assert replace(again_made, seconds=0.0) == replace(first[0], seconds=0.0)


def test_the_key_depends_on_all_that_a_result_depends_on(spec: MacSpec, run: Run, yosys: Yosys):
    one = Subject(spec=spec, rtlil="module")
    base = setup_of(run, yosys, refuse)
    newer = replace(yosys, version="999")
    keys = [
        base.key(one),
        base.key(replace(one, rtlil="module 2")),
        base.key(replace(one, spec=replace(spec, terms=8))),
        setup_of(run, yosys, refuse, count=7).key(one),
        setup_of(run, yosys, refuse, seed=6).key(one),
        setup_of(run, newer, refuse).key(one),
    ]
    assert len(set(keys)) == len(keys)
    assert setup_of(run, yosys, refuse, jobs=2, proof_seconds=1.0).key(one) == keys[0]


def test_progress_counts_every_mutant_once(hand_made, run: Run, yosys: Yosys):
    settled: list[int] = []
    mutate(
        [hand_made], setup_of(run, yosys, says("proven"), count=10), lambda _, n: settled.append(n)
    )
    # Five are killed, two proven, and of ten there are only seven.
    assert settled == [5, 1, 1, 3]


def test_a_design_that_fails_keeps_no_other_from_its_result(
    monkeypatch, hand_made, run: Run, yosys: Yosys, fates
):
    def simulate(design: MutatedDesign, vectors: Vectors, run: Run):
        if design.verilog == "broken":
            raise VerificationError("It differs.")
        return fates

    def make(subject, *_arguments, **_keywords):
        made = by_hand(subject.spec)
        return replace(made, verilog="broken") if subject.rtlil == "broken" else made

    monkeypatch.setattr(mutation, "run_mutants", simulate)
    monkeypatch.setattr(mutation, "make_mutants", make)
    subjects = [replace(hand_made, rtlil="broken"), hand_made]
    bad, good = mutate(subjects, setup_of(run, yosys, says("proven"), count=7, jobs=2))
    assert bad.error == "It differs."
    assert not bad.passed
    assert bad.describe() == "T3, by-hand: It differs."
    assert good.passed
    assert good.describe() == ""


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", "many"),
        ("verdicts", 3),
        ("verdicts", [3]),
        ("error", None),
        ("seconds", "1"),
    ],
)
def test_damaged_records_are_refused(key: str, value):
    record = result_of().to_json()
    with pytest.raises(DataError):
        MutationResult.from_json({**record, key: value})
    del record[key]
    with pytest.raises(DataError, match=f"lacks the key '{key}'"):
        MutationResult.from_json(record)


@pytest.mark.parametrize(
    ("key", "value"),
    [("verdict", "immortal"), ("number", "1"), ("control_bit", "1"), ("mode", None), ("step", 1.5)],
)
def test_damaged_verdicts_are_refused(key: str, value):
    record = json.loads(json.dumps(result_of().to_json()))
    assert MutationResult.from_json(record) == result_of()
    record["verdicts"][0][key] = value
    with pytest.raises(DataError, match=key):
        MutationResult.from_json(record)


def result_of() -> MutationResult:
    mutant = parse_mutant("mutate -mode inv -cell c -port Y -portbit 0", 1)
    return MutationResult(
        format="T3",
        activation="T3",
        terms=256,
        architecture="by-hand",
        count=1,
        seed=1,
        steps=9,
        verdicts=(MutantVerdict(mutant=mutant, verdict=KILLED, step=3, phase="end"),),
        error="",
        simulator="s",
        cocotb="c",
        yosys="y",
        seconds=1.5,
    )
