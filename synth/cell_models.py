"""Verilog-2001 models of cells, so that a mapped netlist can be simulated.

Functions only, without delays. A flip-flop's state is undefined until it is first clocked, as in
silicon; where clear and preset are both active, the state is what the library says, if it says.
"""

import re
from collections.abc import Iterable, Iterator

from .boolean import Expression
from .cells import Cell, CellLibrary, FlipFlop

_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """
        always and assign automatic begin bit break buf bufif0 bufif1 byte case casex
        casez cell cmos config deassign default defparam design disable do edge else end
        endcase endconfig endfunction endgenerate endmodule endprimitive endspecify
        endtable endtask event for force forever fork function generate genvar highz0
        highz1 if ifnone incdir include initial inout input instance int integer join
        large liblist library localparam logic macromodule medium module nand negedge
        nmos nor noshowcancelled not notif0 notif1 or output parameter pmos posedge
        primitive pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent
        rcmos real realtime reg release repeat return rnmos rpmos rtran rtranif0
        rtranif1 scalared showcancelled signed small specify specparam static string
        strong0 strong1 supply0 supply1 table task time tran tranif0 tranif1 tri tri0
        tri1 triand trior trireg type unsigned use vectored wait wand weak0 weak1 while
        wire wor xnor xor
        """,
    )
)
_VALUES = {"L": "1'b0", "H": "1'b1", "X": "1'bx"}


def cell_models(library: CellLibrary, names: Iterable[str]) -> str:
    """Return one Verilog module for each named cell, in order of name.

    Raises :class:`LibraryError` for a name that the library does not have.
    """
    parts = [f"// Functions of cells of {library.name}, without delays.\n"]
    parts += ["\n".join(_module(library.cell(name))) + "\n" for name in sorted(set(names))]
    return "\n".join(parts)


def identifier(name: str) -> str:
    """Return a pin's or cell's name as Verilog writes it, escaped where it must be."""
    return f"\\{name} " if name in _KEYWORDS or "[" in name or "$" in name else name


def _module(cell: Cell) -> Iterator[str]:
    ports = [f"input {identifier(pin.name)}" for pin in cell.inputs]
    ports += [f"output {identifier(pin.name)}" for pin in cell.outputs]
    yield f"module {identifier(cell.name)}({', '.join(ports)});"
    if cell.flip_flop is not None:
        yield from _state(cell.flip_flop, any("IQN" in o.function.pins() for o in cell.outputs))
    for pin in cell.outputs:
        yield f"  assign {identifier(pin.name)} = {pin.function.verilog(identifier)};"
    yield "endmodule"


def _state(state: FlipFlop, needs_inverse: bool) -> Iterator[str]:
    clear, preset = state.clear, state.preset
    edges = [_edge(state.clocked_on)]
    branches: list[tuple[str, str]] = []
    if clear is not None and preset is not None:
        both = f"{_condition(clear)} && {_condition(preset)}"
        value = {"N": "IQ", "T": "~IQ", **_VALUES}.get(state.both[:1], "1'bx")
        branches.append((both, value))
    for active, value in ((clear, "1'b0"), (preset, "1'b1")):
        if active is not None:
            edges.append(_edge(active))
            branches.append((_condition(active), value))
    yield "  reg IQ;"
    yield f"  always @({' or '.join(edges)})"
    keyword = "if"
    for condition, value in branches:
        yield f"    {keyword} ({condition}) IQ <= {value};"
        keyword = "else if"
    following = f"IQ <= {state.next_state.verilog(identifier)};"
    yield f"    else {following}" if branches else f"    {following}"
    if needs_inverse:
        inverse = "~IQ"
        letter = state.both[1:]
        if clear is not None and preset is not None and letter in _VALUES:
            both = f"{_condition(clear)} && {_condition(preset)}"
            inverse = f"({both}) ? {_VALUES[letter]} : ~IQ"
        yield f"  wire IQN = {inverse};"


def _edge(active: Expression) -> str:
    """Return the event at which an expression becomes true; a literal needs no extra net."""
    if active.operator == "!" and active.operands[0].operator == "pin":
        return f"negedge {identifier(active.operands[0].name)}"
    return f"posedge {_condition(active)}"


def _condition(active: Expression) -> str:
    text = active.verilog(identifier)
    return f"({text})" if active.operator in "*+^" else text
