"""The report: one HTML page with tables and plots, and the data it shows, in one folder."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from ..formats.accuracy import AccuracyRow
from ..formats.block_format import own_mac
from ..formats.errors import DataError
from ..formats.folder import write_folder
from ..formats.measured import measured_quality
from ..formats.published import PublishedHardware, published_hardware, published_quality
from ..formats.record import Format
from ..sim.proof import Proof
from ..sim.result import VerifyResult
from ..synth.result import AreaResult
from ..synth.result import to_csv as areas_to_csv
from .accumulator_table import accumulator_table
from .areas import check_comparable, smallest_by_format
from .candidates import CandidateArea, SizedDesign, candidates_to_csv
from .conclusions import Conclusion, judge
from .conditions import conditions
from .cost_tables import area_table, comparison_table
from .evidence import PHI2, SEVEN, gather
from .frontier import Frontier, build_frontier
from .frontier_io import frontier_to_json, points_to_csv
from .interactive import POLICY, chart_html, draw_script, plotly_js
from .plot import render_plot
from .proof_table import proof_sentence, proof_table
from .report_text import provenance, summary
from .selection import Selection
from .style import title as frontier_title
from .tables import architecture_table, frontier_table, verification_table


@dataclass(frozen=True, kw_only=True, slots=True)
class DesignFailure:
    """A design that could not be synthesized, and why, as a sentence."""

    format: str
    architecture: str
    recipe: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportData:
    """All that the report shows.

    ``areas`` are the smallest designs' (one library, one set of tools), ``candidates`` all that
    were tried (none: as ``areas``); ``formats`` are the records in the order of the tables.
    ``rows`` and ``published`` default to the published figures that ship with the project,
    ``measured`` to its own. ``machine`` is shown as it is, such as processor and system.
    """

    areas: tuple[AreaResult, ...]
    formats: tuple[Format, ...]
    candidates: tuple[CandidateArea, ...] = ()
    verifications: tuple[VerifyResult, ...] = ()
    proofs: tuple[Proof, ...] = ()
    failures: tuple[DesignFailure, ...] = ()
    rows: tuple[AccuracyRow, ...] = field(default_factory=lambda: published_quality().rows)
    measured: tuple[AccuracyRow, ...] = field(default_factory=lambda: measured_quality().rows)
    published: Mapping[str, PublishedHardware] = field(default_factory=published_hardware)
    machine: Mapping[str, str] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Section:
    """A frontier's part of the page; ``frontier`` is None where it could not be built."""

    key: str
    heading: str
    source: str
    frontier: Frontier | None
    problem: str


_FRONTIERS = (
    ("phi2", "Phi-2, weight-only, blocks of 128", "the paper's Table 5", PHI2),
    ("seven", "Seven models' WikiText-2 perplexity", "the paper's Table 3, no clipping", SEVEN),
)


def write_report(data: ReportData, directory: Path) -> Path:
    """Write the report and return the path of its page, ``directory/index.html``.

    Beside it: ``area.csv``, ``area.json``, ``verification.json``, ``proofs.json``,
    ``conclusions.json``, and for
    each frontier its points as CSV and JSON and its plots as PNG and SVG. The same data gives the
    same bytes. Raises :class:`DataError` for areas that cannot be compared, and
    :class:`OutputError` where the folder cannot be written; nothing is half-written then.
    """
    write_folder(directory, render_report(data))
    return directory / "index.html"


def render_report(data: ReportData) -> dict[str, bytes]:
    """Return the report's files by name, the page last."""
    check_comparable(data.areas)
    areas = _ordered(data)
    conclusions = judge(gather(areas, data.published, data.rows))
    sections = []
    for key, heading, source, selection in _FRONTIERS:
        frontier, problem = _frontier(areas, data.rows, selection)
        sections.append(
            _Section(key=key, heading=heading, source=source, frontier=frontier, problem=problem)
        )
    sections += _measured_sections(areas, data)
    tried = _tried(data, areas)
    contents = {
        "area.csv": areas_to_csv(areas).encode(),
        "area.json": _json([area.to_json() for area in areas]),
        "verification.json": _json([result.to_json() for result in data.verifications]),
        "proofs.json": _json([proof.to_json() for proof in data.proofs]),
        "conclusions.json": _json([_conclusion_record(item) for item in conclusions]),
    }
    if data.candidates:
        contents["candidates.csv"] = candidates_to_csv(data.candidates).encode()
    for section in sections:
        if section.frontier is not None:
            contents |= _frontier_files(section.key, section.frontier, data.published)
    page = _page(
        data,
        areas=areas,
        tried=tried,
        conclusions=conclusions,
        sections=sections,
        names=list(contents),
    )
    return {**contents, "index.html": page.encode()}


def _measured_sections(areas: Sequence[AreaResult], data: ReportData) -> list[_Section]:
    """Return a frontier for each model and setting that this project evaluated."""
    first: dict[tuple[str, str], AccuracyRow] = {}
    for row in data.measured:
        first.setdefault((row.model, row.setting), row)
    sections = []
    for (model, setting), row in first.items():
        selection = Selection(metric=row.metric, setting=setting, models=(model,))
        frontier, problem = _frontier(areas, data.measured, selection)
        words = re.sub(r"[^a-z0-9]+", "-", f"{model}-{setting.partition(',')[0]}".casefold())
        sections.append(
            _Section(
                key=f"measured-{words.strip('-')}",
                heading=f"{model}, {setting.partition(',')[0]}",
                source=f"measured with nibblemac evaluate, {setting}",
                frontier=frontier,
                problem=problem,
            )
        )
    return sections


def _ordered(data: ReportData) -> list[AreaResult]:
    order = {item.name: index for index, item in enumerate(data.formats)}
    return sorted(data.areas, key=lambda area: order.get(area.format, len(order)))


def _tried(data: ReportData, areas: list[AreaResult]) -> Sequence[SizedDesign]:
    """Return every design that was tried, in the order of the tables."""
    order = {item.name: index for index, item in enumerate(data.formats)}
    return sorted(data.candidates, key=lambda one: order.get(one.format, len(order))) or areas


def _frontier(
    areas: Iterable[AreaResult], rows: Iterable[AccuracyRow], selection: Selection
) -> tuple[Frontier | None, str]:
    try:
        return build_frontier(areas, rows, selection), ""
    except DataError as error:
        return None, str(error)


def _frontier_files(
    key: str, frontier: Frontier, published: Mapping[str, PublishedHardware]
) -> dict[str, bytes]:
    stem = f"frontier-{key}"
    contents = {
        f"{stem}.csv": points_to_csv(frontier.points).encode(),
        f"{stem}.json": frontier_to_json(frontier).encode(),
    }
    contents[f"{stem}.png"], contents[f"{stem}.svg"] = render_plot(frontier, "png", "svg")
    if all(point.ratio_to_int4 is not None for point in frontier.points):
        contents[f"{stem}-paper.png"], contents[f"{stem}-paper.svg"] = render_plot(
            frontier, "png", "svg", published=published
        )
    return contents


def _page(
    data: ReportData,
    *,
    areas: list[AreaResult],
    tried: Sequence[SizedDesign],
    conclusions: tuple[Conclusion, ...],
    sections: list[_Section],
    names: list[str],
) -> str:
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - slow to import
    from markupsafe import Markup  # noqa: PLC0415

    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(
        files(__package__).joinpath("templates", "report.html.j2").read_text(encoding="utf-8")
    )
    charts = {
        section.key: Markup(chart_html(section.frontier, f"chart-{section.key}"))  # noqa: S704 - escaped
        for section in sections
        if section.frontier is not None
    }
    frontiers = {s.heading: s.frontier for s in sections if s.frontier is not None}
    best = smallest_by_format(areas)
    listed = [item for item in data.formats if item.name in best]
    return template.render(
        policy=POLICY,
        version=data.version,
        summary=summary(
            areas,
            tried,
            verifications=data.verifications,
            proofs=proof_sentence(data.proofs),
            conclusions=conclusions,
            frontiers=frontiers,
        ),
        provenance=provenance(areas, data.verifications, data.machine, data.version),
        comparison_table=comparison_table(areas, data.published),
        area_table=area_table(areas),
        conditions=conditions(areas),
        accumulator_table=accumulator_table(listed, data.published),
        architecture_table=architecture_table(tried, _refusals(listed, tried)),
        verification_table=verification_table(data.verifications) if data.verifications else None,
        proof_table=proof_table(data.proofs) if data.proofs else None,
        proof_methods=sorted({proof.method for proof in data.proofs}),
        unproven=[proof for proof in data.proofs if not proof.proven],
        wrong=[result for result in data.verifications if not result.passed],
        failures=data.failures,
        sections=sections,
        tables={s.key: frontier_table(s.frontier) for s in sections if s.frontier is not None},
        titles={s.key: frontier_title(s.frontier) for s in sections if s.frontier is not None},
        charts=charts,
        conclusions=conclusions,
        names=sorted(names),
        plotly=Markup(plotly_js()) if charts else "",  # noqa: S704 - plotly's own script
        draw=Markup(draw_script([f"chart-{key}" for key in charts])),  # noqa: S704 - fixed ids
    )


def _refusals(formats: list[Format], areas: Sequence[SizedDesign]) -> dict[tuple[str, str], str]:
    """Return why an architecture does not serve a format, by both names."""
    from ..rtl.architectures import ARCHITECTURES, refusal  # noqa: PLC0415 - imports amaranth

    used = [name for name in ARCHITECTURES if name in {area.architecture for area in areas}]
    reasons = {}
    for item in formats:
        for name in used:
            reason = refusal(own_mac(item), name)
            if reason is not None:
                reasons[item.name, name] = reason
    return reasons


def _conclusion_record(item: Conclusion) -> dict[str, object]:
    return {
        "key": item.key,
        "claim": item.claim,
        "source": item.source,
        "verdict": item.verdict.value,
        "checks": [
            {
                "basis": check.basis,
                "holds": check.holds,
                "figures": check.figures,
                "counts": check.counts,
            }
            for check in item.checks
        ],
    }


def _json(record: object) -> bytes:
    return (json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
