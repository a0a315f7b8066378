"""Sample Liberty's lookup tables onto one small grid for a whole library.

The grid is four input slews by three output loads around the library's own operating point: C is
the input capacitance of its smallest NAND2 (or NOR2), t that cell's output transition when it
drives four of its own inputs with an input slew of t. Loads are C, 4C and 16C, slews t/4, 3t/4,
2t and 5t, each to two significant digits. Bilinear values on that grid agree with the full tables
of sky130hd, sg13g2 and asap7 to 1 % on average for delays and transitions (95 % of random points
between C and 20C are within 3 to 4 %); deviations along a path average out further.

Tables that already share one grid of at most that size are kept as they are, so that distilling a
distilled library changes nothing.
"""

import bisect
import functools
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..formats.errors import LibraryError
from .liberty_tree import LARGEST, Group

Numbers = tuple[float, ...]

SLEW_FACTORS = (0.25, 0.75, 2.0, 5.0)
LOAD_FACTORS = (1.0, 4.0, 16.0)
REFERENCE_FAN_OUT = 4
TABLE_DIGITS = 4

_SLEWS = ("input_net_transition", "input_transition_time", "constrained_pin_transition")
# A constraint's second axis, the clock's slew, takes the place of the load.
_LOADS = ("total_output_net_capacitance", "related_pin_transition")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of ``values[slew][load]``; an axis of one point is a constant along it."""

    slews: Numbers
    loads: Numbers
    values: tuple[Numbers, ...]

    def at(self, slew: float, load: float) -> float:
        """Return the bilinear value, beyond the edges along the outermost segment."""
        return self.on((slew,), (load,))[0]

    def on(self, slews: Numbers, loads: Numbers) -> Numbers:
        """Return the values of :meth:`at` on a grid, slew by slew."""
        columns = _segments(self.loads, loads)
        found = []
        for i, s in _segments(self.slews, slews):
            low = self.values[i]
            for j, t in columns:
                value = low[j] if t == 0 else low[j] + t * (low[j + 1] - low[j])
                if s != 0:
                    row = self.values[i + 1]
                    above = row[j] if t == 0 else row[j] + t * (row[j + 1] - row[j])
                    value += s * (above - value)
                found.append(value)
        return tuple(found)

    @property
    def is_constant(self) -> bool:
        """Whether the table has a single value."""
        return len(self.slews) == len(self.loads) == 1


@functools.lru_cache(maxsize=1024)
def _segments(axis: Numbers, points: Numbers) -> tuple[tuple[int, float], ...]:
    return tuple(_segment(axis, point) for point in points)


def _segment(axis: Numbers, x: float) -> tuple[int, float]:
    """Return the segment that ``x`` lies in and how far along; exactly 0 on a grid point."""
    if len(axis) == 1:
        return 0, 0.0
    i = min(max(bisect.bisect_right(axis, x) - 1, 0), len(axis) - 1)
    if axis[i] == x:
        return i, 0.0
    i = min(i, len(axis) - 2)
    return i, (x - axis[i]) / (axis[i + 1] - axis[i])


def read_table(
    group: Group,
    templates: Mapping[str, Group],
    *,
    slew_scale: float,
    load_scale: float,
    value_scale: float,
) -> Table:
    """Return the table in a group such as ``cell_rise (template) { … }``, in our units.

    A third axis (such as the other pin's slew in a constraint) is cut at its middle. Raises
    :class:`LibraryError`, with the line, where indices and values do not fit together.
    """
    template = templates.get(group.args[0]) if group.args else None
    values = group.numbers("values")
    if values is None:
        raise LibraryError(f"{group.where}: {group.label} has no values.")
    flat = [value * value_scale for row in values for value in row]
    axes = _axes(group, template)
    size = math.prod(len(points) for _, points in axes)
    if size != len(flat):
        if len(flat) != 1:
            raise LibraryError(
                f"{group.where}: {group.label} has {len(flat)} values; its indices need {size}."
            )
        axes = []
    return _arrange(axes, flat, slew_scale, load_scale)


def _axes(group: Group, template: Group | None) -> list[tuple[str, Numbers]]:
    """Return each axis' variable and points; a table's own index overrides its template's."""
    axes: list[tuple[str, Numbers]] = []
    for number, usual in enumerate((_SLEWS[0], _LOADS[0], ""), start=1):
        index = group.numbers(f"index_{number}")
        variable = usual
        if template is not None:
            index = index or template.numbers(f"index_{number}")
            variable = template.text(f"variable_{number}", usual)
        if index is None:
            break
        points = tuple(value for row in index for value in row)
        if not points or any(b <= a for a, b in itertools.pairwise(points)):
            raise LibraryError(f"{group.where}: index_{number} of {group.label} does not ascend.")
        axes.append((variable, points))
    return axes


def _arrange(
    axes: Sequence[tuple[str, Numbers]], flat: Sequence[float], slew_scale: float, load_scale: float
) -> Table:
    """Return the table with slew and load as its axes, any other axis cut at its middle."""
    slews: Numbers = (0.0,)
    loads: Numbers = (0.0,)
    slew_stride = load_stride = offset = 0
    stride = len(flat)
    for variable, points in axes:
        stride //= len(points)
        if variable in _LOADS and not load_stride:
            scale = load_scale if variable == _LOADS[0] else slew_scale
            loads, load_stride = tuple(p * scale for p in points), stride
        elif variable in _SLEWS and not slew_stride:
            slews, slew_stride = tuple(p * slew_scale for p in points), stride
        else:
            offset += stride * (len(points) // 2)
    rows = tuple(
        tuple(flat[offset + i * slew_stride + j * load_stride] for j in range(len(loads)))
        for i in range(len(slews))
    )
    return Table(slews, loads, rows)


def choose_grid(
    tables: Iterable[Table], reference_capacitance: float, reference: Sequence[Table]
) -> tuple[Numbers, Numbers]:
    """Return the slews and loads that a library's ``tables`` are sampled on.

    ``reference`` are the output transitions of the reference cell. Both tuples are empty where
    the library has no tables at all.
    """
    shared: tuple[Numbers, Numbers] | None = None
    empty = True
    for table in tables:
        empty = False
        if not table.is_constant:
            shared = shared or (table.slews, table.loads)
            if shared != (table.slews, table.loads):
                break
            if len(table.slews) > len(SLEW_FACTORS) or len(table.loads) > len(LOAD_FACTORS):
                break
    else:
        return shared or (((), ()) if empty else ((0.0,), (0.0,)))
    slew = shared[0][len(shared[0]) // 2]
    load = REFERENCE_FAN_OUT * reference_capacitance
    if reference:
        for _ in range(20):
            slew = sum(table.at(slew, load) for table in reference) / len(reference)
    if slew <= 0 or reference_capacitance <= 0:
        return shared[0][: len(SLEW_FACTORS)], shared[1][: len(LOAD_FACTORS)]
    return (
        tuple(rounded(slew * factor, 2) for factor in SLEW_FACTORS),
        tuple(rounded(reference_capacitance * factor, 2) for factor in LOAD_FACTORS),
    )


def sample(table: Table, slews: Numbers, loads: Numbers) -> Numbers:
    """Return the table's values on the grid, slew by slew, to four significant digits."""
    return tuple(rounded(value, TABLE_DIGITS) for value in table.on(slews, loads))


def rounded(value: float, digits: int) -> float:
    """Return ``value`` to so many significant digits.

    Raises :class:`LibraryError` where it is too large for any unit of a cell.
    """
    if not abs(value) < LARGEST:
        raise LibraryError(f"A value of {value:.3g} (ps, fF, fJ or nW) is beyond {LARGEST:g}.")
    return float(f"{value:.{digits}g}") + 0.0
