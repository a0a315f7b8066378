"""The tree that a Liberty file is read into: groups, and their attributes as raw text."""

import bisect
import functools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..formats.errors import LibraryError

LARGEST = 1e30
_STRING = r'"(?:[^"\\]++|\\.)*+"'
_ARGUMENT = re.compile(rf"({_STRING})|/\*.*?\*/|//[^\n]*+|([^\s,\"\\]+)|[\s,\\]+", re.DOTALL)


@dataclass(slots=True, kw_only=True)
class Group:
    """One ``name (arguments) { … }`` of a Liberty file.

    ``attributes`` maps a simple attribute to its raw text, ``complexes`` a complex attribute to
    the raw text between its parentheses, both in file order with every occurrence kept by
    :attr:`complexes` and the last one by :attr:`attributes`.
    """

    name: str
    raw_args: str
    file: "LibertyFile" = field(repr=False)
    offset: int
    attributes: dict[str, str] = field(default_factory=dict)
    complexes: list[tuple[str, str]] = field(default_factory=list)
    groups: list["Group"] = field(default_factory=list)

    @property
    def args(self) -> tuple[str, ...]:
        """The group's arguments, unquoted."""
        return split_arguments(self.raw_args)

    @property
    def line(self) -> int:
        """The line on which the group opens."""
        return self.file.line(self.offset)

    @property
    def where(self) -> str:
        """File and line, as they stand in an error."""
        return f"{self.file.name}, line {self.line}"

    @property
    def label(self) -> str:
        """The group as a reader would name it, such as ``cell (INVX1)``."""
        return f"{self.name} ({', '.join(self.args)})"[:80]

    def children(self, *names: str) -> Iterator["Group"]:
        """Return the groups inside this one that have one of ``names``."""
        return (group for group in self.groups if group.name in names)

    def text(self, name: str, default: str = "") -> str:
        """Return a simple attribute's value without quotes, or ``default``."""
        raw = self.attributes.get(name)
        return default if raw is None else unquote(raw)

    def number(self, name: str) -> float | None:
        """Return a simple attribute as a finite number, or None where it is absent.

        Raises :class:`LibraryError` where it is no number.
        """
        raw = self.attributes.get(name)
        return None if raw is None else self.parse_number(unquote(raw), name)

    def flag(self, name: str) -> bool:
        """Whether a simple attribute is ``true``."""
        return self.text(name).lower() == "true"

    def complex(self, name: str) -> tuple[str, ...] | None:
        """Return the arguments of the first complex attribute ``name``, or None."""
        for key, raw in self.complexes:
            if key == name:
                return split_arguments(raw)
        return None

    def all_complexes(self, name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Return every complex attribute ``name`` with its arguments."""
        return ((key, split_arguments(raw)) for key, raw in self.complexes if key == name)

    def numbers(self, name: str) -> tuple[tuple[float, ...], ...] | None:
        """Return a complex attribute's quoted lists of numbers, one tuple a string, or None.

        Raises :class:`LibraryError` where a value is no number.
        """
        arguments = self.complex(name)
        if arguments is None:
            return None
        return tuple(self._parse_numbers(argument, name) for argument in arguments)

    def _parse_numbers(self, text: str, name: str) -> tuple[float, ...]:
        words = text.replace(",", " ").replace("\\", " ").split()
        try:
            values = tuple(map(float, words))
        except ValueError:
            values = (math.inf,)
        if "_" in text or not all(-LARGEST < value < LARGEST for value in values):
            return tuple(self.parse_number(word, name) for word in words)
        return values

    def parse_number(self, text: str, name: str) -> float:
        """Return ``text`` as a number below 1e30; ``name`` says in the error whose it is."""
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not abs(value) < LARGEST or "_" in text:
            raise LibraryError(
                f"{self.where}: {name} in {self.label} is {text[:40]!r}, which is not a number."
            )
        return value


@dataclass(slots=True, kw_only=True)
class LibertyFile:
    """A Liberty file: its name, its text's first comment, and the one ``library`` group."""

    name: str
    sha256: str
    text: str = field(repr=False)
    library: Group = field(init=False, repr=False)
    _newlines: list[int] | None = field(default=None, init=False, repr=False)

    def line(self, offset: int) -> int:
        """Return the line number of a character offset."""
        if self._newlines is None:
            self._newlines = [match.start() for match in re.finditer("\n", self.text)]
        return bisect.bisect_left(self._newlines, offset) + 1


def unquote(raw: str) -> str:
    """Return an attribute's raw text without surrounding blanks and quotes."""
    raw = raw.strip()
    if len(raw) >= 2 and raw[0] == raw[-1] == '"':
        raw = re.sub(r"\\\r?\n\s*|\\(?=\")", "", raw[1:-1]) if "\\" in raw else raw[1:-1]
    return raw.strip()


def split_arguments(raw: str) -> tuple[str, ...]:
    """Return the arguments of a group or complex attribute, unquoted, comments dropped."""
    return _split_short(raw) if len(raw) < 200 else _split(raw)


def _split(raw: str) -> tuple[str, ...]:
    found: list[str] = []
    for match in _ARGUMENT.finditer(raw):
        if match[1] is not None:
            found.append(unquote(match[1]))
        elif match[2] is not None:
            found.append(match[2])
    return tuple(found)


_split_short = functools.lru_cache(maxsize=4096)(_split)
