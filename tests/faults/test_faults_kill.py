"""kill -9 and SIGTERM at any moment: nothing is lost, computed twice or left running."""

import csv
import json
import os
import random
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

TIMES = ("seconds", "search_seconds")


def without_times(path: Path) -> object:
    """A CSV or JSON of areas, but for its times."""
    if path.suffix == ".csv":
        with path.open(newline="") as stream:
            rows: list[dict] = list(csv.DictReader(stream))
    else:
        rows = json.loads(path.read_text())
    assert rows
    assert all(row.pop(name) is not None for row in rows for name in TIMES)
    for row in rows:
        proof = row["proof"]
        row["proof"] = json.loads(proof) if isinstance(proof, str) else proof
        if row["proof"]:
            assert row["proof"].pop("seconds")
            assert row["proof"]["rtl"] == row["proof"]["netlist"] == "proven"
    return rows


def sweep(commands, tiny, out: Path, *options: str, **extra):
    """The command of the sweep: two formats, four recipes."""
    return commands.nibblemac(
        "area", *tiny, "--terms", "4", "--architecture", "sign-magnitude", "--recipe", "all",
        "--yosys", "yosys", "--jobs", "2", "--no-store",
        "--csv", out / "a.csv", "--json", out / "a.json", "--netlists", out / "netlists", *options,
        **extra,
    )  # fmt: skip


def results(out: Path) -> object:
    netlists = {path.name: path.read_bytes() for path in (out / "netlists").iterdir()}
    assert netlists
    return without_times(out / "a.csv"), without_times(out / "a.json"), netlists


def wait_for(events: int, started, commands) -> bool:
    """Wait until so many events are in the log; return whether the command still runs then."""
    end = time.monotonic() + 60
    while len(commands.events()) < events and time.monotonic() < end:
        if started.process.poll() is not None:
            return False
        time.sleep(0.002)
    return started.process.poll() is None


def killed_sweeps(commands, tiny, tmp_path, faults, *options, moments, seed) -> None:
    """Kill a sweep at so many moments, go on, and compare with an undisturbed one."""
    rng = random.Random(seed)  # noqa: S311 - moments, not secrets
    out, calm = tmp_path / "out", tmp_path / "calm"
    out.mkdir()
    calm.mkdir()
    whole = sweep(commands, tiny, calm, *options, NIBBLEMAC_CACHE=str(tmp_path / "calm-cache"))
    code, _, err = whole.finish()
    assert code == 0, err
    tasks = len([event for event in commands.events("synth.ys") if event[0] == "start"])
    assert tasks == len({event[2] for event in commands.events("synth.ys")}) >= 10
    expected = results(calm)
    commands.log.unlink()
    before: dict = {}
    for number in range(moments):
        with faults("kill -9 of a sweep"):
            started = sweep(commands, tiny, out, *options, FAULTS_SLEEP="0.02")
            base = len(commands.events())
            share = rng.randrange(2 * tasks // moments)
            alive = wait_for(base + 1 + share, started, commands)
            time.sleep(rng.random() * 0.05)
            os.kill(started.process.pid, signal.SIGKILL)
            code, _, err = started.finish()
            assert "Traceback" not in err
            assert code == -signal.SIGKILL or not alive
            # Nothing runs on: no Yosys, no worker, no watchdog.
            started.assert_gone()
            # What was finished before is not touched, and nothing is half-written.
            now = commands.records()
            assert {name: now.get(name) for name in before} == before
            assert not (out / "a.csv").exists() or number
            before = now
    finished = len(before)
    log = len(commands.events("synth.ys"))
    code, _, err = (last := sweep(commands, tiny, out, *options)).finish()
    assert code == 0, err
    assert "damaged" not in err
    after = commands.records()
    assert {name: after.get(name) for name in before} == before
    # Of the tasks, each that was in the cache is not done again, and every other one once.
    again = commands.events("synth.ys")[log:]
    starts = [event[2] for event in again if event[0] == "start"]
    assert len(starts) == len(set(starts))
    syntheses = sum('"netlist": "' in text for text in texts(commands, before))
    assert len(starts) == tasks - syntheses
    assert len(after) >= finished
    assert results(out) == expected
    last.assert_gone()
    # And then nothing is started any more.
    log = len(commands.events())
    code, _, err = sweep(commands, tiny, out, *options).finish()
    assert (code, len(commands.events())) == (0, log), err
    assert results(out) == expected


def test_a_sweep_that_is_killed_goes_on_where_it_was(commands, tiny, tmp_path, faults):
    killed_sweeps(commands, tiny, tmp_path, faults, "--no-prove", moments=3, seed=1)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(2, 5))
def test_sweeps_killed_at_many_moments(commands, tiny, tmp_path, faults, seed):
    killed_sweeps(commands, tiny, tmp_path, faults, moments=12, seed=seed)


def test_sigterm_ends_all_and_tidies_up(commands, tiny, tmp_path, faults):
    out = tmp_path / "out"
    out.mkdir()
    with faults("SIGTERM of a sweep"):
        started = sweep(commands, tiny, out, FAULTS_SLEEP="60")
        assert wait_for(1, started, commands)
        os.kill(started.process.pid, signal.SIGTERM)
        code, _, err = started.finish(30)
        assert code == 143
        assert "terminated; finished results are kept" in err
        assert "Traceback" not in err
        started.assert_gone()
        assert list(commands.temporary.iterdir()) == []
        assert list(out.iterdir()) == []
    with faults("kill -9 with a tool that hangs"):
        started = sweep(commands, tiny, out, FAULTS_SLEEP="60")
        assert wait_for(len(commands.events()) + 1, started, commands)
        os.kill(started.process.pid, signal.SIGKILL)
        started.finish(30)
        started.assert_gone()
        # Its folder is left, until it is old: see the test of what is abandoned.
        (left,) = commands.temporary.iterdir()
        assert re.fullmatch(r"nibblemac-[0-9a-f]{8}-\d+-\w+", left.name)
        assert f"-{started.process.pid}-" in left.name


#: A search in two worker processes; each job that is handed out leaves a line.
SEARCH = """
import json
import sys
from concurrent.futures import Executor
from pathlib import Path

from nibblemac.formats.mac import MacSpec
from nibblemac.formats.resolve import resolve_argument
from nibblemac.synth.cache import Cache
from nibblemac.synth.effort import Effort
from nibblemac.synth.jobs import processes
from nibblemac.synth.library import load_library
from nibblemac.synth.search import Search
from nibblemac.synth.yosys import find_yosys


class Noting(Executor):
    def __init__(self, inner):
        self.inner = inner

    def submit(self, function, /, *arguments, **options):
        with open(sys.argv[1], "a") as log:
            log.write(f"{function.__name__}\\n")
        return self.inner.submit(function, *arguments, **options)


if __name__ == "__main__":
    effort = Effort(
        name="tiny", description="", starts=2, seeds=2, first_steps=500, finalists=2,
        second_steps=500, accumulators=1, low_steps=500, windows=4, window_steps=5, passes=2,
    )
    specs = [
        MacSpec(weight=one, activation=one, terms=4)
        for path in sys.argv[3:] for one in resolve_argument(path)
    ]
    search = Search(
        library=load_library(), yosys=find_yosys("yosys"), cache=Cache(), effort=effort
    )
    with processes(2) as pool:
        found, failures = search.run(specs, ["signed"], Noting(pool))
    assert not failures, failures
    Path(sys.argv[2]).write_text(json.dumps([
        [one.mapped.area_um2, one.mapped.netlist, one.design.architecture] for one in found
    ]))
"""


def killed_searches(commands, tiny, tmp_path, faults, *, moments, seed) -> None:
    rng = random.Random(seed)  # noqa: S311 - moments, not secrets
    script = tmp_path / "searching.py"
    script.write_text(SEARCH)

    def search(name: str, **extra):
        # Without a compiler the annealing is Python's, and nothing needs to be compiled first.
        outputs = tmp_path / f"{name}.log", tmp_path / name
        return commands.start(script, *outputs, *tiny, CXX="false", **extra)

    def lines(name: str) -> list[str]:
        path = tmp_path / f"{name}.log"
        return path.read_text().split() if path.exists() else []

    code, _, err = search("calm", NIBBLEMAC_CACHE=str(tmp_path / "calm-cache")).finish()
    assert code == 0, err
    total = len(lines("calm"))
    assert len(set(lines("calm"))) == 6
    before: dict = {}
    for number in range(moments):
        with faults("kill -9 of a search"):
            known = len(before)
            started = search(f"killed{number}")
            end = time.monotonic() + 60
            goal = known + rng.randrange(2 * total // (moments + 1))
            while started.process.poll() is None and time.monotonic() < end:
                if len(commands.records()) >= goal and lines(f"killed{number}"):
                    break
                time.sleep(0.002)
            time.sleep(rng.random() * 0.05)
            os.kill(started.process.pid, signal.SIGKILL)
            # A worker that was just being started may say that its parent is gone.
            started.finish()
            # The workers know that their parent is gone.
            started.assert_gone()
            now = commands.records()
            assert {name: now.get(name) for name in before} == before
            before = now
    code, _, err = search("again").finish()
    assert code == 0, err
    after = commands.records()
    assert {name: after.get(name) for name in before} == before
    # Each record is a step's, but for the last ones of each MAC, which no worker makes.
    steps = sum('"script": ' not in text for text in texts(commands, before))
    assert len(lines("again")) == total - steps
    assert (tmp_path / "again").read_text() == (tmp_path / "calm").read_text()


def texts(commands, names) -> list[str]:
    return [(commands.cache / "records" / name[:2] / name).read_text() for name in names]


def test_a_search_that_is_killed_goes_on_where_it_was(commands, tiny, tmp_path, faults):
    killed_searches(commands, tiny[:1], tmp_path, faults, moments=1, seed=1)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(2, 4))
def test_searches_killed_at_many_moments(commands, tiny, tmp_path, faults, seed):
    killed_searches(commands, tiny, tmp_path, faults, moments=8, seed=seed)


#: An Icarus that passes everything, after a while; a line for each start and each end.
SIMULATOR = """#!{python} -IS
import json, os, sys, time
if "-V" in sys.argv:
    print("Icarus Verilog version 12.0 (stand-in)")
    sys.exit(0)
def say(what):
    handle = os.open(os.environ["FAULTS_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{{what}} simulation {{os.getpid()}}\\n".encode())
    os.close(handle)
if sys.argv[0].endswith("vvp"):
    with open("bench.json") as stream:
        bench = json.load(stream)
    verdicts = []
    for lane in (lane for bundle in bench["bundles"] for lane in bundle):
        with open(lane["vectors"], "rb") as stream:
            steps = json.loads(stream.readline())["steps"]
        verdicts += [
            {{"design": number, "steps": steps, "failures": 0, "first": []}}
            for number in lane["designs"]
        ]
    say("start")
    time.sleep(float(os.environ.get("FAULTS_SLEEP", "0")) * (1 + os.getpid() % 8))
    with open("report.json", "w") as stream:
        json.dump({{"cocotb": "2", "simulator": "x", "verdicts": verdicts}}, stream)
    with open(os.environ["COCOTB_RESULTS_FILE"], "w") as stream:
        stream.write("<testsuites><testsuite><testcase/></testsuite></testsuites>")
    say("end")
"""


def killed_verifications(commands, tiny, tmp_path, write_program, faults, *, moments, seed):
    rng = random.Random(seed)  # noqa: S311 - moments, not secrets
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("iverilog", "vvp"):
        write_program(programs / name, SIMULATOR.format(python=sys.executable))

    def verify(**extra):
        # As many models as designs, so that each design's simulations can be counted.
        path = os.pathsep.join([str(programs), str(commands.stand_in), os.environ["PATH"]])
        return commands.nibblemac(
            "verify", *tiny, "--terms", "4", "--architecture", "sign-magnitude", "--recipe",
            "amap", "--yosys", "yosys", "--jobs", "4", PATH=path, **extra,
        )  # fmt: skip

    def verdicts(names) -> int:
        return sum('"cases": ' in text for text in texts(commands, names))

    code, expected, err = verify(NIBBLEMAC_CACHE=str(tmp_path / "calm-cache")).finish()
    assert code == 0, err
    assert "4 of 4 passed" in expected
    assert len(commands.events("simulation")) == 8
    commands.log.unlink()
    before: dict = {}
    for _ in range(moments):
        with faults("kill -9 of a verification"):
            started = verify(FAULTS_SLEEP="0.3")
            known, log = verdicts(before), len(commands.events("simulation"))
            ends = rng.randrange(max(1, 4 - known))
            end = time.monotonic() + 120
            while started.process.poll() is None and time.monotonic() < end:
                events = [event[0] for event in commands.events("simulation")[log:]]
                if events.count("start") and events.count("end") >= ends:
                    break
                time.sleep(0.005)
            time.sleep(rng.random() * 0.1)
            os.kill(started.process.pid, signal.SIGKILL)
            _, _, err = started.finish()
            assert "Traceback" not in err
            started.assert_gone()
            now = commands.records()
            assert {name: now.get(name) for name in before} == before
            before = now
    log, known = len(commands.events("simulation")), verdicts(before)
    code, out, err = verify().finish()
    assert (code, out) == (0, expected), err
    starts = [event for event in commands.events("simulation")[log:] if event[0] == "start"]
    assert len(starts) == 4 - known
    after = commands.records()
    assert {name: after.get(name) for name in before} == before
    # The killed runs' models are left until they are old, and then swept.
    left = sorted((commands.cache / "simulation").iterdir())
    assert all(path.name.startswith("model-nibblemac-") for path in left)
    for path in left:
        os.utime(path, (0, 0))
    shutil.rmtree(commands.cache / "records")
    code, out, _ = verify().finish()
    assert (code, out) == (0, expected)
    assert list((commands.cache / "simulation").iterdir()) == []


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(2, 4))
def test_a_verification_that_is_killed_goes_on_where_it_was(  # noqa: PLR0917 - fixtures
    commands, tiny, tmp_path, write_program, faults, seed
):
    killed_verifications(
        commands, tiny, tmp_path, write_program, faults, moments=1 + seed, seed=seed
    )


@pytest.mark.fuzz
def test_a_verification_with_the_real_simulator_is_killed(commands, tiny, faults):
    """While models are built or run; nothing of make, compiler and model runs on."""
    rng = random.Random(1)  # noqa: S311 - moments, not secrets
    arguments = ("verify", tiny[0], "--terms", "4", "--level", "rtl", "--architecture", "signed")
    for _ in range(4):
        with faults("kill -9 of a verification"):
            started = commands.nibblemac(*arguments)
            time.sleep(rng.uniform(2, 12))
            os.kill(started.process.pid, signal.SIGKILL)
            started.finish()
            started.assert_gone()
    code, out, err = commands.nibblemac(*arguments).finish(300)
    assert code == 0, err
    assert "1 of 1 passed" in out
    assert "damaged" not in err
