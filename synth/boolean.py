"""Boolean functions as Liberty writes them: parse, evaluate, tabulate, print.

Operators, tightest first, as the Liberty reference has them: ``!A`` and ``A'``; ``A^B``; ``A*B``,
``A&B`` and ``A B``; ``A+B`` and ``A|B``. Constants are 0 and 1; a pin's name may stand in quotes.
Printed expressions put parentheses wherever two different operators meet, so that no reader's
precedence matters.
"""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..formats.errors import LibraryError

MAX_DEPTH = 40
MAX_LENGTH = 20_000
MAX_VARIABLES = 12

_NAME = r"[A-Za-z_][\w$]*(?:\[\d+\])?"
_TOKEN = re.compile(rf"""\s*(?:({_NAME})|\\?"\s*({_NAME})\s*\\?"|([01])|(.))""", re.DOTALL)
_SYMBOLS = {"|": "+", "&": "*"}


@dataclass(frozen=True, slots=True)
class Expression:
    """A node: ``operator`` is ``pin``, ``0``, ``1``, ``!``, ``*``, ``+`` or ``^``.

    A pin has a ``name`` and no operands, ``!`` one operand, the others two or more.
    """

    operator: str
    operands: tuple["Expression", ...] = ()
    name: str = ""

    def pins(self) -> tuple[str, ...]:
        """Return the names of the pins, each once, in order of appearance."""
        found: dict[str, None] = {}
        self._collect(found)
        return tuple(found)

    def _collect(self, found: dict[str, None]) -> None:
        if self.operator == "pin":
            found[self.name] = None
        for operand in self.operands:
            operand._collect(found)

    def evaluate(self, values: Mapping[str, int], mask: int = 1) -> int:
        """Return the function's value where the pins have ``values``.

        Values may be bit vectors, evaluated all at once; ``mask`` has a one for each bit in use.
        """
        if self.operator == "pin":
            return values[self.name] & mask
        if self.operator in "01":
            return mask if self.operator == "1" else 0
        results = [operand.evaluate(values, mask) for operand in self.operands]
        if self.operator == "!":
            return results[0] ^ mask
        combine: dict[str, Callable[[int, int], int]] = {
            "*": lambda a, b: a & b,
            "+": lambda a, b: a | b,
            "^": lambda a, b: a ^ b,
        }
        return functools.reduce(combine[self.operator], results)

    def truth_table(self, pins: Sequence[str]) -> int:
        """Return the truth table over ``pins``.

        Bit i is the value where pin j has the value of i's bit j. Raises :class:`LibraryError`
        for more than 12 pins, or where the function has a pin that is not among them.
        """
        if len(pins) > MAX_VARIABLES:
            raise LibraryError(f"A function of {len(pins)} pins is wider than {MAX_VARIABLES}.")
        missing = [name for name in self.pins() if name not in pins]
        if missing:
            raise LibraryError(f"The function {self} has the pin {missing[0]!r}, unknown here.")
        rows = 1 << len(pins)
        mask = (1 << rows) - 1
        values = {}
        for index, pin in enumerate(pins):
            period = 1 << index
            ones = ((1 << period) - 1) << period
            values[pin] = ones * (mask // ((1 << 2 * period) - 1))
        return self.evaluate(values, mask)

    def rename(self, names: Mapping[str, "Expression"]) -> "Expression":
        """Return the function with pins replaced by the expressions that ``names`` gives."""
        if self.operator == "pin":
            return names.get(self.name, self)
        return _simplified(self.operator, tuple(part.rename(names) for part in self.operands))

    def __str__(self) -> str:
        return self._text({"!": "!", "*": "*", "+": "+", "^": "^"}, lambda name: name, ("0", "1"))

    def verilog(self, pin: Callable[[str], str] = lambda name: name) -> str:
        """Return the function as a Verilog expression; ``pin`` spells a pin's name."""
        symbols = {"!": "~", "*": " & ", "+": " | ", "^": " ^ "}
        return self._text(symbols, pin, ("1'b0", "1'b1"))

    def _text(
        self, symbols: Mapping[str, str], pin: Callable[[str], str], constants: tuple[str, str]
    ) -> str:
        if self.operator == "pin":
            return pin(self.name)
        if self.operator in "01":
            return constants[int(self.operator)]
        parts = [
            f"({text})" if operand.operator in "*+^" else text
            for operand in self.operands
            for text in (operand._text(symbols, pin, constants),)
        ]
        return (
            symbols["!"] + parts[0] if self.operator == "!" else symbols[self.operator].join(parts)
        )


def pin(name: str) -> Expression:
    """Return the function that is the pin ``name``."""
    return Expression("pin", (), name)


def invert(operand: Expression) -> Expression:
    """Return the complement; a double inversion cancels."""
    return _inverted(operand)


def combine(operator: str, operands: Sequence[Expression]) -> Expression:
    """Return the operands joined by ``*``, ``+`` or ``^``, constants folded."""
    return _simplified(operator, tuple(operands))


def _simplified(operator: str, operands: tuple[Expression, ...]) -> Expression:
    """Return the node with constants folded, chains flat and inversions of inversions gone."""
    if operator in "01":
        return Expression(operator)
    if operator == "!":
        return _inverted(operands[0])
    flat: list[Expression] = []
    for operand in operands:
        flat += operand.operands if operand.operator == operator else (operand,)
    if operator == "^":
        odd = sum(part.operator == "1" for part in flat) % 2
        flat = [part for part in flat if part.operator not in ("0", "1")]
        result = _node("^", flat, neutral="0")
        return invert(result) if odd else result
    neutral, absorbing = ("1", "0") if operator == "*" else ("0", "1")
    if any(part.operator == absorbing for part in flat):
        return Expression(absorbing)
    return _node(operator, [part for part in flat if part.operator != neutral], neutral)


def _inverted(operand: Expression) -> Expression:
    if operand.operator == "!":
        return operand.operands[0]
    if operand.operator in "01":
        return Expression("10"[int(operand.operator)])
    return Expression("!", (operand,))


def _node(operator: str, operands: list[Expression], neutral: str) -> Expression:
    if not operands:
        return Expression(neutral)
    return operands[0] if len(operands) == 1 else Expression(operator, tuple(operands))


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Return the function that the Liberty text describes.

    Raises :class:`LibraryError`, quoting the text, where it is not an expression.
    """
    if len(text) > MAX_LENGTH:
        raise LibraryError(f"The function {text[:40]!r}… is longer than {MAX_LENGTH} characters.")
    return _Parser(text).parse()


class _Parser:
    """Recursive descent over three levels of operators; only parentheses recurse."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [self._token(match) for match in _TOKEN.finditer(text.rstrip())]
        self.next = 0
        self.depth = 0

    @staticmethod
    def _token(match: re.Match[str]) -> tuple[str, str]:
        name, quoted, constant, symbol = match.groups()
        if name or quoted:
            return "pin", name or quoted
        return (constant, "") if constant else (_SYMBOLS.get(symbol, symbol), "")

    def peek(self) -> str:
        return self.tokens[self.next][0] if self.next < len(self.tokens) else ""

    def error(self, what: str) -> LibraryError:
        shown = self.text if len(self.text) <= 80 else self.text[:79] + "…"
        return LibraryError(f'The function "{shown}" is not a Boolean expression: {what}.')

    def parse(self) -> Expression:
        if not self.tokens:
            raise self.error("it is empty")
        result = self.any_of()
        if self.next < len(self.tokens):
            raise self.error(f"{self.peek()!r} is out of place")
        return result

    def any_of(self) -> Expression:
        parts = [self.all_of()]
        while self.peek() == "+":
            self.next += 1
            parts.append(self.all_of())
        return parts[0] if len(parts) == 1 else _simplified("+", tuple(parts))

    def all_of(self) -> Expression:
        parts = [self.parity()]
        while self.peek() in ("*", "pin", "(", "!", "0", "1"):
            self.next += self.peek() == "*"
            parts.append(self.parity())
        return parts[0] if len(parts) == 1 else _simplified("*", tuple(parts))

    def parity(self) -> Expression:
        parts = [self.literal()]
        while self.peek() == "^":
            self.next += 1
            parts.append(self.literal())
        return parts[0] if len(parts) == 1 else _simplified("^", tuple(parts))

    def literal(self) -> Expression:
        inverted = False
        while self.peek() == "!":
            self.next += 1
            inverted = not inverted
        kind, name = self.tokens[self.next] if self.next < len(self.tokens) else ("", "")
        self.next += 1
        if kind == "pin":
            result = pin(name)
        elif kind in ("0", "1"):
            result = Expression(kind)
        elif kind == "(":
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self.error(f"its parentheses are nested deeper than {MAX_DEPTH}")
            result = self.any_of()
            if self.peek() != ")":
                raise self.error("a closing parenthesis is missing")
            self.next += 1
            self.depth -= 1
        else:
            raise self.error(f"{kind!r} is out of place" if kind else "it ends too early")
        while self.peek() == "'":
            self.next += 1
            inverted = not inverted
        return invert(result) if inverted else result
