"""Where an exploration's designs come from: recipes, orders of codes, search, store, periods."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from ..formats.errors import NibblemacError
from ..synth.area import SearchSetup, plan, serving_architectures
from ..synth.effort import EFFORTS, QUICK, Effort, reaches
from ..synth.flow import Mapped
from ..synth.kernel import engine
from ..synth.mapping_jobs import map_starts, map_tasks, meet_periods
from ..synth.measure import MeasureSetup
from ..synth.search import Search
from ..synth.store import Store
from ..synth.sweep import Flow, Task, make_design
from ..synth.timed import Start
from .design import Design
from .explored import MAPPED, SEARCHED, STORED, TIMED
from .orders import FINALISTS, search_orders
from .request import Request
from .space import Place

#: The timed recipes of quick effort: small and slow to large and fast.
QUICK_TIMED = (
    "full-adders/area",
    "full-adders/balanced",
    "ripple/balanced",
    "carry-increment/balanced",
    "carry-increment/fast",
    "sklansky/fast",
)
Progress = Callable[[str, int, int, str], None]


@dataclass(kw_only=True)
class Sources:
    """Library, tools and executor; what goes wrong on the way is added to ``failures``."""

    flow: Flow
    search: SearchSetup
    executor: Executor
    setup: MeasureSetup
    progress: Progress | None = None
    failures: list[str] = field(default_factory=list)

    def tell(self, stage: str, total: int) -> Callable[[object], None]:
        """Return a function that counts what is done of a stage."""
        done = 0

        def count(_what: object) -> None:
            nonlocal done
            done += 1
            if self.progress is not None:
                self.progress(stage, done, total, "")

        return count

    def mapped(self, request: Request, wanted: Sequence[Place]) -> list[Design]:
        """Map every architecture by every recipe; raises ArchitectureError where none serves."""
        tasks, owners = [], []
        for place in wanted:
            own = plan([place.spec], request.architectures, request.recipes)
            tasks += own
            owners += [place] * len(own)
        tell = self.tell("synthesis", len(tasks))
        outcomes = map_tasks(self.flow, tasks, self.executor, tell)
        found = []
        for place, task, outcome in zip(owners, tasks, outcomes, strict=True):
            if isinstance(outcome, Mapped):
                found.append(self._of_task(place, task, outcome))
            elif outcome is not None:
                self.failures.append(str(outcome))
        return found

    def _of_task(self, place: Place, task: Task, mapped: Mapped) -> Design:
        return Design(
            place=place,
            source=MAPPED,
            architecture=task.design.architecture,
            recipe=task.recipe.name,
            effort=QUICK.name,
            seed=self.search.seed,
            mapped=mapped,
            seconds=mapped.seconds,
            tools=self.flow.yosys.tools,
        )

    def ordered(
        self, request: Request, wanted: Sequence[Place], designs: Sequence[Design]
    ) -> tuple[list[Place], list[Design]]:
        """Return the most promising orders of codes, and the designs of all that were tried."""
        more: list[Place] = []
        found: list[Design] = []
        recipes = {recipe.name: recipe for recipe in request.recipes}
        for place in wanted:
            own = [one for one in designs if one.place == place]
            if not own:
                continue
            best = min(own, key=_area)

            def tell(done: int, total: int, name: str = place.format.name) -> None:
                if self.progress is not None:
                    self.progress(f"orders of {name}", done, total, "")

            orders = search_orders(
                self.flow,
                place,
                best.architecture,
                recipes[best.recipe],
                executor=self.executor,
                count=request.orders,
                seed=self.search.seed,
                progress=tell,
                late=self.search.late,
            )
            found += [self._of_task(one.place, one.task, one.mapped) for one in orders]
            more += [one.place for one in orders if one.place.spec != place.spec][:FINALISTS]
        known = {place.spec for place in wanted}
        return [place for place in more if place.spec not in known], found

    def searched(
        self, request: Request, wanted: Sequence[Place], known: Sequence[Design]
    ) -> list[Design]:
        """Search for smaller designs, where the effort says so and there is time.

        What the store gave (``known``) of this effort and seed need not be searched again.
        """
        setup = self.search
        if not setup.effort.searched or setup.late.is_set():
            return []
        served = {
            one.spec
            for one in known
            if one.seed == setup.seed and _serves(one.effort, setup.effort)
        }
        owners = {place.spec: place for place in wanted if place.spec not in served}
        if not owners:
            return []
        search = Search(
            library=self.flow.library,
            yosys=self.flow.yosys,
            cache=self.flow.cache,
            effort=setup.effort,
            seed=setup.seed,
            late=setup.late,
        )

        def tell(stage: str, done: int, total: int) -> None:
            if self.progress is not None:
                self.progress(stage, done, total, "")

        found, failed = search.run(list(owners), request.architectures, self.executor, tell)
        self.failures += [str(error) for _, error in failed]
        # What was not searched to the end must not pass for this effort's best.
        cut = ", cut short" if setup.late.is_set() else ""
        return [
            Design(
                place=owners[one.spec],
                source=SEARCHED,
                architecture=one.design.architecture,
                recipe="search",
                effort=one.effort + cut,
                seed=one.seed,
                mapped=one.mapped,
                seconds=one.seconds,
                tools={**self.flow.yosys.tools, "annealing": engine()},
            )
            for one in found
        ]

    def stored(self, store: Store, wanted: Sequence[Place]) -> list[Design]:
        """Return the smallest designs that are known from before."""
        found = []
        for place in wanted:
            one = store.best(place.spec, self.flow.library)
            if one is None:
                continue
            said = one.provenance
            found.append(
                Design(
                    place=place,
                    source=STORED,
                    architecture=said.architecture,
                    recipe=said.recipe,
                    effort=said.effort,
                    seed=said.seed,
                    mapped=one.mapped(place.spec, self.flow.library),
                    seconds=said.seconds,
                    tools=said.tools,
                )
            )
        return found

    def timed(
        self, request: Request, wanted: Sequence[Place], designs: Sequence[Design]
    ) -> list[Design]:
        """Return for each place and period the smallest design that meets it, or the fastest."""
        owners, cases = [], []
        for place in wanted:
            own = [one for one in designs if one.place == place]
            if not own or self.search.late.is_set():
                continue
            starts = self._starts(request, place, own)
            owners += [place] * len(request.periods_ps)
            cases += [(starts, period) for period in request.periods_ps]
        outcomes = meet_periods(
            self.flow,
            cases,
            self.executor,
            conditions=self.setup.conditions,
            engine=self.setup.engine,
            progress=self.tell("clock periods", len(cases)),
            late=self.search.late,
        )
        found = []
        for place, outcome in zip(owners, outcomes, strict=True):
            if isinstance(outcome, NibblemacError):
                self.failures.append(str(outcome))
            elif outcome is not None:
                found.append(
                    Design(
                        place=place,
                        source=TIMED,
                        architecture=outcome.design.architecture,
                        recipe=outcome.recipe,
                        effort=self.search.effort.name,
                        seed=self.search.seed,
                        mapped=outcome.mapped,
                        seconds=outcome.mapped.seconds,
                        tools=self.flow.yosys.tools,
                        period_ps=outcome.period_ps,
                        met=outcome.met,
                    )
                )
        return found

    def _starts(self, request: Request, place: Place, own: Sequence[Design]) -> list[Start]:
        """Map for speed: all architectures and recipes, or at quick effort the likeliest."""
        recipes = request.timed_recipes
        if self.search.effort.searched:
            names = serving_architectures(place.spec, request.architectures)
        else:
            names = [min((one for one in own if one.source == MAPPED), key=_area).architecture]
            recipes = [one for one in recipes if one.name in QUICK_TIMED] or recipes
        starts, failures = map_starts(
            self.flow,
            [make_design(place.spec, name) for name in names],
            recipes,
            self.executor,
            progress=self.tell(f"fast versions of {place.format.name}", len(names) * len(recipes)),
            late=self.search.late,
        )
        self.failures += [str(error) for error in failures]
        smallest = min(own, key=_area)
        design = make_design(place.spec, smallest.architecture)
        return [*starts, Start(design=design, recipe=smallest.recipe, mapped=smallest.mapped)]


def _serves(found: str, wanted: Effort) -> bool:
    return found == wanted.name or (wanted in EFFORTS and reaches(found, wanted))


def _area(one: Design) -> float:
    return one.mapped.area_um2
