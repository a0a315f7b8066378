"""What to explore."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..formats.errors import UsageError
from ..formats.mac import MacSpec
from ..synth.recipes import Recipe
from ..synth.timed_recipes import TIMED_RECIPES, TimedRecipe
from .objective import Objective


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to explore.

    ``tops`` put lookup formats on these grids; ``orders`` is how many orders of codes are tried for
    each. ``periods_ps`` are clock periods to meet.
    """

    specs: Sequence[MacSpec]
    architectures: Sequence[str]
    recipes: Sequence[Recipe]
    objective: Objective
    tops: Sequence[int] = ()
    orders: int = 0
    periods_ps: Sequence[float] = ()
    timed_recipes: Sequence[TimedRecipe] = TIMED_RECIPES

    def __post_init__(self) -> None:
        for period in self.periods_ps:
            if not 0 < period < 1e9:
                raise UsageError(
                    f"The clock period is {period / 1000:g} ns; it must be a positive number."
                )
        if self.orders < 0:
            raise UsageError(f"The orders of codes are {self.orders}; give 0 or more.")
