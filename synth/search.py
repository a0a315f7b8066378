"""The search for the smallest MAC of each format.

The product block is searched by itself, from several architectures and mappings; then it is put
before an accumulator, and the whole is searched in windows. All formats go through each stage
together, so that every core has work. See :mod:`.effort` for the budget and :mod:`.search_steps`
for the steps.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field

from ..formats.errors import ArchitectureError, NibblemacError, SynthesisError
from ..formats.mac import MacSpec
from ..rtl.architectures import refusal
from .accumulate import AccumulatorShape
from .accumulator_starts import accumulator_module, map_accumulator
from .anneal import HOT
from .cache import Cache, Record, cache_key
from .cells import CellLibrary
from .effort import Effort
from .finish import MAX_TERMS, finish
from .flow import FLOW_VERSION, Mapped
from .gates import XOR2, gate_library
from .jobs import Failed, Job, run_jobs
from .kernel import engine
from .netlist import Netlist
from .one_hot import OneHotShape, one_hot_start
from .product_search import LINES, NEGATE, PRODUCT
from .refine import area_of
from .search_steps import (
    SEARCH_VERSION,
    START_SCRIPTS,
    Budget,
    map_products,
    polish_mac,
    search_accumulator,
    search_mac,
    search_product,
)
from .sweep import Design, make_design
from .yosys import Yosys

#: Codes of more bits together have too many pairs for the product's search.
MOST_CODE_BITS = 12
#: Starts larger than the smallest by this factor are not worth their time.
_LARGEST_START = 1.6
#: A search that goes on with a result starts cooler.
_AGAIN = 0.7 * HOT


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The smallest MAC found: its design's architecture is that of the product block's start.

    ``seconds`` are CPU seconds of the steps that made it and of those that lost against it.
    """

    spec: MacSpec
    design: Design
    mapped: Mapped
    effort: str
    seed: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Block:
    """A netlist on its way, as a record, its area, and the design that it began with."""

    netlist: Record
    area: float
    design: Design


@dataclass(frozen=True, kw_only=True, slots=True)
class _Planned:
    """A job and what its result is given to."""

    job: Job
    take: Callable[[Record], None]


@dataclass(kw_only=True, slots=True)
class _Run:
    """One MAC's way through the stages: the blocks found so far."""

    spec: MacSpec
    designs: list[Design]
    error: NibblemacError | None = None
    seconds: float = 0.0
    starts: list[_Block] = field(default_factory=list)
    products: list[_Block] = field(default_factory=list)
    accumulators: dict[AccumulatorShape | OneHotShape, _Block] = field(default_factory=dict)
    mapped: dict[AccumulatorShape, _Block | None] = field(default_factory=dict)
    macs: list[_Block] = field(default_factory=list)

    def best_products(self, count: int) -> list[_Block]:
        """Return the smallest product blocks, or where the search was cut short, starts."""
        return _smallest(self.products or self.starts, count)

    @property
    def products_facts(self) -> Record:
        """What the search of a product block depends on but for its start."""
        return {
            "weight": list(self.spec.weight.grid),
            "activation": list(self.spec.activation.grid),
        }


def _smallest(blocks: Sequence[_Block], count: int) -> list[_Block]:
    """Return the smallest blocks, those of one netlist once."""
    found: dict[str, _Block] = {}
    for block in sorted(blocks, key=lambda one: one.area):
        found.setdefault(cache_key(block.netlist), block)
    return list(found.values())[:count]


def _check(record: Record) -> None:
    """Refuse a cached record that is no step's; raises KeyError, TypeError or ValueError."""
    netlists, areas = [record["netlist"]], [record["area"]]
    _check_blocks(netlists, areas, record["seconds"])


def _check_starts(record: Record) -> None:
    """Refuse a cached record that is no list of starts."""
    _check_blocks(record["netlists"], record["areas"], record["seconds"])


def _check_blocks(netlists: object, areas: object, seconds: object) -> None:
    if not (isinstance(netlists, list) and isinstance(areas, list) and len(netlists) == len(areas)):
        raise TypeError("its netlists and areas are no lists")
    if not all(type(number) in {int, float} and number >= 0 for number in (*areas, seconds)):
        raise TypeError("an area or a time is no number")
    for netlist in netlists:
        Netlist.from_json(netlist)


def _adder_into(blocks: list[_Block], design: Design) -> Callable[[Record], None]:
    def take(record: Record) -> None:
        netlist, area = record["netlist"], record["area"]
        if isinstance(netlist, dict) and isinstance(area, (int, float)):
            blocks.append(_Block(netlist=netlist, area=area, design=design))

    return take


@dataclass(frozen=True, kw_only=True)
class Search:
    """A library, a budget and where to run; ``late`` may be set to end the search early."""

    library: CellLibrary
    yosys: Yosys
    cache: Cache
    effort: Effort
    seed: int = 1
    late: threading.Event = field(default_factory=threading.Event)

    def run(
        self,
        specs: Sequence[MacSpec],
        architectures: Sequence[str],
        executor: Executor,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> tuple[list[Found], list[tuple[MacSpec, NibblemacError]]]:
        """Return what was found for each MAC, in order, and why there is nothing for the others.

        ``progress`` is called with a stage's name, how many of its jobs are done, and how many
        there are. A search that ends early gives the best of what it finished. Raises
        ArchitectureError for a MAC that none of the architectures can serve.
        """
        runs = [_begin(spec, architectures) for spec in specs]
        stages: list[tuple[str, Callable[[_Run], list[_Planned]]]] = [
            ("starting points", self._starts),
            ("product blocks", self._products),
            ("best product blocks", self._better_products),
            ("accumulators", self._accumulators),
            ("whole MACs", self._macs),
        ]
        stages += [(f"whole MACs, pass {i}", self._better_macs) for i in range(2, 1 + self.passes)]
        for name, plan in stages:
            self._stage(name, runs, plan, executor, progress)
        found, failures = [], []
        for run in runs:
            try:
                found.append(self._finish(run))
            except NibblemacError as error:
                failures.append((run.spec, error))
        return found, failures

    @property
    def passes(self) -> int:
        """How often whole MACs are searched."""
        return self.effort.passes

    def _stage(
        self,
        name: str,
        runs: Sequence[_Run],
        plan: Callable[[_Run], list[_Planned]],
        executor: Executor,
        progress: Callable[[str, int, int], None] | None,
    ) -> None:
        planned = [(run, one) for run in runs if run.error is None for one in plan(run)]
        done = 0

        def count(_index: int) -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(name, done, len(planned))

        # Without starts and accumulators there is no result at all, late or not.
        needed = plan in (self._starts, self._accumulators, self._macs)
        jobs = [one.job for _, one in planned]
        late = None if needed else self.late
        outcomes = run_jobs(jobs, executor, self.cache, count, late)
        for (run, one), outcome in zip(planned, outcomes, strict=True):
            if isinstance(outcome, Failed):
                run.error = outcome.error
            elif outcome is not None:
                run.seconds += float(str(outcome["seconds"]))
                one.take(outcome)

    def _facts(self, step: str, **facts: object) -> Record:
        library = self.library.digest
        return {
            "what": f"search {step}",
            "version": SEARCH_VERSION,
            "engine": engine(),
            "library": library,
            **facts,
        }

    def _starts(self, run: _Run) -> list[_Planned]:
        planned = []
        for design in run.designs:
            facts = {
                "design": design.digest,
                "top": design.top,
                "tools": self.yosys.tools,
                "scripts": START_SCRIPTS,
            }
            job = Job(
                function=map_products,
                arguments=(design.rtlil, design.top, self.library, self.yosys),
                facts=self._facts("starts", flow=FLOW_VERSION, **facts),
                check=_check_starts,
            )

            def take(record: Record, design: Design = design) -> None:
                netlists, areas = record["netlists"], record["areas"]
                if isinstance(netlists, list) and isinstance(areas, list):
                    for netlist, area in zip(netlists, areas, strict=True):
                        run.starts.append(_Block(netlist=netlist, area=area, design=design))

            planned.append(_Planned(job=job, take=take))
        return planned

    def _product(self, run: _Run, start: _Block, *, steps: int, seed: int, hot: float) -> _Planned:
        facts = self._facts(
            "product", netlist=start.netlist, steps=steps, seed=seed, hot=hot, **run.products_facts
        )
        arguments = (start.netlist, run.spec, self.library, (steps, seed, hot))
        job = Job(function=search_product, arguments=arguments, facts=facts, check=_check)
        return _Planned(job=job, take=_adder_into(run.products, start.design))

    def _products(self, run: _Run) -> list[_Planned]:
        if run.spec.weight.bits + run.spec.activation.bits > MOST_CODE_BITS:
            return []
        effort = self.effort
        least = min(start.area for start in run.starts)
        starts = [one for one in run.starts if one.area <= _LARGEST_START * least]
        starts = _smallest(starts, effort.starts)
        starts += [one for start in starts for one in self._one_hot(run, start)]
        return [
            self._product(run, start, steps=effort.first_steps, seed=seed, hot=HOT)
            for start in starts
            for seed in range(self.seed, self.seed + effort.seeds)
        ]

    def _one_hot(self, run: _Run, start: _Block) -> list[_Block]:
        gates = gate_library(self.library)
        netlist = one_hot_start(Netlist.from_json(start.netlist), run.spec, gates)
        if netlist is None:
            return []
        area = area_of(netlist, gates)
        return [_Block(netlist=netlist.to_json(), area=area, design=start.design)]

    def _better_products(self, run: _Run) -> list[_Planned]:
        effort = self.effort
        if not run.products:
            return []
        return [
            self._product(run, one, steps=effort.second_steps, seed=self.seed, hot=_AGAIN)
            for one in run.best_products(effort.finalists)
        ]

    def _budget(self, seed: int) -> Budget:
        effort = self.effort
        return Budget(
            low_steps=effort.low_steps,
            windows=effort.windows,
            window_steps=effort.window_steps,
            seed=seed,
        )

    def _shapes(self, run: _Run, product: _Block) -> "list[AccumulatorShape | OneHotShape]":
        ports = {port.name: port for port in Netlist.from_json(product.netlist).ports}
        if LINES in ports:
            lines, bits = len(ports[LINES].nets), run.spec.accumulator_bits
            return [OneHotShape(lines=lines, accumulator_bits=bits)]
        return [
            AccumulatorShape(
                product_bits=len(ports[PRODUCT].nets),
                accumulator_bits=run.spec.accumulator_bits,
                negate=NEGATE in ports,
                full_adders=full_adders,
            )
            for full_adders in (True, False)
        ]

    def _accumulators(self, run: _Run) -> list[_Planned]:
        effort = self.effort
        products = run.best_products(effort.finalists)
        shapes = {shape: None for product in products for shape in self._shapes(run, product)}
        planned = []
        for shape in shapes:
            budget = self._budget(self.seed)
            facts = self._facts("accumulator", shape=asdict(shape), budget=asdict(budget))
            arguments = (shape, self.library, budget)

            def take(record: Record, shape: AccumulatorShape | OneHotShape = shape) -> None:
                found: list[_Block] = []
                _adder_into(found, run.designs[0])(record)
                run.accumulators[shape] = found[0]

            job = Job(function=search_accumulator, arguments=arguments, facts=facts, check=_check)
            planned.append(_Planned(job=job, take=take))
        for product in products:
            for shape in self._shapes(run, product):
                if isinstance(shape, AccumulatorShape) and shape.full_adders:
                    if shape in run.mapped:
                        continue
                    run.mapped[shape] = None
                    planned.append(self._mapped_accumulator(run, product.design, shape))
        return planned

    def _mapped_accumulator(self, run: _Run, design: Design, shape: AccumulatorShape) -> _Planned:
        budget = self._budget(self.seed)
        module = accumulator_module(design.rtlil, design.top)
        facts = self._facts("mapped accumulator", module=module, budget=asdict(budget))
        facts |= {"flow": FLOW_VERSION, "tools": self.yosys.tools}
        arguments = (module, self.library, self.yosys, budget)

        def take(record: Record) -> None:
            found: list[_Block] = []
            _adder_into(found, design)(record)
            run.mapped[shape] = found[0]

        return _Planned(
            job=Job(function=map_accumulator, arguments=arguments, facts=facts, check=_check),
            take=take,
        )

    def _macs(self, run: _Run) -> list[_Planned]:
        effort = self.effort
        planned = []
        for product in run.best_products(effort.finalists):
            blocks = self._best_accumulators(run, product)
            budget = self._budget(self.seed)
            for block in blocks:
                top = product.design.top
                job = Job(
                    function=search_mac,
                    arguments=(top, product.netlist, block.netlist, self.library, budget),
                    facts=self._facts(
                        "mac",
                        top=top,
                        product=product.netlist,
                        accumulator=block.netlist,
                        budget=asdict(budget),
                    ),
                    check=_check,
                )
                take = _adder_into(run.macs, product.design)
                planned.append(_Planned(job=job, take=take))
        return planned

    def _best_accumulators(self, run: _Run, product: _Block) -> list[_Block]:
        """Return the accumulators that promise the smallest MACs.

        Built ones lose two exclusive ors before a product with ``negate``: the one that makes bit 0
        of its one's complement, and their own, which takes it back.
        """
        shapes = self._shapes(run, product)
        built = [run.accumulators[shape] for shape in shapes if shape in run.accumulators]
        gain = 0.0
        if any(isinstance(shape, AccumulatorShape) and shape.negate for shape in shapes):
            gain = 2 * gate_library(self.library).least[XOR2]
        ranked = [(block.area - gain, block) for block in built]
        mapped = [run.mapped.get(shape) for shape in shapes if isinstance(shape, AccumulatorShape)]
        ranked += [(block.area, block) for block in mapped if block is not None]
        ranked.sort(key=lambda item: item[0])
        found: dict[str, _Block] = {}
        for _, block in ranked:
            found.setdefault(cache_key(block.netlist), block)
        return list(found.values())[: self.effort.accumulators]

    def _better_macs(self, run: _Run) -> list[_Planned]:
        effort = self.effort
        budget = self._budget(self.seed + len(run.macs))
        return [
            _Planned(
                job=Job(
                    function=polish_mac,
                    arguments=(block.netlist, self.library, budget),
                    facts=self._facts("polish", netlist=block.netlist, budget=asdict(budget)),
                    check=_check,
                ),
                take=_adder_into(run.macs, block.design),
            )
            for block in _smallest(run.macs, effort.finalists)
        ]

    def _finish(self, run: _Run) -> Found:
        if run.error is not None:
            raise run.error
        if not run.macs:
            raise SynthesisError(f"The search ended before it had a MAC of {run.spec.name}.")
        (best,) = _smallest(run.macs, 1)
        design = best.design
        origin = (
            f"Searched from {design.architecture}: effort {self.effort.name}, seed {self.seed}."
        )
        facts = self._facts("finish", netlist=best.netlist, terms=run.spec.terms, origin=origin)
        facts |= {"flow": FLOW_VERSION, "top": design.top, "tools": self.yosys.tools}
        key = cache_key(facts | run.products_facts)
        mapped = self.cache.read(key, Mapped.from_json)
        if mapped is None:
            netlist = Netlist.from_json(best.netlist)
            mapped = finish(netlist, design.top, run.spec, self.library, self.yosys, origin=origin)
            self.cache.put(key, mapped.to_json())
        return Found(
            spec=run.spec,
            design=design,
            mapped=mapped,
            effort=self.effort.name,
            seed=self.seed,
            seconds=round(run.seconds, 3),
        )


def _begin(spec: MacSpec, architectures: Sequence[str]) -> _Run:
    names = [name for name in architectures if refusal(spec, name) is None]
    if not names:
        raise ArchitectureError(
            " ".join(reason for name in architectures if (reason := refusal(spec, name)))
        )
    run = _Run(spec=spec, designs=[make_design(spec, name) for name in names])
    if spec.enable or spec.registered_product:
        run.error = SynthesisError(
            f"The search finds MACs without enable and without a registered product; {spec.name} "
            "can be mapped only: use the effort quick."
        )
    elif spec.terms > MAX_TERMS:
        run.error = SynthesisError(
            f"The search checks dot products of at most {MAX_TERMS} terms; {spec.name} has "
            f"{spec.terms}, and can be mapped only: use the effort quick."
        )
    return run
