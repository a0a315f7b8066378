"""Jobs on executors of every kind: equal results, nothing twice, and a quick end."""

import importlib
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from nibblemac.formats.errors import NibblemacError, SynthesisError
from nibblemac.synth.cache import Cache
from nibblemac.synth.jobs import Failed, Job, cancelled, processes, run_jobs

#: Functions that worker processes can import; each call leaves a file in a folder.
WORK = '''
import os
import tempfile
import time

from nibblemac.formats.errors import LibraryError, SynthesisError
from nibblemac.synth.jobs import cancelled


def called(folder, number):
    handle, _ = tempfile.mkstemp(prefix=f"{number}-", dir=folder)
    os.close(handle)


def square(folder, number):
    called(folder, number)
    return {"square": number * number, "name": str(number)}


def slow_first(folder, number):
    """The first ones take longest, so that they are finished last."""
    time.sleep(max(0.0, 0.2 - 0.05 * number))
    return square(folder, number)


def odd_fails(folder, number):
    called(folder, number)
    if number % 2:
        raise (SynthesisError if number % 4 == 1 else LibraryError)(f"{number} is odd.")
    return {"square": number * number}


def breaks(folder, number):
    called(folder, number)
    raise ValueError("not one of ours")


def asks(folder, number):
    """Half a minute, unless the run is cancelled."""
    called(folder, number)
    for _ in range(600):
        if cancelled():
            raise SynthesisError("The search was interrupted.")
        time.sleep(0.05)
    return {"square": -1}


def sleeps(folder, number):
    """Half a minute in any case."""
    called(folder, number)
    time.sleep(30)
    return {"square": -1}
'''


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """The module of functions, on the path that worker processes get."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "nibblemac_work_of_jobs.py").write_text(WORK, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield importlib.import_module("nibblemac_work_of_jobs")


@pytest.fixture
def calls(tmp_path):
    """Which numbers were really computed, sorted; all calls from any process are counted."""
    folder = tmp_path / "calls"
    folder.mkdir()

    def found():
        return sorted(int(path.name.split("-")[0]) for path in folder.iterdir())

    found.folder = str(folder)
    return found


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def jobs_of(function, calls, numbers):
    return [
        Job(
            function=function,
            arguments=(calls.folder, number),
            facts={"function": function.__name__, "number": number},
        )
        for number in numbers
    ]


class Inline(Executor):
    """Computes at once, where it is asked."""

    def submit(self, function, /, *arguments, **options):
        future = Future()
        try:
            future.set_result(function(*arguments, **options))
        except Exception as error:
            future.set_exception(error)
        return future


class Refusing(Executor):
    """For runs that must not compute anything."""

    def submit(self, *_arguments, **_options):
        raise AssertionError("a job was submitted")


EXECUTORS = {
    "inline": lambda: nullcontext(Inline()),
    "threads": lambda: ThreadPoolExecutor(3),
    "processes": lambda: processes(2),
}


@pytest.mark.parametrize("kind", EXECUTORS)
def test_results_are_in_order_and_kept(work, calls, cache, kind):
    """The same records from every kind of executor; a second run computes nothing."""
    numbers = [0, 1, 2, 3, 4, 5]
    jobs = jobs_of(work.slow_first, calls, numbers)
    seen = []
    with EXECUTORS[kind]() as executor:
        first = run_jobs(jobs, executor, cache, seen.append)
    assert first == [{"square": n * n, "name": str(n)} for n in numbers]
    assert sorted(seen) == list(range(6))
    assert calls() == numbers
    seen.clear()
    assert run_jobs(jobs, Refusing(), cache, seen.append) == first
    assert seen == list(range(6))
    # Another one beside them is all that is computed.
    more = jobs_of(work.slow_first, calls, [5, 9, 0])
    assert run_jobs(more, Inline(), cache) == [first[5], {"square": 81, "name": "9"}, first[0]]
    assert calls() == [*numbers, 9]


def test_no_jobs_need_no_executor(cache):
    assert run_jobs([], Refusing(), cache) == []


@pytest.mark.parametrize("kind", EXECUTORS)
def test_equal_jobs_are_computed_once(work, calls, cache, kind):
    seen = []
    with EXECUTORS[kind]() as executor:
        numbers = [3, 1, 3, 3, 1]
        found = run_jobs(jobs_of(work.square, calls, numbers), executor, cache, seen.append)
    assert [one["square"] for one in found] == [9, 1, 9, 9, 1]
    assert calls() == [1, 3]
    assert sorted(seen) == [0, 1, 2, 3, 4]


def test_equal_facts_make_equal_jobs(work, calls, cache):
    """Whatever the order of their keys; other facts make others."""
    facts = [{"a": 1, "b": [2]}, {"b": [2], "a": 1}, {"a": 1, "b": [3]}]
    jobs = [Job(function=work.square, arguments=(calls.folder, 2), facts=one) for one in facts]
    assert jobs[0].key == jobs[1].key != jobs[2].key
    run_jobs(jobs, Inline(), cache)
    assert calls() == [2, 2]


@pytest.mark.parametrize("kind", EXECUTORS)
def test_failures_do_not_stop_the_others_and_are_tried_again(work, calls, cache, kind):
    numbers = [0, 1, 2, 3, 4]
    jobs = jobs_of(work.odd_fails, calls, numbers)
    with EXECUTORS[kind]() as executor:
        found = run_jobs(jobs, executor, cache)
    assert [found[i] for i in (0, 2, 4)] == [{"square": n * n} for n in (0, 2, 4)]
    for number in (1, 3):
        failed = found[number]
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, NibblemacError)
        assert isinstance(failed.error, SynthesisError) is (number == 1)
        assert str(failed.error) == f"{number} is odd."
    run_jobs(jobs, Inline(), cache)
    assert calls() == sorted([*numbers, 1, 3])


@pytest.mark.parametrize("kind", EXECUTORS)
def test_errors_that_are_not_the_projects_are_raised(work, calls, cache, kind):
    with EXECUTORS[kind]() as executor, pytest.raises(ValueError, match="not one of ours"):
        run_jobs(jobs_of(work.breaks, calls, [1]), executor, cache)


def test_late_from_the_start_leaves_out_what_is_not_known(work, calls, cache):
    run_jobs(jobs_of(work.square, calls, [2]), Inline(), cache)
    late = threading.Event()
    late.set()
    found = run_jobs(jobs_of(work.square, calls, [1, 2, 3]), Refusing(), cache, late=late)
    assert found == [None, {"square": 4, "name": "2"}, None]
    assert calls() == [2]


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_late_on_the_way_leaves_out_what_waits(work, calls, cache, kind):
    """What runs already is finished, and kept."""
    late = threading.Event()
    numbers = list(range(40))
    jobs = jobs_of(work.slow_first, calls, numbers)
    with EXECUTORS[kind]() as executor:
        found = run_jobs(jobs, executor, cache, lambda _index: late.set(), late)
    done = [number for number, one in enumerate(found) if one is not None]
    assert all(found[number]["square"] == number * number for number in done)
    assert calls() == done
    assert 1 <= len(done) < 30
    assert [one is None for one in found].count(True) == 40 - len(done)
    # Later, nothing of it is computed again.
    again = run_jobs(jobs, Inline(), cache)
    assert [one["square"] for one in again] == [number * number for number in numbers]
    assert calls() == numbers


def test_nobody_is_cancelled_outside_of_workers():
    assert not cancelled()


def interrupt_after(numbers, jobs, seen):
    """A progress callback that is interrupted once these jobs are finished."""

    def progress(index):
        seen.append(index)
        if {jobs[i].arguments[1] for i in seen} >= set(numbers):
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("name", ["asks", "sleeps"])
def test_an_interrupt_ends_the_workers_soon(work, calls, cache, name):
    """Those that ask whether they are cancelled, and those that do not; what is done is kept."""
    jobs = [
        *jobs_of(work.square, calls, [1]),
        *jobs_of(getattr(work, name), calls, [2, 3, 4]),
    ]
    seen, times = [], []

    def interrupted():
        with processes(2) as executor:
            # The pool is there before the clock starts: its processes take a while to come up.
            executor.submit(work.square, calls.folder, 0).result()
            times.append(time.monotonic())
            run_jobs(jobs, executor, cache, interrupt_after([1], jobs, seen))

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - times[0] < 10
    assert seen == [0]
    assert cache.get(jobs[0].key) == {"square": 1, "name": "1"}
    assert [cache.get(job.key) for job in jobs[1:]] == [None] * 3


def test_an_interrupted_run_goes_on_where_it_was(work, calls, cache):
    jobs = jobs_of(work.slow_first, calls, [0, 1, 2, 3, 4, 5, 6, 7])
    seen = []
    with pytest.raises(KeyboardInterrupt), ThreadPoolExecutor(1) as executor:
        run_jobs(jobs, executor, cache, interrupt_after([1], jobs, seen))
    assert [cache.get(job.key) is not None for job in jobs[:2]] == [True, True]
    kept = [job for job in jobs if cache.get(job.key) is not None]
    before = len(calls())
    found = run_jobs(jobs, Inline(), cache)
    assert [one["square"] for one in found] == [n * n for n in range(8)]
    assert len(calls()) - before == len(jobs) - len(kept)


def test_a_pool_that_nothing_interrupts_ends_by_itself(work, calls):
    with processes(1) as executor:
        future = executor.submit(work.square, calls.folder, 3)
    assert future.result() == {"square": 9, "name": "3"}
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(work.square, calls.folder, 3)
