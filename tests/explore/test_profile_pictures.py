"""What a profile leaves in a folder: pictures, tables, data that come back."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from nibblemac.explore.flat_record import from_csv
from nibblemac.explore.profile_files import profile_files
from nibblemac.explore.profile_plots import (
    NORMAL,
    STUDENT,
    draw_fits,
    draw_nu,
    fits_title,
    render_fits,
    render_nu,
    select_layers,
)
from nibblemac.explore.profile_series import series_of, short_labels
from nibblemac.explore.profile_tables import paper_table, summary_table, tensor_table
from nibblemac.formats.distribution import Distribution
from nibblemac.formats.models.model_profile import ModelProfile
from nibblemac.formats.models.profile import Weight, profile_weight
from nibblemac.formats.models.profile_summary import ProfileSummary, summarise
from nibblemac.formats.outline import BINS, QUANTILES
from nibblemac.formats.published_profiles import published_profiles
from nibblemac.formats.tensor_profile import TensorProfile
from scipy import stats

NAMES = [
    f"h.{block}.{part}.weight" for block in range(3) for part in ("attn.q", "attn.k", "mlp.up")
]


def layer_of(name: str, tensor: torch.Tensor):
    role = "attention" if "attn" in name else "feed-forward" if "mlp" in name else "head"
    weight = Weight(
        name=name,
        kind="linear",
        role=role,
        shape=tuple(tensor.shape),
        windows=lambda: [tensor],
        identity={},
    )
    return profile_weight(weight)


@pytest.fixture(scope="module")
def profile() -> ModelProfile:
    layers = [
        layer_of(name, Distribution(nu=2.5 + 2 * number).sample(50, 60, seed=number) * 0.02)
        for number, name in enumerate(NAMES)
    ]
    head = torch.randn(50, 60, generator=torch.Generator().manual_seed(1))
    layers.append(layer_of("lm_head.weight", head))
    return ModelProfile(model="tiny", kind="weights", layers=tuple(layers), cap=2**18, seed=0)


def test_everything_is_written_and_comes_back(profile: ModelProfile) -> None:
    files = profile_files(profile, 5)
    assert list(files) == [
        "weights.csv",
        "weights-layers.csv",
        "weights.json",
        "weights-nu.png",
        "weights-nu.svg",
        "weights-fits-1.png",
        "weights-fits-1.svg",
        "weights-fits-2.png",
        "weights-fits-2.svg",
        "weights.md",
    ]
    assert from_csv(TensorProfile, files["weights.csv"].decode(), "it") == profile.tensors
    summaries = from_csv(ProfileSummary, files["weights-layers.csv"].decode(), "it")
    assert summaries == summarise(profile)
    assert ModelProfile.from_json(json.loads(files["weights.json"])) == profile
    for name, data in files.items():
        start = {"png": b"\x89PNG", "svg": b"<?xml"}.get(name[-3:], b"")
        assert data.startswith(start), name
    page = files["weights.md"].decode()
    for name in files:
        assert name in page or name == "weights.md"
    assert "for 9 of 10 tensors of tiny" in page or "for 10 of 10 tensors of tiny" in page
    assert "ResNet18 | 2.71 | 0.69 | 0.069" in page


def test_both_kinds_have_room_in_a_folder(profile: ModelProfile) -> None:
    activations = replace(profile, kind="activations", text="wiki.txt", tokens=4096)
    weights, others = profile_files(profile, 0), profile_files(activations, 0)
    assert not weights.keys() & others.keys()
    assert not any("fits" in name for name in weights)
    page = others["activations.md"].decode()
    assert "read 4,096 tokens of wiki.txt" in page
    # The paper's ResNet18 has other activations than weights.
    assert "ResNet18 | 10.94 | 6.20 | −0.008" in page


def test_failures_and_rounded_weights_are_told(profile: ModelProfile) -> None:
    told = replace(
        profile, quantized="weights already quantized in the file (Q4_1)", failures=("x has NaN.",)
    )
    page = profile_files(told, 1)["weights.md"].decode()
    assert "## What failed\n\n- x has NaN." in page
    assert "| measured here (weights already quantized in the file (Q4_1)) |" in page
    assert "Q4_1" in fits_title(told)
    assert any("Q4_1" in text.get_text() for text in draw_nu(told).texts)


def test_names_from_files_are_plain_text(profile: ModelProfile) -> None:
    hostile = "$\\frac{x}$ <script>alert(1)</script>\x1b[2J\n| # 漢字 " + "n" * 300
    layer = profile.layers[0]
    layers = [replace(layer, tensor=replace(layer.tensor, name=hostile)), profile.layers[1]]
    bad = replace(
        profile, model=hostile, layers=tuple(layers), failures=(hostile,), notes=(hostile,)
    )
    files = profile_files(bad, 2)  # warnings are errors here, those of missing glyphs too
    page = files["weights.md"].decode()
    assert "<script" not in page
    assert page.count("\n# ") == 0
    assert b"<script" not in files["weights-nu.svg"] + files["weights-fits-1.svg"]
    assert ModelProfile.from_json(json.loads(files["weights.json"])) == bad


@pytest.mark.parametrize("count", [1, 2, 4, 9, 10, 99])
def test_drawn_tensors_span_all_nu(profile: ModelProfile, count: int) -> None:
    chosen = select_layers(profile, count)
    nus = [layer.tensor.nu for layer in chosen]
    everything = sorted(tensor.nu for tensor in profile.tensors)
    assert len(set(map(id, chosen))) == len(chosen) == min(count, 10)
    assert nus == sorted(nus)
    assert nus[0] == everything[0]
    assert count == 1 or nus[-1] == everything[-1]


def test_nu_and_distances_are_drawn_by_block(profile: ModelProfile) -> None:
    figure = draw_nu(profile)
    upper, lower = figure.axes
    drawn = {line.get_label(): line for line in upper.lines}
    for part in ("q", "k", "up"):
        tensors = [one for one in profile.tensors if one.name.endswith(f".{part}.weight")]
        assert list(drawn[part].get_xdata()) == [0, 1, 2]
        assert list(drawn[part].get_ydata()) == [one.nu for one in tensors]
    assert list(drawn["no block: lm_head"].get_xdata()) == [3]
    deltas = sorted(y for line in lower.lines if len(line.get_xdata()) for y in line.get_ydata())
    assert set(deltas) >= {one.ks_delta for one in profile.tensors}
    assert "10 tensors" in figure.texts[1].get_text()
    # All that is drawn lies in the picture.
    width, height = figure.canvas.get_width_height()
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    for text in (*figure.texts, upper.yaxis.label, lower.yaxis.label, lower.xaxis.label):
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0 <= box.y0
        assert box.x1 <= width
        assert box.y1 <= height


def test_a_histogram_stands_between_its_fits(profile: ModelProfile) -> None:
    layer = profile.layers[0]
    figure = draw_fits([layer], "tiny")
    histogram, quantiles = figure.axes
    lines = {line.get_color(): line for line in histogram.lines}
    tensor, outline = layer.tensor, layer.outline
    for colour, law in (
        (STUDENT, stats.t(tensor.nu, scale=tensor.scale)),
        (NORMAL, stats.norm(scale=outline.rms)),
    ):
        x, y = (np.asarray(values) for values in lines[colour].get_data())
        assert y == pytest.approx(law.pdf(x), rel=1e-9)
    heights, edges, _ = histogram.patches[0].get_data()
    assert len(heights) == BINS
    inside = sum(outline.counts) / tensor.sampled
    assert float((heights * np.diff(edges)).sum()) == pytest.approx(inside)
    # A sample of 3000 is within a tenth of its own t where it is dense.
    middle = slice(BINS // 2 - 3, BINS // 2 + 4)
    centres = (edges[1:] + edges[:-1])[middle] / 2
    fitted = stats.t(tensor.nu, scale=tensor.scale).pdf(centres)
    assert heights[middle].mean() == pytest.approx(fitted.mean(), rel=0.1)
    assert len(quantiles.lines) >= 3


@pytest.mark.parametrize("nu", [3.0, 30.0])
def test_quantiles_of_a_t_lie_on_the_diagonal(nu: float) -> None:
    layer = layer_of("h.0.attn.q.weight", Distribution(nu=nu).sample(400, 500, seed=3))
    quantiles = draw_fits([layer], "tiny").axes[1]
    (points,) = (
        line for line in quantiles.lines if line.get_color() == STUDENT and line.get_marker() == "o"
    )
    x, y = (np.asarray(values) for values in points.get_data())
    assert len(x) > QUANTILES // 2
    # Within three scales, where there are hundreds of values beyond the last.
    middle = np.abs(x) < 3
    assert y[middle] == pytest.approx(x[middle], abs=0.05)
    assert np.abs(y[middle]).max() > 2.5
    # Nothing is hidden: every quantile is a point, or an arrow at the edge.
    drawn = sum(len(line.get_xdata()) for line in quantiles.lines if line.get_color() == STUDENT)
    assert drawn == QUANTILES


@pytest.mark.parametrize("spread", [1e-300, 1e-200, 1e-40, 1e40, 1e200, 1e300])
def test_any_magnitude_has_a_picture(spread: float) -> None:
    values = Distribution(nu=3).sample(50, 60, seed=3).double()
    for tensor in (values * spread, torch.cat([values, values * spread])):
        layer = layer_of("h.0.attn.q.weight", tensor)
        assert render_fits([layer], "tiny", "png")[0]


def test_pictures_are_the_same_bytes_each_time(profile: ModelProfile) -> None:
    assert render_nu(profile, "png", "svg") == render_nu(profile, "png", "svg")
    layers = profile.layers[:1]
    assert render_fits(layers, "a", "svg") == render_fits(layers, "a", "svg")
    assert render_fits(layers, "a", "svg") != render_fits(layers, "b", "svg")


def test_series_that_coincide_are_one(profile: ModelProfile) -> None:
    shared = [
        replace(one, nu=3.0, ks_delta=0.1) if ".attn." in one.name else one
        for one in profile.tensors
    ]
    series, by_block = series_of(shared)
    assert by_block
    assert [one.label for one in series] == ["q, k", "up", "no block: lm_head"]


def test_unlike_blocks_are_drawn_by_role(profile: ModelProfile) -> None:
    names = ["conv1", "layer1.0.a", "layer1.1.b", "layer2.0.c", "fc"]
    tensors = [
        replace(one, name=name, role="other", kind=kind)
        for one, name, kind in zip(
            profile.tensors, names, ["convolution"] * 4 + ["linear"], strict=False
        )
    ]
    series, by_block = series_of(tensors)
    assert not by_block
    assert [(one.label, one.places) for one in series] == [
        ("convolution other", (0, 1, 2, 3)),
        ("linear other", (4,)),
    ]


def test_labels_are_as_short_as_they_can_be() -> None:
    names = ["e.*.attention.output.dense.weight", "e.*.output.dense.weight", "e.*.self.key.weight"]
    assert list(short_labels(names).values()) == ["attention.output.dense", "output.dense", "key"]
    assert short_labels(["pooler.dense.weight"], fewest=2) == {
        "pooler.dense.weight": "pooler.dense"
    }


def test_tables(profile: ModelProfile) -> None:
    summary = summary_table(profile)
    assert [row[0] for row in summary.rows] == [
        "all",
        "linear attention",
        "linear feed-forward",
        "linear head",
    ]
    positive = sum(one.ks_delta > 0 for one in profile.tensors)
    assert f"{positive} of 10" in summary.rows[0]
    assert [row[0] for row in tensor_table(profile).rows] == [*NAMES, "lm_head.weight"]
    paper = paper_table(profile)
    assert paper.rows[0][0] == "tiny"
    assert len(paper.rows) == 1 + sum(one.kind == "weights" for one in published_profiles())
    for table in (summary, paper, tensor_table(profile)):
        assert {len(row) for row in table.rows} == {len(table.columns)}
