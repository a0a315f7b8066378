"""``nibblemac mutate`` on 3-bit formats: verdicts, files, exit codes, what is refused at once."""

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from nibblemac.explore.mutation_files import (
    coverage_from_csv,
    coverage_of,
    mutation_from_json,
    mutation_to_json,
)
from nibblemac.formats.errors import DataError
from nibblemac.scripts import main as command
from nibblemac.sim import mutation
from nibblemac.sim.child import Run
from nibblemac.sim.mutation_result import KILLED, LIVE
from nibblemac.sim.runtime import prepare_runtime, runtime_folder
from nibblemac.sim.simulators import find_simulator
from nibblemac.sim.stimulus import make_vectors
from nibblemac.synth.cache import ENVIRONMENT


def call(*arguments: object) -> int:
    try:
        return command.main([str(one) for one in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


@pytest.fixture
def own_cache(tmp_path: Path, cache_folder: Path, monkeypatch) -> Path:
    """Give a cache without results, but with Verilator's runtime from the one of all tests."""
    run = Run(
        simulator=find_simulator(),
        workdir=cache_folder / "simulation",
        waves=None,
        seed=1,
        timeout=300,
        jobs=1,
        cancel=threading.Event(),
    )
    prepare_runtime(run)
    folder = tmp_path / "cache"
    ready = Path(runtime_folder(run))
    if ready.name:
        shutil.copytree(ready, folder / "simulation" / ready.name)
    monkeypatch.setenv(ENVIRONMENT, str(folder))
    return folder


def test_every_mutant_is_killed_or_equivalent(capsys, tmp_path: Path, own_cache: Path) -> None:
    json_file, csv_file = tmp_path / "m.json", tmp_path / "m.csv"
    files = ("--json", json_file, "--csv", csv_file)
    assert call("mutate", "INT3", "--count", "16", *files) == 0
    captured = capsys.readouterr()
    assert "mutants: 16 of 16" in captured.err
    (result,) = mutation_from_json(json_file.read_text())
    assert (result.format, result.architecture, result.seed) == ("INT3", "sign-magnitude", 1)
    assert result.passed
    assert len(result.verdicts) == 16
    killed = result.of(KILLED)
    assert {one.step is None for one in killed} == {False}
    assert f"{len(killed)} of {len(killed)} mutants killed" in captured.out
    assert f"{16 - len(killed)} equivalent set aside" in captured.out
    assert coverage_from_csv(csv_file.read_text()) == (coverage_of(result),)
    # Again: all from the cache, the same bytes.
    before = json_file.read_bytes(), csv_file.read_bytes()
    assert call("mutate", "INT3", "--count", "16", *files) == 0
    assert (json_file.read_bytes(), csv_file.read_bytes()) == before


@pytest.mark.fuzz
def test_results_are_the_same_but_for_the_time(tmp_path: Path, own_cache: Path) -> None:
    """Whatever the jobs, the other designs, the hash seed, the locale and the folder."""
    formats = ("E2M0", "INT3", "APoT4")
    assert call("mutate", *formats, "--jobs", "2", "--json", tmp_path / "m.json") == 0
    results = mutation_from_json((tmp_path / "m.json").read_text())
    assert [one.format for one in results] == list(formats)
    assert [len(one.verdicts) for one in results] == [200] * 3
    shutil.rmtree(own_cache / "records")
    for one in results:
        words = ["mutate", one.format, "--jobs", "1", "--json", "-"]
        found = subprocess.run(
            [sys.executable, "-m", "nibblemac.scripts", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": "7", "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=True,
        )
        (again,) = mutation_from_json(found.stdout)
        assert replace(again, seconds=0.0) == replace(one, seconds=0.0)


def test_a_crippled_testbench_lets_mutants_live(
    capsys, tmp_path: Path, own_cache: Path, monkeypatch
) -> None:
    def crippled(spec, seed):
        """Leave out all but the products alone: the accumulator never adds."""
        vectors = make_vectors(spec, seed)
        stop = dict(vectors.phases)["every pair, added"]
        return replace(
            vectors,
            phases=vectors.phases[:1],
            weight=vectors.weight[:stop],
            activation=vectors.activation[:stop],
            control=vectors.control[:stop],
            expected=vectors.expected[:stop],
        )

    monkeypatch.setattr(mutation, "make_vectors", crippled)
    file = tmp_path / "m.json"
    few = ("--architecture", "signed", "--count", "4", "--seed", "5")
    assert call("mutate", "INT3", *few, "--json", file) == 1
    captured = capsys.readouterr()
    (result,) = mutation_from_json(file.read_text())
    assert not result.passed
    assert result.survivors
    lines = captured.err.splitlines()
    for one in result.survivors:
        name = f"INT3, signed: mutant {one.mutant.number} is {one.verdict}: {one.mutant}; "
        (line,) = [line for line in lines if line.startswith(name)]
        # What the prover has against it: inputs and what they give, or why it cannot tell.
        assert line == name + one.counterexample
        assert ("products from a clear on" in line) == (one.verdict == LIVE)
    assert result.of(LIVE)


WRONG = {
    "count": (("INT3", "--count", "0"), "number of mutants is 0"),
    "many": (("INT3", "--count", "1000000"), "number of mutants is 1000000"),
    "seed": (("INT3", "--seed", "-1"), "seed of the mutants is -1"),
    "format": (("INT33",), "'INT33'"),
    "architecture": (("INT3", "--architecture", "magic"), "'magic'"),
    "yosys": (("INT3", "--yosys", "magic"), "'magic'"),
    "file": (("INT3", "--csv", "{folder}/missing/m.csv"), "missing"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_arguments_are_told_at_once(kind: str, tmp_path: Path, capsys) -> None:
    arguments, words = WRONG[kind]
    assert call("mutate", *(one.format(folder=tmp_path) for one in arguments)) != 0
    errors = capsys.readouterr().err
    assert errors.startswith("nibblemac: ")
    assert words in errors
    assert "mutants: " not in errors


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"designs": 3}', '{"designs": [3]}', "[" * 9999])
def test_files_that_are_no_mutants_are_refused(text: str) -> None:
    with pytest.raises(DataError):
        mutation_from_json(text)


def test_no_designs_make_an_empty_file() -> None:
    assert mutation_from_json(mutation_to_json([])) == ()
    assert json.loads(mutation_to_json([])) == {"designs": []}
