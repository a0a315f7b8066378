"""Reading Verilog just far enough to put designs beside each other: modules, uses, ports, renaming.

Designs of one simulation share names: an RTL module and its netlist, the cells of a library.
Renaming every module with a prefix that comes from its text keeps different modules apart and
equal ones together. In Verilog an identifier followed by another identifier or by ``#`` names the
type of an instance, once comments, strings, attributes and macros are out of the way.
"""

import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..formats.errors import UsageError

_STRING = r'"(?:\\.|[^"\\])*"'
_SKIP = (
    r"(?P<skip>//[^\n]*|/\*.*?\*/|" + _STRING + r"|\(\*(?!\s*\))(?:" + _STRING + r'|[^"])*?\*\)'
    r"|`(?:define|undef|include|timescale|pragma|line|default_nettype)\b(?:\\\n|[^\n])*)"
)
_NAME = r"(?<![\w$.'`\\])(?:[A-Za-z_][\w$]*|\\\S+)"
_GAP = r"(?:\s|//[^\n]*\n|/\*.*?\*/)"
_DEFINITION = re.compile(
    rf"{_SKIP}|\b(?:module|macromodule|primitive){_GAP}+(?P<name>{_NAME})", re.DOTALL
)
_USE = re.compile(rf"{_SKIP}|(?P<name>{_NAME})(?={_GAP}+[A-Za-z_\\]|{_GAP}*#)", re.DOTALL)
_PORT_NAME = r"(?!(?:input|output|inout)\b)(?:[A-Za-z_][\w$]*|\\\S+)\s*(?:=[^,;)]*)?"
_PORTS = re.compile(
    r"\b(?P<direction>input|output|inout)\b(?:\s+(?:wire|reg|logic|signed|unsigned|var|tri)\b)*"
    rf"\s*(?P<range>\[[^\]]*\])?\s*(?P<names>{_PORT_NAME}(?:,\s*{_PORT_NAME})*)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    """A port's direction and width in bits; the width is None where it is no plain number."""

    direction: str
    width: int | None


def _plain(name: str) -> str:
    return name.removeprefix("\\")


@functools.lru_cache(maxsize=1024)
def defined_modules(text: str) -> tuple[str, ...]:
    """Return the names of the modules and primitives that ``text`` defines, in order."""
    return tuple(_plain(m["name"]) for m in _DEFINITION.finditer(text) if m["name"] is not None)


@functools.lru_cache(maxsize=1024)
def used_names(text: str) -> frozenset[str]:
    """Return every name in ``text`` that stands where an instance's type would."""
    return frozenset(_plain(m["name"]) for m in _USE.finditer(text) if m["name"] is not None)


def rename_modules(text: str, names: Mapping[str, str]) -> str:
    """Return ``text`` with its modules, and the instances of them, renamed by ``names``."""

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None or _plain(name) not in names:
            return match[0]
        return match[0].removesuffix(name) + escaped(names[_plain(name)])

    return _USE.sub(replace, _DEFINITION.sub(replace, text))


def escaped(name: str) -> str:
    """Return ``name`` as Verilog text, escaped where it is no simple identifier."""
    return name if re.fullmatch(r"[A-Za-z_][\w$]*", name) else f"\\{name} "


def module_ports(text: str, module: str) -> dict[str, Port]:
    """Return the ports of ``module`` by name, from either style of declaration.

    Raises :class:`UsageError` where ``text`` does not define the module.
    """
    start = next(
        (
            match.end()
            for match in _DEFINITION.finditer(text)
            if match["name"] is not None and _plain(match["name"]) == module
        ),
        None,
    )
    if start is None:
        raise UsageError(f"The Verilog sources do not define the module {module!r}.")
    body = re.split(
        r"\bendmodule\b", re.sub(_SKIP, " ", text[start:], flags=re.DOTALL), maxsplit=1
    )[0]
    ports: dict[str, Port] = {}
    for match in _PORTS.finditer(body):
        width: int | None = 1
        if match["range"] is not None:
            ends = re.fullmatch(r"\[\s*(\d+)\s*:\s*(\d+)\s*\]", match["range"])
            width = abs(int(ends[1]) - int(ends[2])) + 1 if ends else None
        for name in match["names"].split(","):
            port = Port(direction=match["direction"], width=width)
            # A function's inputs come later and must not hide the module's.
            ports.setdefault(_plain(name.partition("=")[0].strip()), port)
    return ports


@dataclass(frozen=True, kw_only=True, slots=True)
class Assembly:
    """Verilog texts by unit name, and the renamed top module of each design, in order."""

    units: Mapping[str, str]
    tops: tuple[str, ...]


def assemble(designs: Sequence[tuple[str, Sequence[str]]]) -> Assembly:
    """Rename the modules of (top, Verilog texts) designs so that all fit into one simulation.

    A text that needs none of the design's other texts (a cell library) is shared by every design
    that has it; the rest of a design becomes a unit of its own. Raises :class:`UsageError` where
    a design defines a module twice or lacks its top module.
    """
    units: dict[str, str] = {}
    tops: list[str] = []
    for top, texts in designs:
        owner: dict[str, int] = {}
        for index, text in enumerate(texts):
            for name in defined_modules(text):
                if name in owner:
                    raise UsageError(f"The sources of {top} define the module {name!r} twice.")
                owner[name] = index
        if top not in owner:
            raise UsageError(f"The sources of {top!r} do not define a module of that name.")
        leaves = [
            all(owner.get(name, index) == index for name in used_names(text))
            for index, text in enumerate(texts)
        ]
        own = "\n".join(text for text, leaf in zip(texts, leaves, strict=True) if not leaf)
        # What a unit refers to is part of its identity: the same netlist on other cells differs.
        whole = _digest("\0".join(texts))
        prefixes = [
            f"u{_digest(text) if leaf else whole}_"
            for text, leaf in zip(texts, leaves, strict=True)
        ]
        names = {name: prefixes[index] + name for name, index in owner.items()}
        for text, leaf, prefix in zip(texts, leaves, prefixes, strict=True):
            if leaf and prefix not in units:
                units[prefix] = _unit(rename_modules(text, names))
        if own:
            units[f"u{whole}_"] = _unit(rename_modules(own, names))
        tops.append(names[top])
    return Assembly(units=units, tops=tuple(tops))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _unit(text: str) -> str:
    # A file must not inherit what an earlier one set, such as `default_nettype none.
    return f"`resetall\n{text}\n"
