"""The store: better only, checked, whole, shared."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from nibblemac.formats.errors import SynthesisError, UsageError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.synth import shipped
from nibblemac.synth.area import map_candidates, plan
from nibblemac.synth.finish import check_sums
from nibblemac.synth.library import load_library
from nibblemac.synth.netlist import Netlist
from nibblemac.synth.recipes import find_recipes
from nibblemac.synth.record_file import record_text
from nibblemac.synth.shipped import read_shipped, write_shipped
from nibblemac.synth.store import (
    AREA,
    DELAY,
    ENVIRONMENT,
    Store,
    StoreWarning,
    store_folders,
    store_key,
)
from nibblemac.synth.stored import Provenance, Stored, area_of, plain
from nibblemac.synth.sweep import Flow

PROVENANCE = Provenance(
    format="INT3",
    activation="INT3",
    library="sky130hd",
    architecture="signed",
    recipe="adders",
    effort="quick",
    seed=1,
    seconds=1.5,
    tools={"yosys": "1"},
)


def spec_of(name: str = "INT3", **options: int) -> MacSpec:
    found = find_format(name)
    return MacSpec(weight=found, activation=found, **options)


@pytest.fixture(scope="module")
def netlists(flow: Flow) -> list[Netlist]:
    """INT3's MAC in four sizes, the largest first."""
    tasks = plan([spec_of()], ["signed", "sign-magnitude"], find_recipes("best"))
    candidates, failures = map_candidates(flow, tasks)
    assert not failures
    found = [plain(one.mapped.graph) for one in candidates if one.mapped.graph is not None]
    found.sort(key=lambda one: -area_of(one, flow.library))
    assert len({area_of(one, flow.library) for one in found}) == 4
    return found


def test_better_only(flow: Flow, netlists: list[Netlist], tmp_path: Path) -> None:
    store, spec = Store([tmp_path], shipped=False), spec_of()
    assert store.best(spec, flow.library) is None
    areas = []
    for number in (1, 0, 2, 2, 1, 3):
        before = store.best(spec, flow.library)
        taken = store.offer(spec, flow.library, netlists[number], PROVENANCE)
        best = store.best(spec, flow.library)
        assert best is not None
        assert taken == (before is None or best.figure < before.figure)
        areas.append(best.figure)
    assert areas == sorted(areas, reverse=True)
    assert areas[-1] == area_of(netlists[3], flow.library)
    assert best.netlist == netlists[3]
    assert best.provenance == PROVENANCE
    # What was replaced does not pile up.
    assert len(list(tmp_path.rglob("*.json"))) <= 3


def test_found_under_any_name_and_nowhere_else(
    flow: Flow, netlists: list[Netlist], tmp_path: Path
) -> None:
    store, spec = Store([tmp_path], shipped=False), spec_of()
    assert store.offer(spec, flow.library, netlists[0], PROVENANCE)
    renamed = replace(spec.weight, name="Mine")
    assert store.best(MacSpec(weight=renamed, activation=renamed), flow.library) is not None
    assert store.best(spec_of(terms=255), flow.library) is None
    assert store.best(spec_of("E2M0"), flow.library) is None
    assert store.best(replace(spec, enable=True), flow.library) is None
    assert store.best(spec, load_library("sg13g2")) is None
    assert store.best(spec, flow.library, DELAY) is None


def test_objectives_and_their_conditions_are_apart(
    flow: Flow, netlists: list[Netlist], tmp_path: Path
) -> None:
    store, spec = Store([tmp_path], shipped=False), spec_of()

    def offer(number: int, ps: float, load: str) -> bool:
        return store.offer(
            spec,
            flow.library,
            netlists[number],
            PROVENANCE,
            objective=DELAY,
            figure=ps,
            conditions={"load": load},
        )

    assert offer(3, 900.0, "4 fF")
    assert offer(0, 800.0, "4 fF")
    assert not offer(2, 850.0, "4 fF")
    assert offer(1, 850.0, "8 fF")
    best = store.best(spec, flow.library, DELAY, {"load": "4 fF"})
    assert best is not None
    assert (best.netlist, best.figure) == (netlists[0], 800.0)
    assert store.best(spec, flow.library) is None


@pytest.mark.parametrize("figure", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_figures_without_a_meaning(flow: Flow, netlists, tmp_path: Path, figure) -> None:
    with pytest.raises(UsageError, match="positive number"):
        Store([tmp_path], shipped=False).offer(
            spec_of(), flow.library, netlists[0], PROVENANCE, objective=DELAY, figure=figure
        )


def test_unknown_objective(flow: Flow, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'beauty'.*area, delay, energy"):
        Store([tmp_path], shipped=False).best(spec_of(), flow.library, "beauty")


def test_wrong_netlists_do_not_enter(flow: Flow, netlists, tmp_path: Path) -> None:
    store = Store([tmp_path], shipped=False)
    with pytest.raises(SynthesisError, match="ports"):
        store.offer(spec_of("E2M0", terms=4), flow.library, netlists[0], PROVENANCE)
    with pytest.raises(SynthesisError, match="wrong netlist"):
        store.offer(spec_of(), flow.library, broken(netlists[0], flow), PROVENANCE)
    assert not list(tmp_path.rglob("*.json"))


def broken(netlist: Netlist, flow: Flow) -> Netlist:
    """Return the netlist with two accumulator bits exchanged, as large as before."""
    ports = []
    for port in netlist.ports:
        nets = list(port.nets)
        if port.name == "accumulator":
            nets[0], nets[1] = nets[1], nets[0]
        ports.append(replace(port, nets=tuple(nets)))
    found = Netlist(top=netlist.top, ports=tuple(ports), instances=netlist.instances)
    with pytest.raises(SynthesisError):
        check_sums(found, flow.library, spec_of())
    return found


def entry(folder: Path) -> Path:
    (path,) = folder.rglob("*.json")
    return path


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "renamed", "folder"])
def test_damaged_files_are_told_and_left_alone(
    flow: Flow, netlists, tmp_path: Path, damage: str
) -> None:
    store, spec = Store([tmp_path], shipped=False), spec_of()
    assert store.offer(spec, flow.library, netlists[3], PROVENANCE)
    path = entry(tmp_path)
    data = path.read_bytes()
    if damage == "renamed":
        path.rename(path.with_name("1.000000-" + "0" * 16 + ".json"))
    elif damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes({"cut": data[:-9], "bit": data[:-1] + b"~", "empty": b""}[damage])
    with pytest.warns(StoreWarning, match="left alone"):
        assert store.best(spec, flow.library) is None
    if damage == "folder":
        return
    # The next best takes its place, and the same design heals the file.
    with pytest.warns(StoreWarning):
        assert store.offer(spec, flow.library, netlists[0], PROVENANCE)
    with pytest.warns(StoreWarning):
        assert store.offer(spec, flow.library, netlists[3], PROVENANCE)


def forged(record: dict, change: str) -> dict:
    netlist, provenance = record["netlist"], record["provenance"]
    if change == "figure":
        record["figure"] = record["figure"] / 2
    elif change == "sums":
        (port,) = [one for one in netlist["ports"] if one[0] == "accumulator"]
        port[2][0], port[2][1] = port[2][1], port[2][0]
    elif change == "cell":
        netlist["instances"][0][1] = "free_cell"
    elif change == "pin":
        netlist["instances"][0][2]["bogus"] = 5
    elif change == "net":
        netlist["instances"][0][2] = dict.fromkeys(netlist["instances"][0][2], "n")
    elif change == "port":
        netlist["ports"][0][0] = "clk; endmodule"
    elif change == "architecture":
        provenance["architecture"] = "../../etc"
    elif change == "newline":
        provenance["effort"] = "quick\nmodule"
    elif change == "seed":
        provenance["seed"] = "1"
    elif change == "list":
        record["netlist"] = []
    return record


@pytest.mark.parametrize(
    "change",
    [
        "figure", "sums", "cell", "pin", "net", "port", "architecture", "newline", "seed", "list",
    ],
)  # fmt: skip
def test_forged_files_with_right_checksums(
    flow: Flow, netlists, tmp_path: Path, change: str
) -> None:
    store, spec = Store([tmp_path], shipped=False), spec_of()
    assert store.offer(spec, flow.library, netlists[3], PROVENANCE)
    path = entry(tmp_path)
    record = forged(json.loads(path.read_text().partition("\n")[2]), change)
    path.unlink()
    try:
        found = Stored.from_json(record)
        name = f"{found.figure:.6f}-{found.digest[:16]}.json"
    except (ValueError, KeyError, TypeError, AttributeError):
        name = path.name
    (path.parent / name).write_text(record_text(record))
    with pytest.warns(StoreWarning, match="left alone"):
        assert store.best(spec, flow.library) is None


def test_several_folders_and_the_environment(
    flow: Flow, netlists, tmp_path: Path, monkeypatch
) -> None:
    mine, shared = tmp_path / "mine", tmp_path / "shared"
    spec = spec_of()
    assert Store([shared], shipped=False).offer(spec, flow.library, netlists[2], PROVENANCE)
    monkeypatch.setenv(ENVIRONMENT, f"{mine}:{shared}")
    assert store_folders() == (mine, shared)
    store = Store(shipped=False)
    assert not store.offer(spec, flow.library, netlists[1], PROVENANCE)
    assert not mine.exists()
    assert store.offer(spec, flow.library, netlists[3], PROVENANCE)
    best = Store([mine], shipped=False).best(spec, flow.library)
    assert best is not None
    assert best.netlist == netlists[3]
    left = Store([shared], shipped=False).best(spec, flow.library)
    assert left is not None
    assert left.netlist == netlists[2]


def test_folder_that_cannot_be_written(flow: Flow, netlists, tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    store = Store([blocker / "store"], shipped=False)
    with pytest.warns(StoreWarning, match="cannot be written"):
        assert not store.offer(spec_of(), flow.library, netlists[0], PROVENANCE)
    assert not store.offer(spec_of(), flow.library, netlists[0], PROVENANCE)


def test_concurrent_writers(flow: Flow, netlists, tmp_path: Path) -> None:
    """Whatever the order, the best never gets worse, and the best of all stays."""
    orders = [0, 1, 2, 0, 1, 2, 0, 1, 2, 1, 3, 0, 2, 0, 2, 1, 0]
    context = multiprocessing.get_context("spawn")
    store, spec, seen = Store([tmp_path], shipped=False), spec_of(), []
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        futures = [
            pool.submit(store.offer, spec, flow.library, netlists[number], PROVENANCE)
            for number in orders
        ]
        for future in futures:
            future.result()
            best = store.best(spec, flow.library)
            assert best is not None
            seen.append(best.figure)
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == area_of(netlists[3], flow.library)
    assert not list(tmp_path.rglob("*.tmp"))


def test_mapped_is_the_design(flow: Flow, netlists) -> None:
    stored = Stored(netlist=netlists[3], figure=1.0, provenance=PROVENANCE)
    mapped = stored.mapped(spec_of(), flow.library)
    assert mapped.top == "mac_int3_signed"
    assert mapped.area_um2 == area_of(netlists[3], flow.library)
    assert sum(mapped.cells.values()) == len(netlists[3].instances)
    flip_flops = spec_of().accumulator_bits
    dff = flow.library.best_flip_flop
    assert mapped.sequential_um2 == pytest.approx(flip_flops * dff.area)
    assert f"module {mapped.top}(" in mapped.netlist
    assert mapped.graph is not None
    check_sums(mapped.graph, flow.library, spec_of())


def test_shipped_designs(flow: Flow, netlists, tmp_path: Path, monkeypatch) -> None:
    spec = spec_of()
    stored = [Stored(netlist=n, figure=area_of(n, flow.library), provenance=PROVENANCE)
              for n in netlists[1:3]]  # fmt: skip
    key = store_key(spec, flow.library)
    path = tmp_path / "designs.json"
    write_shipped(path, flow.library, [(key, one) for one in stored])
    again = tmp_path / "again.json"
    write_shipped(again, flow.library, [(key, one) for one in stored[::-1]])
    assert path.read_bytes() == again.read_bytes()
    found = read_shipped(path.read_text(), flow.library.digest)
    assert sorted(one.figure for one in found[key]) == sorted(one.figure for one in stored)
    assert read_shipped(path.read_text(), "another library") == {}
    with pytest.raises(ValueError, match="checksum"):
        read_shipped(path.read_text()[:-1], flow.library.digest)

    monkeypatch.setattr(
        shipped, "_read", lambda name, digest: read_shipped(path.read_text(), digest)
    )
    store = Store([tmp_path / "mine"])
    best = store.best(spec, flow.library)
    assert best is not None
    assert best.netlist == netlists[2]
    assert Store([tmp_path / "mine"], shipped=False).best(spec, flow.library) is None
    assert not store.offer(spec, flow.library, netlists[2], PROVENANCE)
    assert store.offer(spec, flow.library, netlists[3], PROVENANCE)
    assert store_key(spec, flow.library, AREA, {"load": "x"}) == key


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("figure", 10**400, "figure"),
        ("figure", 1e300, "figure"),
        ("seconds", 10**400, "seconds is too large"),
        ("seed", 10**400, "seed is too large"),
        ("cell", "x" * 10_000, "a name in its netlist"),
        ("cell", "\x1b[2J", "a name in its netlist"),
    ],
)
def test_values_that_no_design_has_are_refused(
    netlists: list[Netlist], key: str, value: object, message: str
) -> None:
    record = json.loads(
        json.dumps(Stored(netlist=netlists[0], figure=1.0, provenance=PROVENANCE).to_json())
    )
    if key == "figure":
        record["figure"] = value
    elif key == "cell":
        record["netlist"]["instances"][0][1] = value
    else:
        record["provenance"][key] = value
    with pytest.raises(ValueError, match=message):
        Stored.from_json(record)
