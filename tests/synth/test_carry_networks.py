import pytest
from nibblemac.formats.errors import UsageError
from nibblemac.synth.carry_networks import CARRY_NETWORKS, carry_techmap
from nibblemac.synth.yosys import Yosys

#: A signed, A width, B signed, B width, Y width.
SHAPES = [
    (1, 17, 1, 9, 17),
    (1, 8, 1, 8, 8),
    (0, 6, 0, 9, 10),
    (1, 5, 0, 5, 8),
    (1, 1, 1, 1, 1),
    (1, 2, 1, 2, 2),
    (1, 3, 1, 12, 12),
    (0, 4, 0, 4, 5),
    (1, 25, 1, 16, 25),
]


def run(network: str, yosys: Yosys, folder, script) -> str:
    (folder / "adders.v").write_text(carry_techmap(network))
    modules = []
    for index, (a_signed, a, b_signed, b, y) in enumerate(SHAPES):
        sign_a, sign_b = "signed" * a_signed, "signed" * b_signed
        modules.append(
            f"module m{index}(input {sign_a} [{a - 1}:0] A, input {sign_b} [{b - 1}:0] B, "
            f"output [{y - 1}:0] Y); assign Y = A + B; endmodule"
        )
    (folder / "m.v").write_text("\n".join(modules))
    (folder / "run.ys").write_text("\n".join(["read_verilog m.v", "proc", *script]) + "\n")
    yosys.run("run.ys", folder)
    return (folder / "yosys.log").read_text()


@pytest.mark.parametrize("network", CARRY_NETWORKS)
def test_networks_add(network: str, yosys: Yosys, tmp_path) -> None:
    """Yosys proves the mapped additions equal to its own, for all inputs."""
    script = []
    for index in range(len(SHAPES)):
        script += [
            f"copy m{index} gold{index}",
            f"techmap -map adders.v m{index}",
            f"select -assert-none m{index}/t:$add",
            f"miter -equiv -flatten gold{index} m{index} miter{index}",
            f"sat -verify -prove trigger 0 miter{index}",
        ]
    log = run(network, yosys, tmp_path, script)
    assert log.count("SAT proof finished - no model found") == len(SHAPES)


def depth(network: str, yosys: Yosys, folder) -> int:
    """Return the longest path through a 25-bit addition, in two-input gates."""
    index = len(SHAPES) - 1
    script = [
        f"techmap -map adders.v m{index}",
        f"techmap m{index}",
        f"opt -full m{index}",
        f"tee -q -o ltp.txt ltp m{index}",
    ]
    run(network, yosys, folder, script)
    first = next(line for line in (folder / "ltp.txt").read_text().splitlines() if "length" in line)
    return int(first.split("length=")[1].split(")")[0])


def test_networks_are_as_deep_as_their_names_say(yosys: Yosys, tmp_path) -> None:
    found = {}
    for network in CARRY_NETWORKS:
        (tmp_path / network).mkdir()
        found[network] = depth(network, yosys, tmp_path / network)
    # A prefix node is an AND and an OR; before the network one gate, after it one or two.
    assert found["ripple"] >= 2 * 23
    assert found["carry-increment"] < found["ripple"] / 2
    assert found["sklansky"] <= 2 * 5 + 4
    assert found["kogge-stone"] <= 2 * 5 + 4
    assert found["sklansky"] < found["brent-kung"] <= 2 * 8 + 4
    assert found["brent-kung"] < found["ripple"] / 2


def test_other_networks_are_refused() -> None:
    with pytest.raises(UsageError, match="no carry network 'magic'; there are ripple, "):
        carry_techmap("magic")
