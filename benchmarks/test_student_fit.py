"""The fit of Student's t against SciPy's on the same samples, in one run.

``make benchmark`` runs it; without ``--benchmark-enable`` nothing is asserted of speed.
"""

import time
from typing import Any

import pytest
import torch
from nibblemac.formats.distribution import Distribution
from nibblemac.formats.student_fit import fit_student
from scipy import stats

from .timing import best_times

OVER_SCIPY = 50
ROUNDS = 5


@pytest.mark.parametrize("nu", [3.0, 5.0, 12.0])
def test_fit_is_fifty_times_faster_than_scipy(benchmark: Any, nu: float) -> None:
    """One float32 tensor of 100,000 elements, on one thread, in processor time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        sample = Distribution(nu=nu).sample(1, 100_000, seed=int(nu))[0]
        found = benchmark.pedantic(
            lambda: fit_student(sample), rounds=1 if benchmark.disabled else ROUNDS
        )
        # Other load changes little about processor time.
        ours = best_times({"ours": lambda: fit_student(sample)}, ROUNDS, time.process_time)["ours"]
    finally:
        torch.set_num_threads(threads)
    wide = sample.double().numpy()
    start = time.process_time()
    expected, _, scale = stats.t.fit(wide, floc=0)
    theirs = time.process_time() - start
    benchmark.extra_info["ratio"] = theirs / ours
    print(
        f"\nnu {nu:g}: {ours * 1e3:.1f} ms against SciPy's {theirs * 1e3:.0f} ms, "
        f"{theirs / ours:.0f} times; nu {float(found.nu):.5f} against {expected:.5f}, "
        f"scale {float(found.scale):.6f} against {scale:.6f}"
    )
    assert float(found.nu) == pytest.approx(expected, rel=0.02)
    if not benchmark.disabled:
        assert theirs > OVER_SCIPY * ours
