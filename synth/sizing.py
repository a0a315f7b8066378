"""Choose among a library's drive strengths so that a mapped netlist is faster, or smaller.

Works on any mapped netlist, full adders and flip-flops included, which ABC does not size. Each
trial is judged by the delays themselves (:mod:`.arc_delays`), recomputed only where they change.
Nothing but cells of equal function and equal pins is exchanged, so the logic stays what it is.
"""

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..formats.errors import LibraryError
from .arc_delays import FALL, RISE, Pair, drive_net, setup_time
from .cells import Arc, Cell, CellKind, CellLibrary
from .delay_conditions import NO_DRIVER, Resolved, driving_pins
from .netlist import Net, Netlist
from .static_timing import clock_nets, loads_and_wires

#: Part of every cache key: raise it when results change.
SIZING_VERSION = 1

#: Ends within this share of the latest one are pulled in together.
_CRITICAL = 0.04
_NOTHING = 1e-6
#: So many exchanges are made before the gains are computed anew.
_AT_ONCE = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Sized:
    """A choice of cells, its area in µm², and its delay in ps on the library's tables."""

    cells: tuple[str, ...]
    area: float
    ps: float


def variants(library: CellLibrary) -> Mapping[str, tuple[str, ...]]:
    """Return for each cell the cells of the same function and pins, itself included, by area."""
    groups: dict[object, list[Cell]] = {}
    for cell in library.cells:
        state = cell.flip_flop
        tables = tuple(
            (pin.name, str(pin.function) if state else pin.function.truth_table(cell.input_names))
            for pin in cell.outputs
        )
        key = (cell.input_names, tables, str(state))
        groups.setdefault(key, []).append(cell)
    found = {}
    for cells in groups.values():
        names = tuple(c.name for c in sorted(cells, key=lambda cell: (cell.area, cell.name)))
        found.update(dict.fromkeys(names, names))
    return found


def resized(netlist: Netlist, cells: Sequence[str]) -> Netlist:
    """Return the netlist with these cells, one an instance."""
    instances = zip(netlist.instances, cells, strict=True)
    return Netlist(
        top=netlist.top,
        ports=netlist.ports,
        instances=tuple(replace(instance, cell=cell) for instance, cell in instances),
    )


@dataclass(slots=True)
class _Gate:
    """A driver of nets: an instance, or an input bit's driving cell (``index`` is then None)."""

    index: int | None
    cell: Cell
    pins: Mapping[str, Net]
    fixed: Pair | None


class Sizer:
    """A netlist with exchangeable cells and its delays, kept up to date.

    ``ps`` is the worst delay and ``area`` (µm²) the sum of the cells'.
    """

    def __init__(self, netlist: Netlist, library: CellLibrary, conditions: Resolved) -> None:
        self.netlist, self.library, self._conditions = netlist, library, conditions
        self._variants = variants(library)
        self._loads, self._wires = loads_and_wires(netlist, library, conditions)
        self._arrivals: dict[Net, Pair] = {}
        self._slews: dict[Net, Pair] = {}
        self._causes: dict[Net, tuple[tuple[Net, int] | None, ...]] = {}
        self._gates = list(self._make_gates())
        self._places = {
            gate.index: n for n, gate in enumerate(self._gates) if gate.index is not None
        }
        self._readers: dict[Net, list[int]] = {}
        self._driver: dict[Net, int] = {}
        for place, gate in enumerate(self._gates):
            for pin in gate.cell.outputs:
                if pin.name in gate.pins:
                    self._driver[gate.pins[pin.name]] = place
            if gate.fixed is None:
                for name in gate.cell.input_names:
                    if name in gate.pins:
                        self._readers.setdefault(gate.pins[name], []).append(place)
        self._undo: list[tuple[Net, Pair | None, Pair | None, object]] | None = None
        for place in range(len(self._gates)):
            self._compute(place)
        self._ends = list(self._find_ends())
        self.area = math.fsum(library.cell(one.cell).area for one in netlist.instances)
        self.ps = self._worst()

    def _make_gates(self) -> Iterator[_Gate]:
        conditions, library = self._conditions, self.library
        clocks = clock_nets(self.netlist, library)
        numbers = {one.name: index for index, one in enumerate(self.netlist.instances)}
        clock_slew = conditions.clock_slew_ps
        for port in self.netlist.inputs:
            for net in port.nets:
                if net in clocks:
                    continue
                slew = conditions.input_slew_ps
                if conditions.driver == NO_DRIVER:
                    self._arrivals[net], self._slews[net] = (0.0, 0.0), (slew, slew)
                    continue
                cell = library.cell(conditions.driver)
                slew = slew if cell.flip_flop is None else clock_slew
                yield _Gate(None, cell, {driving_pins(cell)[1].name: net}, (slew, slew))
        for one in self.netlist.flip_flops(library):
            cell = library.cell(one.cell)
            yield _Gate(numbers[one.name], cell, one.pins, (clock_slew, clock_slew))
        for one in self.netlist.topological(library):
            cell = library.cell(one.cell)
            if cell.kind is not CellKind.TIE:
                yield _Gate(numbers[one.name], cell, one.pins, None)

    def _find_ends(self) -> Iterator[tuple[Net, int | None, str]]:
        for one in self.netlist.flip_flops(self.library):
            index = next(i for i, other in enumerate(self.netlist.instances) if other is one)
            for pin in self.library.cell(one.cell).inputs:
                net = one.pins.get(pin.name)
                if not pin.clock and net in self._arrivals:
                    yield net, self._places[index], pin.name
        for port in self.netlist.outputs:
            for net in port.nets:
                if net in self._arrivals:
                    yield net, None, ""

    def _at(self, net: Net, capacitance: float) -> Pair:
        rise, fall = self._arrivals[net]
        wire = self._wires.get(net)
        if wire is None:
            return rise, fall
        delay = wire.resistance * (wire.capacitance + capacitance)
        return rise + delay, fall + delay

    def _compute(self, place: int) -> list[Net]:
        """Compute a gate's nets anew; return those whose arrivals or slews changed."""
        gate = self._gates[place]
        if gate.fixed is None:
            times = {
                pin.name: (self._at(net, pin.capacitance), self._slews[net], net)
                for pin in gate.cell.inputs
                if (net := gate.pins.get(pin.name, 0)) in self._arrivals
            }
        changed = []
        for output in gate.cell.outputs:
            if output.name not in gate.pins:
                continue
            net = gate.pins[output.name]
            arcs: list[tuple[Arc, Pair, Pair]] = []
            sources: list[Net | None] = []
            for arc in output.arcs:
                if gate.fixed is not None:
                    wanted = "combinational" if gate.cell.flip_flop is None else "rising_edge"
                    if arc.kind == wanted:
                        arcs.append((arc, (0.0, 0.0), gate.fixed))
                        sources.append(None)
                elif arc.kind == "combinational" and arc.pin in times:
                    at, slews, source = times[arc.pin]
                    arcs.append((arc, at, slews))
                    sources.append(source)
            if not arcs:
                continue
            driven = drive_net(self.library, arcs, self._loads.get(net, 0.0))
            if driven is None:
                raise LibraryError(f"The cell {gate.cell.name} has no delay to {output.name}.")
            before = self._arrivals.get(net), self._slews.get(net)
            if before != (driven.arrivals, driven.slews):
                if self._undo is not None:
                    self._undo.append((net, *before, self._causes.get(net)))
                changed.append(net)
            self._arrivals[net], self._slews[net] = driven.arrivals, driven.slews
            self._causes[net] = tuple(
                _step(None if cause is None else sources[cause[0]], cause)
                for cause in (driven.rise, driven.fall)
            )
        return changed

    def _end_time(self, end: tuple[Net, int | None, str]) -> tuple[float, int]:
        net, place, name = end
        if place is None:
            rise, fall = self._at(net, self._conditions.load_ff)
        else:
            pin = self._gates[place].cell.input(name)
            rise, fall = self._at(net, pin.capacitance)
            slews = self._slews[net]
            rise += setup_time(self.library, pin, slews[RISE])
            fall += setup_time(self.library, pin, slews[FALL])
        return (rise, RISE) if rise >= fall else (fall, FALL)

    def _worst(self) -> float:
        return max((self._end_time(end)[0] for end in self._ends), default=0.0)

    def _excess(self, target: float) -> float:
        """Return by how much the ends miss a target, summed up."""
        return math.fsum(max(self._end_time(end)[0] - target, 0.0) for end in self._ends)

    def _swap(self, place: int, cell: Cell) -> None:
        """Put another cell in a gate's place and bring all delays up to date."""
        gate = self._gates[place]
        old, gate.cell = gate.cell, cell
        self.area += cell.area - old.area
        waiting = {place}
        for before, after in zip(old.inputs, cell.inputs, strict=True):
            net = gate.pins.get(before.name)
            if net is None or before.capacitance == after.capacitance:
                continue
            self._loads[net] += after.capacitance - before.capacitance
            if net in self._driver:
                waiting.add(self._driver[net])
            # The wire's delay to this very pin changes too.
            waiting.update(self._readers.get(net, ()))
        queue = sorted(waiting)
        while queue:
            now = heapq.heappop(queue)
            waiting.discard(now)
            for net in self._compute(now):
                for reader in self._readers.get(net, ()):
                    if reader not in waiting:
                        waiting.add(reader)
                        heapq.heappush(queue, reader)

    def _try(self, place: int, cell: Cell, target: float) -> float:
        """Return the excess over the target with another cell in place, and take it back."""
        gate = self._gates[place]
        old = gate.cell
        loads = {net: self._loads.get(net) for net in gate.pins.values()}
        area = self.area
        self._undo = []
        self._swap(place, cell)
        excess = self._excess(target)
        gate.cell, self.area = old, area
        for net, load in loads.items():
            if load is not None:
                self._loads[net] = load
        for net, arrivals, slews, causes in reversed(self._undo):
            assert arrivals is not None and slews is not None  # noqa: PT018, S101
            self._arrivals[net], self._slews[net] = arrivals, slews
            self._causes[net] = causes  # type: ignore[assignment]
        self._undo = None
        return excess

    def result(self) -> Sized:
        """Return the present choice of cells."""
        cells = [one.cell for one in self.netlist.instances]
        for gate in self._gates:
            if gate.index is not None:
                cells[gate.index] = gate.cell.name
        return Sized(cells=tuple(cells), area=self.area, ps=self.ps)

    def _options(self, place: int) -> list[Cell]:
        gate = self._gates[place]
        if gate.index is None:
            return []
        names = self._variants[gate.cell.name]
        here = names.index(gate.cell.name)
        near = names[max(here - 1, 0) : here] + names[here + 1 : here + 3]
        return [self.library.cell(name) for name in near]

    def _smaller(self, place: int) -> list[Cell]:
        gate = self._gates[place]
        if gate.index is None:
            return []
        cells = [self.library.cell(name) for name in self._variants[gate.cell.name]]
        return [cell for cell in cells if cell.area < gate.cell.area]

    def _critical(self, target: float) -> list[int]:
        """Return the gates on the latest path to each end beyond the target, in order."""
        found: dict[int, None] = {}
        for end in self._ends:
            time, edge = self._end_time(end)
            if time <= target:
                continue
            step: tuple[Net, int] | None = (end[0], edge)
            while step is not None:
                net, edge = step
                if net in self._driver:
                    found[self._driver[net]] = None
                causes = self._causes.get(net)
                step = None if causes is None else causes[edge]
        return sorted(found)

    def speed_up(self, target: float) -> Iterator[Sized]:
        """Exchange one cell at a time, of the most gain for its area, until ``target`` (ps).

        Yields the state after every exchange; ends at the target, or where no exchange helps.
        """
        while self.ps > target:
            goal = max(target, self.ps * (1 - _CRITICAL))
            now = self._excess(goal)
            found: list[tuple[float, int, Cell]] = []
            for place in self._critical(goal):
                for cell in self._options(place):
                    gain = now - self._try(place, cell, goal)
                    if gain > _NOTHING * now:
                        cost = cell.area - self._gates[place].cell.area
                        found.append((math.inf if cost <= 0 else gain / cost, place, cell))
            if not found:
                return
            # The best few at once, of different gates, each as long as it still helps.
            done: set[int] = set()
            for _, place, cell in sorted(found, key=lambda one: -one[0]):
                if len(done) == _AT_ONCE or place in done:
                    continue
                if done and now - self._try(place, cell, goal) <= _NOTHING * now:
                    continue
                done.add(place)
                self._swap(place, cell)
                self.ps = self._worst()
                now = self._excess(goal)
                yield self.result()
                if self.ps <= target:
                    return

    def recover(self, target: float) -> Sized:
        """Exchange cells for smaller ones wherever ``target`` (ps) is still met."""
        target = max(target, self.ps)
        improved = True
        while improved:
            improved = False
            order = sorted(range(len(self._gates)), key=lambda n: -self._gates[n].cell.area)
            for place in order:
                for cell in self._smaller(place):
                    if self._try(place, cell, target) <= 0:
                        self._swap(place, cell)
                        self.ps = self._worst()
                        improved = True
                        break
        return self.result()


def _step(source: Net | None, cause: tuple[int, int] | None) -> tuple[Net, int] | None:
    return None if source is None or cause is None else (source, cause[1])
