# amaranth: UnusedElaboratable=no
"""MACs of formats whose special value each block chooses: the choice is an input."""

import itertools

import pytest
from amaranth.sim import Simulator
from nibblemac.formats.block_catalog import BLOCK_CATALOG, RAZER_A, RAZER_W
from nibblemac.formats.block_format import find_block_format
from nibblemac.formats.catalog import E2M1
from nibblemac.formats.mac import MacSpec
from nibblemac.rtl.architectures import serving
from nibblemac.rtl.mac import Mac
from nibblemac.rtl.ports import ports

SPECS = {
    known.name: MacSpec(weight=known.format, activation=known.for_activations.format)
    for known in BLOCK_CATALOG
}
DESIGNS = [(name, architecture) for name, spec in SPECS.items() for architecture in serving(spec)]


@pytest.mark.parametrize(("name", "architecture"), DESIGNS)
def test_every_pair_of_codes_and_every_special(name: str, architecture: str) -> None:
    spec = SPECS[name]
    mac = Mac(spec, architecture)
    pairs = list(itertools.product(range(2**spec.weight.bits), range(2**spec.activation.bits)))
    seen = []

    async def testbench(ctx):
        ctx.set(mac.clear, 1)
        for weight, activation in pairs:
            ctx.set(mac.weight, weight)
            ctx.set(mac.activation, activation)
            await ctx.tick()
            seen.append(ctx.get(mac.accumulator))

    simulator = Simulator(mac)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert seen == [spec.weight.grid[w] * spec.activation.grid[a] for w, a in pairs]


def test_the_choice_of_special_is_said_where_the_port_is() -> None:
    by_name = {port.name: port for port in ports(SPECS["RaZeR-W"])}
    assert by_name["weight"].width == 6
    assert by_name["weight"].meaning.endswith("[5:4] selects the block's special value")
    assert by_name["activation"].width == 5
    assert by_name["activation"].meaning.endswith("[4] selects the block's special value")
    assert "selects" not in {port.name: port for port in ports(SPECS["NVFP4"])}["weight"].meaning


def test_elements_without_a_choice_have_the_hardware_of_their_levels() -> None:
    plain = MacSpec(weight=E2M1, activation=E2M1)
    for name in ("MXFP4", "NVFP4", "Four-over-six"):
        assert SPECS[name].weight.digest == plain.weight.digest
        assert SPECS[name].accumulator_bits == plain.accumulator_bits
    assert len({RAZER_W.format.digest, RAZER_A.format.digest, E2M1.digest}) == 3


def test_the_memory_counts_what_an_element_stores() -> None:
    assert find_block_format("RaZeR-W").format.stored_bits == 4
    assert find_block_format("E2M1").format.stored_bits == 4
