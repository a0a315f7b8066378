"""Recipes: how a design becomes cells. A recipe is a named, readable list of passes.

The recipe decides the result as much as the design does: one MAC's area varies by 1.5 between
these. Every recipe starts from the RTLIL of the design, with the library's cells known as black
boxes, and ends before the tie cells, the checks and the figures, which are the same for all (see
:mod:`.flow`). ``{top}`` stands for the top module's name, and ``{dont_use}`` for options that leave
dfflibmap the cheapest flip-flop only. The files are ``library.lib``, ``abc.lib`` (the same with
areas in a scale that ABC's two decimals can hold), ``adders.v`` (see :mod:`.adders`) and
``abc.script``.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from ..formats.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A list of Yosys passes, and ABC's script (empty: Yosys's own for a Liberty library)."""

    name: str
    description: str
    passes: tuple[str, ...]
    abc: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of what the recipe does; its name and description are no part of it."""
        return hashlib.sha256(json.dumps([self.passes, self.abc]).encode()).hexdigest()


_FLIP_FLOPS = "dfflibmap -liberty library.lib {dont_use}"
_MAP = (_FLIP_FLOPS, "abc -liberty abc.lib -script abc.script")

# The accumulator's additions become rows of full adders before synth sees them, and -noalumacc
# keeps it from merging the multiplication and the addition into one $macc.
_ADDERS = (
    "proc",
    "opt",
    "wreduce",
    "opt",
    "techmap -map adders.v {top}_accumulator",
    "synth -top {top} -flatten -noalumacc",
)

# amap minimises area without regard to delay; dch gives it structural choices.
_AMAP = ("strash", "dch -f", "amap -m", "topo")

RECIPES = (
    Recipe(
        name="default",
        description="Yosys's own: synth -flatten, then abc's script for a Liberty library",
        passes=(
            "synth -top {top} -flatten",
            _FLIP_FLOPS,
            "abc -liberty abc.lib",
        ),
    ),
    Recipe(
        name="amap",
        description="no merged multiply-add; area-oriented mapping with structural choices",
        passes=("synth -top {top} -flatten -noalumacc", *_MAP),
        abc=_AMAP,
    ),
    Recipe(
        name="adders",
        description="the accumulator on the library's full adders; area-oriented mapping",
        passes=(*_ADDERS, *_MAP),
        abc=_AMAP,
    ),
    Recipe(
        name="adders-deepsyn",
        description="as adders, after a round of ABC's &deepsyn over all other logic",
        passes=(*_ADDERS, *_MAP),
        # Counted in rounds and steps, never in seconds, so that it repeats.
        abc=("strash", "&get -n", "&deepsyn -I 1 -J 1", "&put", *_AMAP[1:]),
    ),
)


#: The recipes that the smallest results come from; the others are there to compare with.
BEST = "best"
_BEST_NAMES = ("adders", "adders-deepsyn")


def find_recipe(name: str) -> Recipe:
    """Return a recipe by name; raises :class:`UsageError`, with the names, for an unknown one."""
    for recipe in RECIPES:
        if recipe.name == name.lower():
            return recipe
    names = ", ".join(recipe.name for recipe in RECIPES)
    raise UsageError(f"There is no recipe {name[:60]!r}; there are {names}, {BEST} and all.")


def find_recipes(name: str) -> Sequence[Recipe]:
    """Return the recipe of that name, the two for ``best``, or every one for ``all``."""
    if name.lower() == "all":
        return RECIPES
    if name.lower() == BEST:
        return tuple(find_recipe(one) for one in _BEST_NAMES)
    return (find_recipe(name),)
