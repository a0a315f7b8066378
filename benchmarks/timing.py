"""What the benchmarks share: contenders timed in turns, so that other load meets all of them."""

import time
from collections.abc import Callable, Mapping
from typing import Any

Clock = Callable[[], float]


def best_times(
    contenders: Mapping[str, Callable[[], Any]], rounds: int, clock: Clock = time.perf_counter
) -> dict[str, float]:
    """Return each contender's shortest time of ``rounds``, in seconds."""
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, run in contenders.items():
            start = clock()
            run()
            best[name] = min(best[name], clock() - start)
    return best
