"""What an engine says of the critical path, before its names are made readable."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class PathEnds:
    """The critical path: ``ps``, of which ``setup_ps`` is setup time.

    ``launch`` and ``capture`` are flip-flops' instance names in the graph; where they are None, the
    path starts at the input bit ``start`` or ends at the output bit ``end``.
    """

    ps: float
    setup_ps: float
    start: str = ""
    end: str = ""
    launch: str | None = None
    capture: str | None = None
