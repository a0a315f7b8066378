"""Mutation coverage of the designs that are synthesised, with the cache and its folders."""

from collections.abc import Callable, Sequence

from ..formats.mac import MacSpec
from ..sim.mutants import DEFAULT_COUNT, check_choice
from ..sim.mutation import MutationSetup, Prover, mutate
from ..sim.mutation_result import MutationResult
from ..sim.simulators import Simulator
from ..synth.cache import Cache
from ..synth.sweep import make_design
from ..synth.yosys import Yosys, prepare
from .verification import models_folder


def mutate_designs(
    pairs: Sequence[tuple[MacSpec, str]],
    yosys: Yosys,
    cache: Cache,
    *,
    prover: Prover,
    simulator: Simulator,
    count: int = DEFAULT_COUNT,
    seed: int = 1,
    jobs: int | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> list[MutationResult]:
    """Return what became of the mutants of each (spec, architecture).

    ``progress`` is called with a design's top module and how many more of its ``count`` mutants
    are settled. Raises ArchitectureError for an architecture that cannot serve its format, and
    UsageError for a count or a seed out of range; what fails later is in the results.
    """
    check_choice(count, seed)
    subjects = [make_design(spec, architecture) for spec, architecture in pairs]
    with models_folder(cache) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        prepare(yosys, folder)
        setup = MutationSetup(
            yosys=yosys,
            prover=prover,
            workdir=folder,
            simulator=simulator,
            cache=cache,
            count=count,
            seed=seed,
            jobs=jobs,
        )
        return mutate(
            subjects,
            setup,
            None if progress is None else lambda subject, settled: progress(subject.top, settled),
        )
