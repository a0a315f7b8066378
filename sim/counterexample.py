"""From a solver's model to a counterexample that anyone can replay: real inputs from a clear on."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..formats.errors import SimulationError
from ..formats.mac import MacSpec
from .proof import Step


def read_trace(path: Path) -> dict[str, list[int]]:
    """Return the values of each signal of a WaveJSON file, by time step.

    Raises :class:`SimulationError` for a file that is none, or that has undefined values.
    """
    try:
        signals = json.loads(path.read_text(encoding="utf-8"))["signal"]
        return {str(signal["name"]): _values(signal) for signal in signals if _is_plain(signal)}
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise SimulationError(f"The solver's trace {path} cannot be read: {error!r}.") from error


def _is_plain(signal: Mapping[str, object]) -> bool:
    # Signals of the initial state alone have other names, with a bit in brackets.
    return " " not in str(signal["name"])


def _values(signal: Mapping[str, object]) -> list[int]:
    """Return the values of the steps behind the first column, which is the initial state."""
    wave, data = str(signal["wave"]), signal.get("data", [])
    if not isinstance(data, list):
        raise TypeError(f"{signal['name']} has no list of data")
    labels = iter(data)
    values: list[int] = []
    last = ""
    for character in wave:
        if character in "=234":
            last = str(next(labels, "")) if data else ""
        elif character in "01":
            last = character
        elif character != ".":
            raise ValueError(f"{signal['name']} is {wave}")
        values.append(int(last, 2) if last else 0)
    return values[1:]


def steps_to(spec: MacSpec, total: int) -> list[Step] | None:
    """Return steps, the first with ``clear``, whose products add up to ``total``, if there are any.

    At most ``terms`` − 1 of them, so that one more product is within the contract. Large sums are
    made of the largest product, the rest is searched for.
    """
    pairs: dict[int, tuple[int, int]] = {}
    for weight, w in enumerate(spec.weight.grid):
        for activation, a in enumerate(spec.activation.grid):
            pairs.setdefault(w * a, (weight, activation))
    far = max(pairs) if total > 0 else min(pairs)
    whole = abs(total) // abs(far) if far and (far > 0) == (total > 0) else 0
    for short in range(min(whole, 3) + 1):
        missing = total - (whole - short) * far
        rest = [] if not missing and whole > short else _few(sorted(pairs, key=abs), missing)
        if rest is None:
            continue
        products = [far] * (whole - short) + rest
        if not products or len(products) > max(0, spec.terms - 1):
            continue
        return [
            Step(weight=pairs[p][0], activation=pairs[p][1], clear=index == 0)
            for index, p in enumerate(products)
        ]
    return None


def _few(products: Sequence[int], total: int, most: int = 8) -> list[int] | None:
    """Return the fewest products that add up to ``total``, at most ``most``, or None."""
    came: dict[int, tuple[int, int]] = {}
    bound = abs(total) + max(abs(p) for p in products)
    level = {0}
    seen: set[int] = set()
    for _ in range(most):
        following: set[int] = set()
        for at in level:
            for product in products:
                sum_ = at + product
                if sum_ not in seen and abs(sum_) <= bound:
                    seen.add(sum_)
                    came[sum_] = at, product
                    following.add(sum_)
        if total in came:
            found: list[int] = []
            at = total
            while True:
                at, product = came[at]
                found.append(product)
                if at == 0:
                    return found
        level = following
    return None


def sum_of(spec: MacSpec, steps: Sequence[Step]) -> int:
    """Return the accumulator after steps, of which one clears, as two's complement."""
    total = 0
    for step in steps:
        if step.enable:
            total = (0 if step.clear else total) + spec.product(step.weight, step.activation)
    return signed(total, spec.accumulator_bits)


def signed(value: int, bits: int) -> int:
    """Return the low ``bits`` of an integer as two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value
