"""Which cells of a Liberty file cannot serve a synthesis of plain synchronous logic, and why."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from .cells import NAME_PATTERN
from .liberty_tree import Group

#: Cells that no Liberty attribute marks but that must not be used as logic: a name's pattern
#: and the reason. sky130's ``lpflow`` cells belong to switched and multiple supplies, its
#: ``probe`` cells expose a net to a needle, and its spare cell is a whole macro.
DEFAULT_DONT_USE: tuple[tuple[str, str], ...] = (
    ("*__lpflow_*", "multi-voltage"),
    ("*__probe*", "probe"),
    ("*macro_sparecell*", "macro"),
)

_ATTRIBUTES = {
    "dont_use": "dont_use attribute",
    "is_level_shifter": "multi-voltage",
    "is_isolation_cell": "multi-voltage",
    "always_on": "multi-voltage",
    "retention_cell": "multi-voltage",
    "switch_cell_type": "multi-voltage",
    "clock_gating_integrated_cell": "clock gate",
    "pad_cell": "pad",
    "auxiliary_pad_cell": "pad",
    "is_pad_cell": "pad",
    "is_macro_cell": "macro",
    "is_filler_cell": "no logic",
    "is_decap_cell": "no logic",
    "is_tap_cell": "no logic",
    "antenna_diode_type": "no logic",
}
_GROUPS = {
    "statetable": "state table",
    "latch": "latch",
    "latch_bank": "latch",
    "ff_bank": "register bank",
    "memory": "macro",
    "bus": "bus or bundle",
    "bundle": "bus or bundle",
    "test_cell": "scan flip-flop",
}
_SCAN = re.compile(r"test_scan|scan_(in|enable)")


def reason_to_drop(cell: Group, dont_use: Sequence[str] = ()) -> str | None:
    """Return why a ``cell`` group cannot be used, or None where nothing forbids it.

    ``dont_use`` holds a user's patterns (``*`` and ``?``), which apply to cell names.
    """
    name = cell.args[0] if cell.args else ""
    if not NAME_PATTERN.fullmatch(name):
        return "unusual name"
    if any(fnmatchcase(name, pattern) for pattern in dont_use):
        return "dont_use option"
    for pattern, reason in DEFAULT_DONT_USE:
        if fnmatchcase(name, pattern):
            return reason
    for attribute, reason in _ATTRIBUTES.items():
        if cell.text(attribute).lower() not in ("", "false", "none"):
            return reason
    for child in cell.groups:
        if child.name in _GROUPS:
            return _GROUPS[child.name]
    return _pin_reason(cell)


def _pin_reason(cell: Group) -> str | None:
    outputs = [pin for pin in cell.children("pin") if pin.text("direction") == "output"]
    for pin in cell.children("pin"):
        scan = _SCAN.match(pin.text("signal_type")) or _SCAN.match(pin.text("nextstate_type"))
        for applies, reason in (
            ("three_state" in pin.attributes, "tristate"),
            (pin.flag("is_pad"), "pad"),
            (pin.flag("always_on"), "multi-voltage"),
            (scan, "scan flip-flop"),
            (pin.text("direction") == "inout", "bidirectional pin"),
        ):
            if applies:
                return reason
    if any("function" not in pin.attributes for pin in outputs):
        return "no function"
    return None if outputs else "no logic"
