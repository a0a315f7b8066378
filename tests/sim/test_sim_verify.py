import json
from pathlib import Path

import pytest
from nibblemac.formats.errors import SimulationError, ToolError, UsageError
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.record import Format
from nibblemac.sim.design import Design, verification_key
from nibblemac.sim.result import VerifyResult
from nibblemac.sim.runtime import SimulationWarning
from nibblemac.sim.simulators import Simulator, find_simulator
from nibblemac.sim.verify import verify

FAULTS = ["pair", "sign", "clear", "latency", "narrow", "wide", "wraps"]


def specs(t4: Format, twos_complement) -> dict[str, MacSpec]:
    t3, t5 = twos_complement(3), twos_complement(5)
    return {
        "plain": MacSpec(weight=t4, activation=t4),
        "enable": MacSpec(weight=t4, activation=t4, enable=True),
        "registered": MacSpec(weight=t4, activation=t4, registered_product=True),
        "both": MacSpec(weight=t4, activation=t4, enable=True, registered_product=True),
        "mixed": MacSpec(weight=t3, activation=t5, terms=7),
        "one": MacSpec(weight=t3, activation=t3, terms=1),
    }


@pytest.fixture(scope="module")
def verdicts(simulator: Simulator, workdir: Path, t4, twos_complement, design_of):
    """All the designs of this module in one call, so that Verilator builds once."""
    all_specs = specs(t4, twos_complement)
    names = [(spec, "", "rtl") for spec in all_specs]
    names += [("plain", "", "netlist")]
    names += [(spec, fault, "rtl") for spec in all_specs for fault in FAULTS]
    names += [(spec, "enable", "rtl") for spec in ("enable", "both")]
    designs = [design_of(all_specs[s], fault, level=level) for s, fault, level in names]
    # Every top module is called mac, so that this also tests that names do not clash.
    seen: list[VerifyResult] = []
    results = verify(designs, simulator=simulator, workdir=workdir, progress=seen.append)
    assert sorted(map(repr, seen)) == sorted(map(repr, results))
    for design, result in zip(designs, results, strict=True):
        assert (result.architecture, result.level) == (design.architecture, design.level)
        assert (result.format, result.terms) == (design.spec.weight.name, design.spec.terms)
    return dict(zip(names, results, strict=True))


@pytest.mark.parametrize("spec", ["plain", "enable", "registered", "both", "mixed", "one"])
def test_right_designs_pass(verdicts, spec: str):
    result = verdicts[spec, "", "rtl"]
    assert result.passed, result.describe()
    assert result.wrong == 0
    assert result.failures == ()
    assert result.full_length


def test_both_levels_of_one_design_are_told_apart(verdicts):
    assert verdicts["plain", "", "netlist"].passed
    assert verdicts["plain", "", "netlist"].level == "netlist"


@pytest.mark.parametrize("spec", ["plain", "enable", "registered", "both"])
@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_designs_fail(verdicts, spec: str, fault: str):
    result = verdicts[spec, fault, "rtl"]
    assert not result.passed
    if fault in {"narrow", "wide"}:
        assert result.error == (
            f"The port accumulator of mac has {16 - (fault == 'narrow') + (fault == 'wide')} "
            "bits; it needs 16."
        )
    else:
        assert result.error == ""
        assert result.wrong > 0
        assert 1 <= len(result.failures) <= 5


@pytest.mark.parametrize("spec", ["enable", "both"])
def test_an_ignored_enable_fails(verdicts, spec: str):
    result = verdicts[spec, "enable", "rtl"]
    assert not result.failures[0].enable


def test_one_wrong_product_is_reported_with_its_codes(verdicts):
    result = verdicts["plain", "pair", "rtl"]
    first = result.failures[0]
    # Codes in order: (15, 3) is the 15 × 16 + 3rd pair, alone in the accumulator.
    assert (first.step, first.weight, first.activation, first.clear) == (243, 15, 3, True)
    assert (first.expected, first.got) == (-3, "-2")
    text = result.describe()
    assert "T4, pair, rtl" in text
    assert (
        "step 243 (every pair, cleared): weight code 15, activation code 3, clear 1, enable 1: "
        "expected -3, got -2"
    ) in text
    assert f"and {result.wrong - 5} more" in text


def test_with_a_registered_product_the_codes_are_those_of_the_product(verdicts):
    first = verdicts["registered", "pair", "rtl"].failures[0]
    assert (first.step, first.weight, first.activation, first.expected) == (244, 15, 3, -3)


def test_an_ignored_clear_fails_from_the_second_product_that_is_not_zero(verdicts):
    result = verdicts["plain", "clear", "rtl"]
    assert result.wrong > result.cases // 2
    assert result.failures[0].clear


def test_an_accumulator_that_wraps_fails_only_beyond_its_range(verdicts):
    result = verdicts["plain", "wraps", "rtl"]
    assert all(not -(2**11) <= failure.expected < 2**11 for failure in result.failures)


def test_terms_of_one_needs_no_accumulation(verdicts):
    # Latency, clear and sign still show; a state that is four bits too narrow wraps.
    assert verdicts["one", "sign", "rtl"].wrong > 0
    assert verdicts["mixed", "wraps", "rtl"].wrong > 0


def test_a_result_records_the_tools(verdicts, simulator: Simulator):
    result = verdicts["plain", "", "rtl"]
    assert result.simulator == simulator.name
    assert result.cocotb.startswith("2.1")
    assert result.seconds > 0


def test_a_result_round_trips(verdicts):
    for result in verdicts.values():
        assert VerifyResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_unknown_bits_fail_with_clear_text(workdir: Path, t4: Format, design_of):
    try:
        icarus = find_simulator("icarus")
    except ToolError as error:
        pytest.skip(f"only Icarus knows X: {str(error)[:40]}…")
    spec = MacSpec(weight=t4, activation=t4)
    (result,) = verify([design_of(spec, "unknown")], simulator=icarus, workdir=workdir)
    assert result.wrong == result.cases
    assert "000000000000000X, not a number: X or Z bits" in result.describe()


def test_a_design_that_cannot_be_built_hides_no_other(
    simulator: Simulator, workdir: Path, t4: Format, design_of
):
    spec = MacSpec(weight=t4, activation=t4)
    good, other = design_of(spec), design_of(spec, "sign")
    broken = Design(
        spec=spec,
        architecture="broken",
        level="rtl",
        top="mac",
        sources=(good.sources[0].replace("endmodule", "missing_cell x(clk); endmodule"),),
    )
    results = verify([good, broken, other], simulator=simulator, workdir=workdir, keep_going=True)
    assert [result.passed for result in results] == [True, False, False]
    assert "could not be built" in results[1].error
    assert "missing_cell" in results[1].error
    assert "log.txt" in results[1].error
    assert results[2].wrong > 0

    class Cache(dict):
        put = dict.__setitem__

    cache = Cache()
    with pytest.raises(SimulationError, match="T4, broken, rtl could not be built"):
        verify([good, broken], simulator=simulator, workdir=workdir, cache=cache)
    # What finished stays.
    assert [VerifyResult.from_json(record).architecture for record in cache.values()] == ["right"]


def test_passes_come_from_the_cache_and_failures_do_not(workdir: Path, t4: Format, design_of):
    spec = MacSpec(weight=t4, activation=t4)
    good, wrong = design_of(spec), design_of(spec, "sign")
    puts: list[str] = []

    class Cache(dict):
        def put(self, key: str, record: dict) -> None:
            puts.append(record["architecture"])
            self[key] = json.loads(json.dumps(record))

    cache = Cache()
    first = verify([good, wrong], workdir=workdir, cache=cache)
    assert puts == ["right"]
    second = verify([good], workdir=workdir / "never made", cache=cache)
    assert second == first[:1]
    assert not (workdir / "never made").exists()
    cache[next(iter(cache))] = {"format": "damaged"}
    with pytest.warns(SimulationWarning, match="damaged"):
        assert verify([good], workdir=workdir, cache=cache)[0].passed
    assert puts == ["right", "right"]


def test_the_key_depends_on_all_that_a_verdict_depends_on(t4: Format, design_of):
    spec = MacSpec(weight=t4, activation=t4)
    one = Simulator(kind="icarus", version="11.0", path="/a/iverilog")
    other = Simulator(kind="icarus", version="12.0", path="/a/iverilog")
    keys = [
        verification_key(design_of(spec), one, 1),
        verification_key(design_of(spec), one, 2),
        verification_key(design_of(spec), other, 1),
        verification_key(design_of(spec, level="netlist"), one, 1),
        verification_key(design_of(spec, "sign"), one, 1),
        verification_key(design_of(MacSpec(weight=t4, activation=t4, terms=8)), one, 1),
    ]
    assert len(set(keys)) == len(keys)
    assert verification_key(design_of(spec), one, 1) == keys[0]


def test_waveforms_are_kept_where_asked(
    simulator: Simulator, workdir: Path, tmp_path: Path, t4: Format, design_of
):
    spec = MacSpec(weight=t4, activation=t4, terms=2)
    (result,) = verify(
        [design_of(spec, "sign")], simulator=simulator, workdir=workdir, waves=tmp_path / "waves"
    )
    file = Path(result.waves)
    assert file.parent == tmp_path / "waves"
    assert file.stat().st_size > 1000
    if file.suffix == ".vcd":
        assert "accumulator" in file.read_text()


def test_sources_may_be_files(workdir: Path, tmp_path: Path, t4: Format, design_of):
    spec = MacSpec(weight=t4, activation=t4)
    good = design_of(spec)
    file = tmp_path / "mac.v"
    design = Design(spec=spec, architecture="a", level="rtl", top="mac", sources=(file,))
    with pytest.raises(SimulationError, match=r"mac\.v cannot be read"):
        verify([design], workdir=workdir)
    file.write_text(good.sources[0])
    assert verify([design], workdir=workdir)[0].passed


def test_the_ports_are_checked_before_any_simulation(workdir: Path, t4: Format, design_of):
    spec = MacSpec(weight=t4, activation=t4, enable=True)
    without = MacSpec(weight=t4, activation=t4)
    text = design_of(without).sources[0]

    def fault(top: str = "mac", text: str = text) -> str:
        design = Design(spec=spec, architecture="a", level="rtl", top=top, sources=(text,))
        (result,) = verify([design], workdir=workdir)
        assert not result.passed
        return result.error

    assert fault() == "The module mac has no port enable."
    assert fault(top="mca") == "The Verilog sources do not define the module 'mca'."
    assert fault(text=text.replace("input clear", "output clear")) == (
        "The port clear of mac is an output, not an input."
    )


def test_designs_are_refused_in_a_sentence(t4: Format):
    spec = MacSpec(weight=t4, activation=t4)
    with pytest.raises(UsageError, match="level 'gates' is unknown"):
        Design(spec=spec, architecture="a", level="gates", top="mac", sources=("x",))
    with pytest.raises(UsageError, match="no Verilog sources"):
        Design(spec=spec, architecture="a", level="rtl", top="mac", sources=())


def test_no_designs_no_results(workdir: Path):
    assert verify([], workdir=workdir) == []


def test_verilators_makefiles_cannot_handle_spaces(tmp_path: Path, t4: Format, design_of):
    verilator = Simulator(kind="verilator", version="5.048", path="/nowhere/verilator")
    spec = MacSpec(weight=t4, activation=t4)
    with pytest.raises(UsageError, match="contains white space"):
        verify([design_of(spec)], simulator=verilator, workdir=tmp_path / "my models")
