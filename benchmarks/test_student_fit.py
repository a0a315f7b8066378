"""The fit of Student's t against SciPy's on the same samples, in one run.

Run with ``pytest -s benchmarks/test_student_fit.py``; ``make test`` leaves it out.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from nibblemac.formats.distribution import Distribution
from nibblemac.formats.student_fit import fit_student
from scipy import stats


def processor_seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor time of a call, which other load changes little, and its result."""
    start = time.process_time()
    result = run()
    return time.process_time() - start, result


@pytest.mark.parametrize("nu", [3.0, 5.0, 12.0])
def test_fit_is_fifty_times_faster_than_scipy(nu: float) -> None:
    """One float32 tensor of 100,000 elements, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        sample = Distribution(nu=nu).sample(1, 100_000, seed=int(nu))[0]
        fit_student(sample)
        ours, found = min(
            (processor_seconds(lambda: fit_student(sample)) for _ in range(5)),
            key=lambda timed: timed[0],
        )
    finally:
        torch.set_num_threads(threads)
    wide = sample.double().numpy()
    theirs, (expected, _, scale) = processor_seconds(lambda: stats.t.fit(wide, floc=0))
    print(
        f"\nnu {nu:g}: {ours * 1e3:.1f} ms against SciPy's {theirs * 1e3:.0f} ms, "
        f"{theirs / ours:.0f} times; nu {float(found.nu):.5f} against {expected:.5f}, "
        f"scale {float(found.scale):.6f} against {scale:.6f}"
    )
    assert float(found.nu) == pytest.approx(expected, rel=0.02)
    assert theirs > 50 * ours
