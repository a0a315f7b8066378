"""Any format that a user may bring: its Verilog and netlist are made, proven and simulated."""

import os
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from nibblemac.explore.proving import CandidateProof, prove_candidates
from nibblemac.explore.verification import netlist_designs, rtl_designs, verify_designs
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.record import Format, Rounding
from nibblemac.rtl.architectures import serving
from nibblemac.synth.area import Candidate, map_candidates, plan
from nibblemac.synth.recipes import find_recipe
from nibblemac.synth.sweep import Flow


@dataclass(frozen=True)
class Kind:
    """A kind of grid, by its bits."""

    name: str
    values: st.SearchStrategy[tuple[int, ...]]


def grids(bits: int) -> dict[str, st.SearchStrategy[tuple[int, ...]]]:
    """Return kinds of grids of 2**bits values, at least two of them different."""
    count = 1 << bits
    # Levels as large as this have products of two dozen bits.
    huge = 1 << (11 if bits < 5 else 8)

    def of(low: int, high: int) -> st.SearchStrategy[tuple[int, ...]]:
        return st.lists(st.integers(low, high), min_size=count, max_size=count).map(tuple)

    def with_signs(values: tuple[int, ...]) -> tuple[int, ...]:
        half = values[: count // 2]
        return half + tuple(-value for value in half)

    return {
        "random": of(-31, 31),
        "repeated": of(-2, 2),
        "positive": of(1, 40),
        "negative": of(-40, 0),
        "huge": of(-huge, huge),
        "sign-magnitude": of(0, 24).map(with_signs),
        "powers": of(0, 7).map(lambda v: with_signs(tuple(1 << e for e in v))),
        "one other": st.tuples(
            st.integers(-9, 9), st.integers(1, 9), st.integers(0, count - 1)
        ).map(lambda v: tuple(v[0] + v[1] * (code == v[2]) for code in range(count))),
    }


@st.composite
def specs(draw: st.DrawFn, most_bits: int) -> MacSpec:
    """A MAC of one random format with itself or another, of 1 to 300 terms, with any ports."""

    def format_of(name: str) -> Format:
        bits = draw(st.integers(2, most_bits))
        kinds = grids(bits)
        grid = draw(kinds[draw(st.sampled_from(sorted(kinds)))].filter(lambda g: len(set(g)) > 1))
        return Format(
            name=name,
            bits=bits,
            grid=grid,
            unit=draw(st.sampled_from([Fraction(1), Fraction(1, 3), Fraction(7, 2)])),
            rounding=draw(st.sampled_from(list(Rounding))),
        )

    weight = format_of("Random")
    return MacSpec(
        weight=weight,
        activation=draw(st.sampled_from([weight, None])) or format_of("Other"),
        terms=draw(st.sampled_from([1, 2, 100, 256, 300])),
        enable=draw(st.booleans()),
        registered_product=draw(st.booleans()),
    )


def check(flow: Flow, *, examples: int, most_bits: int, deterministic: bool) -> int:
    """Take random formats through all that there is; return how many."""
    found: list[Candidate] = []

    @settings(
        max_examples=examples,
        derandomize=deterministic,
        deadline=None,
        database=None,
        # Each example takes seconds, and what fails is small already.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(specs(most_bits), st.data())
    def one(spec: MacSpec, data: st.DataObject) -> None:
        architecture = data.draw(st.sampled_from(serving(spec)))
        candidates, failures = map_candidates(
            flow, plan([spec], [architecture], [find_recipe("adders")])
        )
        assert not failures, failures
        (proof,) = prove_candidates(candidates, flow)
        assert isinstance(proof, CandidateProof)
        assert proof.proven, (spec, proof.rtl.describe(), proof.netlist.describe())
        found.extend(candidates)

    one()
    # One model for all: most of a simulation's time is its compilation.
    pairs = [(one.task.design.spec, one.task.design.architecture) for one in found]
    designs = [*rtl_designs(pairs, flow.cache), *netlist_designs(found, flow.library)]
    results = verify_designs(designs, flow.cache)
    assert [result.describe() for result in results if not result.passed] == []
    assert len(results) == 2 * len(found)
    return len(found)


def test_random_formats(flow: Flow, record_property) -> None:
    assert check(flow, examples=8, most_bits=3, deterministic=True) == 8
    record_property("random_formats", 8)


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
def test_many_random_formats(flow: Flow, record_property) -> None:
    examples = int(os.environ.get("NIBBLEMAC_FUZZ_FORMATS", "200"))
    assert check(flow, examples=examples, most_bits=6, deterministic=False) == examples
    record_property("random_formats", examples)
