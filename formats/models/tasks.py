"""Accuracy at tasks through lm-evaluation-harness, which is an optional extra.

Data sets come from where the harness keeps them; unless the environment says HF_HUB_OFFLINE=0,
nothing is fetched.
"""

import contextlib
import importlib
import importlib.util
import io
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import DataError, NibblemacError, ToolError, UsageError
from ..exact import shown

if TYPE_CHECKING:
    from .loading import LoadedModel

#: The tasks of the paper, as the harness calls them.
PAPER_TASKS = ("lambada_openai", "hellaswag", "winogrande", "piqa", "boolq", "arc_challenge")
_ACCURACY = "acc,none"


class TaskRunner:
    """Runs tasks of the harness on a model as it is at the time.

    Raises :class:`ToolError` without the harness, :class:`UsageError` for an unknown task.
    """

    def __init__(
        self, model: "LoadedModel", tasks: Iterable[str], limit: int | None = None
    ) -> None:
        self.tasks = tuple(dict.fromkeys(tasks))
        self._limit = limit
        harness = _harness("lm_eval")
        with _silent(), _sentences():
            self._manager = _harness("lm_eval.tasks").TaskManager()
            known = set(self._manager.all_tasks)
        for task in self.tasks:
            if task not in known:
                raise UsageError(
                    f"The task {shown(task)} is unknown to lm-evaluation-harness "
                    f"{getattr(harness, '__version__', '')}; tasks are called such as "
                    f"{', '.join(PAPER_TASKS)}."
                )
        tokenizer = model.require_tokenizer()
        with _silent(), _sentences():
            self._model = _harness("lm_eval.models.huggingface").HFLM(
                pretrained=model.module, tokenizer=tokenizer, batch_size=1
            )

    def accuracies(self) -> dict[str, float]:
        """Return the accuracy of each task in per cent."""
        with _silent(), _sentences():
            found = _harness("lm_eval").simple_evaluate(
                model=self._model,
                tasks=list(self.tasks),
                limit=self._limit,
                task_manager=self._manager,
                bootstrap_iters=0,
                log_samples=False,
            )
        return {task: _accuracy(found, task) for task in self.tasks}


def _accuracy(found: Any, task: str) -> float:
    results = (found or {}).get("results", {})
    value = results.get(task, {}).get(_ACCURACY)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(
            f"lm-evaluation-harness gave no accuracy ({_ACCURACY}) for the task {task}; only tasks "
            "that are judged by accuracy can be evaluated."
        )
    return 100 * float(value)


def check_harness() -> None:
    """Raise :class:`ToolError` where the harness is not installed."""
    if importlib.util.find_spec("lm_eval") is None:
        raise ToolError(_MISSING)


_MISSING = (
    "lm-evaluation-harness is not installed, which runs tasks; install nibblemac with its extra "
    "'tasks', as in pip install 'nibblemac[tasks]'."
)


def _harness(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ToolError(_MISSING) from error


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep the harness's own bars off the terminal."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield


@contextlib.contextmanager
def _sentences() -> Iterator[None]:
    """Turn what a missing data set makes the harness raise into a sentence."""
    try:
        yield
    except (NibblemacError, MemoryError):
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = (lines or [type(error).__name__])[0].rstrip(".")
        raise DataError(
            f"lm-evaluation-harness failed: {said:.300}. Data sets are fetched only where the "
            "environment says HF_HUB_OFFLINE=0."
        ) from error
