"""Test vectors for a MAC, with what a correct one holds after every clock edge.

Every pair of codes, each once with ``clear`` and once added to a running sum; ``clear`` (and
``enable``) at any moment; sums of ``terms`` products at both extremes of the accumulator's range;
one sum that goes on from there, past the accumulator's end and around; and real data, Student's t
tensors quantized by the torch reference, whose partial sums are the reference's own. But for the
one that goes around, no sum has more than ``terms`` products. That one wraps as two's complement
does, as in the specification that designs are proven against: it shows faults that show nowhere
else, of high bits.
"""

import functools
import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..formats.mac import MacSpec
from .vectors import CLEAR, ENABLE, Vectors

DEFAULT_SEED = 1
RANDOM_STEPS = 1024
REAL_PRODUCTS = 2048
REAL_BLOCK = 128
REAL_NU = 5
# Longer sums stop here: 2**20 products at each extreme would take minutes.
LONGEST_SUM = 2**16
# Sums of more terms do not go around: that takes up to four times as many steps.
LONGEST_AROUND = 2**12
AROUND_SHARE = 0.75
SHORT_SUM = 256
HELD_STEPS = 6
REFERENCE_BITS = 64


@functools.lru_cache(maxsize=64)
def make_vectors(spec: MacSpec, seed: int = DEFAULT_SEED) -> Vectors:
    """Return the test vectors of ``spec``; equal arguments give equal vectors.

    Imports torch. ``full_length`` is False where ``terms`` exceeds 2**16: the sums at the extremes
    then have 2**16 products. Raises the errors of the reference quantizer.
    """
    # Not for secrets: vectors must be the same in every run.
    stream = _Stream(spec, random.Random(f"{seed} {spec.name}"))  # noqa: S311
    stream.begin("every pair, cleared")
    for weight, activation in _pairs(spec):
        stream.step(weight, activation, clear=True)
    stream.begin("every pair, added")
    _add_every_pair(stream)
    stream.begin("clear and enable at any moment" if spec.enable else "clear at any moment")
    _clear_anywhere(stream)
    full_length = _reach_extremes(stream)
    stream.begin("real data")
    _stream_real_data(stream)
    stream.begin("end")
    weight, activation = stream.any_pair()
    for _ in range(spec.latency):
        stream.step(weight, activation, clear=True)
    return Vectors(
        weight_bits=spec.weight.bits,
        activation_bits=spec.activation.bits,
        accumulator_bits=spec.accumulator_bits,
        latency=spec.latency,
        full_length=full_length,
        phases=tuple(stream.phases),
        weight=bytes(stream.weight),
        activation=bytes(stream.activation),
        control=bytes(stream.control),
        expected=_delayed(stream),
    )


@dataclass(slots=True)
class _Stream:
    """Steps so far; ``sums`` is the sum up to and with each step's product."""

    spec: MacSpec
    random: random.Random
    phases: list[tuple[str, int]] = field(default_factory=list)
    weight: list[int] = field(default_factory=list)
    activation: list[int] = field(default_factory=list)
    control: list[int] = field(default_factory=list)
    sums: list[int] = field(default_factory=list)
    products: int = 0
    may_wrap: bool = False

    def begin(self, phase: str) -> None:
        self.phases.append((phase, len(self.control)))

    def any_pair(self) -> tuple[int, int]:
        return (
            self.random.randrange(2**self.spec.weight.bits),
            self.random.randrange(2**self.spec.activation.bits),
        )

    def step(
        self,
        weight: int,
        activation: int,
        *,
        clear: bool,
        enable: bool = True,
        reference: int | None = None,
    ) -> None:
        """Append a step; ``reference`` is the sum after it, where someone else computed it."""
        total = self.sums[-1] if self.sums else 0
        if enable:
            self.products = 1 if clear else self.products + 1
            total = (0 if clear else total) + self.spec.product(weight, activation)
            if self.may_wrap:
                total = _wrapped(total, self.spec.accumulator_bits)
        self.weight.append(weight)
        self.activation.append(activation)
        self.control.append(CLEAR * clear | ENABLE * enable)
        self.sums.append(total if reference is None else reference)
        if self.products > self.spec.terms and not self.may_wrap:
            raise AssertionError("A sum has more products than the accumulator must hold.")


def _pairs(spec: MacSpec) -> Iterator[tuple[int, int]]:
    return itertools.product(range(2**spec.weight.bits), range(2**spec.activation.bits))


def _add_every_pair(stream: _Stream) -> None:
    pairs = list(_pairs(stream.spec))
    stream.random.shuffle(pairs)
    if stream.spec.terms == 1:
        return
    for pair in pairs:
        if stream.products >= stream.spec.terms:
            stream.step(*stream.any_pair(), clear=True)
        stream.step(*pair, clear=False)


def _clear_anywhere(stream: _Stream) -> None:
    spec = stream.spec
    for clears, enables in ((0.5, 0.5), (0.1, 0.9), (0.02, 0.98)):
        for _ in range(RANDOM_STEPS // 3):
            clear = stream.random.random() < clears
            enable = not spec.enable or stream.random.random() < enables
            if not clear and stream.products >= spec.terms:
                # The sum is full: the next product must begin another one.
                clear = True
            stream.step(*stream.any_pair(), clear=clear, enable=enable)
    for enable in (True, False, True) if spec.enable else (True,):
        for _ in range(HELD_STEPS):
            stream.step(*stream.any_pair(), clear=True, enable=enable)
    if spec.enable:
        for _ in range(HELD_STEPS):
            stream.step(*stream.any_pair(), clear=False, enable=False)


def _reach_extremes(stream: _Stream) -> bool:
    spec = stream.spec
    complete = True
    smallest, largest = spec.product_range
    farthest = max(largest, smallest, key=abs)
    for name, product in (("largest sum", largest), ("smallest sum", smallest)):
        stream.begin(name)
        pair = next(p for p in _pairs(spec) if spec.product(*p) == product)
        # Where all products have the same sign, one product alone is the other extreme.
        grows = product > 0 if product == largest else product < 0
        length = min(spec.terms, LONGEST_SUM) if grows else 1
        complete = complete and length == (spec.terms if grows else 1)
        for index in range(length):
            stream.step(*pair, clear=index == 0)
        if grows and product == farthest and spec.terms <= LONGEST_AROUND:
            stream.begin("around")
            _go_around(stream, pair)
        stream.step(*stream.any_pair(), clear=True)
    return complete


def _go_around(stream: _Stream, pair: tuple[int, int]) -> None:
    """Add on, from the extreme that ``pair`` leads to past the other one.

    The pair has the product of the largest magnitude, so three of four steps with it get there.
    """
    spec = stream.spec
    low, high = spec.accumulator_range
    left = (1 << spec.accumulator_bits) - (high - low)
    # Where sums are short, they have hardly made the adder work.
    last = len(stream.control) + SHORT_SUM - spec.terms
    stream.may_wrap = True
    while left > 0 or len(stream.control) < last:
        weight, activation = pair if stream.random.random() < AROUND_SHARE else stream.any_pair()
        stream.step(weight, activation, clear=False)
        product = spec.product(weight, activation)
        left -= product if spec.product(*pair) > 0 else -product
    stream.may_wrap = False


def _wrapped(value: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return (value + half) % (2 * half) - half


def _stream_real_data(stream: _Stream) -> None:
    spec = stream.spec
    block = min(REAL_BLOCK, spec.terms)
    weight, activation, sums = _quantized(spec, stream.random, block)
    for index, (w, a, total) in enumerate(zip(weight, activation, sums, strict=True)):
        stream.step(w, a, clear=index % block == 0, reference=total)


def _student_t(generator: random.Random) -> float:
    chi_square = sum(generator.gauss(0.0, 1.0) ** 2 for _ in range(REAL_NU))
    return generator.gauss(0.0, 1.0) / math.sqrt(chi_square / REAL_NU)


def _delayed(stream: _Stream) -> tuple[int, ...]:
    if stream.spec.latency == 1:
        return tuple(stream.sums)
    # An edge with enable low holds the whole pipeline; one with enable high moves it by one.
    expected, waiting, held = [], 0, 0
    for total, control in zip(stream.sums, stream.control, strict=True):
        if control & ENABLE:
            held, waiting = waiting, total
        expected.append(held)
    return tuple(expected)


def _quantized(
    spec: MacSpec, generator: random.Random, block: int
) -> tuple[list[int], list[int], list[int | None]]:
    """Return weight codes, activation codes, and the reference's partial sums in each block.

    The reference computes with 64 bits; wider accumulators get None and are left to the stream.
    """
    import torch  # noqa: PLC0415 - slow to import

    from ..formats.dot import partial_sums  # noqa: PLC0415 - imports torch
    from ..formats.quantizer import quantize  # noqa: PLC0415 - imports torch
    from ..formats.scale import Granularity, ScaleSpec  # noqa: PLC0415

    blocks = math.ceil(REAL_PRODUCTS / block)
    scale = ScaleSpec(granularity=Granularity.BLOCK, block=block)
    codes = []
    for item, name in ((spec.weight, "weight"), (spec.activation, "activation")):
        values = [[_student_t(generator) for _ in range(block)] for _ in range(blocks)]
        tensor = torch.tensor(values, dtype=torch.float32)
        codes.append(quantize(tensor, item, scale, name=name).codes)
    flat = [code.flatten().tolist() for code in codes]
    if spec.accumulator_bits > REFERENCE_BITS:
        return flat[0], flat[1], [None] * len(flat[0])
    sums: list[int | None] = partial_sums(spec, codes[0], codes[1]).flatten().tolist()
    return flat[0], flat[1], sums
