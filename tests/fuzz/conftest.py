"""Damaging files at random, and what must hold of whoever reads them.

Every case is one of the few valid files of a kind, changed by a seeded generator: the number of a
case in a failure is enough to see it again. A reader may refuse a case by an error of ours, in a
sentence that can be printed, or read it; it must do so within a second of processor time, and all
cases together must not take much memory.

Each test runs twice: about a hundred cases with all other tests, and ``NIBBLEMAC_FUZZ_CASES``
(10,000 unless set) in ``pytest -m fuzz``.
"""

import contextlib
import json
import os
import random
import re
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

SMOKE = 100
FULL = int(os.environ.get("NIBBLEMAC_FUZZ_CASES", "10000"))
SECONDS_EACH = 1.0
LONGEST_SENTENCE = 1000
MEGABYTE = 2**20
_PROPERTY = "fuzz"

HUGE = "9" * 400
NUMBERS = [
    "0", "-1", "1", "nan", "-nan", "inf", "-inf", "NaN", "Infinity", "-Infinity", "1e400", "-1e400",
    "1e999999999", "1e-999999999", HUGE, "9" * 5000, "0x" + "f" * 5000, "1_0", "0.1.2", "--1", "1e",
    "9223372036854775808", "18446744073709551616", "2147483648", "4294967296", "-0", "00", "+1",
    "1e308", "5e-324", "1/0", "٣", "①",
]  # fmt: skip
WORDS = [
    "", "null", "true", "false", "{}", "[]", '""', "'", '"', '"""', "\\", "\\u0000", "\\ud800",
    "\x00", "\x1b[2J", "\u202e", "\ufeff", "\u2028", "é", "💥", "../../x", "; exec -- touch p",
    "<script>", "${HOME}", "%s%n", "`", "/*", "*/", "//", "#", "=", ",", ",,", ";", "\t", "\r",
    "\n", "\r\n", "(", ")", "{", "}", "[", "]", "a" * 20_000, "-" * 300,
]  # fmt: skip
BYTES = [b"\xff", b"\xfe\xff", b"\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\x1f\x8b", b"\x00" * 64]
OPENERS = [b"[", b"{", b"(", b'{"a":', b"a = [", b'"', b"/*", b"g () {", b"!", b"(("]


class Damage:
    """One generator's changes, to bytes and to JSON values."""

    def __init__(self, rng: random.Random, seeds: Sequence[bytes], tokens: Sequence[str]) -> None:
        self.rng = rng
        self.seeds = seeds
        self.tokens = [*NUMBERS, *WORDS, *tokens]

    def damaged(self, data: bytes) -> bytes:
        """Return the bytes after one to three changes."""
        for _ in range(self.rng.choice((1, 1, 1, 1, 1, 2, 3))):
            data = self.rng.choice(self._CHANGES)(self, data)
        return data

    def _place(self, data: bytes) -> int:
        return self.rng.randint(0, len(data))

    def _span(self, data: bytes) -> tuple[int, int]:
        start = self._place(data)
        return start, min(len(data), start + self.rng.choice((1, 2, 8, 40, 400, 4000)))

    def _flip(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(self.rng.choice((1, 1, 3, 20))):
            if changed:
                changed[self.rng.randrange(len(changed))] ^= 1 << self.rng.randrange(8)
        return bytes(changed)

    def _cut(self, data: bytes) -> bytes:
        return data[: self._place(data)]

    def _remove(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + data[end:]

    def _repeat(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:end] + data[start:end] * self.rng.choice((1, 1, 2, 50)) + data[end:]

    def _insert(self, data: bytes) -> bytes:
        place = self._place(data)
        what = self.rng.choice((self._token, self._token, self._noise, self._nesting))()
        return data[:place] + what + data[place:]

    def _replace(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + self._token() + data[end:]

    def _number(self, data: bytes) -> bytes:
        return self._swap(rb"-?\d+(?:\.\d+)?", data, self.rng.choice(NUMBERS).encode())

    def _word(self, data: bytes) -> bytes:
        return self._swap(rb"[A-Za-z_]\w*", data, self._token())

    def _swap(self, pattern: bytes, data: bytes, new: bytes) -> bytes:
        found = list(re.finditer(pattern, data))
        if not found:
            return data
        match = self.rng.choice(found)
        return data[: match.start()] + new + data[match.end() :]

    def _lines(self, data: bytes) -> bytes:
        lines = data.split(b"\n")
        one, two = self.rng.randrange(len(lines)), self.rng.randrange(len(lines))
        if self.rng.random() < 0.5:
            lines[one], lines[two] = lines[two], lines[one]
        else:
            lines.insert(one, lines[two])
        return b"\n".join(lines)

    def _splice(self, data: bytes) -> bytes:
        other = self.rng.choice(self.seeds)
        return data[: self._place(data)] + other[self._place(other) :]

    def _long(self, data: bytes) -> bytes:
        place = self._place(data)
        piece = self.rng.choice((b"x", b" ", b"9", b",", b"\t", b"[],", b"\\\n", b"\xc3\xa9"))
        return data[:place] + piece * self.rng.choice((1000, 30_000)) + data[place:]

    def _noise(self) -> bytes:
        if self.rng.random() < 0.5:
            return self.rng.choice(BYTES)
        return self.rng.randbytes(self.rng.choice((1, 4, 100)))

    def _token(self) -> bytes:
        return self.rng.choice(self.tokens).encode()

    def _nesting(self) -> bytes:
        return self.rng.choice(OPENERS) * self.rng.choice((10, 100, 20_000))

    _CHANGES = (
        _flip, _cut, _remove, _repeat, _insert, _replace, _number, _number, _word, _word, _lines,
        _splice, _long,
    )  # fmt: skip

    def changed(self, value: object) -> object:
        """Return a JSON value with one to three of its parts replaced, removed or added."""
        holder = [json.loads(json.dumps(value))]
        for _ in range(self.rng.choice((1, 1, 2, 3))):
            self._change_part(holder)
        return holder[0]

    def _change_part(self, holder: Any) -> None:
        rng, place, key = self.rng, holder, 0
        while isinstance(place[key], (dict, list)) and place[key] and rng.random() > 0.15:
            place = place[key]
            key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
        what = rng.choice(("remove", "add", "number", "text", "other", "other"))
        if what == "remove" and place is not holder:
            del place[key]
        elif what == "add" and isinstance(place, dict):
            place[rng.choice(["x", "", "name", "\x00", "é", "a" * 300])] = self._value()
        elif what == "add" and place is not holder:
            place.insert(key, place[key])
        elif what == "number" and isinstance(place[key], (int, float)):
            place[key] = rng.choice([-1, 0, 1, 2, 1e308, 2**63, place[key] * 2, -place[key]])
        elif what == "text" and isinstance(place[key], str):
            text = self.damaged(place[key].encode("utf-8", "surrogatepass"))
            place[key] = text[:50_000].decode("utf-8", "replace")
        else:
            place[key] = self._value()

    def _value(self) -> object:
        rng = self.rng
        nested: object = 1
        for _ in range(rng.choice((1, 5, 300))):
            nested = [nested] if rng.random() < 0.5 else {"a": nested}
        return rng.choice(
            [
                None, True, False, 0, -1, 1, 2**63, 10**400, 0.5, -0.0, float("nan"), float("inf"),
                1e308, 5e-324, "", "x", "0", "A", "\x00", "\ud800", "../x", "<script>", "y" * 9000,
                [], {}, [[]], [1, 2], ["a"], {"a": 1}, nested, [0] * 5000, [None], [True],
            ]
        )  # fmt: skip


class Fuzz:
    """Runs the cases of one kind; made by the fixture of that name."""

    def __init__(self, cases: int, record: Callable[[str, object], None]) -> None:
        self.cases = cases
        self._record = record

    def run(
        self,
        kind: str,
        seeds: Sequence[bytes],
        make: Callable[[Damage], object],
        read: Callable[[object], bool],
        *,
        valid: Sequence[object] = (),
        tokens: Sequence[str] = (),
        megabytes: int = 128,
    ) -> None:
        """Make and read every case, the ``valid`` ones, which must be read, first.

        ``read`` returns whether the case was read (True) or refused by an error of ours (False);
        any exception of it is a failure. ``megabytes`` bounds what all cases together take above
        what was in use before.
        """
        for case in valid:
            assert read(case)
        accepted, slowest = 0, 0.0
        before = _memory("VmRSS")
        with _limited():
            for number in range(self.cases):
                case = make(Damage(random.Random(f"{kind} {number}"), seeds, tokens))  # noqa: S311
                started = time.process_time()
                try:
                    with _hurried():
                        accepted += read(case)
                except BaseException as error:
                    error.add_note(f"case {number} of {kind}: {case!r:.2000}")
                    raise
                slowest = max(slowest, time.process_time() - started)
        taken = (_memory("VmHWM") - before) / 1024
        assert taken < megabytes, f"{taken:.0f} MB were taken"
        # Neither all read nor all refused: the damage is neither too weak nor too strong.
        assert 0 < accepted < self.cases
        self._record(_PROPERTY, (kind, self.cases, accepted, slowest, taken))


def _memory(name: str) -> float:
    """Return a figure of this process in KiB; the peak counts from the last call for VmRSS on."""
    if name == "VmRSS":
        Path("/proc/self/clear_refs").write_text("5")
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"{name}:\s+(\d+) kB", text)
    assert found
    return float(found[1])


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Let no case map more than 4 GB: that is an error instead of a machine without memory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + 4 * 2**30, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def _hurried(seconds: float = SECONDS_EACH) -> Iterator[None]:
    """Raise where the body takes more processor time than that; a busy machine takes none."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"more than {seconds} s of processor time")

    previous = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


@contextlib.contextmanager
def _bounded(seconds: float, megabytes: int) -> Iterator[None]:
    before = _memory("VmRSS")
    with _limited(), _hurried(seconds):
        yield
    taken = (_memory("VmHWM") - before) / 1024
    assert taken < megabytes, f"{taken:.0f} MB were taken"


@pytest.fixture(scope="session")
def bounded() -> Callable[[float, int], contextlib.AbstractContextManager[None]]:
    """Give a context in which no more processor time and memory may be taken."""
    return _bounded


def _sentence(error: BaseException) -> None:
    """Assert that an error of ours can be shown to a user."""
    text = str(error)
    assert text.endswith((".", "?", "…")), text
    assert text.isprintable(), text
    assert len(text) <= LONGEST_SENTENCE, text


@pytest.fixture(scope="session")
def is_sentence() -> Callable[[BaseException], None]:
    return _sentence


@pytest.fixture(
    params=[
        pytest.param(SMOKE, id="smoke"),
        pytest.param(FULL, id="full", marks=[pytest.mark.fuzz, pytest.mark.timeout(1800)]),
    ]
)
def fuzz(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Fuzz:
    return Fuzz(request.param, record_property)


@pytest.fixture
def small_fuzz() -> Fuzz:
    """Few cases, of which nothing is told at the end."""
    return Fuzz(20, lambda _name, _value: None)
