"""Anneal a network, by the compiled kernel where it can be had."""

import random
from collections.abc import Callable

from ..formats.errors import SynthesisError
from .anneal import COLD, HOT, Annealed, Annealer, Goal
from .gates import GateLibrary
from .kernel import anneal_natively, can_anneal, kernel
from .network import Network

#: The kernel takes so many steps in about the time of one of Python's.
NATIVE_STEPS = 10


def anneal(
    network: Network,
    goal: Goal,
    gates: GateLibrary,
    *,
    steps: int,
    seed: int,
    hot: float = HOT,
    cold: float = COLD,
    stop: Callable[[], bool] | None = None,
) -> Annealed:
    """Return the smallest network met; ``network`` is spent. Temperatures: inverter areas.

    ``steps`` are those of the Python engine; the kernel takes :data:`NATIVE_STEPS` for each.
    Raises :class:`SynthesisError` where the network is not right to begin with.
    """
    compiled = kernel()
    if compiled is not None and can_anneal(network) and network.gates:
        return anneal_natively(
            compiled,
            network,
            goal,
            gates,
            steps=steps * NATIVE_STEPS,
            seed=seed,
            hot=hot,
            cold=cold,
        )
    rng = random.Random(f"anneal {seed}")  # noqa: S311 - a search, not a secret
    try:
        annealer = Annealer(network, goal.correct, gates, rng)
    except ValueError as error:
        raise SynthesisError(f"A search cannot begin: {error}.") from error
    return annealer.run(steps, hot=hot, cold=cold, stop=stop)
