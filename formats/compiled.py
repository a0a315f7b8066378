"""C++ compiled once by the compiler that is there, kept beside the cache, and called by ctypes.

What is compiled only does faster what Python or torch does: where no compiler is, those do it.
"""

import contextlib
import ctypes
import hashlib
import importlib.resources
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

from .cache_folder import CacheWarning, cache_folder
from .process import run_process
from .scratch import PREFIX, mark, sweep

_COMPILE_SECONDS = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Kernel:
    """A C++ file ``native/NAME.cpp`` of a package, and what warnings say of it.

    Libraries are kept in ``folder`` of the cache. ``title`` begins a sentence; ``instead`` is what
    does the work without it.
    """

    package: str
    name: str
    folder: str
    title: str
    instead: str
    options: tuple[str, ...] = ("-O2", "-std=c++17", "-shared", "-fPIC")

    def source(self) -> str:
        """Return the C++ text."""
        entry = importlib.resources.files(self.package) / "native" / f"{self.name}.cpp"
        return entry.read_text(encoding="utf-8")

    def load(self) -> ctypes.CDLL | None:
        """Return the compiled library, or None where it cannot be had; a failure warns.

        The compiler is ``CXX`` from the environment, or g++, or c++. The library is kept under the
        digest of its source, the compiler's version and the machine's kind, and its own; where the
        cache cannot be written it is compiled for this process alone.
        """
        command = _compiler()
        if not command:
            return None
        try:
            return self._found(command)
        except (OSError, subprocess.SubprocessError) as error:
            warnings.warn(
                CacheWarning(
                    f"{self.title} could not be compiled with {command[0]} ({error}); "
                    f"{self.instead} is used."
                ),
                stacklevel=3,
            )
            return None

    def _found(self, command: list[str]) -> ctypes.CDLL:
        """Return the library that is kept, or a new one; raises OSError or SubprocessError."""
        source = self.source()
        version = subprocess.run(
            [*command, "--version"], capture_output=True, timeout=60, check=True
        ).stdout
        made_by = " ".join([*self.options, *command[1:], platform.machine()])
        digest = hashlib.sha256(source.encode() + version + made_by.encode()).hexdigest()
        folder = cache_folder() / self.folder
        for path in sorted(folder.glob(f"{self.name}-{digest[:24]}-*.so")):
            # A library that is cut would end the process that reads beyond its end.
            if path.stem.endswith(_sum(path)):
                return ctypes.CDLL(os.fspath(path))
            warnings.warn(
                CacheWarning(f"{self.title} {path} is damaged; it is compiled again."),
                stacklevel=4,
            )
            path.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(prefix=mark(), dir=_place(folder)) as name:
            made = self._compiled(command, source, Path(name))
            found = ctypes.CDLL(os.fspath(made))
            with contextlib.suppress(OSError):
                made.replace(folder / f"{self.name}-{digest[:24]}-{_sum(made)}.so")
        return found

    def _compiled(self, command: list[str], source: str, folder: Path) -> Path:
        text, made, log = (folder / f"{self.name}{end}" for end in (".cpp", ".so", ".log"))
        text.write_text(source, encoding="utf-8")
        with log.open("wb") as stream:
            status = run_process(
                [*command, *self.options, "-o", os.fspath(made), os.fspath(text)],
                environment=os.environ,
                log=stream,
                timeout=_COMPILE_SECONDS,
            )
        if status:
            said = log.read_text(encoding="utf-8", errors="replace").strip()
            raise ChildProcessError(f"it ended with code {status}: {said[-200:]}")
        return made


def _compiler() -> list[str]:
    """Return the compiler's command; ``CXX`` may hold arguments, as in ``ccache g++``."""
    given = os.environ.get("CXX", "").strip()
    if given:
        return [given] if shutil.which(given) else given.split()
    found = shutil.which("g++") or shutil.which("c++")
    return [found] if found else []


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _place(folder: Path) -> Path | None:
    """Return the folder, or None where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    sweep(folder.glob(f"{PREFIX}*"))
    return folder if os.access(folder, os.W_OK) else None
