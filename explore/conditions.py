"""What the delays and powers of a comparison were measured under, in words."""

from collections.abc import Sequence

from ..formats.published import PAPER
from ..synth.result import AreaResult

_NAMES = {
    "corner": "library corner",
    "load": "load",
    "inputs": "inputs",
    "clock": "clock",
    "wires": "wires",
    "data": "data for power",
    "energies": "energies",
}


def conditions(areas: Sequence[AreaResult]) -> list[tuple[str, str]]:
    """Return the conditions by name, the same for all areas of a comparison.

    Empty where nothing was measured; formats without a figure are named with the reason.
    """
    measured = next((area for area in areas if area.conditions), None)
    rows: list[tuple[str, str]] = []
    if measured is not None:
        methods = dict.fromkeys(area.delay_method for area in areas if area.delay_method)
        said = measured.conditions
        rows = [
            ("delay by", f"the library's tables ({one})" if one.startswith("tables") else one)
            for one in methods
        ]
        rows += [(label, said[name]) for name, label in _NAMES.items() if name in said]
        rows += [("frequency for power", text) for text in _frequencies(areas)]
        rows.append(("the paper's power", f"{PAPER}, Table 10: TSMC 28 nm, Design Compiler"))
    reasons: dict[str, list[str]] = {}
    for area in areas:
        if area.unmeasured:
            reasons.setdefault(area.unmeasured, []).append(area.format)
    rows += [
        ("not measured", f"{', '.join(dict.fromkeys(names))}: {reason}")
        for reason, names in reasons.items()
    ]
    return rows


def _frequencies(areas: Sequence[AreaResult]) -> list[str]:
    """Return the stated frequency, and which designs are too slow for it."""
    frequency = next((area.megahertz for area in areas if area.megahertz is not None), None)
    if frequency is None:
        return []
    slow = [
        area.format
        for area in areas
        if area.delay_ps is not None and area.delay_ps * frequency > 1e6
    ]
    text = f"{frequency:g} MHz"
    if slow:
        text += f", faster than the critical path of {', '.join(dict.fromkeys(slow))} allows"
    return [text]
