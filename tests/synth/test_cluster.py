"""A dask scheduler as an executor, in this process."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from nibblemac.formats.errors import SynthesisError, ToolError
from nibblemac.formats.lookup import find_format
from nibblemac.formats.mac import MacSpec
from nibblemac.synth import cluster as module
from nibblemac.synth.area import plan
from nibblemac.synth.cache import Cache
from nibblemac.synth.cluster import cluster
from nibblemac.synth.flow import Mapped
from nibblemac.synth.jobs import Job, run_jobs
from nibblemac.synth.mapping_jobs import map_tasks
from nibblemac.synth.recipes import find_recipes
from nibblemac.synth.sweep import Flow
from nibblemac.synth.yosys import Yosys

distributed = pytest.importorskip(
    "distributed", reason="the extra nibblemac[cluster] is not installed"
)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"
    ) as local:
        yield local.scheduler_address


def test_results_are_the_same(address: str, flow: Flow, tmp_path: Path) -> None:
    nf2 = find_format("NF2")
    spec = MacSpec(weight=nf2, activation=nf2, terms=4)
    tasks = plan([spec], ["signed", "table"], find_recipes("adders"))
    expected = flow.run(tasks)
    own = replace(flow, cache=Cache(tmp_path))
    # The workers' Yosys is found where they are, wherever it lies here.
    own = replace(own, yosys=replace(flow.yosys, command=("/nowhere/python",)))
    with cluster(address, own.yosys) as executor:
        found = map_tasks(own, tasks, executor)
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one, Mapped)
        assert isinstance(other, Mapped)
        assert replace(one, seconds=0.0) == replace(other, seconds=0.0)
    # What came from the cluster is known here from now on, under the flow's own keys.
    assert all(own.known(task) is not None for task in tasks)


def _fail(text: str) -> dict[str, object]:
    raise SynthesisError(text)


def test_errors_come_back(address: str, yosys: Yosys, tmp_path: Path) -> None:
    job = Job(function=_fail, arguments=("The gate is open.",), facts={"what": "test"})
    with cluster(address, yosys) as executor:
        (outcome,) = run_jobs([job], executor, Cache(tmp_path))
    assert str(getattr(outcome, "error", "")) == "The gate is open."


def test_other_versions_are_refused(address: str, yosys: Yosys, monkeypatch) -> None:
    versions = iter([{"Python": "3.11"}, {"Python": "3.9"}])
    monkeypatch.setattr(module, "_versions", lambda _: next(versions))
    with (
        pytest.raises(ToolError, match=r"has Python 3\.9, this machine has 3\.11"),
        cluster(address, yosys),
    ):
        pass


def test_scheduler_without_workers(yosys: Yosys) -> None:
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as local,
        pytest.raises(ToolError, match="has no workers"),
        cluster(local.scheduler_address, yosys, timeout=0.5),
    ):
        pass


@pytest.mark.parametrize("wrong", ["tcp://127.0.0.1:9", "nonsense://x", ""])
def test_no_scheduler(wrong: str, yosys: Yosys) -> None:
    with pytest.raises(ToolError, match="scheduler"), cluster(wrong, yosys, timeout=0.5):
        pass
