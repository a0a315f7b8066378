import json
from pathlib import Path

from nibblemac.explore.chain import describe_machine, run_chain, write_chain
from nibblemac.formats.lookup import find_format
from nibblemac.sim.simulators import find_simulator
from nibblemac.synth.recipes import find_recipe
from nibblemac.synth.result import load_areas
from nibblemac.synth.sweep import Flow


def test_chain_from_formats_to_page(flow: Flow, tmp_path: Path) -> None:
    formats = [find_format(name) for name in ("INT4", "E2M1")]
    steps: dict[str, tuple[int, int]] = {}
    chain = run_chain(
        formats,
        flow,
        [find_recipe("adders")],
        simulator=find_simulator(),
        progress=lambda step, done, total, _: steps.__setitem__(step, (done, total)),
    )
    assert chain.succeeded
    # INT4 has three architectures and E2M1 four, each at two levels.
    assert len(chain.data.verifications) == 14
    assert steps == {
        "synthesis": (9, 9),
        "delay and power": (2, 2),
        "simulation": (14, 14),
        "proof": (14, 14),
    }
    page = write_chain(chain, flow, tmp_path / "out")
    assert page == tmp_path / "out" / "index.html"
    text = page.read_text()
    assert "INT4" in text
    assert "14 of 14 verifications passed" in text
    areas = load_areas(tmp_path / "out" / "area.csv")
    assert [area.format for area in areas] == ["INT4", "E2M1"]
    assert json.loads((tmp_path / "out" / "area.json").read_text())[0]["format"] == "INT4"
    tops = {path.stem for path in (tmp_path / "out" / "verilog").glob("*.v")}
    assert len(tops) == 2
    assert {p.name.split(".")[0] for p in (tmp_path / "out" / "netlists").glob("*.v")} == tops


def test_chain_without_a_simulator_says_so(flow: Flow, tmp_path: Path) -> None:
    chain = run_chain([find_format("INT4")], flow, [find_recipe("adders")], simulator=None)
    assert chain.data.verifications == ()
    assert "No design was verified" in write_chain(chain, flow, tmp_path).read_text()


def test_machine_is_described() -> None:
    machine = describe_machine()
    assert int(machine["cores"]) >= 1
    assert all(machine.values())
