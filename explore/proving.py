"""Proofs of designs at both levels: the Verilog, and netlists with their library's cells.

Both are proven against the specification from any state, so they also equal each other.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..formats.mac import MacSpec
from ..formats.scratch import make_scratch
from ..sim.proof import Proof
from ..sim.prove import DEFAULT_TIMEOUT, prove_all
from ..synth.area import Candidate
from ..synth.result import AreaResult
from ..synth.sweep import Flow
from .verification import netlist_designs, rtl_designs


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateProof:
    """The proofs of one candidate: of the Verilog it came from, and of its netlist."""

    candidate: Candidate
    rtl: Proof
    netlist: Proof

    @property
    def proven(self) -> bool:
        """Whether both levels are proven."""
        return self.rtl.proven and self.netlist.proven

    def record(self) -> dict[str, str]:
        """Return what an area record keeps of the proofs."""
        return {
            "rtl": self.rtl.verdict.value,
            "netlist": self.netlist.verdict.value,
            "method": self.netlist.method,
            "seconds": f"{self.rtl.seconds + self.netlist.seconds:.3f}",
        }


def prove_verilog(
    pairs: Sequence[tuple[MacSpec, str]],
    flow: Flow,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    waves: Path | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[Proof]:
    """Prove the Verilog of each (spec, architecture)."""
    return _prove(pairs, (), flow, timeout=timeout, waves=waves, progress=progress)[0]


def prove_candidates(
    candidates: Sequence[Candidate],
    flow: Flow,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    waves: Path | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[CandidateProof]:
    """Prove each candidate's Verilog, once an architecture, and its netlist.

    ``progress`` is called with how many are done, of how many, and the last one's name.
    """
    designs = [(one.task.design.spec, one.task.design.architecture) for one in candidates]
    pairs = list(dict.fromkeys(designs))
    rtl, netlists = _prove(pairs, candidates, flow, timeout=timeout, waves=waves, progress=progress)
    by_pair = dict(zip(pairs, rtl, strict=True))
    return [
        CandidateProof(candidate=one, rtl=by_pair[pair], netlist=netlist)
        for one, pair, netlist in zip(candidates, designs, netlists, strict=True)
    ]


def _prove(
    pairs: Sequence[tuple[MacSpec, str]],
    candidates: Sequence[Candidate],
    flow: Flow,
    *,
    timeout: float,
    waves: Path | None,
    progress: Callable[[int, int, str], None] | None,
) -> tuple[list[Proof], list[Proof]]:
    designs = [*rtl_designs(pairs, flow.cache), *netlist_designs(candidates, flow.library)]
    done = 0

    def count(proof: Proof) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, len(designs), proof.name)

    folder = make_scratch()
    try:
        proofs = prove_all(
            designs,
            flow.yosys,
            workdir=folder,
            jobs=flow.jobs,
            timeout=timeout,
            waves=waves,
            cache=flow.cache,
            progress=count,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return proofs[: len(pairs)], proofs[len(pairs) :]


def with_proofs(
    results: Sequence[AreaResult], proofs: Sequence[CandidateProof]
) -> list[AreaResult]:
    """Return area records with what was proven of their designs, in the same order."""
    return [
        replace(result, proof=proof.record()) for result, proof in zip(results, proofs, strict=True)
    ]


def proofs_of(proved: Sequence[CandidateProof]) -> list[Proof]:
    """Return all proofs, those of Verilog that several netlists share once."""
    rtl = {id(one.rtl): one.rtl for one in proved}
    return [*rtl.values(), *(one.netlist for one in proved)]


def proofs_to_json(proofs: Sequence[Proof]) -> str:
    """Return proofs as a JSON array."""
    records: list[Mapping[str, object]] = [proof.to_json() for proof in proofs]
    return json.dumps(records, indent=2, ensure_ascii=False) + "\n"
