"""Write a :class:`CellLibrary` as compact Liberty that Yosys, ABC and OpenSTA read.

Units are this project's (ps, fF, nW; µm² as ever), so that distilling the text again gives the
same library.
"""

from collections.abc import Iterator, Sequence

from . import boolean
from .boolean import Expression
from .cells import Arc, Cell, CellLibrary, InputPin, OutputPin, WireLoad

_TABLE, _POWER, _PIN = "timing_grid", "power_grid", "slew_grid"


def to_liberty(library: CellLibrary, *, timing: bool = True, area_scale: float = 1.0) -> str:
    """Return the library as Liberty text; of its provenance only the licence notice is written.

    Without ``timing``, delays, energies and setup times are left out, which makes the file an
    eighth as long: ABC then takes every gate's delay as 1, as ``amap`` and ``&nf`` do anyway.
    ``area_scale`` multiplies areas. ABC keeps two decimals of an area, too few where a gate has
    less than 1 µm²: give it (and nothing else) a file with a scale of 100 or 1000.
    """
    return "\n".join([*_head(library, timing), *_cells(library, timing, area_scale), "}", ""])


def _head(library: CellLibrary, timing: bool) -> Iterator[str]:
    corner = library.corner
    if library.notice:
        yield "/*\n" + library.notice.replace("*/", "* /") + "\n*/"
    yield f'library ("{library.name}") {{'
    yield 'delay_model : "table_lookup";'
    yield 'time_unit : "1ps";'
    yield 'voltage_unit : "1V";'
    yield 'current_unit : "1uA";'
    yield 'pulling_resistance_unit : "1kohm";'
    yield 'leakage_power_unit : "1nW";'
    yield "capacitive_load_unit (1, ff);"
    yield f"nom_process : {_number(corner.process)};"
    yield f"nom_voltage : {_number(corner.voltage)};"
    yield f"nom_temperature : {_number(corner.temperature)};"
    yield "slew_derate_from_library : 1;"
    for edge in ("rise", "fall"):
        yield f"input_threshold_pct_{edge} : 50;"
        yield f"output_threshold_pct_{edge} : 50;"
        yield f"slew_lower_threshold_pct_{edge} : {_number(corner.slew_lower)};"
        yield f"slew_upper_threshold_pct_{edge} : {_number(corner.slew_upper)};"
    if timing and library.wire_load is not None:
        yield from _wire_load(library.wire_load)
    if timing and not _is_scalar(library):
        slews, loads = _list(library.slews), _list(library.loads)
        for group, name, first, second in (
            ("lu_table_template", _TABLE, "input_net_transition", "total_output_net_capacitance"),
            ("power_lut_template", _POWER, "input_transition_time", "total_output_net_capacitance"),
            ("power_lut_template", _PIN, "input_transition_time", ""),
            ("lu_table_template", f"{_PIN}_setup", "constrained_pin_transition", ""),
        ):
            yield f"{group} ({name}) {{"
            yield f" variable_1 : {first};"
            if second:
                yield f" variable_2 : {second};"
            yield f" index_1 ({slews});"
            if second:
                yield f" index_2 ({loads});"
            yield "}"


def _wire_load(model: WireLoad) -> Iterator[str]:
    # A length of 1 stands for 1 fF of wire.
    yield 'wire_load ("default") {'
    yield " capacitance : 1;"
    yield f" resistance : {_number(model.resistance)};"
    yield f" slope : {_number(model.slope)};"
    for fan_out, value in model.points:
        yield f" fanout_length ({fan_out}, {_number(value)});"
    yield "}"
    yield 'default_wire_load : "default";'
    yield 'default_wire_load_mode : "top";'


def _is_scalar(library: CellLibrary) -> bool:
    return len(library.slews) * len(library.loads) <= 1


def _cells(library: CellLibrary, timing: bool, area_scale: float) -> Iterator[str]:
    for cell in library.cells:
        yield f'cell ("{cell.name}") {{'
        yield f" area : {_number(scaled(cell.area, area_scale))};"
        yield f" cell_leakage_power : {_number(cell.leakage)};"
        state = cell.flip_flop
        if state is not None:
            yield ' ff ("IQ", "IQN") {'
            yield f'  clocked_on : "{state.clocked_on}";'
            yield f'  next_state : "{state.next_state}";'
            if state.clear is not None:
                yield f'  clear : "{state.clear}";'
            if state.preset is not None:
                yield f'  preset : "{state.preset}";'
            if state.both:
                yield f"  clear_preset_var1 : {state.both[0]};"
                yield f"  clear_preset_var2 : {state.both[1]};"
            yield " }"
        for pin in cell.inputs:
            yield from _input(library, cell, pin, timing)
        for output in cell.outputs:
            yield from _output(library, output, timing)
        yield "}"


def _input(library: CellLibrary, cell: Cell, pin: InputPin, timing: bool) -> Iterator[str]:
    yield f' pin ("{pin.name}") {{'
    yield "  direction : input;"
    yield f"  capacitance : {_number(pin.capacitance)};"
    if pin.clock:
        yield "  clock : true;"
    if timing and (pin.rise_energy or pin.fall_energy or pin.quiet):
        yield "  internal_power () {"
        if pin.quiet:
            yield f'   when : "{quiet_condition(cell, pin.name)}";'
        for edge, values in (("rise", pin.rise_energy), ("fall", pin.fall_energy)):
            if values:
                yield from _table(library, f"{edge}_power", _PIN, values, 1)
        yield "  }"
    if timing and pin.setup:
        state = cell.flip_flop
        inverted = state is not None and state.clocked_on.operator == "!"
        yield "  timing () {"
        if state is not None:
            yield f'   related_pin : "{" ".join(state.clocked_on.pins())}";'
        yield f"   timing_type : {'setup_falling' if inverted else 'setup_rising'};"
        for edge in ("rise", "fall"):
            yield from _table(library, f"{edge}_constraint", f"{_PIN}_setup", pin.setup, 1)
        yield "  }"
    yield " }"


def quiet_condition(cell: Cell, pin: str) -> Expression:
    """Return when an edge of an input pin leaves the outputs as they are.

    For a flip-flop's clock: when the next state is the present one, which an output shows.
    """
    state = cell.flip_flop
    if state is not None:
        shown = next(
            (
                {"IQ": boolean.pin(out.name), "IQN": boolean.invert(boolean.pin(out.name))}[
                    out.function.name
                ]
                for out in cell.outputs
                if out.function.name in ("IQ", "IQN")
            ),
            None,
        )
        if shown is None:
            return Expression("1")
        names = {"IQ": shown, "IQN": boolean.invert(shown)}
        return boolean.invert(boolean.combine("^", [state.next_state.rename(names), shown]))
    still = []
    for output in cell.outputs:
        cofactors = [output.function.rename({pin: Expression(value)}) for value in "01"]
        still.append(boolean.invert(boolean.combine("^", cofactors)))
    return boolean.combine("*", still)


def _output(library: CellLibrary, pin: OutputPin, timing: bool) -> Iterator[str]:
    yield f' pin ("{pin.name}") {{'
    yield "  direction : output;"
    yield f'  function : "{pin.function}";'
    if pin.max_capacitance is not None:
        yield f"  max_capacitance : {_number(pin.max_capacitance)};"
    done: set[str] = set()
    for arc in pin.arcs if timing else ():
        yield from _arc(library, arc)
        # One entry serves all arcs from a pin: they were read from the same one.
        if arc.energy and arc.pin not in done:
            done.add(arc.pin)
            yield "  internal_power () {"
            yield f'   related_pin : "{arc.pin}";'
            for edge in ("rise", "fall"):
                yield from _table(library, f"{edge}_power", _POWER, arc.energy, len(library.loads))
            yield "  }"
    yield " }"


def _arc(library: CellLibrary, arc: Arc) -> Iterator[str]:
    yield "  timing () {"
    yield f'   related_pin : "{arc.pin}";'
    yield f"   timing_type : {arc.kind};"
    yield f"   timing_sense : {arc.sense};"
    for name, values in (
        ("cell_rise", arc.rise_delay),
        ("rise_transition", arc.rise_transition),
        ("cell_fall", arc.fall_delay),
        ("fall_transition", arc.fall_transition),
    ):
        if values:
            yield from _table(library, name, _TABLE, values, len(library.loads))
    yield "  }"


def _table(
    library: CellLibrary, name: str, template: str, values: Sequence[float], columns: int
) -> Iterator[str]:
    if _is_scalar(library):
        yield f"   {name} (scalar) {{ values ({_list(values)}); }}"
        return
    if columns == 1:
        rows = [_list(values)]
    else:
        rows = [_list(values[i : i + columns]) for i in range(0, len(values), columns)]
    yield f"   {name} ({template}) {{ values ({', '.join(rows)}); }}"


def scaled(area: float, scale: float) -> float:
    """Return an area times ``scale``, without the digits that binary floating point adds."""
    return area if scale == 1 else float(f"{area * scale:.12g}")


def _list(values: Sequence[float]) -> str:
    return '"' + ", ".join(map(_number, values)) + '"'


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
