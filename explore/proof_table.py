"""The table of proofs, and what it says in a sentence."""

from collections.abc import Sequence

from ..sim.proof import Proof, Verdict
from ..synth.result import AreaResult
from .text_table import MISSING, Column, TextTable

NOT_PROVEN = "Nothing was proven (--no-prove)."
_MARKS = {Verdict.PROVEN: "✓", Verdict.REFUTED: "✗", Verdict.UNPROVEN: "?"}
_WEAKEST_LAST = (Verdict.PROVEN.value, Verdict.UNPROVEN.value, Verdict.REFUTED.value)


def proof_table(proofs: Sequence[Proof]) -> TextTable:
    """Return format × (architecture, level): the verdicts, each with how many designs have it.

    Rows with a design that is not proven are marked.
    """
    keys = sorted(
        {(proof.architecture, proof.level) for proof in proofs},
        key=lambda key: (key[0], key[1] != "rtl", key[1]),
    )
    by_format: dict[str, dict[tuple[str, str], list[Proof]]] = {}
    for proof in proofs:
        cells = by_format.setdefault(proof.format, {})
        cells.setdefault((proof.architecture, proof.level), []).append(proof)
    rows: list[tuple[str, ...]] = []
    marked: set[int] = set()
    remarks: dict[tuple[int, int], str] = {}
    for index, (name, cells) in enumerate(by_format.items()):
        row = [name]
        for key in keys:
            here = cells.get(key, [])
            counts = {mark: [p for p in here if p.verdict is v] for v, mark in _MARKS.items()}
            open_ = [proof for proof in here if not proof.proven]
            if open_:
                marked.add(index)
                remarks[index, len(row)] = "\n".join(proof.describe() for proof in open_)
            shown = [f"{len(found)} {mark}" for mark, found in counts.items() if found]
            row.append(" ".join(shown) or MISSING)
        rows.append(tuple(row))
    columns = (
        Column(label="format", numeric=False),
        *(Column(label=level, group=architecture) for architecture, level in keys),
    )
    return TextTable(columns=columns, rows=tuple(rows), marked=frozenset(marked), remarks=remarks)


def proof_sentence(proofs: Sequence[Proof]) -> str:
    """Say how many designs are proven, by level."""
    parts = []
    for level, what in (("rtl", "Verilog designs"), ("netlist", "netlists")):
        here = [proof for proof in proofs if proof.level == level]
        if here:
            parts.append(f"{sum(proof.proven for proof in here)} of {len(here)} {what}")
    if not parts:
        return "Nothing was proven."
    return f"Proven equal to their formats' specification: {' and '.join(parts)}."


def proof_mark(area: AreaResult) -> str:
    """Return the mark of the weaker of a design's two proofs; a dash where there are none."""
    verdicts = [area.proof[level] for level in ("rtl", "netlist") if level in area.proof]
    if not verdicts:
        return MISSING
    weakest = max(verdicts, key=(*_WEAKEST_LAST, *verdicts).index)
    return _MARKS.get(Verdict(weakest), "?") if weakest in _WEAKEST_LAST else "?"
