"""What the commands share on the terminal: tables, progress, data to files or standard output."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ..formats.files import check_file, write_text

if TYPE_CHECKING:
    from ..explore.text_table import TextTable
    from ..synth.result import AreaResult

STANDARD_OUTPUT = "-"
_PIPED_WIDTH = 240


def print_table(table: "TextTable", *, title: str = "", file: TextIO | None = None) -> None:
    """Print a table; strong cells are bold, rows that are marked have a star in front."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = file or sys.stdout
    console = Console(file=stream, width=None if stream.isatty() else _PIPED_WIDTH)
    shown = Table(
        box=box.SIMPLE_HEAD,
        title=Text(title) if title else None,
        title_justify="left",
        pad_edge=False,
        padding=(0, 1 if _fits(table, console.width) else 0, 0, 0),
    )
    for position, column in enumerate(table.columns):
        header = f"{column.group}\n{column.label}" if column.group else column.label
        # Where the terminal is narrow, headings and names of designs are broken, figures never.
        shown.add_column(
            Text(header),  # not markup: a metric may be called anything
            justify="right" if column.numeric else "left",
            no_wrap=position == 0 or column.label == "format",
            overflow="fold",
            min_width=max((len(row[position]) for row in table.rows), default=1)
            if column.numeric
            else None,
        )
    for index, row in enumerate(table.rows):
        cells = [
            Text(cell, style="bold" if (index, position) in table.strong else "")
            for position, cell in enumerate(row)
        ]
        shown.add_row(*cells, style="bold" if index in table.marked else None)
    console.print(shown)


def _fits(table: "TextTable", width: int) -> bool:
    """Say whether the rows fit with two blanks between columns."""
    columns = zip(*table.rows, strict=True)
    return sum(max(map(len, column)) + 2 for column in columns) <= width


def print_conditions(areas: "Sequence[AreaResult]", *, file: TextIO | None = None) -> None:
    """Print what delays and powers were measured under, a condition a line."""
    from ..explore.conditions import conditions

    for name, value in conditions(areas):
        print(f"  {name}: {value}", file=file or sys.stdout)


def write_data(text: str, target: str) -> None:
    """Write data to a file, complete or not at all, or to standard output for ``-``."""
    if target == STANDARD_OUTPUT:
        sys.stdout.write(text)
    else:
        write_text(Path(target), text)


def check_targets(*targets: str | None) -> None:
    """Raise OutputError for files that could not be written, before the work that fills them."""
    for target in targets:
        if target and target != STANDARD_OUTPUT:
            check_file(Path(target))


def table_stream(*targets: str | None) -> TextIO:
    """Return where tables go: standard output, or standard error where data goes to the former."""
    return sys.stderr if STANDARD_OUTPUT in targets else sys.stdout


@contextlib.contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int, str], None]]:
    """Show a bar for each step on standard error; call it with step, done, total and a name.

    Where standard error is no terminal, a line is printed at each tenth of a step.
    """
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[item]}", style="dim"),
        console=Console(file=sys.stderr),
        transient=True,
    )
    steps: dict[str, TaskID] = {}
    with bar:

        def update(step: str, done: int, total: int, item: str) -> None:
            if step not in steps:
                steps[step] = bar.add_task(step, total=total, item="")
            bar.update(steps[step], completed=done, total=total, item=item)

        yield update


@contextlib.contextmanager
def progress_bar(step: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show one bar; call it with done, total and a name."""
    with progress_bars() as update:
        yield lambda done, total, item: update(step, done, total, item)


class Counter:
    """Counts what is done for a bar that wants done, total and a name."""

    def __init__(self, total: int, update: Callable[[int, int, str], None]) -> None:
        self._done = 0
        self._total = total
        self._update = update

    def __call__(self, item: str, more: int = 1) -> None:
        """Count one more, or several."""
        self._done += more
        self._update(self._done, self._total, item)


class _Lines:
    """Progress as lines of text, ten at most for each step."""

    def __init__(self) -> None:
        self._tenths: dict[str, int] = {}

    def __call__(self, step: str, done: int, total: int, item: str) -> None:
        """Print a line where a further tenth is done."""
        del item
        tenth = 10 * done // max(total, 1)
        if tenth > self._tenths.get(step, 0):
            self._tenths[step] = tenth
            print(f"{step}: {done} of {total}", file=sys.stderr, flush=True)
