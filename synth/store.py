"""The best designs known: checked netlists, by what the MAC is and by the library.

A design's place follows from the grids of both formats, the terms, the ports, the library's digest
and what "best" means, so that it is found again under any name of a format. Its file is called
after its figure: writers never replace each other's files, readers take the smallest that is
whole, and so a folder may be shared by processes and, on a network, by machines, or be copied.
"""

import contextlib
import math
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..formats.errors import NibblemacError, UsageError
from ..formats.mac import MacSpec
from .cache import cache_folder, cache_key
from .cells import CellLibrary
from .netlist import Netlist
from .record_file import read_record, write_record
from .shipped import shipped_designs
from .stored import Provenance, Stored, area_of, checked, plain

#: Folders for designs, separated as in PATH: the first is written, all are read.
ENVIRONMENT = "NIBBLEMAC_STORE"
AREA, DELAY, ENERGY = "area", "delay", "energy"
OBJECTIVES = (AREA, DELAY, ENERGY)

_VERSION = 1
#: Files that a folder keeps for a key: a damaged best leaves a second.
_KEPT = 3
_FILE = re.compile(r"(?P<figure>\d{1,12}\.\d{6})-[0-9a-f]{16}\.json")


class StoreWarning(UserWarning):
    """A store that cannot be used, or a design in it that is damaged or wrong."""


def store_folders() -> tuple[Path, ...]:
    """Return the user's folders: ``NIBBLEMAC_STORE``, or one beside the cache's records."""
    given = [name for name in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if name]
    return tuple(Path(name).absolute() for name in given) or (cache_folder() / "designs",)


def store_key(
    spec: MacSpec,
    library: CellLibrary,
    objective: str = AREA,
    conditions: Mapping[str, str] | None = None,
) -> str:
    """Return the key of a MAC's best design; of area the conditions are no part.

    Raises :class:`UsageError` for an unknown objective.
    """
    if objective not in OBJECTIVES:
        raise UsageError(
            f"There is no objective {objective!r:.60}; there are {', '.join(OBJECTIVES)}."
        )
    return cache_key(
        {
            "what": "best design",
            "version": _VERSION,
            "weight": list(spec.weight.grid),
            "activation": list(spec.activation.grid),
            "terms": spec.terms,
            "enable": spec.enable,
            "registered_product": spec.registered_product,
            "library": library.digest,
            "objective": objective,
            "conditions": {} if objective == AREA else dict(conditions or {}),
        }
    )


class Store:
    """Folders of designs; the first is written too, and designs that the package ships are read.

    A folder that cannot be written, or a design that is damaged or computes other sums, is told
    by a :class:`StoreWarning` and left alone.
    """

    def __init__(self, folders: Sequence[Path] | None = None, *, shipped: bool = True) -> None:
        self.folders = tuple(store_folders() if folders is None else folders)
        self.shipped = shipped
        self._warned = False
        if not self.folders:
            raise UsageError("A store needs a folder.")

    def best(
        self,
        spec: MacSpec,
        library: CellLibrary,
        objective: str = AREA,
        conditions: Mapping[str, str] | None = None,
    ) -> Stored | None:
        """Return the best design of a MAC, its sums simulated again, or None.

        ``conditions`` say under what delays and energies were measured: only designs measured
        under the same compete.
        """
        key = store_key(spec, library, objective, conditions)
        for entry in sorted(self._entries(key, library), key=lambda one: one.rank):
            try:
                found = entry.read()
                checked(found.netlist, spec, library)
                _check_figure(found, library, objective)
            except FileNotFoundError:
                continue  # a better one has just taken its place
            except (OSError, ValueError, KeyError, TypeError, NibblemacError) as error:
                said = str(error).rstrip(".")
                warnings.warn(
                    StoreWarning(f"The design {entry.where} is left alone: {said}."), stacklevel=2
                )
            else:
                return found
        return None

    def offer(
        self,
        spec: MacSpec,
        library: CellLibrary,
        netlist: Netlist,
        provenance: Provenance,
        *,
        objective: str = AREA,
        figure: float | None = None,
        conditions: Mapping[str, str] | None = None,
    ) -> bool:
        """Keep a design if it is better than all that is known; return whether it was.

        ``figure`` is the delay (ps) or the energy a product (fJ); of area it is computed. Raises
        :class:`SynthesisError` for a netlist that is no MAC of ``spec``, and :class:`UsageError`
        for an unknown objective or a figure that is none.
        """
        key = store_key(spec, library, objective, conditions)
        netlist = plain(netlist)
        value = area_of(netlist, library) if objective == AREA else figure
        if value is None or not 0 < value < math.inf:
            raise UsageError(f"The figure of a design is {value!r}; it must be a positive number.")
        best = self.best(spec, library, objective, conditions)
        if best is not None and best.figure <= value:
            return False
        checked(netlist, spec, library)
        found = Stored(netlist=netlist, figure=value, provenance=provenance)
        folder = self._folder(self.folders[0], key)
        try:
            write_record(folder / _name(found), found.to_json())
        except OSError as error:
            self._warn_unwritable(error)
            return False
        worse = sorted(entry.rank for entry in _files(folder) if entry.rank > _rank(found))
        for _, name in worse[_KEPT - 1 :]:
            with contextlib.suppress(OSError):
                (folder / name).unlink()
        return True

    @staticmethod
    def _folder(folder: Path, key: str) -> Path:
        return folder / key[:2] / key

    def _entries(self, key: str, library: CellLibrary) -> Iterator["_Entry"]:
        for folder in self.folders:
            yield from _files(self._folder(folder, key))
        if self.shipped:
            for stored in shipped_designs(library).get(key, ()):
                yield _Shipped(rank=_rank(stored), where="of the package", stored=stored)

    def _warn_unwritable(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                StoreWarning(
                    f"The store {self.folders[0]} cannot be written ({error}); designs are not "
                    "kept."
                ),
                stacklevel=3,
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    """A design in a folder; ``rank`` is its figure and its file's name."""

    rank: tuple[float, str]
    path: Path

    @property
    def where(self) -> str:
        return str(self.path)

    def read(self) -> Stored:
        """Return the design; raises OSError, ValueError, KeyError or TypeError."""
        found = Stored.from_json(read_record(self.path))
        if _name(found) != self.path.name:
            raise ValueError("its file's name is another design's")
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shipped:
    """A design of the package."""

    rank: tuple[float, str]
    where: str
    stored: Stored

    def read(self) -> Stored:
        """Return the design."""
        return self.stored


_Entry = _File | _Shipped


def _files(folder: Path) -> Iterator[_File]:
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return
    for name in names:
        match = _FILE.fullmatch(name)
        if match is not None:
            yield _File(rank=(float(match["figure"]), name), path=folder / name)


def _name(stored: Stored) -> str:
    return f"{stored.figure:.6f}-{stored.digest[:16]}.json"


def _rank(stored: Stored) -> tuple[float, str]:
    name = _name(stored)
    return float(name.partition("-")[0]), name


def _check_figure(stored: Stored, library: CellLibrary, objective: str) -> None:
    if objective == AREA and abs(stored.area(library) - stored.figure) > 1e-5:
        raise ValueError(f"it has an area of {stored.area(library):g} µm², not {stored.figure:g}")
