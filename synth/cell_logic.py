"""Read a cell's logic from its Liberty group: pins, functions, a flip-flop's state."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..formats.errors import LibraryError
from . import boolean
from .boolean import Expression
from .cells import NAME_PATTERN, FlipFlop
from .liberty_tree import Group

STATES = ("IQ", "IQN")


@dataclass(frozen=True, slots=True)
class Logic:
    """A cell's logic, with its pin groups kept so that timing can be read from them later."""

    name: str
    area: float
    group: Group
    inputs: Mapping[str, Group]
    outputs: Mapping[str, Group]
    functions: Mapping[str, Expression]
    flip_flop: FlipFlop | None

    def truth_table(self, output: str) -> int:
        """Return an output's truth table over the inputs in order."""
        return self.functions[output].truth_table(tuple(self.inputs))


def read_logic(group: Group) -> Logic | str:
    """Return a cell's logic, or in a few words why the cell cannot be used.

    Raises :class:`LibraryError`, with the line, for a function that is no Boolean expression.
    """
    area = group.number("area")
    pins = {name: pin for pin in group.children("pin") for name in _names(pin)}
    inputs = {name: pin for name, pin in pins.items() if pin.text("direction") == "input"}
    outputs = {name: pin for name, pin in pins.items() if pin.text("direction") == "output"}
    if area is None or area <= 0 or not outputs:
        return "no logic" if not outputs else "no area"
    if not all(NAME_PATTERN.fullmatch(name) and name not in STATES for name in pins):
        return "unusual name"
    if len(inputs) > boolean.MAX_VARIABLES:
        return f"more than {boolean.MAX_VARIABLES} inputs"
    state = _flip_flop(group)
    if isinstance(state, str):
        return state
    flip_flop, names = state
    functions = {name: _expression(pin, "function").rename(names) for name, pin in outputs.items()}
    if flip_flop is not None and _stores_inverse(flip_flop):
        flip_flop = _inverse(flip_flop)
        swap = {"IQ": boolean.pin("IQN"), "IQN": boolean.pin("IQ")}
        functions = {name: function.rename(swap) for name, function in functions.items()}
    reason = unsupported(set(inputs), functions, flip_flop)
    return reason or Logic(group.args[0], area, group, inputs, outputs, functions, flip_flop)


def _stores_inverse(state: FlipFlop) -> bool:
    data = state.next_state
    return data.operator == "!" and data.operands[0].operator == "pin"


def _inverse(state: FlipFlop) -> FlipFlop:
    """Return the same flip-flop with its state complemented, so that IQ holds D instead of !D.

    Yosys maps only flip-flops with a next state of D, whether their output is inverted or not.
    """
    return FlipFlop(
        clocked_on=state.clocked_on,
        next_state=state.next_state.operands[0],
        clear=state.preset,
        preset=state.clear,
        both=state.both[::-1],
    )


def unsupported(
    inputs: set[str], functions: Mapping[str, Expression], flip_flop: FlipFlop | None
) -> str | None:
    """Return in a few words why functions of such inputs and state cannot be used, or None."""
    used = set(itertools.chain.from_iterable(function.pins() for function in functions.values()))
    known = inputs
    if flip_flop is not None:
        known = inputs | set(STATES)
        data = set(flip_flop.next_state.pins())
        # Three inputs and no feedback: a multiplexer of data and scan data.
        if len(data) > 2 and not data & set(STATES):
            return "scan flip-flop"
        parts = (flip_flop.clocked_on, flip_flop.next_state, flip_flop.clear, flip_flop.preset)
        used.update(*(part.pins() for part in parts if part is not None))
    return None if used <= known else "unsupported function"


def _names(pin: Group) -> Iterator[str]:
    return itertools.chain.from_iterable(argument.split() for argument in pin.args)


def _expression(group: Group, attribute: str) -> Expression:
    try:
        return boolean.parse(group.text(attribute))
    except LibraryError as error:
        raise LibraryError(f"{group.where}, {attribute} of {group.label}: {error}") from error


def _flip_flop(cell: Group) -> tuple[FlipFlop | None, Mapping[str, Expression]] | str:
    """Return the state and how the file's state names read as ours, or why it cannot be used."""
    groups = list(cell.children("ff"))
    if not groups:
        return None, {}
    group = groups[0]
    if len(groups) > 1 or "clocked_on_also" in group.attributes or not group.args:
        return "several states"
    if "clocked_on" not in group.attributes or "next_state" not in group.attributes:
        return "incomplete flip-flop"
    names = {name: boolean.pin(ours) for name, ours in zip(group.args, STATES, strict=False)}

    def optional(attribute: str) -> Expression | None:
        if attribute not in group.attributes:
            return None
        return _expression(group, attribute).rename(names)

    clear, preset = optional("clear"), optional("preset")
    flip_flop = FlipFlop(
        clocked_on=_expression(group, "clocked_on").rename(names),
        next_state=_expression(group, "next_state").rename(names),
        clear=clear,
        preset=preset,
        both="" if clear is None or preset is None else _both(group),
    )
    return flip_flop, names


def _both(group: Group) -> str:
    """Return what clear and preset together do to the two states; X where one is left open."""
    letters = [group.text(f"clear_preset_var{n}").upper() or "X" for n in "12"]
    return "" if letters == ["X", "X"] or not set(letters) <= set("LHNTX") else "".join(letters)
