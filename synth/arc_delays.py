"""What a gate's arcs make of the net that it drives: tables of slew by load, worst arc first."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .cells import Arc, CellLibrary, InputPin, Numbers

RISE, FALL = 0, 1

#: A value for the rising and one for the falling edge.
Pair = tuple[float, float]

#: Edges of the input that cause a rising and a falling edge of the output.
_CAUSES: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "positive_unate": ((RISE,), (FALL,)),
    "negative_unate": ((FALL,), (RISE,)),
    "non_unate": ((RISE, FALL), (RISE, FALL)),
}


@dataclass(frozen=True, slots=True)
class DrivenNet:
    """A net as its driver leaves it; ``rise`` and ``fall`` are the latest arc and input edge."""

    arrivals: Pair
    slews: Pair
    rise: tuple[int, int] | None
    fall: tuple[int, int] | None


def drive_net(
    library: CellLibrary, arcs: Sequence[tuple[Arc, Pair, Pair]], load: float
) -> DrivenNet | None:
    """Return what arcs, with their pins' arrivals and slews, make of a net with a load (fF).

    None where none of the arcs has a delay.
    """
    slew_axis, load_axis = library.slews, library.loads
    column, share = _segment(load_axis, load)
    stride = len(load_axis)
    arrivals, slews = [-math.inf, -math.inf], [0.0, 0.0]
    causes: list[tuple[int, int] | None] = [None, None]
    for number, (arc, times, input_slews) in enumerate(arcs):
        # A flip-flop's arc starts at the clock's rising edge alone.
        cause_edges = ((RISE,), (RISE,)) if arc.kind == "rising_edge" else _CAUSES[arc.sense]
        segments = [_segment(slew_axis, slew) for slew in input_slews]
        for edge, delays, transitions in (
            (RISE, arc.rise_delay, arc.rise_transition),
            (FALL, arc.fall_delay, arc.fall_transition),
        ):
            if not delays:
                continue
            for cause in cause_edges[edge]:
                if times[cause] == -math.inf:
                    continue
                row, part = segments[cause]
                place = row * stride + column
                time = times[cause] + _bilinear(delays, place, stride, part, share)
                if time > arrivals[edge]:
                    arrivals[edge] = time
                    causes[edge] = number, cause
                if transitions:
                    slew = _bilinear(transitions, place, stride, part, share)
                    slews[edge] = max(slews[edge], slew)
    if causes == [None, None]:
        return None
    return DrivenNet(
        (arrivals[RISE], arrivals[FALL]), (slews[RISE], slews[FALL]), causes[RISE], causes[FALL]
    )


def setup_time(library: CellLibrary, pin: InputPin, slew: float) -> float:
    """Return a data pin's setup time in ps at a slew."""
    if not pin.setup:
        return 0.0
    row, part = _segment(library.slews, slew)
    return _bilinear(pin.setup, row, 1, part, 0.0)


def _segment(axis: Numbers, x: float) -> tuple[int, float]:
    """Return the segment that ``x`` lies in, or is nearest to, and how far along it is."""
    last = len(axis) - 2
    if last < 0:
        return 0, 0.0
    i = 0
    while i < last and x >= axis[i + 1]:
        i += 1
    return i, (x - axis[i]) / (axis[i + 1] - axis[i])


def _bilinear(values: Numbers, place: int, stride: int, part: float, share: float) -> float:
    value = values[place]
    if share:
        value += share * (values[place + 1] - value)
    if part:
        above = values[place + stride]
        if share:
            above += share * (values[place + stride + 1] - above)
        value += part * (above - value)
    return value
