"""Power on distilled tables against the full Liberty files, evaluated in another way.

The distilled tables are means: over both edges of an output and over the conditions (``when``) of
its inputs, on a grid of twelve points. Here every single change of a simulation takes its own
edge's table under its own condition, at slews and loads from tables on the files' own grid.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.formats.operands import sampled_operands
from nibblemac.synth import distill as distilling
from nibblemac.synth.boolean import parse
from nibblemac.synth.cache import Cache
from nibblemac.synth.delay_conditions import Conditions
from nibblemac.synth.liberty import read_liberty
from nibblemac.synth.liberty_units import read_units
from nibblemac.synth.library import load_library
from nibblemac.synth.mac_simulation import simulate_mac
from nibblemac.synth.power import measure_power
from nibblemac.synth.recipes import find_recipe
from nibblemac.synth.static_timing import analyse
from nibblemac.synth.sweep import Flow, Task, make_design
from nibblemac.synth.tables import read_table

LIBERTY = Path(__file__).parents[3] / "shared" / "liberty"
LANES = 24
MACS = [("INT4", "sign-magnitude"), ("E2M1+SP", "shift-add")]


@pytest.fixture(scope="module", params=["sky130hd", "sg13g2", "asap7"])
def full(request):
    """A library's name, its files' cell groups with their units and templates, a fine library."""
    paths = sorted(LIBERTY.glob(f"{request.param}_*"))
    if not paths:
        pytest.skip("the full Liberty files are not beside the repository")
    files = [read_liberty(path) for path in paths]
    groups = {}
    for file in files:
        units = read_units(file.library)
        templates = {
            group.args[0]: group
            for group in file.library.children("lu_table_template", "power_lut_template")
            if group.args
        }
        for group in file.library.children("cell"):
            groups[group.args[0]] = group, units, templates
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distilling, "choose_grid", finest)
        fine = distilling.distill(files)
    assert len(fine.slews) * len(fine.loads) >= 49
    return request.param, groups, fine


def finest(tables, _capacitance, _reference):
    return max(
        ((table.slews, table.loads) for table in tables),
        key=lambda axes: len(axes[0]) * len(axes[1]),
    )


@pytest.mark.parametrize(("name", "architecture"), MACS)
def test_distilled_power_is_the_full_tables(full, name, architecture, yosys, cache_folder):
    library_name, groups, fine = full
    library = load_library(library_name)
    one = find_format(name)
    spec = MacSpec(weight=one, activation=one)
    flow = Flow(library=library, yosys=yosys, cache=Cache(cache_folder), jobs=2)
    task = Task(design=make_design(spec, architecture), recipe=find_recipe("adders"))
    (mapped,) = flow.run([task])
    operands = sampled_operands(spec, lanes=LANES)
    power = measure_power(mapped.graph, library, spec, operands)
    exact = full_energy(mapped.graph, library, fine, groups, spec=spec, operands=operands)
    found = power.zero_delay
    assert found.switching_fj == pytest.approx(exact["switching"], rel=0.001)
    assert found.input_fj == pytest.approx(exact["input"], rel=0.001)
    assert found.total_fj == pytest.approx(sum(exact.values()), rel=0.1)
    assert found.internal_fj == pytest.approx(exact["internal"], rel=0.03)
    # A flip-flop's falling clock edge costs more where D waits with a new value, which is rarer
    # than the mean over Liberty's conditions has it.
    pins = found.clock_fj - exact["clock net"]
    assert pins == pytest.approx(exact["clock pins"], rel=0.15)


def full_energy(graph, library, fine, groups, *, spec, operands):
    """Each change's energy by itself, in fJ a product, without delays."""
    settled = simulate_mac(graph, library, spec, operands)
    bits = unpacked(settled)
    before = {net: values[:-1].ravel() for net, values in bits.items()}
    after = {net: values[1:].ravel() for net, values in bits.items()}
    resolved = Conditions().resolve(library)
    timing = analyse(graph, fine, resolved)
    (clock,) = graph.port("clk").nets
    slews = {**timing.slews, clock: (resolved.clock_slew_ps,) * 2}
    count = len(before[0])
    total = dict.fromkeys(("internal", "switching", "input", "clock net", "clock pins"), 0.0)
    ports = {net for port in graph.inputs for net in port.nets}
    half = fine.corner.voltage**2 / 2
    for net, load in timing.loads.items():
        if net == clock:
            total["clock net"] += 2 * half * load * count
        else:
            part = "input" if net in ports else "switching"
            total[part] += half * load * int((before[net] ^ after[net]).sum())
    for instance in graph.instances:
        cell = Changes(
            instance, library.cell(instance.cell), before, after, clock=clock, count=count
        )
        group, units, templates = groups[instance.cell]
        for pin in group.children("pin"):
            for name in pin.args:
                if name in instance.pins:
                    is_clock = instance.pins[name] == clock
                    load = timing.loads.get(instance.pins[name], 0.0)
                    total["clock pins" if is_clock else "internal"] += cell.energy(
                        name, list(pin.children("internal_power")), slews, load, (units, templates)
                    )
    return {part: value / count for part, value in total.items()}


def unpacked(settled):
    """Each net's settled values from the first defined cycle on, as booleans (cycle, lane)."""
    width = (settled.lanes + 7) // 8
    found = {}
    for net, index in settled.model.nets.items():
        packed = b"".join(values[index].to_bytes(width, "little") for values in settled.values[1:])
        rows = np.frombuffer(packed, dtype=np.uint8).reshape(-1, width)
        found[net] = np.unpackbits(rows, axis=1, bitorder="little")[:, : settled.lanes] == 1
    return found


class Changes:
    """One instance's pins before and after each clock edge, and Liberty's conditions on them."""

    def __init__(self, instance, cell, before, after, *, clock, count):
        self.instance, self.cell, self.clock, self.count = instance, cell, clock, count
        low = np.zeros(count, dtype=bool)
        self.before, self.after = (
            {pin: low if net == clock else values[net] for pin, net in instance.pins.items()}
            for values in (before, after)
        )
        for pin in cell.outputs:
            # An output that nobody reads is there all the same, in conditions.
            if pin.name not in instance.pins and cell.flip_flop is None:
                for values in (self.before, self.after):
                    values[pin.name] = pin.function.evaluate(values, True) & ~low
        if cell.flip_flop is not None:
            for values in (self.before, self.after):
                state = next(
                    values[p.name] ^ (p.function.name == "IQN")
                    for p in cell.outputs
                    if p.name in values
                )
                for pin in cell.outputs:
                    values.setdefault(pin.name, state ^ (pin.function.name == "IQN"))

    def energy(self, name, powers, slews, load, context):
        output = name in {pin.name for pin in self.cell.outputs}
        sums = 0.0
        for edge in ("rise_power", "fall_power"):
            tables = defaultdict(list)
            for power in powers:
                for group in power.children(edge, "power"):
                    related = power.text("related_pin").split()
                    tables[tuple(related)].append((power.text("when"), self.table(group, context)))
            changed = self.changed(name, edge == "rise_power")
            if not output:
                for conditioned in tables.values():
                    slew = self.slew(name, edge == "rise_power", slews)
                    sums += self.conditional(
                        conditioned, changed, slew, 0.0, pin=name, edge=edge, average=False
                    )
                continue
            shares = sum(
                self.toggled(pin).astype(float)
                for related in tables
                for pin in related
                if pin in self.instance.pins
            )
            for related, conditioned in tables.items():
                for pin in related:
                    if pin not in self.instance.pins:
                        continue
                    both = changed & self.toggled(pin)
                    weights = np.divide(both, shares, out=np.zeros(self.count), where=shares > 0)
                    for rising in (True, False):
                        part = weights * (
                            rising
                            if self.instance.pins[pin] == self.clock
                            else self.changed(pin, rising)
                        )
                        slew = self.slew(pin, rising, slews)
                        sums += self.conditional(
                            conditioned, part, slew, load, pin=pin, edge=edge, average=True
                        )
        return sums

    def conditional(self, conditioned, weights, slew, load, *, pin, edge, average):
        """Add up supplies under each condition, held against the values before and after."""
        if not weights.any():
            return 0.0
        found, covered = 0.0, np.zeros(self.count)
        for values in self.moments(pin, edge):
            met = np.zeros(self.count, dtype=bool)
            for when, table in conditioned:
                if when:
                    holds = parse(when).evaluate(values, True) & np.ones(self.count, dtype=bool)
                    met |= holds
                    found += float((weights * holds).sum()) * table.at(slew, load) / 2
            covered += met / 2
        # The rest takes the unconditional table; at an output, without one, the conditions' mean,
        # for inputs that change together may meet none.
        whens = [when for when, _ in conditioned]
        share = 1.0 if "" in whens else 1 / len(set(whens)) if average else 0.0
        for when, table in conditioned:
            if not when or ("" not in whens and average):
                found += share * float((weights * (1 - covered)).sum()) * table.at(slew, load)
        return found

    def moments(self, pin, edge):
        """Return the pins' values at the two moments that a condition is taken at."""
        if self.instance.pins.get(pin) == self.clock:
            # Data are as before at the rising edge, outputs as after it at the falling one.
            one = self.before if edge == "rise_power" else self.after
            return one, one
        clock = [name for name, net in self.instance.pins.items() if net == self.clock]
        high = np.ones(self.count, dtype=bool)
        return self.before, {**self.after, **dict.fromkeys(clock, high)}

    def table(self, group, context):
        units, templates = context
        return read_table(
            group,
            templates,
            slew_scale=units.time,
            load_scale=units.capacitance,
            value_scale=units.energy,
        )

    def toggled(self, pin):
        if self.instance.pins[pin] == self.clock:
            return np.ones(self.count, dtype=bool)
        return self.before[pin] ^ self.after[pin]

    def changed(self, pin, rising):
        if self.instance.pins[pin] == self.clock:
            return np.ones(self.count, dtype=bool)
        return self.toggled(pin) & (self.after[pin] == rising)

    def slew(self, pin, rising, slews):
        return slews.get(self.instance.pins[pin], (0.0, 0.0))[0 if rising else 1]
