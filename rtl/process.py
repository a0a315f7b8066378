"""Running a child in a process group of its own: :mod:`..formats.process`."""

from ..formats.process import POLL_SECONDS, run_process

__all__ = ["POLL_SECONDS", "run_process"]
