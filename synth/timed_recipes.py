"""Recipes for speed: an adder and an ABC script each, mapped on a Liberty with delays.

They lay out the choice from small and slow to large and fast; what a clock period asks for beyond
that is left to :mod:`.sizing`, which trims every one of them. The scripts know no period, so that
one mapping serves all periods.
"""

import hashlib
from dataclasses import dataclass

from .adders import adder_techmap
from .carry_networks import CARRY_NETWORKS, carry_techmap
from .cells import CellLibrary
from .flow import FlowLibrary
from .liberty_writer import to_liberty
from .recipes import Recipe

#: The accumulator on the library's full adders (:mod:`.adders`), which ABC can neither restructure
#: nor see paths through: small, for relaxed periods.
FULL_ADDERS = "full-adders"

_PREPARE = ("strash", "ifraig", "scorr", "dc2", "strash")
#: buffer adds buffers at large fan-outs; upsize and dnsize choose drive strengths.
_SIZE = ("topo", "buffer -c", "topo", "upsize", "dnsize")
#: ABC's script by name. ``area`` ignores delay, ``balanced`` maps for delay with structural
#: choices, ``compact`` for area among shallow structures, ``fast`` first collapses the logic into
#: wide nodes for the least depth.
SCRIPTS = {
    "area": ("strash", "dch -f", "amap -m", "topo"),
    "balanced": (*_PREPARE, "dch -f", "map -B 0.9", *_SIZE),
    "compact": (*_PREPARE, "&get -n", "&st", "&if -g -K 6", "&synch2", "&nf", "&put", *_SIZE),
    "fast": (*_PREPARE, "dch", "if -g", "strash", "dch -f", "map -B 0.9", *_SIZE),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedRecipe:
    """An adder (:data:`FULL_ADDERS` or one of the carry networks) and a script's name."""

    adder: str
    script: str

    @property
    def name(self) -> str:
        """Adder and script, as results name them."""
        return f"{self.adder}/{self.script}"

    @property
    def recipe(self) -> Recipe:
        """The passes, for the flow."""
        return Recipe(
            name=self.name.replace("/", "_"),
            description=f"{self.adder} for the accumulator, ABC's script for {self.script}",
            passes=(
                "proc",
                "opt",
                "wreduce",
                "opt",
                "techmap -map adders.v {top}_accumulator",
                "synth -top {top} -flatten -noalumacc",
                "dfflibmap -liberty library.lib {dont_use}",
                "abc -liberty abc.lib -script abc.script",
            ),
            abc=SCRIPTS[self.script],
        )

    def techmap(self, library: CellLibrary) -> str:
        """Return the adder's techmap file."""
        if self.adder == FULL_ADDERS:
            return adder_techmap(library)
        return carry_techmap(self.adder)

    def prepare(self, library: CellLibrary) -> FlowLibrary:
        """Write the library out with delays, beside this recipe's adder."""
        return FlowLibrary(
            library=library,
            liberty=to_liberty(library, timing=False),
            abc_liberty=to_liberty(library),
            adders=self.techmap(library),
        )

    def digest(self, library: CellLibrary) -> str:
        """SHA-256 of all that the recipe does on a library."""
        return hashlib.sha256((self.recipe.digest + self.techmap(library)).encode()).hexdigest()


#: Slow adders with scripts for area, fast ones with scripts for speed.
TIMED_RECIPES = (
    TimedRecipe(adder=FULL_ADDERS, script="area"),
    TimedRecipe(adder=FULL_ADDERS, script="balanced"),
    *(TimedRecipe(adder=adder, script=script) for adder in CARRY_NETWORKS for script in SCRIPTS),
)
