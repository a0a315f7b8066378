"""The project's exceptions: what a user did, or what a tool failed to do, in a full sentence.

The command line prints the sentence and exits with ``exit_code``; nothing else of the project's
own is shown to a user, and no traceback.
"""


class NibblemacError(Exception):
    """Base of every error that a user can meet.

    As text it has escapes in the place of characters that cannot be printed, line breaks apart: it
    quotes files and names, which could tell a terminal anything.
    """

    exit_code = 1

    def __str__(self) -> str:
        """Return the sentence."""
        text = super().__str__()
        if text.isprintable():
            return text
        return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


class UsageError(NibblemacError, ValueError):
    """An argument or a combination of arguments that has no meaning."""

    exit_code = 2


class FormatError(NibblemacError, ValueError):
    """A number format that is unknown, malformed, or cannot serve the request."""


class TensorError(NibblemacError, ValueError):
    """A tensor that cannot be quantized."""


class DataError(NibblemacError, ValueError):
    """A CSV, JSON or other data file with wrong contents."""


class ArchitectureError(NibblemacError, ValueError):
    """A multiplier architecture that is unknown, or that cannot serve a format."""


class LibraryError(NibblemacError, ValueError):
    """A cell library that is missing, malformed, or lacks what the flow needs."""


class ToolError(NibblemacError, RuntimeError):
    """An external tool that is missing, too old, or failed."""


class SynthesisError(ToolError):
    """A synthesis that ended without a trustworthy result."""


class SimulationError(ToolError):
    """A simulation that could not be run to its end."""


class VerificationError(NibblemacError, AssertionError):
    """Hardware whose values differ from the reference's."""


class OutputError(NibblemacError, OSError):
    """An output that cannot be written."""
