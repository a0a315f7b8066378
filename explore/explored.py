"""One design of an exploration as a record, and many of them as CSV and JSON."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from .flat_record import from_csv, from_json, to_csv

#: Where a design comes from.
MAPPED, SEARCHED, STORED, TIMED = "recipe", "search", "store", "clock period"


@dataclass(frozen=True, kw_only=True, slots=True)
class Explored:
    """A design: what it computes, how it was made, what it costs.

    ``asked`` is the format that was asked for, of which ``format`` is the version with a ``top``
    (the largest grid value; None where none was asked for) and an ``encoding`` (the new codes'
    levels by :func:`~nibblemac.formats.encoding.recode`'s digits; empty for the usual order).
    ``source`` is one of the module's four. ``adder`` is how the accumulator adds, ``effort``
    and ``seed`` are the search's. With a clock ``period_ps`` the design was sized for it, and
    ``met`` says whether it works at it.

    Areas in µm² and GE, ``delay_ps`` the critical path, ``energy_fj`` a product's energy with
    glitches and leakage, and ``power_uw`` at ``megahertz``; None where they were not measured, and
    ``unmeasured`` says why. The SQNR in dB of a lookup format on normal and on t(5) data, block
    128, and what it loses there against the real-valued levels; None for others. ``seconds`` are
    those that the design took, ``netlist`` is the SHA-256 of its Verilog. ``non_dominated``: no
    other design of ``asked`` is better in the objective's figures and the error.
    """

    asked: str
    format: str
    activation: str
    bits: int
    terms: int
    top: int | None
    encoding: str
    library: str
    library_digest: str
    source: str
    architecture: str
    recipe: str
    adder: str
    effort: str
    seed: int
    period_ps: float | None
    met: bool | None
    area_um2: float
    area_ge: float
    accumulator_bits: int
    cells: int
    delay_ps: float | None
    delay_method: str
    energy_fj: float | None
    power_uw: float | None
    megahertz: float | None
    leakage_nw: float | None
    unmeasured: str
    sqnr_normal_db: float | None
    sqnr_t5_db: float | None
    sqnr_loss_normal_db: float | None
    sqnr_loss_t5_db: float | None
    tools: str
    seconds: float
    netlist: str
    non_dominated: bool

    @property
    def version(self) -> str:
        """The format without its order of codes: all of its encodings quantize alike."""
        return self.format.partition("-codes")[0] if self.encoding else self.format


def designs_to_csv(designs: Iterable[Explored]) -> str:
    """Return the designs as CSV, one row each; None is an empty cell."""
    return to_csv(Explored, designs)


def designs_from_csv(text: str, source: str = "exploration CSV") -> tuple[Explored, ...]:
    """Read :func:`designs_to_csv`'s text back; raises :class:`DataError` with line and column."""
    return from_csv(Explored, text, source)


def designs_to_json(designs: Iterable[Explored], about: Mapping[str, object]) -> str:
    """Return the designs as JSON text, after the facts ``about`` all of them."""
    record = {**about, "designs": [asdict(one) for one in designs]}
    return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def designs_from_json(text: str, source: str = "exploration JSON") -> tuple[Explored, ...]:
    """Read the designs of :func:`designs_to_json` back; raises :class:`DataError`."""
    return from_json(Explored, text, "designs", source)
