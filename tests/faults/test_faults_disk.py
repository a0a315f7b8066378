"""Full disks, places that cannot be written, and several processes on one cache."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

#: Runs commands under a limit of the size of files, each in turn, and says what came of it.
LIMITED = """
import contextlib
import io
import json
import resource
import sys
from pathlib import Path

from nibblemac.scripts.main import main

plan = json.loads(Path(sys.argv[1]).read_text())
answers = []
for limit, arguments in plan:
    size = resource.RLIM_INFINITY if limit is None else limit
    out, err = io.StringIO(), io.StringIO()
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(arguments)
            except SystemExit as stop:
                code = stop.code
            except BaseException as error:
                code = repr(error)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    answers.append([code, err.getvalue()])
Path(sys.argv[2]).write_text(json.dumps(answers))
"""


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run_limited(commands, tmp_path, plan) -> list[list]:
    script, asked, told = (tmp_path / name for name in ("limited.py", "plan", "told"))
    script.write_text(LIMITED)
    asked.write_text(json.dumps(plan))
    code, _, err = commands.start(script, asked, told).finish()
    assert code == 0, err
    return json.loads(told.read_text())


def commands_of(tiny, out: Path) -> dict[str, list[str]]:
    """Commands that write files, each into a folder of its own."""
    formats = [str(path) for path in tiny]
    area = [
        "area", *formats, "--terms", "4", "--architecture", "sign-magnitude", "--recipe", "amap",
        "--yosys", "yosys", "--jobs", "1", "--no-store", "--no-prove",
    ]  # fmt: skip
    return {
        "formats": ["formats", *formats, "--json", f"{out}/f.json"],
        "generate": ["generate", *formats, "--terms", "4", "-o", f"{out}/new/rtl"],
        "area csv": [*area, "--csv", f"{out}/a.csv"],
        "area json": [*area, "--json", f"{out}/a.json"],
        "area netlists": [*area, "--netlists", f"{out}/netlists"],
        "area publish": [*area, "--publish", f"{out}/p.json"],
    }


@pytest.mark.parametrize(
    ("names", "sizes"),
    [
        (("formats", "area netlists"), (0, 1000)),
        pytest.param(
            ("formats", "generate", "area csv", "area json", "area netlists", "area publish"),
            (0, 1, 100, 1000, 4096),
            marks=pytest.mark.fuzz,
        ),
    ],
)
def test_a_full_disk(  # noqa: PLR0917 - fixtures
    commands, tiny, tmp_path, faults, names, sizes
):
    """Whatever fits is written whole; whatever does not is told and leaves nothing."""
    calm = tmp_path / "calm"
    calm.mkdir()
    # First without a limit, which also fills the cache: what is limited then is the outputs.
    plan, places = [], []
    for name in names:
        (calm / name).mkdir()
        plan.append([None, commands_of(tiny, calm / name)[name]])
    for size in sizes:
        for name in names:
            place = tmp_path / f"{name} {size}"
            place.mkdir()
            places.append((name, size, place))
            plan.append([size, commands_of(tiny, place)[name]])
    answers = run_limited(commands, tmp_path, plan)
    assert [code for code, _ in answers[: len(names)]] == [0] * len(names)
    failed = 0
    for (name, size, place), (code, err) in zip(places, answers[len(names) :], strict=True):
        with faults("full disk"):
            whole = tree(calm / name)
            found = tree(place)
            if code == 0:
                assert found.keys() == whole.keys(), (name, size)
                assert all(len(data) <= size for data in found.values())
                continue
            failed += 1
            assert code == 1, (name, size, code)
            assert found == {}, (name, size)
            assert list(place.rglob("*")) == []
            (line,) = [
                line
                for line in err.splitlines()
                if line.startswith("nibblemac: ") and "warning" not in line
            ]
            assert "cannot be written" in line or "Yosys ended with code" in line
            assert line.endswith(".")
            assert "Traceback" not in err
    # Each command's files are larger than the smallest limits.
    assert failed >= len(names)


def test_a_disk_that_is_full_from_the_start(commands, tiny, tmp_path, faults):
    """The working folder of a synthesis, the cache and the outputs are all limited."""
    names = ("area csv", "generate")
    sizes = (0, 2000)
    plan, places = [], []
    for size in sizes:
        for name in names:
            place = tmp_path / f"{name} {size}"
            place.mkdir()
            places.append(place)
            plan.append([size, commands_of(tiny, place)[name]])
    answers = run_limited(commands, tmp_path, plan)
    for (size, arguments), place, (code, err) in zip(plan, places, answers, strict=True):
        with faults("full disk"):
            assert "Traceback" not in err
            if code == 0:
                assert tree(place)
                continue
            assert code == 1, (size, arguments, code, err)
            assert tree(place) == {}
            assert err.rstrip().endswith(".")
    assert [code for code, _ in answers] == [1] * 4
    # Nothing is left where temporary files go, but for runs that are kept for a look.
    for path in commands.temporary.rglob("*"):
        assert path.is_dir() or path.parent.parent.parent == commands.temporary


@pytest.fixture
def full(tmp_path) -> Path:
    """A device that is always full: one of our own where that can be made, never the system's."""
    device = Path("/dev/full")
    if os.geteuid() == 0:
        device = tmp_path / "full"
        try:
            os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 7))
            with device.open("wb", buffering=0) as stream:
                stream.write(b"x")
        except PermissionError as error:
            pytest.skip(f"no device can be made here: {error}")
        except OSError:
            return device
        pytest.skip("the device that was made is not full")
    if not device.is_char_device():
        pytest.skip("there is no /dev/full")
    return device


def test_a_device_that_is_full(commands, tiny, full, faults):
    """It is told, and the device is still one."""
    one = str(tiny[0])
    with faults("full device", 2):
        code, _, err = commands.nibblemac("formats", one, "--json", full).finish()
        assert code == 1
        assert err == f"nibblemac: {full} cannot be written: No space left on device.\n"
        assert full.is_char_device()
        with full.open("w") as stream:
            process = subprocess.run(
                [sys.executable, "-m", "nibblemac.scripts", "formats", one],
                stdout=stream, stderr=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
        assert process.returncode == 1
        assert process.stderr == (
            "nibblemac: the output cannot be written: No space left on device.\n"
        )


def test_a_link_and_a_pipe_stay_what_they_are(tmp_path, tiny):
    from nibblemac.scripts.main import main

    real, link, pipe = tmp_path / "real.json", tmp_path / "link.json", tmp_path / "pipe"
    real.write_text("old")
    link.symlink_to(real)
    assert main(["formats", str(tiny[0]), "--json", str(link)]) == 0
    assert link.is_symlink()
    assert json.loads(real.read_text())[0]["name"] == "T2"
    os.mkfifo(pipe)
    reader = subprocess.Popen(
        [sys.executable, "-c", f"print(open({str(pipe)!r}).read(), end='')"], stdout=subprocess.PIPE
    )
    assert main(["formats", str(tiny[0]), "--json", str(pipe)]) == 0
    out, _ = reader.communicate(timeout=30)
    assert out == real.read_bytes()
    assert stat.S_ISFIFO(pipe.stat().st_mode)


# ---- Places that cannot be written ----


@pytest.mark.fuzz
def test_a_file_in_the_caches_place(commands, tiny, tmp_path, faults):
    """Told once or twice, and the results are there."""
    blocker = tmp_path / "blocker"
    blocker.write_text("")
    out = tmp_path / "a.csv"
    arguments = commands_of(tiny, tmp_path)["area csv"]
    with faults("cache that cannot be written"):
        code, _, err = commands.nibblemac(*arguments, NIBBLEMAC_CACHE=str(blocker)).finish()
        assert code == 0, err
        assert "results are not kept" in err
        assert err.count("warning") <= 2
        assert "Traceback" not in err
        assert len(out.read_text().splitlines()) == 3
        assert blocker.read_text() == ""


#: Maps a MAC of each format by each recipe; says the netlists.
MAPPING = """
import json
import sys
from pathlib import Path

from nibblemac.formats.mac import MacSpec
from nibblemac.formats.resolve import resolve_formats
from nibblemac.synth.area import map_candidates, plan
from nibblemac.synth.cache import Cache
from nibblemac.synth.library import load_library
from nibblemac.synth.recipes import find_recipes
from nibblemac.synth.sweep import Flow
from nibblemac.synth.yosys import find_yosys

specs = [MacSpec(weight=one, activation=one, terms=4) for one in resolve_formats(sys.argv[2:])]
flow = Flow(library=load_library(), yosys=find_yosys("yosys"), cache=Cache(), jobs=2)
tasks = plan(specs, ["sign-magnitude"], find_recipes("all"))
found, failures = map_candidates(flow, tasks)
assert not failures
Path(sys.argv[1]).write_text(
    json.dumps([[one.task.design.top, one.task.recipe.name, one.mapped.netlist] for one in found])
)
"""


#: Root without the right to write where its own permissions forbid it.
BOUND = """
import ctypes
import os
import sys

CAP_DAC_OVERRIDE, PR_CAPBSET_DROP = 1, 24
if os.geteuid() == 0 and ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0):
    sys.exit("cannot drop it")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_folders_that_are_read_only(commands, tiny, tmp_path, faults):
    """Of the cache: the work is done and not kept. Of the outputs: told before any work."""
    bound, script = tmp_path / "bound.py", tmp_path / "mapping.py"
    locked, out = tmp_path / "locked", tmp_path / "out"
    bound.write_text(BOUND)
    script.write_text(MAPPING)
    locked.mkdir()
    out.mkdir()
    locked.chmod(0o555)
    probe = f"open({str(locked / 'x')!r}, 'w')"
    code, _, err = commands.start(bound, "-c", probe).finish()
    if code == 0 or "PermissionError" not in err:
        pytest.skip(f"whoever runs this may write everywhere: {err.strip()[-80:]}")

    def run(*arguments: object) -> tuple[int, str]:
        extra = {"NIBBLEMAC_CACHE": str(locked / "cache")}
        code, _, err = commands.start(
            bound, "-m", "nibblemac.scripts", *arguments, **extra
        ).finish()
        return code, err

    with faults("folder that is read-only", 3):
        extra = {"NIBBLEMAC_CACHE": str(locked / "cache")}
        code, _, err = commands.start(bound, script, out / "found", tiny[0], **extra).finish()
        assert code == 0, err
        assert err.count("results are not kept") == 1
        assert len(json.loads((out / "found").read_text())) == 4
        for arguments in (
            ("generate", tiny[0], "-o", locked / "rtl"),
            ("formats", tiny[0], "--json", locked / "f.json"),
        ):
            code, err = run(*arguments)
            assert code == 1
            assert str(locked) in err
            assert "cannot be written: Permission denied." in err
            assert err.count("\n") == 1
        assert list(locked.iterdir()) == []


# ---- Several processes ----


def test_several_processes_on_one_cache(commands, tiny, tmp_path, faults):
    """The same sweep twice and others, at once: each has what it has alone."""
    script = tmp_path / "mapping.py"
    script.write_text(MAPPING)
    plans = {"one": tiny, "same": tiny, "other": tiny[1:], "reverse": tiny[::-1]}
    with faults("processes on one cache", len(plans)):
        started = [commands.start(script, tmp_path / name, *plans[name]) for name in plans]
        for one in started:
            code, _, err = one.finish()
            assert (code, err) == (0, "")
        before = commands.records()
        assert len(before) == 8
        files = [path for path in commands.cache.rglob("*") if path.is_file()]
        assert {path.suffix for path in files} == {".json"}
        # Alone, on what they have left: nothing is damaged, and nothing is computed.
        events = commands.events()
        code, _, err = commands.start(script, tmp_path / "alone", *tiny).finish()
        assert (code, err) == (0, "")
        assert commands.events() == events
        assert commands.records() == before
        found = {name: json.loads((tmp_path / name).read_text()) for name in (*plans, "alone")}
        alone = found["alone"]
        assert len(alone) == 8
        assert found["one"] == found["same"] == alone
        assert found["other"] == alone[4:]
        assert found["reverse"] == alone[4:] + alone[:4]
