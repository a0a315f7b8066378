"""Kept results that are damaged are noticed, told, and made again with the right values."""

import hashlib
import json
import os
import shutil
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from nibblemac.explore.lookup_error import version_errors
from nibblemac.explore.verification import rtl_designs
from nibblemac.formats import scratch
from nibblemac.formats.files import write_text
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.resolve import resolve_formats
from nibblemac.sim import runtime
from nibblemac.sim.child import Job, Run
from nibblemac.sim.runtime import SimulationWarning, prepare_runtime, runtime_folder
from nibblemac.sim.simulators import Simulator
from nibblemac.synth.area import Survey, survey
from nibblemac.synth.cache import ENVIRONMENT, Cache, CacheWarning
from nibblemac.synth.kernel import kernel
from nibblemac.synth.library import load_library
from nibblemac.synth.recipes import find_recipes
from nibblemac.synth.store import Store, StoreWarning
from nibblemac.synth.stored import Provenance, plain
from nibblemac.synth.sweep import Flow


def measured(found: Survey) -> list[object]:
    """All of the results but times."""
    assert not found.failures
    return [replace(one, seconds=0, search_seconds=0) for one in found.results]


def run(flow: Flow, specs: list[MacSpec]) -> list[object]:
    return measured(survey(flow, specs, ["sign-magnitude"], find_recipes("all")))


@pytest.fixture(scope="module")
def specs(tiny) -> list[MacSpec]:
    return [MacSpec(weight=one, activation=one, terms=4) for one in resolve_formats(map(str, tiny))]


@pytest.fixture(scope="module")
def finished(specs, quick_yosys, tmp_path_factory) -> tuple[Flow, Survey]:
    """A sweep that has its results in a cache."""
    cache = Cache(tmp_path_factory.mktemp("finished"))
    flow = Flow(library=load_library(), yosys=quick_yosys, cache=cache, jobs=2)
    return flow, survey(flow, specs, ["sign-magnitude"], find_recipes("all"))


@pytest.fixture
def swept(finished, tmp_path) -> tuple[Flow, list[object]]:
    """The sweep with a cache of the test's own, and its results."""
    flow, found = finished
    shutil.copytree(flow.cache.folder, tmp_path / "cache")
    return replace(flow, cache=Cache(tmp_path / "cache")), measured(found)


def records_of(flow: Flow) -> list[Path]:
    return sorted((flow.cache.folder / "records").rglob("*.json"))


def whole(record: object) -> bytes:
    """A record of any type, with the right checksum."""
    return checked(json.dumps(record).encode())


def checked(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def other_types(data: bytes) -> bytes:
    """Each value of the record in another type."""
    record = json.loads(data.partition(b"\n")[2])
    return whole({name: [value] for name, value in record.items()})


def without_one(data: bytes) -> bytes:
    record = json.loads(data.partition(b"\n")[2])
    del record[sorted(record)[0]]
    return whole(record)


def not_finite(data: bytes) -> bytes:
    record = json.loads(data.partition(b"\n")[2])
    return whole({n: float("nan") if isinstance(v, (int, float)) else v for n, v in record.items()})


DAMAGE = {
    "empty": lambda _: b"",
    "cut in the middle": lambda data: data[: len(data) // 2],
    "one byte short": lambda data: data[:-1],
    "zeros": lambda data: bytes(len(data)),
    "zeros at the end": lambda data: data[:-512] + bytes(min(512, len(data))),
    "one bit": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    "not text": lambda data: b"\xff\xfe" + data,
    "twice": lambda data: data + data,
    "a list": lambda _: whole([1, 2]),
    "a number": lambda _: whole(7),
    "null": lambda _: whole(None),
    "an empty object": lambda _: whole({}),
    "other types": other_types,
    "a key less": without_one,
    "no finite numbers": not_finite,
    "deep": lambda _: checked(b"[" * 100_000),
}  # fmt: skip


def damaged(swept, specs, faults, kinds: list[str]) -> None:
    flow, expected = swept
    paths = records_of(flow)
    assert len(paths) >= 14
    wrong = {
        path: DAMAGE[kinds[number % len(kinds)]](path.read_bytes())
        for number, path in enumerate(paths)
    }
    for path, data in wrong.items():
        assert path.read_bytes() != data
        path.write_bytes(data)
    with faults("damaged cache entry", len(paths)):
        with pytest.warns(CacheWarning) as said:
            assert run(flow, specs) == expected
        told = {str(one.message) for one in said}
        for path, data in wrong.items():
            assert any(str(path) in text and "computing again" in text for text in told)
            assert path.read_bytes() != data
    # Healed: warnings are errors here.
    assert run(flow, specs) == expected


@pytest.mark.parametrize("turn", range(3))
def test_damaged_cache_entries(swept, specs, faults, turn):
    """Each entry of a sweep is damaged in another way."""
    kinds = list(DAMAGE)
    damaged(swept, specs, faults, kinds[5 * turn :] + kinds[: 5 * turn])


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", DAMAGE)
def test_all_cache_entries_damaged_alike(swept, specs, faults, kind):
    damaged(swept, specs, faults, [kind])


def test_a_folder_in_an_entrys_place(swept, specs, faults):
    flow, expected = swept
    for path in (paths := records_of(flow)):
        path.unlink()
        path.mkdir()
    with faults("damaged cache entry", len(paths)), pytest.warns(CacheWarning, match="cannot be"):
        assert run(flow, specs) == expected


@pytest.mark.parametrize("kind", ["zeros", "other types"])
def test_damaged_verilog(tmp_path, faults, kind):
    cache, one = Cache(tmp_path), find_format("INT3")
    pairs = [(MacSpec(weight=one, activation=one, terms=4), "signed")]
    expected = rtl_designs(pairs, cache)
    (path,) = (tmp_path / "records").rglob("*.json")
    path.write_bytes(DAMAGE[kind](path.read_bytes()))
    with faults("damaged cache entry"), pytest.warns(CacheWarning, match="damaged"):
        assert rtl_designs(pairs, cache) == expected
    assert rtl_designs(pairs, cache) == expected


@pytest.mark.fuzz
def test_damaged_lookup_errors(tmp_path, faults):
    cache, pairs = Cache(tmp_path), [(find_format("NF3"), find_format("NF3"))]
    expected = version_errors(pairs, cache)
    (path,) = (tmp_path / "records").rglob("*.json")
    path.write_bytes(other_types(path.read_bytes()))
    with faults("damaged cache entry"), pytest.warns(CacheWarning, match="damaged"):
        assert version_errors(pairs, cache) == expected
    assert version_errors(pairs, cache) == expected


@pytest.mark.parametrize("kind", [kind for kind in DAMAGE if kind not in {"deep", "not text"}])
def test_damaged_designs_of_the_store(finished, specs, tmp_path, faults, kind):
    """The second best stands in; the best heals what was damaged."""
    flow, found = finished
    spec, store = specs[0], Store([tmp_path / "store"], shipped=False)
    graphs = {
        one.mapped.area_um2: plain(one.mapped.graph)
        for one in found.candidates
        if one.task.design.spec == spec
    }
    worst, best = max(graphs), min(graphs)
    assert worst > best
    provenance = Provenance(
        format="T2", activation="T2", library="sky130hd", architecture="sign-magnitude",
        recipe="amap", effort="quick", seed=1, seconds=1.0, tools={},
    )  # fmt: skip
    for area in (worst, best):
        assert store.offer(spec, flow.library, graphs[area], provenance)
    path = next(
        one for one in (tmp_path / "store").rglob("*.json") if float(one.name.split("-")[0]) == best
    )
    path.write_bytes(DAMAGE[kind](path.read_bytes()))
    with faults("damaged design of the store"):
        with pytest.warns(StoreWarning, match="is left alone"):
            taken = store.best(spec, flow.library)
        assert taken is not None
        assert taken.figure == worst
        with pytest.warns(StoreWarning):
            assert store.offer(spec, flow.library, graphs[best], provenance)
        healed = store.best(spec, flow.library)
        assert healed is not None
        assert healed.figure == best


@pytest.fixture(scope="module")
def compiler(tmp_path_factory, write_program) -> Path:
    """A compiler that makes a small library with the kernel's name in it, and counts."""
    found = shutil.which("g++") or shutil.which("c++")
    if found is None:
        pytest.skip("no C++ compiler is here")
    folder = tmp_path_factory.mktemp("compiler")
    (folder / "small.cpp").write_text('extern "C" int nibblemac_anneal() { return 0; }')
    subprocess.run(
        [found, "-shared", "-fPIC", "-o", folder / "small.so", folder / "small.cpp"], check=True
    )
    text = (
        '#!/bin/sh\nif [ "$1" = --version ]; then echo 1; exit; fi\n'
        f'echo compiled >> {folder}/log\nwhile [ "$1" != -o ]; do shift; done\n'
        f'cp {folder}/small.so "$2"\n'
    )
    return write_program(folder / "c++", text)


@pytest.mark.parametrize(
    "kind", ["empty", "cut in the middle", "one byte short", "zeros", "one bit"]
)
def test_a_damaged_kernel(compiler, tmp_path, monkeypatch, faults, kind):
    """A cut library must not end the process that loads it; it is compiled again."""
    log = compiler.parent / "log"
    log.write_text("")
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "cache"))
    try:
        kernel.cache_clear()
        assert kernel() is not None
        (path,) = (tmp_path / "cache" / "kernel").iterdir()
        # The library that is loaded stays as it is; a file of its own is damaged.
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(DAMAGE[kind](data))
        kernel.cache_clear()
        with faults("damaged kernel"), pytest.warns(CacheWarning, match="compiled again"):
            assert kernel() is not None
        assert log.read_text() == "compiled\n" * 2
        assert path.read_bytes() == data
        kernel.cache_clear()
        assert kernel() is not None
        assert log.read_text() == "compiled\n" * 2
    finally:
        kernel.cache_clear()


def verilator(tmp_path: Path, monkeypatch) -> tuple[Run, list[int]]:
    """A run whose Verilator leaves two objects, and how often it was started."""
    calls: list[int] = []

    def execute(self: Job, run: Run, what: str) -> int:
        calls.append(1)
        (self.folder / "build").mkdir()
        for name in ("verilated.o", "verilated_vpi.o"):
            (self.folder / "build" / name).write_bytes(name.encode() * 1000)
        return 0

    monkeypatch.setattr(Job, "execute", execute)
    simulator = Simulator(kind="verilator", version="5.048", path="/nowhere/verilator")
    made = Run(
        simulator=simulator, workdir=tmp_path / "models", waves=None, seed=1, timeout=10, jobs=1,
        cancel=threading.Event(),
    )  # fmt: skip
    return made, calls


@pytest.mark.parametrize(
    "damage", ["cut", "zeros", "missing", "foreign", "sums missing", "sums garbage", "all missing"]
)
def test_a_damaged_runtime(tmp_path, monkeypatch, faults, damage):
    made, calls = verilator(tmp_path, monkeypatch)
    prepare_runtime(made)
    prepare_runtime(made)
    assert len(calls) == 1
    folder = Path(runtime_folder(made))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    one = folder / "verilated.o"
    if damage == "cut":
        one.write_bytes(one.read_bytes()[:100])
    elif damage == "zeros":
        one.write_bytes(bytes(one.stat().st_size))
    elif damage == "missing":
        one.unlink()
    elif damage == "foreign":
        (folder / "verilated_more.o").write_bytes(b"x")
    elif damage == "sums missing":
        (folder / runtime.SUMS).unlink()
    elif damage == "sums garbage":
        (folder / runtime.SUMS).write_text("[]")
    else:
        shutil.rmtree(folder)
        folder.mkdir()
    with faults("damaged simulator runtime"), pytest.warns(SimulationWarning, match="made again"):
        prepare_runtime(made)
    assert len(calls) == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in made.workdir.iterdir()] == [folder.name]
    prepare_runtime(made)
    assert len(calls) == 2


DAY = 24 * 3600


def aged(path: Path, days: float) -> Path:
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return path


def dead() -> int:
    """The number of a process that is gone."""
    number = os.fork()
    if number == 0:
        os._exit(0)
    os.waitpid(number, 0)
    return number


def test_what_killed_processes_left_is_removed_when_it_is_old(swept, tmp_path, monkeypatch, faults):
    """From the place for temporary folders, the cache, the models and the folder of an output."""
    flow, _ = swept
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path / "tmp"))
    made, _ = verilator(tmp_path, monkeypatch)
    mine = scratch.mark()
    gone = mine.replace(f"-{os.getpid()}-", f"-{dead()}-")
    foreign = f"{scratch.PREFIX}{'0' * 8}-{dead()}-"
    places = {
        tmp_path / "tmp": "",
        flow.cache.folder / "records" / "00": ".",
        made.workdir: "model-",
        tmp_path / "out": ".",
    }
    kept, removed = [], []
    for place, before in places.items():
        place.mkdir(parents=True, exist_ok=True)
        for name, days, list_ in (
            (f"{gone}a", 2, removed),
            (f"{gone}b", 0.5, kept),
            (f"{mine}c", 30, kept),
            (f"{foreign}d", 2, kept),
            (f"{foreign}e", 8, removed),
            ("somebody-elses", 400, kept),
        ):
            path = place / (before + name)
            if path.parent == tmp_path / "tmp":
                path.mkdir()
                (path / "inside").write_text("x")
            else:
                path.write_text("x")
            list_.append(aged(path, days))
    with faults("leavings of killed processes", len(removed)):
        shutil.rmtree(scratch.make_scratch())
        Cache(flow.cache.folder).put("0" * 64, {"x": 1})
        prepare_runtime(made)
        write_text(tmp_path / "out" / "file", "x")
        assert [path for path in removed if path.exists()] == []
        assert [path for path in kept if not path.exists()] == []
