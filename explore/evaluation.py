"""Evaluating formats on a model: one pass of the model as it is, then one for each format.

What takes part: the text (perplexity and divergence for a causal language model, embeddings for an
encoder), the method, and tasks where they are asked for. A format that fails does not end the run.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..formats.errors import DataError, TensorError, ToolError, UsageError
from ..formats.metrics import METRICS
from ..formats.models.layers import model_layers
from ..formats.models.loading import CAUSAL
from ..formats.models.mapped import KeptWeights
from ..formats.scratch import make_scratch
from .evaluation_file import UNQUANTIZED, EvaluationFile, Figure, Run, digest_of, entry_of
from .evaluation_text import TextSource, encoder_scorer, language_scorer

if TYPE_CHECKING:
    from ..formats.block_format import BlockFormat
    from ..formats.models.calibration import Calibration
    from ..formats.models.layers import Layer
    from ..formats.models.loading import LoadedModel
    from ..formats.models.method import Method
    from ..formats.models.tasks import TaskRunner

#: Called with a step's name, what is done, what there is in all, and the format at work.
Progress = Callable[[str, int, int, str], None]
STEP = "hundredths of a format"
_WHOLE = 100
_QUANTIZING = 30


class Scorer(Protocol):
    """What a pass of the model over the text is judged by."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the figures."""

    @property
    def steps(self) -> int:
        """How often ``tick`` is called for a pass."""

    def reference(self, tick: Callable[[], None]) -> dict[str, float]:
        """Run the model as it is, and keep what others are compared with."""

    def score(self, tick: Callable[[], None]) -> dict[str, float]:
        """Run the model as it is now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRequest:
    """What to evaluate.

    ``window``, ``stride`` and ``tokens`` are None for what suits the model and the whole text.
    ``calibration`` is a text of its own; without it, the tokens after those that are evaluated
    serve, at most ``calibration_tokens``. ``task_limit`` is how many examples of a task are run,
    ``name`` what the model is called where its file's name says little.
    """

    formats: "tuple[BlockFormat, ...]"
    method: "Method"
    text: TextSource
    window: int | None = None
    stride: int | None = None
    tokens: int | None = None
    calibration: TextSource | None = None
    calibration_tokens: int = 4096
    tasks: tuple[str, ...] = ()
    task_limit: int | None = None
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated:
    """The figures of each format by the metric's name, the unquantized model's first.

    ``quantized`` and ``parameters`` count the model's parameters; ``failures`` are sentences.
    """

    figures: tuple[Figure, ...]
    rows: Mapping[str, Mapping[str, float]]
    bits: Mapping[str, float]
    run: Run
    quantized: int
    parameters: int
    failures: tuple[str, ...]


def evaluate(
    model: "LoadedModel", request: EvaluationRequest, target: Path, progress: Progress
) -> Evaluated:
    """Evaluate formats, and write each one's figures to a CSV file as soon as they are there.

    Raises :class:`FormatError` for a format that cannot hold the setting, :class:`DataError` for a
    text that is too short and for a file of another run, before anything is run.
    """
    method = request.method
    if not request.formats:
        raise UsageError("No format is given to evaluate.")
    for item in request.formats:
        method.check(item)
    layers = method.choose(model_layers(model.module))
    with _scratch() as folder:
        scorer, calibration, read = _scorer(model, request, layers, folder)
        tasks = _tasks(model, request)
        figures = (*map(_figure, scorer.metrics), *map(_task_figure, request.tasks))
        run = _run(model, request, read)
        items = {item.name: method.stored(item) for item in request.formats}
        entries = (UNQUANTIZED, *map(entry_of, items.values()))
        file = EvaluationFile(target, run, entries, figures)
        failures: list[str] = []
        if file.unfinished:
            work = _Work(scorer, tasks, file, items, progress)
            work.run(layers, method, calibration, folder)
            failures = work.failures
    names = [entry.name for entry in entries if file.figures_of(entry.name)]
    return Evaluated(
        figures=figures,
        rows={name: file.figures_of(name) for name in names},
        bits={entry.name: entry.bits_per_element for entry in entries},
        run=run,
        quantized=sum({one.weight.data_ptr(): one.weight.numel() for one in layers}.values()),
        parameters=sum(one.numel() for one in model.module.parameters()),
        failures=tuple(failures),
    )


class _Work:
    """The passes of a run."""

    def __init__(
        self,
        scorer: Scorer,
        tasks: "TaskRunner | None",
        file: EvaluationFile,
        items: "Mapping[str, BlockFormat]",
        progress: Progress,
    ) -> None:
        self._scorer, self._tasks, self._file, self._items = scorer, tasks, file, items
        self._progress = progress
        self.failures: list[str] = []

    def run(
        self,
        layers: "tuple[Layer, ...]",
        method: "Method",
        calibration: "Calibration | None",
        folder: Path,
    ) -> None:
        """Run the model as it is, and under each format that is not finished."""
        import torch  # noqa: PLC0415 - slow

        from ..formats.models.quantized_layer import Bench  # noqa: PLC0415 - imports torch

        names = [name for name in self._file.unfinished if name in self._items]
        meter = _Meter(self._progress, len(names) + 1)
        meter.begin(UNQUANTIZED.name, self._scorer.steps)
        found = self._scorer.reference(meter.tick)
        if UNQUANTIZED.name in self._file.unfinished:
            self._file.add(UNQUANTIZED.name, {**found, **self._accuracies()})
        with ExitStack() as stack:
            if method.smoothquant is not None and calibration is not None:
                stack.enter_context(_smoothed(layers, calibration, method.smoothquant))
            kept = KeptWeights(folder, {one.name: one.matrix() for one in layers})
            bench = Bench(layers=layers, kept=kept, method=method, calibration=calibration)
            for name in names:
                meter.begin(name, len(layers), self._scorer.steps)
                self._file.refresh()
                if name not in self._file.unfinished:
                    continue
                try:
                    with bench.quantized(self._items[name], meter.tick):
                        meter.turn()
                        figures = {**self._scorer.score(meter.tick), **self._accuracies()}
                except TensorError as error:
                    self.failures.append(f"{name}: {error}")
                except torch.OutOfMemoryError as error:
                    raise ToolError(
                        f"The model does not fit into the memory of its device under {name}; use a "
                        "smaller --window, or --device cpu. Finished formats are kept."
                    ) from error
                else:
                    self._file.add(name, figures)
        meter.end()

    def _accuracies(self) -> dict[str, float]:
        if self._tasks is None:
            return {}
        return {_task_name(task): value for task, value in self._tasks.accuracies().items()}


class _Meter:
    """Counts hundredths of formats; a format is a third quantizing, the rest running."""

    def __init__(self, progress: Progress, formats: int) -> None:
        self._progress, self._total = progress, _WHOLE * formats
        self._base = -_WHOLE
        self._name = ""
        self._parts: list[tuple[int, int, int]] = []
        self._done = 0

    def begin(self, name: str, *ticks: int) -> None:
        """Begin a format of one or two parts of so many ticks."""
        self._base += _WHOLE
        self._name, self._done = name, 0
        cut = _QUANTIZING if len(ticks) > 1 else 0
        spans = [(0, cut), (cut, _WHOLE)] if cut else [(0, _WHOLE)]
        self._parts = [(a, b, max(n, 1)) for (a, b), n in zip(spans, ticks, strict=True)]
        self._tell(0)

    def turn(self) -> None:
        """Begin the format's second part."""
        self._parts = self._parts[1:]
        self._done = 0

    def tick(self) -> None:
        """Count one more."""
        self._done += 1
        start, end, ticks = self._parts[0]
        self._tell(start + (end - start) * min(self._done, ticks) // ticks)

    def end(self) -> None:
        """Say that everything is done."""
        self._progress(STEP, self._total, self._total, "")

    def _tell(self, part: int) -> None:
        self._progress(STEP, self._base + part, self._total, self._name)


def _scorer(
    model: "LoadedModel", request: EvaluationRequest, layers: "tuple[Layer, ...]", folder: Path
) -> "tuple[Scorer, Calibration | None, str]":
    """Return what scores, the calibration where one is needed, and what is read, in words."""
    if model.kind == CAUSAL:
        return language_scorer(model, request, layers, folder)
    if request.tasks:
        raise UsageError("Tasks are for causal language models; this is an encoder.")
    return encoder_scorer(model, request)


def _tasks(model: "LoadedModel", request: EvaluationRequest) -> "TaskRunner | None":
    if not request.tasks:
        return None
    from ..formats.models.tasks import TaskRunner  # noqa: PLC0415 - optional

    return TaskRunner(model, request.tasks, request.task_limit)


@contextmanager
def _smoothed(
    layers: "Sequence[Layer]", calibration: "Calibration", strength: float
) -> Iterator[None]:
    """Smooth the model in place, and back at the end to rounding."""
    from ..formats.models.calibration import collecting  # noqa: PLC0415 - imports torch
    from ..formats.models.smoothquant import smooth, smoothed_inputs  # noqa: PLC0415

    with collecting(layers, hessian=False, mask=calibration.mask) as seen:
        calibration.run()
    factors = smooth(seen.found(), strength)
    try:
        with smoothed_inputs(layers, factors):
            yield
    finally:
        for layer in layers:
            if layer.name in factors:
                layer.put(layer.matrix() / factors[layer.name])


def _figure(name: str) -> Figure:
    metric = METRICS[name]
    return Figure(
        name=name,
        label=metric.label,
        unit=metric.unit,
        higher_is_better=bool(metric.higher_is_better),
    )


def _task_figure(task: str) -> Figure:
    return Figure(name=_task_name(task), label=_task_name(task), unit="%", higher_is_better=True)


def _task_name(task: str) -> str:
    return f"{task} accuracy"


def _run(model: "LoadedModel", request: EvaluationRequest, read: str) -> Run:
    tools = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    if request.tasks:
        tools += f", lm-eval {version('lm-eval')}"
        read += f", tasks on {request.task_limit} examples" if request.task_limit else ""
    note = f"; {model.note}" if model.note else ""
    calibration = request.calibration
    facts = {
        "files": [(path.name, _file_digest(path)) for path in _identity(model)],
        "calibration": calibration and (calibration.name, calibration.digest),
        "calibration tokens": request.calibration_tokens if request.method.calibrates else 0,
        "method": request.method,
        "text": request.text.digest,
        "read": read,
        "tools": tools,
        "nibblemac": version("nibblemac"),
    }
    return Run(
        model=_plain(request.name or model.name),
        setting=request.method.description + note,
        text=_plain(read),
        tools=tools,
        digest=digest_of(sorted(facts.items(), key=lambda fact: fact[0])),
    )


def _plain(text: str) -> str:
    """Return a name from outside as a CSV's cell has it: printable, in one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _identity(model: "LoadedModel") -> list[Path]:
    """Return the files that a model's figures depend on."""
    if not model.path.is_dir():
        return [model.path]
    beside = ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json")
    return [*model.files, *(model.path / name for name in beside if (model.path / name).is_file())]


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"The file {path} cannot be read: {error.strerror}.") from error


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = make_scratch()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
