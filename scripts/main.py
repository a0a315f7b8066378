"""``nibblemac``: reads the command line, runs one command, turns errors into sentences."""

import argparse
import contextlib
import errno
import importlib
import io
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from types import FrameType
from typing import TextIO

from ..formats.errors import NibblemacError

COMMANDS = (
    "formats",
    "generate",
    "area",
    "explore",
    "verify",
    "prove",
    "mutate",
    "quality",
    "pareto",
    "ranks",
    "profile",
    "quantize",
    "evaluate",
    "sizes",
    "report",
    "doctor",
)
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
#: What a disk or a limit says that is full: nobody's fault but the machine's.
FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="nibblemac",
        description="What a 4-bit number format costs in silicon, and what it buys in quality.",
        epilog="example: nibblemac area INT4 E2M1 SF4 --architecture all",
    )
    parser.add_argument("--version", action="version", version=f"nibblemac {version('nibblemac')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f".{name}", __package__)
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.DESCRIPTION,
            epilog="examples:\n" + "\n".join(f"  {line}" for line in module.EXAMPLES),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(command)
        command.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0 only on success."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Paths need not be text of any encoding, nor terminals able to show a µ.
            stream.reconfigure(errors="backslashreplace")
    parser = build_parser()
    args = parser.parse_args(arguments)
    with warnings.catch_warnings(), _terminable():
        warnings.showwarning = _show_warning
        try:
            code = int(args.run(args))
            # What cannot be written must not be noticed after the exit code is settled.
            sys.stdout.flush()
        except NibblemacError as error:
            print(f"nibblemac: {error}", file=sys.stderr)
            return error.exit_code
        except _Terminated:
            print(
                "nibblemac: terminated; finished results are kept and need not be computed again.",
                file=sys.stderr,
            )
            return EXIT_TERMINATED
        except KeyboardInterrupt:
            print(
                "nibblemac: interrupted; finished results are kept and need not be computed again.",
                file=sys.stderr,
            )
            return EXIT_INTERRUPTED
        except BrokenPipeError:
            # Whoever read our output has had enough.
            _close_output()
            return 1
        except OSError as error:
            if error.errno not in FULL:
                raise
            where = error.filename or "the output"
            print(f"nibblemac: {where} cannot be written: {error.strerror}.", file=sys.stderr)
            _close_output()
            return 1
        return code


class _Terminated(KeyboardInterrupt):
    """SIGTERM: what runs is ended and tidied up as on Ctrl-C."""


def _terminate(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise _Terminated


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    try:
        before = signal.signal(signal.SIGTERM, _terminate)
    except ValueError:
        # Not in the main thread: whoever called us has the signals.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _close_output() -> None:
    """Send what is left to nowhere: Python would complain again at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_warning(  # noqa: PLR0917 - the signature that Python calls
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    del category, filename, lineno, file, line
    print(f"nibblemac: warning: {message}", file=sys.stderr)
