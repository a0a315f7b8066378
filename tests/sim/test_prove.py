"""Proofs: right designs are proven, wrong ones refuted by inputs that show it."""

import json
import re
import threading
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.errors import DataError, SimulationError, SynthesisError, UsageError
from nibblemac.formats.lookup import all_formats, find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.rtl.architectures import serving
from nibblemac.rtl.verilog import to_verilog, top_name
from nibblemac.sim.counterexample import read_trace, steps_to, sum_of
from nibblemac.sim.design import Design
from nibblemac.sim.proof import Counterexample, Proof, Step, Verdict
from nibblemac.sim.prove import proof_key, prove, prove_all
from nibblemac.sim.specification import ProductForm, harness_verilog
from nibblemac.synth.cache import Cache

ADD = "$signed(_0_) + $signed(product)"


def spec_of(name: str = "INT3", **options) -> MacSpec:
    found = find_format(name)
    return MacSpec(weight=found, activation=found, **options)


def design_of(
    name: str = "INT3",
    architecture: str = "signed",
    change: tuple[str, str] | None = None,
    **options,
) -> Design:
    spec = spec_of(name, **options)
    text = to_verilog(spec, architecture)
    if change is not None:
        assert change[0] in text
        text = text.replace(*change)
    return Design(
        spec=spec,
        architecture=architecture,
        level="rtl",
        top=top_name(spec, architecture),
        sources=(text,),
    )


PORTS = (
    {},
    {"enable": True},
    {"registered_product": True},
    {"enable": True, "registered_product": True},
)


@pytest.mark.parametrize(
    ("architecture", "options"), list(zip(serving(spec_of("E2M0")), PORTS, strict=True))
)
def test_every_architecture_with_every_port(yosys, tmp_path, architecture, options) -> None:
    proof = prove(design_of("E2M0", architecture, **options), yosys, workdir=tmp_path)
    assert proof.verdict is Verdict.PROVEN
    assert proof.proven
    assert proof.counterexample is None
    assert "tempinduct" in proof.method
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [item.name for item in all_formats() if item.bits == 4][::6])
def test_formats_of_four_bits(yosys, tmp_path, name: str) -> None:
    architecture = serving(spec_of(name))[-1]
    assert prove(design_of(name, architecture), yosys, workdir=tmp_path).proven


def test_a_special_that_the_block_chooses(yosys, tmp_path) -> None:
    assert prove(design_of("RaZeR-A", "sign-magnitude"), yosys, workdir=tmp_path).proven


# What each change does to the sum, by (sum before, product, clear).
FAULTS = {
    "product": (
        (ADD, "$signed(_0_) + $signed(product ^ (product == 6'd9))"),
        lambda s, p, clear: (0 if clear else s) + (8 if p == 9 else p),
    ),
    "deep": (
        (ADD, "$signed(_0_) + $signed(product ^ (!clear & (accumulator == 13'd1000)))"),
        lambda s, p, clear: (0 if clear else s) + (p ^ 1 if s == 1000 and not clear else p),
    ),
    "negative and deep": (
        (ADD, "$signed(_0_) + $signed(product ^ (!clear & (accumulator == -13'd1500)))"),
        lambda s, p, clear: (0 if clear else s) + (p ^ 1 if s == -1500 and not clear else p),
    ),
    "clear": (
        (ADD, "$signed(clear ? 13'd1 : _0_) + $signed(product)"),
        lambda s, p, clear: (1 if clear else s) + p,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_designs_are_refuted_by_inputs_that_show_it(yosys, tmp_path, fault: str) -> None:
    change, model = FAULTS[fault]
    design = design_of(change=change)
    proof = prove(design, yosys, workdir=tmp_path / "work", waves=tmp_path / "waves")
    assert proof.verdict is Verdict.REFUTED
    found = proof.counterexample
    assert found is not None
    assert found.steps[0].clear
    assert len(found.steps) <= design.spec.terms
    right = wrong = 0
    for step in found.steps:
        product = design.spec.product(step.weight, step.activation)
        right = (0 if step.clear else right) + product
        wrong = model(wrong, product, step.clear)
    assert (found.expected, found.got) == (right, wrong)
    assert right != wrong
    waves = Path(found.waves)
    assert waves.parent == tmp_path / "waves"
    assert [path.name for path in waves.parent.iterdir()] == [waves.name]
    assert re.search(
        rf"\$var wire {design.spec.accumulator_bits} \S+ \\accumulator \$end", waves.read_text()
    )
    assert "refuted" in proof.describe()
    assert str(waves) in proof.describe()
    assert Proof.from_json(json.loads(json.dumps(proof.to_json()))) == proof


@pytest.mark.parametrize("low", [True, False])
def test_undefined_values_prove_nothing(yosys, tmp_path, low: bool) -> None:
    value = "1'bx" if low else "undriven"
    change = ADD, f"$signed(_0_) + $signed(product ^ (clear & {value}))"
    text = design_of(change=change)
    if not low:
        name = text.top + "_accumulator"
        source = re.sub(
            rf"(module {name}\(.*?;)", r"\1 wire undriven;", text.sources[0], flags=re.S
        )
        text = Design(
            spec=text.spec, architecture="signed", level="rtl", top=text.top, sources=(source,)
        )
    assert prove(text, yosys, workdir=tmp_path).verdict is Verdict.REFUTED


def test_sums_beyond_the_contract_refute_nothing(yosys, tmp_path) -> None:
    """256 products of INT3 are at most 4096; from 4095 down to −4096 no sum wraps."""
    change = ADD, "$signed(_0_) + $signed(product ^ (!clear & (accumulator == 13'd4095)))"
    spec = spec_of()
    assert (spec.terms - 1) * 16 < 4095
    proof = prove(design_of(change=change), yosys, workdir=tmp_path)
    assert proof.verdict is Verdict.UNPROVEN
    assert "no sum" in proof.detail
    assert not proof.proven


@pytest.mark.parametrize(
    "change",
    [
        ("_0_ = product_1;\n    end", "_0_ = product_1;\n    end else _0_ = product ^ product[3];"),
        ("_2_ = clear;\n    end", "_2_ = clear;\n    end else _2_ = 1'b0;"),
    ],
)
def test_registers_that_move_without_enable(yosys, tmp_path, change) -> None:
    design = design_of(change=change, enable=True, registered_product=True)
    proof = prove(design, yosys, workdir=tmp_path)
    assert proof.verdict is Verdict.UNPROVEN
    assert "enable low" in proof.detail


def test_other_ports_than_the_contract(yosys, tmp_path) -> None:
    proof = prove(design_of(change=("input clear;", "input [1:0] clear;")), yosys, workdir=tmp_path)
    assert proof.verdict is Verdict.UNPROVEN
    assert "clear" in proof.detail


def test_verilog_that_yosys_refuses(yosys, tmp_path) -> None:
    design = design_of(change=("endmodule", "endmodul"))
    with pytest.raises(SynthesisError, match="ended with code"):
        prove(design, yosys, workdir=tmp_path)
    assert not list(tmp_path.iterdir())
    (proof,) = prove_all([design], yosys, workdir=tmp_path)
    assert proof.verdict is Verdict.UNPROVEN
    assert "ended with code" in proof.detail


@pytest.mark.parametrize("form", ProductForm)
def test_forms_of_the_product_say_the_same(yosys, tmp_path, monkeypatch, form) -> None:
    monkeypatch.setattr("nibblemac.sim.prove.product_forms", lambda spec: (form,))
    proof = prove(design_of("NF3", "table"), yosys, workdir=tmp_path)
    assert proof.proven
    assert f"product as {form}" in proof.method
    other = design_of("NF3", "table", change=("accumulator <= ", "accumulator <= 1'b1 ^ "))
    assert prove(other, yosys, workdir=tmp_path).verdict is Verdict.REFUTED


def test_the_specification_is_made_from_the_record_alone() -> None:
    """Its table, read back, is the products of the grids."""
    spec = spec_of("E2M0")
    text = harness_verilog(spec, "design_under_proof", ProductForm.TABLE)
    found = re.findall(r"(\d+)'d(\d+): product = (-?)\d+'sd(\d+);", text)
    products = {int(code): int(sign + size) for _, code, sign, size in found}
    grid = spec.weight.grid
    assert products == {8 * w + a: grid[w] * grid[a] for w in range(8) for a in range(8)}
    source = Path(harness_verilog.__code__.co_filename).read_text(encoding="utf-8")
    assert not re.search(r"^(from|import) .*\brtl\b", source, flags=re.M)


class Stub:
    """A Yosys that does what it is told; ``said`` is what it raises."""

    kind, version = "stub", "1"

    def __init__(self, said: Exception | None = None) -> None:
        self.said = said
        self.runs = 0

    @property
    def tools(self) -> dict[str, str]:
        return {self.kind: self.version}

    def run(self, script, folder, *, timeout, cancel=None) -> None:
        self.runs += 1
        if self.said is not None:
            raise self.said


def test_an_end_without_an_answer_proves_nothing(tmp_path) -> None:
    with pytest.raises(SimulationError, match="without an answer"):
        prove(design_of(), Stub(), workdir=tmp_path)


@pytest.mark.parametrize("said", ["it ran longer than 5 s on x", "proof did time out!"])
def test_time_that_runs_out_leaves_it_unproven(tmp_path, said: str) -> None:
    proof = prove(design_of(), Stub(SynthesisError(said)), workdir=tmp_path)
    assert proof.verdict is Verdict.UNPROVEN
    assert "time" in proof.detail


def test_a_solver_that_says_no_without_a_model(tmp_path) -> None:
    class Refusing(Stub):
        def run(self, script, folder, *, timeout, cancel=None) -> None:
            if script == "proof.ys":
                raise SynthesisError("proof did fail!")

    proof = prove(design_of(), Refusing(), workdir=tmp_path)
    assert proof.verdict is Verdict.UNPROVEN
    assert proof.counterexample is None


def test_only_proofs_are_kept(yosys, tmp_path) -> None:
    cache = Cache(tmp_path / "cache")
    right, wrong = design_of(), design_of(change=FAULTS["clear"][0])
    first = prove_all([right, wrong], yosys, workdir=tmp_path, cache=cache, jobs=2)
    assert [proof.verdict for proof in first] == [Verdict.PROVEN, Verdict.REFUTED]
    stub = Stub(SynthesisError("it ran longer than 1 s"))
    stub.kind, stub.version = yosys.kind, yosys.version
    seen: list[Proof] = []
    again = prove_all([right, wrong], stub, workdir=tmp_path, cache=cache, progress=seen.append)
    assert again[0] == first[0]
    assert again[1].verdict is Verdict.UNPROVEN
    assert len(seen) == 2
    # Of another name, or of a contract that differs, it is another design.
    assert proof_key(right, yosys) != proof_key(design_of(terms=255), yosys)
    assert proof_key(right, yosys) != proof_key(wrong, yosys)
    assert proof_key(right, yosys) != proof_key(right, Stub())


def test_a_proof_can_be_cancelled(yosys, tmp_path) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(InterruptedError):
        prove(design_of(), yosys, workdir=tmp_path, cancel=cancel)
    assert not list(tmp_path.iterdir())


PROOF = Proof(
    format="INT3",
    activation="INT3",
    architecture="signed",
    level="rtl",
    verdict=Verdict.REFUTED,
    method="m",
    seconds=1.5,
    counterexample=Counterexample(
        steps=(Step(weight=1, activation=2, clear=True),), expected=2, got=3
    ),
)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("verdict", "maybe"),
        ("verdict", "proven"),
        ("seconds", "long"),
        ("counterexample", None),
        ("counterexample", {"steps": 3, "expected": 2, "got": 3, "waves": ""}),
        ("counterexample", {"steps": [{"weight": 1}], "expected": 2, "got": 3, "waves": ""}),
    ],
)
def test_wrong_records_are_refused(key: str, value: object) -> None:
    record = PROOF.to_json()
    assert Proof.from_json(record) == PROOF
    with pytest.raises(DataError):
        Proof.from_json({**record, key: value})


@given(st.data())
def test_steps_to_a_sum_add_up(data) -> None:
    name = data.draw(st.sampled_from(["INT3", "E2M1", "NF4-top11", "E3M0", "APoT4"]))
    spec = spec_of(name, terms=data.draw(st.integers(2, 300)))
    low, high = spec.accumulator_range
    total = data.draw(st.integers(low, high))
    steps = steps_to(spec, total)
    if steps is not None:
        assert sum_of(spec, steps) == total
        assert 0 < len(steps) < spec.terms
        assert [step.clear for step in steps] == [True] + [False] * (len(steps) - 1)
    codes = data.draw(st.lists(st.tuples(*2 * [st.integers(0, 7)]), min_size=1, max_size=2))
    if len(codes) < spec.terms:
        assert steps_to(spec, sum(spec.product(w, a) for w, a in codes)) is not None


def test_sums_that_no_products_make() -> None:
    odd = find_format("INT3")
    even = type(odd)(**{**{f: getattr(odd, f) for f in odd.__dataclass_fields__}, "name": "even"})
    object.__setattr__(even, "grid", tuple(2 * level for level in odd.grid))
    object.__setattr__(even, "unit", Fraction(1))
    spec = MacSpec(weight=even, activation=even)
    assert steps_to(spec, 6) is None
    assert steps_to(spec, 8) is not None


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"signal": [{"name": "a", "wave": "401."}]}', {"a": [0, 1, 1]}),
        (
            '{"signal": [{"name": "a", "wave": "4==.", "data": ["", "01", "11"]}]}',
            {"a": [1, 3, 3]},
        ),
        ('{"signal": [{"name": "a [3]", "wave": "041"}]}', {}),
    ],
)
def test_traces_are_read(tmp_path, text: str, values: dict[str, list[int]]) -> None:
    (tmp_path / "trace.json").write_text(text)
    assert read_trace(tmp_path / "trace.json") == values


@pytest.mark.parametrize(
    "text", ["", "[]", '{"signal": 1}', '{"signal": [{"name": "a", "wave": "4xx"}]}']
)
def test_traces_that_are_none(tmp_path, text: str) -> None:
    (tmp_path / "trace.json").write_text(text)
    with pytest.raises(SimulationError, match=r"trace\.json"):
        read_trace(tmp_path / "trace.json")


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(UsageError, match="rtl or netlist"):
        Design(spec=spec_of(), architecture="signed", level="gates", top="t", sources=("x",))
