"""Damaged JSON: distilled libraries, records of the cache, designs of the store.

A record of cache and store begins with its checksum. Half of the cases have a wrong one, as after
a full disk; the others a right one over wrong contents, as from another version or a stranger.
"""

import json
import warnings
from pathlib import Path

from nibblemac.formats.errors import LibraryError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.sim.result import VerifyResult
from nibblemac.synth import cell_json
from nibblemac.synth.cache import Cache, CacheWarning
from nibblemac.synth.cell_models import cell_models
from nibblemac.synth.delay import Delay, measure_delay
from nibblemac.synth.distill import distill
from nibblemac.synth.flow import Mapped
from nibblemac.synth.liberty import parse_liberty
from nibblemac.synth.liberty_writer import to_liberty
from nibblemac.synth.library import load_library
from nibblemac.synth.netlist_verilog import to_verilog
from nibblemac.synth.power import Power, measure_power
from nibblemac.synth.record_file import record_text
from nibblemac.synth.shipped import shipped_designs
from nibblemac.synth.store import Store, StoreWarning, store_key
from nibblemac.synth.stored import Stored

TINY = Path(__file__).parents[1] / "synth" / "data" / "tiny.lib"
INT3 = MacSpec(weight=find_format("INT3"), activation=find_format("INT3"))


def shipped() -> tuple[Stored, str]:
    """Return INT3's smallest MAC that the package ships, and its key."""
    library = load_library()
    key = store_key(INT3, library)
    (*_, best) = sorted(shipped_designs(library)[key], key=lambda one: -one.figure)
    return best, key


def test_distilled_libraries(fuzz, is_sentence) -> None:
    library = distill([parse_liberty(TINY.read_bytes(), "tiny.lib")])
    text = cell_json.to_text(library)
    record = json.loads(text)

    def make(damage) -> str:
        if damage.rng.random() < 0.5:
            return damage.damaged(text.encode()).decode("utf-8", "replace")
        return json.dumps(damage.changed(record))

    def read(case: str) -> bool:
        try:
            found = cell_json.from_text(case, "x.json")
            use(found)
        except LibraryError as error:
            is_sentence(error)
            return False
        assert cell_json.from_text(cell_json.to_text(found), "x.json") == found
        return True

    def use(found) -> None:
        """Do what the flow does with a library before it maps anything."""
        assert found.nand2.area >= 0
        assert found.best_flip_flop.name
        assert found.tie(0) is None or found.tie(0)[0].name
        assert len(found.digest) == 64
        cell_models(found, [cell.name for cell in found.cells])
        # What is written for Yosys is the library again, whatever the record called things.
        again = distill([parse_liberty(to_liberty(found).encode(), "x.lib")])
        assert [cell.name for cell in again.cells] == [cell.name for cell in found.cells]

    tokens = ["A", "Y", "IQ", "IQN", "A*B", "!A"]
    fuzz.run("distilled library JSON", [text.encode()], make, read, valid=[text], tokens=tokens)


def test_cache_records(fuzz, tmp_path: Path) -> None:
    library = load_library()
    stored, _ = shipped()
    mapped = stored.mapped(INT3, library).to_json()
    verdict = {
        "format": "INT3", "activation": "INT3", "terms": 256, "architecture": "signed",
        "level": "rtl", "cases": 100, "wrong": 1, "error": "", "full_length": True, "seconds": 0.5,
        "failures": [
            {"step": 1, "phase": "x", "weight": 1, "activation": 2, "clear": True, "enable": True,
             "expected": -3, "got": "x"},
        ],
        "simulator": "Icarus 11.0", "cocotb": "2.1.0", "seed": 1, "waves": "", "passed": False,
    }  # fmt: skip
    records = [
        (mapped, Mapped.from_json),
        (verdict, VerifyResult.from_json),
        (measure_delay(stored.netlist, library).to_json(), Delay.from_json),
        (measure_power(stored.netlist, library, INT3).to_json(), Power.from_json),
    ]
    cache = Cache(tmp_path)
    key = "0" * 64
    path = cache._path(key)
    path.parent.mkdir(parents=True)
    whole = [record_text(record).encode() for record, _ in records]

    def make(damage) -> tuple[bytes, int]:
        which = damage.rng.choice((0, 0, 1, 2, 3))
        if damage.rng.random() < 0.5:
            return damage.damaged(whole[which]), which
        return record_text(damage.changed(records[which][0])).encode(), which

    def read(case: tuple[bytes, int]) -> bool:
        path.write_bytes(case[0])
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = cache.read(key, records[case[1]][1])
            assert found is None or type(found) is type(records[case[1]][1](records[case[1]][0]))
        assert [one.category for one in told] == ([CacheWarning] if found is None else [])
        assert all(len(str(one.message)) < 1000 and str(one.message).isprintable() for one in told)
        if isinstance(found, Mapped) and found.graph is not None:
            assert Mapped.from_json(found.to_json()) == found
        return found is not None

    valid = [(data, which) for which, data in enumerate(whole)]
    fuzz.run("cache record", whole, make, read, valid=valid)


def test_store_records(fuzz, tmp_path: Path) -> None:
    library = load_library()
    stored, key = shipped()
    folder = tmp_path / key[:2] / key
    folder.mkdir(parents=True)
    record = stored.to_json()
    whole = record_text(record).encode()
    store = Store([tmp_path], shipped=False)

    def make(damage) -> tuple[bytes, str]:
        body = record
        choice = damage.rng.random()
        if choice < 0.3:
            return damage.damaged(whole), named(record)
        if choice < 0.6:
            body = json.loads(json.dumps(record))
            rewire(damage.rng, body["netlist"])
        else:
            body = damage.changed(record)
        return record_text(body).encode(), named(body)

    def named(body: object) -> str:
        """Return the name that a design's file must have, so that more than the name is read."""
        try:
            found = Stored.from_json(body)
        except (ValueError, KeyError, TypeError, AttributeError):
            found = stored
        return f"{found.figure:.6f}-{found.digest[:16]}.json"

    def rewire(rng, netlist) -> None:
        """Connect a pin elsewhere, or exchange a cell for another of the library."""
        one = rng.choice(netlist["instances"])
        if rng.random() < 0.3:
            one[1] = rng.choice(library.cells).name
        else:
            pin = rng.choice(list(one[2]))
            one[2][pin] = rng.choice(
                [0, 1, 2, 2**19, *rng.choice(netlist["instances"])[2].values()]
            )

    def read(case: tuple[bytes, str]) -> bool:
        path = folder / case[1]
        path.write_bytes(case[0])
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = store.best(INT3, library)
        path.unlink()
        if found is None:
            # A name that is no design's is not looked at.
            assert [one.category for one in told] in ([StoreWarning], [])
        else:
            assert told == []
            assert found.area(library) > 0
            assert to_verilog(found.mapped(INT3, library).graph)
        assert all(len(str(one.message)) < 1500 and str(one.message).isprintable() for one in told)
        return found is not None

    fuzz.run("store record", [whole], make, read, valid=[(whole, named(record))])
