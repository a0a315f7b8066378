"""The fuzzer's own checks: it fails where a reader is slow, hungry, or raises another's error."""

import json
import time

import pytest


def run(small_fuzz, read) -> None:
    small_fuzz.run("nothing", [b"abc"], lambda damage: damage.rng.random(), read, megabytes=64)


def test_a_good_reader_passes(small_fuzz) -> None:
    run(small_fuzz, lambda case: case < 0.5)


def test_a_slow_reader_fails(small_fuzz) -> None:
    def read(case: float) -> bool:
        while case > 0.5:
            time.process_time()
        return True

    with pytest.raises(AssertionError, match="processor time"):
        run(small_fuzz, read)


def test_a_hungry_reader_fails(small_fuzz) -> None:
    with pytest.raises(AssertionError, match="MB were taken"):
        run(small_fuzz, lambda case: case < 0.5 and len(bytearray(b"x") * 100_000_000) > 0)


def test_a_greedy_reader_is_stopped(small_fuzz) -> None:
    with pytest.raises(MemoryError):
        run(small_fuzz, lambda _case: len(bytearray(2**40)) > 0)


def test_a_foreign_error_fails_with_its_case(small_fuzz) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run(small_fuzz, lambda case: 1 / (case - case) > 0)
    assert caught.value.__notes__[0].startswith("case 0 of nothing: 0.")


@pytest.mark.parametrize("accepted", [True, False])
def test_damage_that_changes_nothing_or_everything_fails(small_fuzz, accepted: bool) -> None:
    with pytest.raises(AssertionError):
        run(small_fuzz, lambda _case: accepted)


def test_cases_are_the_same_every_time(small_fuzz) -> None:
    found: list[list[object]] = []
    for _ in range(2):
        cases: list[object] = []

        def make(damage, cases=cases) -> bool:
            cases.append((damage.damaged(b"a = 1\nb = 2\n"), json.dumps(damage.changed([1, "a"]))))
            return len(cases) % 2 == 0

        small_fuzz.run("same", [b"a = 1\n"], make, lambda case: case)
        found.append(cases)
    assert found[0] == found[1]
    assert len({repr(case) for case in found[0]}) > 10
