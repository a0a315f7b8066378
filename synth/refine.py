"""Anneal a whole netlist, window by window.

A window is a connected group of gates with few inputs, so that all of their patterns can be
evaluated. Flip-flops and cells with several outputs stay as they are, outside of every window.
"""

import random
from collections.abc import Callable, Sequence

from .anneal import Correct, Goal
from .annealing import anneal
from .gates import GateLibrary, Values
from .netlist import ONE, ZERO, Instance, Net, Netlist
from .window import Window, gate_instances, put_back, to_network, window_of

#: A window's most inputs; 2**11 patterns take about five times as long as 2**8.
MOST_INPUTS = 10
_MOST_GATES = 45

#: Windows start cooler than a block that is searched from scratch.
WARM = 0.4


def grow_window(
    netlist: Netlist, gates: GateLibrary, rng: random.Random, most_inputs: int = MOST_INPUTS
) -> Window | None:
    """Return a window around a random gate: neighbours join while the inputs stay few."""
    able = gate_instances(netlist, gates)
    if not able:
        return None
    by_name = {one.name: one for one in able}
    readers: dict[Net, list[Instance]] = {}
    drivers: dict[Net, Instance] = {}
    for one in able:
        gate = gates.by_cell[one.cell]
        drivers[one.pins[gate.output]] = one
        for pin in gate.pins:
            readers.setdefault(one.pins[pin], []).append(one)

    def near(inside: set[str], inputs: set[Net]) -> set[str]:
        """Return the gates that touch the window: drivers, readers, and readers of its inputs."""
        found: set[str] = set()
        for name in inside:
            one = by_name[name]
            gate = gates.by_cell[one.cell]
            sources = [drivers.get(one.pins[pin]) for pin in gate.pins]
            found.update(source.name for source in sources if source is not None)
            found.update(reader.name for reader in readers.get(one.pins[gate.output], ()))
        for net in inputs:
            found.update(reader.name for reader in readers.get(net, ()))
        return found - inside

    inside = {rng.choice(able).name}
    inputs = _inputs(inside, by_name, gates)
    limit = rng.randint(max(3, most_inputs - 4), most_inputs)
    while len(inside) < _MOST_GATES:
        choices = [
            (len(grown) + rng.random(), name, grown)
            for name in sorted(near(inside, inputs))
            if len(grown := _inputs({*inside, name}, by_name, gates)) <= limit
        ]
        if not choices:
            break
        _, name, inputs = min(choices)
        inside.add(name)
    closed = _closure(netlist, inside, gates)
    if closed is None or len(closed) < 3:
        return None
    window = window_of(netlist, closed, gates)
    return window if len(window.inputs) <= most_inputs else None


def _inputs(inside: set[str], by_name: dict[str, Instance], gates: GateLibrary) -> set[Net]:
    driven: set[Net] = set()
    read: set[Net] = set()
    for name in inside:
        one = by_name[name]
        gate = gates.by_cell[one.cell]
        driven.add(one.pins[gate.output])
        read.update(one.pins[pin] for pin in gate.pins)
    return read - driven - {ZERO, ONE}


def _closure(netlist: Netlist, inside: set[str], gates: GateLibrary) -> set[str] | None:
    """Return the window with every cell on a path that leaves it and comes back, or None.

    Without these a replacement could close a loop. None: one of them is no gate.
    """
    library = gates.library
    order = netlist.topological(library)

    def marked(cells: Sequence[Instance], *, forward: bool) -> set[str]:
        nets: set[Net] = set()
        found: set[str] = set()
        for one in cells:
            cell = library.cell(one.cell)
            sources = {one.pins[pin] for pin in cell.input_names if pin in one.pins}
            outputs = {one.pins[pin.name] for pin in cell.outputs if pin.name in one.pins}
            near, far = (sources, outputs) if forward else (outputs, sources)
            if one.name in inside or near & nets:
                found.add(one.name)
                nets |= far
        return found

    between = marked(order, forward=True) & marked(order[::-1], forward=False)
    able = {one.name for one in gate_instances(netlist, gates)}
    return between if between <= able else None


def same_function(wanted: Sequence[Values], mask: Values) -> Correct:
    """Return the predicate of exactly these output values."""
    return Goal(wanted=tuple(wanted), mask=mask).correct


def anneal_window(
    netlist: Netlist,
    window: Window,
    gates: GateLibrary,
    rng: random.Random,
    *,
    steps: int,
    prefix: str,
    hot: float = WARM,
    stop: Callable[[], bool] | None = None,
) -> Netlist:
    """Return the netlist with the window annealed, if that is no larger; otherwise as it was."""
    network = to_network(netlist, window, gates)
    before = network.area
    goal = Goal(wanted=tuple(network.output_values()), mask=network.mask)
    seed = rng.getrandbits(32)
    found = anneal(network, goal, gates, steps=steps, seed=seed, hot=hot, stop=stop)
    if found.area > before:
        return netlist
    return put_back(netlist, window, found.network, prefix)


def refine(
    netlist: Netlist,
    gates: GateLibrary,
    *,
    rounds: int,
    steps: int,
    seed: int,
    stop: Callable[[], bool] | None = None,
) -> Netlist:
    """Anneal ``rounds`` random windows in turn, ``steps`` steps for each of a window's gates."""
    rng = random.Random(f"refine {seed}")  # noqa: S311 - a search, not a secret
    for index in range(rounds):
        if stop is not None and stop():
            break
        window = grow_window(netlist, gates, rng)
        if window is not None:
            count = steps * len(window.instances)
            prefix = f"r{index}_"
            netlist = anneal_window(
                netlist, window, gates, rng, steps=count, prefix=prefix, stop=stop
            )
    return netlist


def area_of(netlist: Netlist, gates: GateLibrary) -> float:
    """Return the sum of the cells' areas in µm²."""
    return sum(gates.library.cell(one.cell).area for one in netlist.instances)
