"""Boolean functions of cells as Python functions of net values, many lanes at once.

A value is an integer whose bits are independent lanes, so one evaluation serves all of them.
"""

from collections.abc import Callable, Mapping, Sequence

from .boolean import Expression

Values = Sequence[int]
Function = Callable[[Values], int]


def compile_function(expression: Expression, where: Mapping[str, int], mask: int) -> Function:
    """Return a function from all values to the expression's.

    ``where`` gives each pin's index in the values, and ``mask`` has a one for each lane. Lanes
    outside of the mask must be 0 in the values, and are 0 in the result.
    """
    operator = expression.operator
    if operator in "01":
        constant = mask if operator == "1" else 0
        return lambda _: constant
    if operator == "pin":
        index = where[expression.name]
        return lambda values: values[index]
    if operator == "!":
        return _complement(expression.operands[0], where, mask)
    pins = [where[part.name] for part in expression.operands if part.operator == "pin"]
    if len(pins) == len(expression.operands) == 2:
        return _of_two_pins(operator, *pins)
    parts = [compile_function(part, where, mask) for part in expression.operands]
    result = parts[0]
    for part in parts[1:]:
        result = _of_two(operator, result, part)
    return result


def _complement(operand: Expression, where: Mapping[str, int], mask: int) -> Function:
    if operand.operator == "pin":
        index = where[operand.name]
        return lambda values: values[index] ^ mask
    inner = compile_function(operand, where, mask)
    return lambda values: inner(values) ^ mask


def _of_two_pins(operator: str, a: int, b: int) -> Function:
    if operator == "*":
        return lambda values: values[a] & values[b]
    if operator == "+":
        return lambda values: values[a] | values[b]
    return lambda values: values[a] ^ values[b]


def _of_two(operator: str, a: Function, b: Function) -> Function:
    if operator == "*":
        return lambda values: a(values) & b(values)
    if operator == "+":
        return lambda values: a(values) | b(values)
    return lambda values: a(values) ^ b(values)
