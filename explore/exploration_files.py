"""What an exploration leaves in a folder: data, netlists, pictures, and an index of it all."""

from collections.abc import Mapping, Sequence

from .area_delay_plot import render_area_delay, versions
from .area_error_plot import families, render_area_error
from .exploration import Exploration
from .explored import Explored, designs_to_csv, designs_to_json
from .markdown import markdown_table
from .text_table import MISSING, Column, TextTable, number, shown

INDEX = "index.md"


def exploration_files(exploration: Exploration) -> dict[str, bytes]:
    """Return the files' contents by name, the index last."""
    designs = exploration.designs
    best = [one for one in designs if one.non_dominated]
    texts = {
        "exploration.csv": designs_to_csv(designs),
        "exploration.json": designs_to_json(designs, about(exploration)),
        "frontier.csv": designs_to_csv(best),
    }
    said = {
        "exploration.csv": "every design",
        "exploration.json": "the same, with what was asked for and the conditions",
        "frontier.csv": f"the non-dominated designs in {exploration.request.objective.description}",
    }
    files = {name: text.encode() for name, text in texts.items()}
    netlists = netlist_names(designs)
    for index, name in netlists.items():
        mapped = exploration.mapped[index]
        files[f"{name}.v"] = mapped.netlist.encode()
        files[f"{name}.ys"] = mapped.script.encode()
    pictures = _pictures(designs)
    for stem, (title, png, svg) in pictures.items():
        files[f"{stem}.png"], files[f"{stem}.svg"] = png, svg
        said[f"{stem}.png"] = said[f"{stem}.svg"] = title
    files[INDEX] = _index(exploration, said, netlists, list(pictures)).encode()
    return files


def about(exploration: Exploration) -> Mapping[str, object]:
    """Return what holds for all designs, as JSON types."""
    request = exploration.request
    return {
        "formats": [spec.weight.name for spec in request.specs],
        "tops": list(request.tops),
        "orders": request.orders,
        "clock_periods_ps": list(request.periods_ps),
        "objective": request.objective.name,
        "effort": exploration.effort,
        "seed": exploration.seed,
        "library": exploration.library.name,
        "library_digest": exploration.library.digest,
        "tools": dict(exploration.tools),
        "conditions": dict(exploration.conditions),
        "cut_short": exploration.late,
        "failures": list(exploration.failures),
    }


def netlist_names(designs: Sequence[Explored]) -> dict[int, str]:
    """Return the index of each design to write with its files' stem, all different."""
    found: dict[int, str] = {}
    for index, one in enumerate(designs):
        if not is_shown(one):
            continue
        period = "" if one.period_ps is None else f".{one.period_ps:g}ps"
        made = "".join(c if c.isalnum() else "-" for c in one.recipe)
        name = "".join(c if c.isalnum() or c in "-+" else "-" for c in one.format)
        stem = f"{name}.{one.library}.{one.architecture}.{made}{period}"
        found[index] = f"{stem}.{one.netlist[:8]}" if stem in found.values() else stem
    return found


def is_shown(one: Explored) -> bool:
    """Return whether a design is one to choose: not dominated, or made for a clock period."""
    return one.non_dominated or one.period_ps is not None


def choice_table(designs: Sequence[Explored]) -> TextTable:
    """Return the designs to choose from as a table by format and area, dominated ones unmarked."""
    names = ("format", "from", "architecture", "recipe")
    columns = [Column(label=label, numeric=False) for label in names]
    columns += [
        Column(label=label)
        for label in ("area (µm²)", "GE", "delay (ps)", "energy (fJ)", "clock period (ps)")
    ]
    lookup = any(one.sqnr_normal_db is not None for one in designs)
    if lookup:
        columns += [Column(label="SQNR normal (dB)"), Column(label="SQNR t(5) (dB)")]
    order = {name: index for index, name in enumerate(dict.fromkeys(d.asked for d in designs))}
    best = sorted(
        (one for one in designs if is_shown(one)),
        key=lambda one: (order[one.asked], one.area_um2, one.delay_ps or 0.0),
    )
    rows = []
    for one in best:
        row = [one.format, one.source, one.architecture, one.recipe]
        row += [shown("area_um2", one.area_um2), shown("area_ge", one.area_ge)]
        row += [_figure(one.delay_ps, 0), _figure(one.energy_fj, 0), _period(one)]
        if lookup:
            row += [_figure(one.sqnr_normal_db, 2), _figure(one.sqnr_t5_db, 2)]
        rows.append(tuple(row))
    marked = frozenset(index for index, one in enumerate(best) if one.non_dominated)
    return TextTable(columns=tuple(columns), rows=tuple(rows), marked=marked)


def _figure(value: float | None, digits: int) -> str:
    return MISSING if value is None else number(value, digits)


def _period(one: Explored) -> str:
    if one.period_ps is None:
        return MISSING
    return f"{one.period_ps:g}" + ("" if one.met else " (missed)")


def _pictures(designs: Sequence[Explored]) -> dict[str, tuple[str, bytes, bytes]]:
    found: dict[str, tuple[str, bytes, bytes]] = {}
    if versions(designs):
        png, svg = render_area_delay(designs, "png", "svg")
        found["area-delay"] = ("area against delay", png, svg)
    for name, group in families(designs).items():
        png, svg = render_area_error(name, group, "png", "svg")
        found[f"area-error-{name}"] = (f"area against error of {name}, by top", png, svg)
    return found


def _index(
    exploration: Exploration,
    said: Mapping[str, str],
    netlists: Mapping[int, str],
    pictures: Sequence[str],
) -> str:
    request, designs = exploration.request, exploration.designs
    tools = ", ".join(f"{name} {version}" for name, version in exploration.tools.items())
    lines = [
        f"# Exploration: {', '.join(dict.fromkeys(one.asked for one in designs))}",
        "",
        f"Library {exploration.library.name}, effort {exploration.effort}, seed "
        f"{exploration.seed}, {tools}. {len(designs)} designs, of which "
        f"{sum(one.non_dominated for one in designs)} are not dominated in "
        f"{request.objective.description}. Below are these, and those made for a clock period.",
        "",
    ]
    if exploration.late:
        lines += ["The time limit ended the search before it was complete.", ""]
    lines += [markdown_table(choice_table(designs)), ""]
    lines += [f"![{said[f'{stem}.png']}]({stem}.png)\n" for stem in pictures]
    if exploration.conditions:
        lines += ["## Conditions", ""]
        lines += [f"- {name}: {value}" for name, value in exploration.conditions.items()]
        lines.append("")
    lines += ["## Files", ""]
    lines += [f"- [{name}]({name}): {what}" for name, what in said.items()]
    lines += [
        f"- [{name}.v]({name}.v): netlist of {designs[index].format}; [{name}.ys]({name}.ys): how "
        "it was made"
        for index, name in netlists.items()
    ]
    if exploration.failures:
        lines += ["", "## What failed", "", *(f"- {text}" for text in exploration.failures)]
    return "\n".join(lines) + "\n"
