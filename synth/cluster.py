"""A dask.distributed cluster as an executor: jobs on many machines, with the same results.

``distributed`` is an optional dependency (``nibblemac[cluster]``), imported here alone. Every
worker needs this version of nibblemac, and of what its results depend on.
"""

import platform
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from ..formats.errors import NibblemacError, ToolError
from .kernel import engine
from .yosys import Yosys, find_yosys

#: How long a scheduler may take to answer, and to have a worker.
TIMEOUT = 10.0
_PACKAGES = ("nibblemac", "numpy", "torch", "amaranth")


@contextmanager
def cluster(address: str, yosys: Yosys, *, timeout: float = TIMEOUT) -> Iterator[Executor]:
    """Give the executor of a scheduler such as ``tcp://10.0.0.1:8786``; every worker is checked.

    Raises :class:`ToolError` where ``distributed`` is not installed, the scheduler does not
    answer within ``timeout`` seconds, has no workers, its workers have other versions, or are
    lost on the way.
    """
    try:
        from distributed import Client  # noqa: PLC0415 - optional, and slow to import
        from distributed.scheduler import KilledWorker  # noqa: PLC0415
    except ImportError as error:
        raise ToolError(
            "The package distributed is not installed, so that no cluster can be used; install "
            "nibblemac[cluster]."
        ) from error
    try:
        connect: Any = Client  # which has no types
        client = connect(address, timeout=timeout, set_as_default=False)
    except (OSError, TimeoutError, ValueError, ImportError) as error:
        raise ToolError(
            f"The cluster's scheduler {address!r:.100} did not answer within {timeout:g} s: "
            f"{_sentence(error)} Give the address that it prints, such as tcp://10.0.0.1:8786."
        ) from error
    inner = client.get_executor(pure=False)
    try:
        _check_workers(client, address, yosys, timeout)
        yield _Elsewhere(inner)
    except NibblemacError:
        raise
    except (KilledWorker, CancelledError, OSError, TimeoutError) as error:
        raise ToolError(
            f"The cluster {address} was lost: {_sentence(error)} Finished results are kept; start "
            "again to go on."
        ) from error
    finally:
        inner.shutdown(wait=False)
        client.close()


def _sentence(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text if text.endswith(".") else f"{text}."


def _check_workers(client: Any, address: str, yosys: Yosys, timeout: float) -> None:
    try:
        client.wait_for_workers(1, timeout=timeout)
    except TimeoutError as error:
        raise ToolError(
            f"The cluster {address} has no workers; start some with `dask worker {address}`."
        ) from error
    wanted = _versions(yosys.kind)
    found: Mapping[str, Mapping[str, str] | Exception] = client.run(
        _versions, yosys.kind, on_error="return"
    )
    for worker, versions in sorted(found.items()):
        if isinstance(versions, Exception):
            raise ToolError(f"The worker {worker} cannot be used: {_sentence(versions)}")
        for name, own in wanted.items():
            if versions[name] != own:
                raise ToolError(
                    f"The worker {worker} has {name} {versions[name]}, this machine has {own}; "
                    "results would not be the same. Install the same on both."
                )


def _versions(kind: str) -> dict[str, str]:
    """Return what results depend on, as it is where this runs."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {
        "Python": python,
        **{name: version(name) for name in _PACKAGES},
        kind: find_yosys(kind).version,
        "annealing engine": engine(),
    }


class _Elsewhere(Executor):
    """Runs what it is given with the worker's own Yosys, which may lie at another path."""

    def __init__(self, inner: Executor) -> None:
        self._inner = inner

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._inner.submit(_there, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        del cancel_futures
        self._inner.shutdown(wait=wait)


def _there(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    own = [find_yosys(one.kind) if isinstance(one, Yosys) else one for one in args]
    return fn(*own, **kwargs)
