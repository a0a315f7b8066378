"""Plain names in RTLIL: every public identifier becomes one that Verilog need not escape.

Amaranth names a submodule's module ``top.sub``, makes names unique by ``$`` and a number, and
names a port after whichever of its aliases it meets first. Escaped identifiers are mishandled by
many tools, so the names are made plain here, before any Yosys sees them.
"""

import re
from collections.abc import Iterable, Iterator

_IDENTIFIER = re.compile(r"\\\S+")
_WIRE = re.compile(r"  wire width (\d+) (?:(input|output) (\d+) )? ?(?:signed )?(\S+)")
_CELL = re.compile(r"  cell (\S+) (\S+)")
_ALIAS = re.compile(r"connect (\\\S+) (.*)")
_WHOLE = re.compile(r"(\\\S+) \[(\d+):0\]|(\\\S+) \[0\]")
_CONNECT = re.compile(r"    connect (\\\S+) (.*)")
_PLAIN = re.compile(r"\\[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def plain_names(rtlil: str) -> str:
    """Return ``rtlil`` with plain public names, and without initial values of registers.

    Modules: ``top.sub$3`` becomes ``top_sub``. Inside a module ``name$3`` becomes ``name``, or
    ``name_1``, ``name_2``, … where that is taken; a port that the module above connects to a
    signal named as one of the port's aliases takes that name; clk becomes the first port. The
    registers here have no reset, so the initial value that Amaranth gives to each one means
    nothing to a circuit.
    """
    modules = {module.name: module for module in _modules(rtlil)}
    names = _unique(modules)
    for module in modules.values():
        module.prepare()
    for module in modules.values():
        module.name_ports_of_children(modules)
    return "".join(module.text(names, modules) for module in modules.values())


class _Module:
    """The lines of one module and the new names of what it declares."""

    def __init__(self, name: str, body: list[str]) -> None:
        self.name = name
        self._body = body
        self._aliases: dict[str, str] = {}
        self.names: dict[str, str] = {}

    def prepare(self) -> None:
        """Find the aliases, drop those that name nothing new, and choose the names."""
        widths: dict[str, int] = {}
        ports = set()
        for line in self._body:
            if wire := _WIRE.fullmatch(line):
                widths[wire[4]] = int(wire[1])
                if wire[2]:
                    ports.add(wire[4])
        idle = set()
        for line in self._body:
            if (alias := _ALIAS.fullmatch(line)) and alias[1] not in ports:
                whole = _WHOLE.fullmatch(alias[2])
                target = (whole[1] or whole[3]) if whole else ""
                if whole and widths.get(target) == int(whole[2] or 0) + 1:
                    self._aliases[alias[1]] = target
                if "$" not in re.sub(r"\\\S+", "", alias[2]):
                    idle.add(alias[1])
        self._body = [line for line in self._body if _declared(line) not in idle]
        cells = [cell[2] for line in self._body if (cell := _CELL.fullmatch(line))]
        self.names = _unique(
            [name for name in widths if name not in idle]
            + [cell for cell in cells if cell.startswith("\\")]
        )

    def name_ports_of_children(self, modules: "dict[str, _Module]") -> None:
        """Give the ports of submodules the names of what they are connected to, if they fit."""
        child = None
        for line in self._body:
            if cell := _CELL.fullmatch(line):
                child = modules.get(cell[1])
            elif child and (connect := _CONNECT.fullmatch(line)):
                whole = _WHOLE.fullmatch(connect[2])
                if whole:
                    child._adopt(connect[1], self.names[whole[1] or whole[3]])

    def _adopt(self, port: str, name: str) -> None:
        fits = any(
            target == port and _stem(alias) == name[1:] for alias, target in self._aliases.items()
        )
        if fits and name not in self.names.values():
            self.names[port] = name

    def text(self, names: dict[str, str], modules: "dict[str, _Module]") -> str:
        """Return the module with its new names."""
        top = "." not in self.name
        lines = ["attribute \\top 1"] if top else []
        lines.append(f"module {names[self.name]}")
        child = None
        for line in self._body:
            if cell := _CELL.fullmatch(line):
                child = modules.get(cell[1])
                kind = names.get(cell[1], cell[1])
                lines.append(f"  cell {kind} {self.names.get(cell[2], cell[2])}")
            elif connect := _CONNECT.fullmatch(line):
                port = child.names[connect[1]] if child else connect[1]
                lines.append(f"    connect {port} {self._renamed(connect[2])}")
            elif wire := _WIRE.fullmatch(line):
                order = 1 if wire[4] == "\\clk" else int(wire[3] or 0) + 2
                numbered = line.replace(f"put {wire[3]} ", f"put {order} ")
                lines.append(self._renamed(numbered))
            elif line.lstrip().startswith(("parameter ", "attribute ")):
                lines.append(line)
            else:
                lines.append(self._renamed(line))
        return "\n".join([*lines, "end", ""])

    def _renamed(self, text: str) -> str:
        return _IDENTIFIER.sub(lambda match: self.names[match[0]], text)


def _modules(rtlil: str) -> Iterator[_Module]:
    name = ""
    body: list[str] = []
    for line in rtlil.splitlines():
        if line.startswith("module "):
            name, body = line.split()[1], []
        elif line == "end":
            yield _Module(name, body)
            name = ""
        elif not name:
            continue
        elif line.strip() and not line.startswith("  attribute \\init "):
            body.append(line)


def _declared(line: str) -> str:
    if wire := _WIRE.fullmatch(line):
        return wire[4]
    if alias := _ALIAS.fullmatch(line):
        return alias[1]
    return ""


def _stem(name: str) -> str:
    return re.sub(r"\W", "_", re.sub(r"(\$\d+)+$", "", name[1:]), flags=re.ASCII)


def _unique(names: Iterable[str]) -> dict[str, str]:
    """Map each public name to a plain one; names that are plain already keep theirs."""
    names = [name for name in names if name.startswith("\\")]
    plain = {name: name for name in names if _PLAIN.fullmatch(name)}
    taken = set(plain)
    for name in names:
        if name not in plain:
            candidate = f"\\{_stem(name)}"
            number = 0
            while candidate in taken:
                number += 1
                candidate = f"\\{_stem(name)}_{number}"
            plain[name] = candidate
            taken.add(candidate)
    return plain
