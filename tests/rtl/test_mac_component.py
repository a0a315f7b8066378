# amaranth: UnusedElaboratable=no
"""The MAC's contract, cycle by cycle, against a plain model."""

import random
from dataclasses import dataclass, field

import pytest
from amaranth.hdl import Shape
from amaranth.sim import Simulator
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.rtl.architectures import ARCHITECTURES, serving
from nibblemac.rtl.mac import Mac

PAIRS = (("INT4", "INT4"), ("E2M1+SR", "E2M1+SR"), ("E3M0", "INT4"), ("INT3", "APoT4"))
OPTIONS = [(enable, registered) for enable in (False, True) for registered in (False, True)]


@dataclass
class Model:
    """The contract in plain integers: the accumulator, and the register stage before it."""

    spec: MacSpec
    accumulator: int | None = None
    stage: tuple[int, bool] | None = None
    history: list[int | None] = field(default_factory=list)

    def edge(self, weight: int, activation: int, clear: bool, enable: bool) -> None:
        if enable or not self.spec.enable:
            now = (self.spec.product(weight, activation), clear)
            if self.spec.registered_product:
                now, self.stage = self.stage, now
            if now is not None:
                product, start = now
                if start:
                    self.accumulator = product
                elif self.accumulator is not None:
                    self.accumulator += product
        self.history.append(self.accumulator)


def run(spec: MacSpec, architecture: str, stimuli: list[tuple[int, int, bool, bool]]) -> list[int]:
    mac = Mac(spec, architecture)
    seen = []

    async def testbench(ctx):
        for weight, activation, clear, enable in stimuli:
            ctx.set(mac.weight, weight)
            ctx.set(mac.activation, activation)
            ctx.set(mac.clear, clear)
            if spec.enable:
                ctx.set(mac.enable, enable)
            await ctx.tick()
            seen.append(ctx.get(mac.accumulator))

    simulator = Simulator(mac)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return seen


def compare(spec: MacSpec, architecture: str, stimuli: list[tuple[int, int, bool, bool]]) -> None:
    model = Model(spec)
    for stimulus in stimuli:
        model.edge(*stimulus)
    seen = run(spec, architecture, stimuli)
    defined = [(i, want) for i, want in enumerate(model.history) if want is not None]
    assert len(defined) > len(stimuli) // 2
    assert [(i, seen[i]) for i, _want in defined] == defined


@pytest.mark.parametrize(("enable", "registered"), OPTIONS)
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_random_clear_and_enable(pair, enable, registered):
    weight, activation = map(find_format, pair)
    spec = MacSpec(
        weight=weight, activation=activation, enable=enable, registered_product=registered
    )
    rng = random.Random(f"{pair}{enable}{registered}")  # noqa: S311
    stimuli = [
        (
            rng.randrange(2**weight.bits),
            rng.randrange(2**activation.bits),
            i == 3 or rng.random() < 0.05,
            i == 3 or rng.random() < 0.7,
        )
        for i in range(300)
    ]
    names = serving(spec)
    assert len(names) > 2
    for architecture in names:
        compare(spec, architecture, stimuli)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", ["INT3", "E2M1", "E2M1+SR", "APoT4+SP", "SF4"])
def test_full_length_at_both_extremes(name, architecture):
    number_format = find_format(name)
    spec = MacSpec(weight=number_format, activation=number_format)
    if architecture not in serving(spec):
        pytest.skip(f"{architecture} does not serve {name}")
    codes = [(w, a) for w in range(2**number_format.bits) for a in range(2**number_format.bits)]
    for extreme, total in zip((min, max), spec.accumulator_range, strict=True):
        w, a = extreme(codes, key=lambda pair: spec.product(*pair))
        seen = run(spec, architecture, [(w, a, i == 0, True) for i in range(spec.terms)])
        assert seen[-1] == total
        assert seen == [(i + 1) * spec.product(w, a) for i in range(spec.terms)]


def test_holding_keeps_the_registered_product_and_its_clear():
    int4 = find_format("INT4")
    spec = MacSpec(weight=int4, activation=int4, enable=True, registered_product=True)
    stimuli = [
        (3, 5, True, True),
        (1, 1, False, False),  # not taken: 15 and its clear wait in the registers
        (2, 2, False, True),
        (7, 7, True, False),  # neither is this clear
        (1, 1, False, True),
        (0, 0, False, True),
    ]
    for architecture in serving(spec):
        assert run(spec, architecture, stimuli)[2:] == [15, 15, 19, 20]


def test_one_term_and_narrow_accumulators():
    # A single product of two all-negative operands needs fewer bits than its operands' signs.
    for name in ("INT3", "E2M1-I", "APoT4"):
        number_format = find_format(name)
        spec = MacSpec(weight=number_format, activation=number_format, terms=1)
        stimuli = [(w, a, True, True) for w in range(2**number_format.bits) for a in range(8)]
        for architecture in serving(spec):
            compare(spec, architecture, stimuli)


@pytest.mark.parametrize(("enable", "registered"), OPTIONS)
def test_members(enable, registered):
    spec = MacSpec(
        weight=find_format("E2M1"),
        activation=find_format("INT8"),
        enable=enable,
        registered_product=registered,
    )
    members = {name: Shape.cast(m.shape) for name, m in Mac(spec).signature.members.items()}
    expected = {"weight": (4, False), "activation": (8, False), "clear": (1, False)}
    if enable:
        expected["enable"] = (1, False)
    expected["accumulator"] = (spec.accumulator_bits, True)
    assert {name: (s.width, s.signed) for name, s in members.items()} == expected
