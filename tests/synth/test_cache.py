import os
import subprocess
import sys
from pathlib import Path

import pytest
from nibblemac.synth.cache import Cache, CacheWarning, cache_folder, cache_key

KEY = cache_key("a")


def test_round_trip_and_miss(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cache.get(KEY) is None
    cache.put(KEY, {"x": [1, "µ"]})
    assert cache.get(KEY) == {"x": [1, "µ"]}
    assert cache.get(cache_key("b")) is None
    assert [p.suffix for p in tmp_path.rglob("*") if p.is_file()] == [".json"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "binary"])
def test_damaged_entry_is_told_and_forgotten(tmp_path: Path, damage: str) -> None:
    cache = Cache(tmp_path)
    cache.put(KEY, {"area": 1234.5})
    path = next(tmp_path.rglob("*.json"))
    data = path.read_bytes()
    path.write_bytes(
        {
            "truncate": data[:-3],
            "flip": data.replace(b"1234.5", b"1234.6"),
            "empty": b"",
            "binary": b"\xff\xfe" + data,
        }[damage]
    )
    with pytest.warns(CacheWarning, match="computing again"):
        assert cache.get(KEY) is None
    cache.put(KEY, {"area": 1})
    assert cache.get(KEY) == {"area": 1}


def test_unwritable_cache_warns_once_and_goes_on(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    cache = Cache(blocker / "cache")
    with pytest.warns(CacheWarning, match="cannot be written"):
        cache.put(KEY, {"x": 1})
    cache.put(KEY, {"x": 2})
    assert cache.get(KEY) is None


def test_failed_write_leaves_no_temporary_file(tmp_path: Path, monkeypatch) -> None:
    cache = Cache(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.warns(CacheWarning, match="No space left"):
        cache.put(KEY, {"x": 1})
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


WRITER = """
import sys
from pathlib import Path
from nibblemac.synth.cache import Cache
for _ in range(50):
    Cache(Path(sys.argv[1])).put(sys.argv[2], {"value": [int(sys.argv[3])] * 1000})
"""


def test_two_processes_share_a_cache(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), KEY, value])
        for value in ("1", "2")
    ]
    cache = Cache(tmp_path)
    seen = []
    while any(writer.poll() is None for writer in writers):
        record = cache.get(KEY)
        if record is not None:
            seen.append(record)
    assert [writer.returncode for writer in writers] == [0, 0]
    # A half-written entry would have been a CacheWarning, which is an error here.
    assert all(set(record["value"]) <= {1, 2} and len(record["value"]) == 1000 for record in seen)
    assert cache.get(KEY) is not None


def test_folder_from_environment(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NIBBLEMAC_CACHE", str(tmp_path / "c"))
    assert cache_folder() == tmp_path / "c"
    monkeypatch.delenv("NIBBLEMAC_CACHE")
    assert cache_folder().name == "nibblemac"
    assert os.fspath(cache_folder()) != os.fspath(tmp_path / "c")
