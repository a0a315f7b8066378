"""Mutation coverage as a table, as CSV (a row each design) and JSON (each mutant), and back."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from ..formats.errors import DataError
from ..sim.mutation_result import EQUIVALENT, KILLED, LIVE, UNPROVEN, MutationResult
from .flat_record import from_csv, to_csv
from .text_table import Column, TextTable, number

KEY = "designs"


@dataclass(frozen=True, kw_only=True, slots=True)
class MutationCoverage:
    """One design's mutants by verdict: ``killed``, ``equivalent``, ``live`` and ``unproven``.

    ``mutants`` is their sum; ``count`` were asked for. ``steps`` accumulator values are compared
    of a mutant that lives. ``error`` says why there are no mutants, or is empty.
    """

    format: str
    activation: str
    terms: int
    architecture: str
    count: int
    seed: int
    steps: int
    mutants: int
    killed: int
    equivalent: int
    live: int
    unproven: int
    error: str
    simulator: str
    cocotb: str
    yosys: str
    seconds: float


def coverage_of(result: MutationResult) -> MutationCoverage:
    """Return a result's counts."""
    return MutationCoverage(
        format=result.format,
        activation=result.activation,
        terms=result.terms,
        architecture=result.architecture,
        count=result.count,
        seed=result.seed,
        steps=result.steps,
        mutants=len(result.verdicts),
        killed=len(result.of(KILLED)),
        equivalent=len(result.of(EQUIVALENT)),
        live=len(result.of(LIVE)),
        unproven=len(result.of(UNPROVEN)),
        error=result.error,
        simulator=result.simulator,
        cocotb=result.cocotb,
        yosys=result.yosys,
        seconds=result.seconds,
    )


def coverage_to_csv(results: Iterable[MutationResult]) -> str:
    """Return one row a design as CSV."""
    return to_csv(MutationCoverage, [coverage_of(result) for result in results])


def coverage_from_csv(text: str, source: str = "mutation CSV") -> tuple[MutationCoverage, ...]:
    """Read :func:`coverage_to_csv`'s text back; raises :class:`DataError` with line and column."""
    return from_csv(MutationCoverage, text, source)


def mutation_to_json(results: Iterable[MutationResult]) -> str:
    """Return every design with every mutant as JSON."""
    record = {KEY: [result.to_json() for result in results]}
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"


def mutation_from_json(text: str, source: str = "mutation JSON") -> tuple[MutationResult, ...]:
    """Read :func:`mutation_to_json`'s text back; raises :class:`DataError`."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{source} is no JSON: {error}.") from error
    if not isinstance(record, dict) or not isinstance(record.get(KEY), list):
        raise DataError(f"{source} has no list {KEY!r}.")
    return tuple(MutationResult.from_json(one) for one in record[KEY])


def mutation_table(results: Iterable[MutationResult]) -> TextTable:
    """Return one row a design; rows with a mutant that lives, or with an error, are marked."""
    listed = list(results)
    columns = (
        Column(label="format", numeric=False),
        Column(label="architecture", numeric=False),
        Column(label="mutants", meaning="faults that were put into the design"),
        Column(label="killed", meaning="the testbench fails"),
        Column(label="live", meaning="the testbench passes, and the specification is broken"),
        Column(label="equivalent", meaning="proven to compute what the specification says"),
        Column(label="unproven", meaning="neither killed nor proven; counts as live"),
        Column(label="seconds"),
    )
    rows, marked = [], set()
    for index, result in enumerate(listed):
        one = coverage_of(result)
        counts = (one.mutants, one.killed, one.live, one.equivalent, one.unproven)
        formats, _, _ = result.name.rpartition(", ")
        rows.append(
            (formats, one.architecture, *(f"{n:,}" for n in counts), number(one.seconds, 1))
        )
        if not result.passed:
            marked.add(index)
    return TextTable(columns=columns, rows=tuple(rows), marked=frozenset(marked))
