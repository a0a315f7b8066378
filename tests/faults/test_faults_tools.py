"""Tools that crash, hang, babble or write nonsense: our own sentence, and the others go on."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from nibblemac.formats.errors import SimulationError, SynthesisError, ToolError
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.resolve import resolve_formats
from nibblemac.rtl.process import run_process
from nibblemac.sim.child import Job, Run
from nibblemac.sim.design import Design
from nibblemac.sim.simulators import Simulator
from nibblemac.sim.stimulus import make_vectors
from nibblemac.sim.verify import verify
from nibblemac.synth.accumulator_starts import accumulator_module, map_accumulator
from nibblemac.synth.area import survey
from nibblemac.synth.cache import Cache
from nibblemac.synth.finish import finish
from nibblemac.synth.jobs import Job as Work
from nibblemac.synth.jobs import processes, run_jobs
from nibblemac.synth.library import load_library
from nibblemac.synth.netlist import Netlist
from nibblemac.synth.recipes import find_recipes
from nibblemac.synth.result import AreaResult
from nibblemac.synth.search_steps import Budget, map_products
from nibblemac.synth.sweep import Flow, make_design
from nibblemac.synth.yosys import NATIVE, Yosys

#: Does what the mode says to designs of the first format; others are left to the stand-in.
BAD_YOSYS = """#!{python} -IS
import json, os, signal, subprocess, sys, time
good = {good!r}
script = sys.argv[-1]
def call():
    return subprocess.run([good, *sys.argv[1:]], stdin=subprocess.DEVNULL).returncode
def change(name, how):
    with open(name, "rb") as stream:
        data = stream.read()
    with open(name, "wb") as stream:
        stream.write(how(data))
def value(data, *path):
    record = json.loads(data)
    place = record
    for name in path[:-2]:
        place = place[name]
    place[path[-2]] = path[-1]
    return json.dumps(record).encode()
text = open(script).read()
if "mac_t2" not in text:
    sys.exit(call())
{mode}
"""

CRASHES = {
    "segmentation fault": "os.kill(os.getpid(), signal.SIGSEGV)",
    "abort": "os.kill(os.getpid(), signal.SIGABRT)",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "exit 3": "print('ERROR: no such thing'); sys.exit(3)",
    "garbage and exit 1": "os.write(1, os.urandom(100_000)); sys.exit(1)",
    "crash after all results": "call(); os.kill(os.getpid(), signal.SIGSEGV)",
    "hang": "time.sleep(600)",
    "hang with children": (
        "p = subprocess.Popen(['sleep', '600']); open({pids!r}, 'a').write(f'{{p.pid}}\\n'); "
        "p.wait()"
    ),
    "hang that ignores signals": (
        "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 3, 15)]; time.sleep(600)"
    ),
}
NONSENSE = {
    "no result": "sys.exit(0)",
    "babble and no result": "os.write(1, os.urandom(1_000_000))",
    "no netlist": "call(); os.remove('netlist.v')",
    "no graph": "call(); os.remove('netlist.json')",
    "no figures": "call(); os.remove('stat.json')",
    "empty netlist": "call(); change('netlist.v', lambda d: b'')",
    "cut netlist": "call(); change('netlist.v', lambda d: d[:len(d) // 2])",
    "netlist without its end": "call(); change('netlist.v', lambda d: d.rstrip()[:-3])",
    "netlist that is not text": "call(); change('netlist.v', lambda d: d + b'\\xff\\xfe')",
    "netlist without a cell": (
        "call(); change('netlist.v', lambda d: d.replace(b'  sky130', b'  other_sky130', 1))"
    ),
    "cut graph": "call(); change('netlist.json', lambda d: d[:len(d) // 2])",
    "deep graph": "call(); change('netlist.json', lambda d: b'[' * 200_000)",
    "graph of numbers": (
        "call(); change('netlist.json', lambda d: b'{\"modules\": {\"mac_t2\": 7}}')"
    ),
    "cut figures": "call(); change('stat.json', lambda d: d[:len(d) // 2])",
    "deep figures": "call(); change('stat.json', lambda d: b'[' * 200_000)",
    "figures in a list": "call(); change('stat.json', lambda d: b'[1, 2]')",
    "endless area": (
        "call(); change('stat.json', lambda d: value(d, 'design', 'area', float('inf')))"
    ),
    "huge count": (
        "call(); change('stat.json', lambda d: value(d, 'design', 'num_cells_by_type', "
        "{{'sky130_fd_sc_hd__inv_1': 1e999}}))"
    ),
    "area of a long number": (
        "call(); change('stat.json', lambda d: value(d, 'design', 'area', 10**400))"
    ),
}


@pytest.fixture(scope="module")
def specs(tiny) -> list[MacSpec]:
    return [MacSpec(weight=one, activation=one, terms=4) for one in resolve_formats(map(str, tiny))]


RECIPES = find_recipes("amap")


@pytest.fixture(scope="module")
def calm(specs, quick_yosys, tmp_path_factory) -> AreaResult:
    """U2's result; after it the stand-in knows U2's syntheses, so that no time limit meets them."""
    cache = Cache(tmp_path_factory.mktemp("calm"))
    flow = Flow(library=load_library(), yosys=quick_yosys, cache=cache, jobs=2)
    return survey(flow, specs, ["sign-magnitude"], RECIPES).results[1]


@pytest.fixture
def bad_yosys(stand_in, tmp_path, write_program):
    """A function from a mode to a Yosys that is bad for designs of T2."""

    def make(mode: str) -> Yosys:
        text = mode.replace("{pids!r}", repr(str(tmp_path / "pids")))
        text = text.replace("{{", "{").replace("}}", "}")
        path = write_program(
            tmp_path / "yosys",
            BAD_YOSYS.format(python=sys.executable, good=str(stand_in / "yosys"), mode=text),
        )
        return Yosys(kind=NATIVE, version="0.99 (bad)", command=(str(path),))

    return make


def is_sentence(error: BaseException) -> bool:
    text = str(error)
    return text.endswith(".") and text.count(" ") > 3 and all(c.isprintable() for c in text)


def gone(pid: int) -> bool:
    for _ in range(200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("kind", [*CRASHES, *NONSENSE])
def test_a_sweep_with_a_bad_yosys(  # noqa: PLR0917 - fixtures
    kind, specs, bad_yosys, calm, tmp_path, faults
):
    """Each of T2's syntheses is a failure with a sentence; U2 has its results."""
    yosys = bad_yosys({**CRASHES, **NONSENSE}[kind])
    timeout = 3.0 if "hang" in kind else 60.0
    flow = Flow(
        library=load_library(), yosys=yosys, cache=Cache(tmp_path / "cache"), jobs=2,
        timeout=timeout,
    )  # fmt: skip
    started = time.monotonic()
    with faults("crashing or hanging Yosys" if kind in CRASHES else "Yosys that writes nonsense"):
        found = survey(flow, specs, ["sign-magnitude"], RECIPES)
        (result,) = found.results
        assert result.format == "U2"
        assert result.netlist == calm.netlist
        assert [one.task.design.spec.weight.name for one in found.failures] == ["T2"] * len(RECIPES)
        for failure in found.failures:
            assert isinstance(failure.error, SynthesisError)
            assert is_sentence(failure.error)
            assert "mac_t2_n4_sign_magnitude" in str(failure.error)
            assert len(str(failure.error)) < 2000
        if "hang" in kind:
            assert time.monotonic() - started < 60
            assert "ran longer than 3 s" in str(found.failures[0].error)
        pids = tmp_path / "pids"
        if pids.exists():
            assert all(gone(int(line)) for line in pids.read_text().split())
    # Nothing of the bad results is in the cache.
    assert not any(flow.known(one.task) for one in found.failures)


STEPS = {
    "no result": "sys.exit(0)",
    "crash": "os.kill(os.getpid(), signal.SIGSEGV)",
    "garbage": (
        "for n in ('start0.json', 'start1.json', 'start2.json', 'start3.json', 'mapped.json', "
        "'netlist.json', 'netlist.v', 'stat.json'): open(n, 'wb').write(b'\\xff\\x00[{')"
    ),
    "empty": (
        "for n in ('start0.json', 'start1.json', 'start2.json', 'start3.json', 'mapped.json', "
        "'netlist.json', 'netlist.v', 'stat.json'): open(n, 'wb').write(b'')"
    ),
    "deep": (
        "for n in ('start0.json', 'start1.json', 'start2.json', 'start3.json', 'mapped.json', "
        "'netlist.json', 'netlist.v', 'stat.json'): open(n, 'wb').write(b'[' * 200_000)"
    ),
}


@pytest.mark.parametrize("kind", STEPS)
def test_the_searchs_steps_with_a_bad_yosys(  # noqa: PLR0917 - fixtures
    kind, specs, bad_yosys, monkeypatch, tmp_path, faults
):
    yosys, library = bad_yosys(STEPS[kind]), load_library()
    text = (tmp_path / "yosys").read_text()
    (tmp_path / "yosys").write_text(text.replace('if "mac_t2" not in text', "if False"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    design = make_design(specs[0], "signed")
    budget = Budget(low_steps=1, windows=0, window_steps=1, seed=1)
    netlist = Netlist(top=design.top, ports=(), instances=())
    with faults("search's step with a bad Yosys", 3):
        for step in (
            lambda: map_products(design.rtlil, design.top, library, yosys),
            lambda: map_accumulator(
                accumulator_module(design.rtlil, design.top), library, yosys, budget
            ),
            lambda: finish(netlist, design.top, specs[0], library, yosys, origin=""),
        ):
            with pytest.raises(SynthesisError) as caught:
                step()
            assert is_sentence(caught.value)
        assert list((tmp_path / "tmp").iterdir()) == []


def test_a_yosys_that_cannot_be_started(specs, tmp_path, faults):
    yosys = Yosys(kind=NATIVE, version="1", command=(str(tmp_path / "nothing"),))
    flow = Flow(library=load_library(), yosys=yosys, cache=Cache(tmp_path / "cache"), jobs=2)
    with faults("crashing or hanging Yosys"), pytest.raises(ToolError, match="cannot be started"):
        survey(flow, specs, ["sign-magnitude"], find_recipes("amap"))


def test_what_a_tool_started_ends_with_it(tmp_path, faults):
    """Also where the tool ends well and leaves something in the background."""
    pid = tmp_path / "pid"
    with faults("process left in the background"), (tmp_path / "log").open("wb") as log:
        text = f"sleep 600 & echo $! > {pid}; exit 7"
        status = run_process(["sh", "-c", text], environment=os.environ, log=log, timeout=60)
        assert status == 7
        assert gone(int(pid.read_text()))


def test_a_watchdog_that_is_killed_does_no_harm(tmp_path, faults):
    """The group's leader is gone: the time limit still holds."""
    pids = tmp_path / "pids"
    text = f"echo $(ps -o pgid= -p $$) > {pids}; kill -9 $(cat {pids}); sleep 600"
    with (
        faults("killed watchdog"),
        (tmp_path / "log").open("wb") as log,
        pytest.raises(TimeoutError),
    ):
        run_process(["sh", "-c", text], environment=os.environ, log=log, timeout=1)


def test_a_worker_that_is_ended_from_outside(tmp_path, faults):
    """For want of memory, say: a sentence, and what was finished is kept."""
    cache = Cache(tmp_path)
    good = Work(function=dict, arguments=((("x", 1),),), facts={"n": 1})
    bad = Work(function=os._exit, arguments=(9,), facts={"n": 2})
    with faults("worker that is ended from outside"):
        with processes(1) as pool, pytest.raises(ToolError, match=r"ended from outside.*--jobs"):
            run_jobs([good, bad], pool, cache)
        assert cache.get(good.key) == {"x": 1}
        assert cache.get(bad.key) is None


# ---- Simulators ----

VERDICT = {"design": 0, "steps": 9, "failures": 0, "first": []}
REPORT = {"cocotb": "2", "simulator": "x", "verdicts": [VERDICT]}
PASSED = "<testsuites><testsuite><testcase/></testsuite></testsuites>"
FAILED = "<testsuites><testsuite><testcase><failure/></testcase></testsuite></testsuites>"


def with_verdict(**changes: object) -> str:
    verdicts = [{name: one for name, one in {**VERDICT, **changes}.items() if one is not KeyError}]
    return json.dumps({**REPORT, "verdicts": verdicts})


REPORTS = {
    "no steps": with_verdict(steps=KeyError),
    "steps in words": with_verdict(steps="nine"),
    "no steps at all": with_verdict(steps=0),
    "a step less": with_verdict(steps=8),
    "fewer than none": with_verdict(steps=-3),
    "failures in words": with_verdict(failures="none"),
    "a failure without place": with_verdict(failures=1, first=[[]]),
    "a failure far away": with_verdict(failures=1, first=[[10**9, "01"]]),
    "a failure before the start": with_verdict(failures=1, first=[[-(10**9), "01"]]),
    "a failure in words": with_verdict(failures=1, first=[["one", "01"]]),
    "a failure with no bits": with_verdict(failures=1, first=[[1, ""]]),
    "a failure of a number": with_verdict(failures=1, first=[[1, 7]]),
    "first in words": with_verdict(first="none"),
    "design in words": with_verdict(design="0"),
    "another design": with_verdict(design=5),
    "no cocotb": json.dumps({"verdicts": [VERDICT]}),
    "verdicts a number": json.dumps({**REPORT, "verdicts": 3}),
    "verdicts of numbers": json.dumps({**REPORT, "verdicts": [3]}),
    "a list": "[]",
    "deep": "[" * 200_000,
    "cut": json.dumps(REPORT)[:-9],
    "empty": "",
}


def design_of(spec: MacSpec, top: str, more: str = "") -> Design:
    text = (
        f"module {top}(input clk, input [1:0] weight, activation, input clear,\n"
        f"output [{spec.accumulator_bits - 1}:0] accumulator); {more} endmodule"
    )
    return Design(spec=spec, architecture=top, level="rtl", top=top, sources=(text,))


CRASH = "crash"


def leaves(monkeypatch, report, *, failed: bool = False) -> None:
    """Let each simulation leave a report, text or what a function makes of the folder."""

    def execute(self: Job, run: Run, what: str) -> int:
        (self.folder / "results.xml").write_text(FAILED if failed else PASSED)
        (self.folder / "log.txt").write_bytes(bytes(range(256)) * 1000)
        text = report if isinstance(report, str) else report(self.folder)
        (self.folder / "report.json").write_text(text)
        return -signal.SIGSEGV if text == CRASH else 0

    monkeypatch.setattr(Job, "execute", execute)


ICARUS = Simulator(kind="icarus", version="11.0", path="/nowhere/iverilog")


@pytest.mark.parametrize("kind", REPORTS)
def test_a_simulator_that_leaves_nonsense(kind, monkeypatch, tmp_path, specs, faults):
    steps = len(make_vectors(specs[0]))
    text = REPORTS[kind].replace('"steps": 9', f'"steps": {steps}')
    leaves(monkeypatch, text, failed="a failure" in kind)
    with faults("simulator that leaves nonsense"):
        with pytest.raises(SimulationError, match="The simulation of T2, mac, rtl") as caught:
            verify([design_of(specs[0], "mac")], simulator=ICARUS, workdir=tmp_path, jobs=1)
        assert len(str(caught.value)) < 5000


def test_a_simulator_that_crashes_for_one_design(monkeypatch, tmp_path, specs, faults):
    """The model is taken apart; the other designs have their verdicts."""

    def report(folder: Path) -> str:
        if any("crash_me" in path.read_text() for path in folder.glob("*.v")):
            return CRASH
        bench = json.loads((folder / "bench.json").read_text())
        verdicts = []
        for lane in (lane for bundle in bench["bundles"] for lane in bundle):
            header = json.loads(Path(lane["vectors"]).read_bytes().partition(b"\n")[0])
            verdicts += [
                {**VERDICT, "design": number, "steps": header["steps"]}
                for number in lane["designs"]
            ]
        return json.dumps({**REPORT, "verdicts": verdicts})

    leaves(monkeypatch, report)
    designs = [
        design_of(specs[0], top, "wire crash_me;" if top == "bad" else "")
        for top in ("good1", "bad", "good2", "good3")
    ]
    with faults("simulator that crashes for one design"):
        results = verify(designs, simulator=ICARUS, workdir=tmp_path, jobs=1, keep_going=True)
        assert [one.passed for one in results] == [True, False, True, True]
        assert "broke off" in results[1].error
