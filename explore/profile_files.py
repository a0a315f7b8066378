"""What a model's profile leaves in a folder: data, pictures, and a page that shows them."""

import json
from collections.abc import Sequence

from ..formats.models.model_profile import ACTIVATIONS, ModelProfile
from ..formats.models.profile_summary import ProfileSummary, ks_sentence, summarise
from ..formats.tensor_profile import TensorProfile
from .flat_record import to_csv
from .markdown import markdown_table
from .profile_plots import ROWS, fits_title, render_fits, render_nu, select_layers
from .profile_tables import paper_table, summary_table, tensor_table

PICTURES = 4


def profile_files(profile: ModelProfile, pictures: int = PICTURES) -> dict[str, bytes]:
    """Return the files' contents by name, the page last.

    Their names begin with the profile's kind, so that both kinds have room in a folder.
    ``pictures`` is how many tensors' fits are drawn, those of evenly spread ν.
    """
    stem = profile.kind
    record = json.dumps(profile.to_json(), ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    files = {
        f"{stem}.csv": to_csv(TensorProfile, profile.tensors).encode(),
        f"{stem}-layers.csv": to_csv(ProfileSummary, summarise(profile)).encode(),
        f"{stem}.json": record.encode(),
    }
    shown = {f"{stem}-nu.png": "ν and KS-Δ by layer"}
    files[f"{stem}-nu.png"], files[f"{stem}-nu.svg"] = render_nu(profile, "png", "svg")
    title = fits_title(profile)
    chosen = select_layers(profile, pictures) if pictures else ()
    for number, start in enumerate(range(0, len(chosen), ROWS), 1):
        part = chosen[start : start + ROWS]
        name = f"{stem}-fits-{number}"
        files[f"{name}.png"], files[f"{name}.svg"] = render_fits(part, title, "png", "svg")
        shown[f"{name}.png"] = "histograms with both fits, and quantiles against quantiles"
    files[f"{stem}.md"] = _page(profile, shown, [*files]).encode()
    return files


def _page(profile: ModelProfile, pictures: dict[str, str], files: Sequence[str]) -> str:
    what = "Layer inputs" if profile.kind == ACTIVATIONS else "Weights"
    made = ", ".join(f"{name} {version}" for name, version in profile.tools.items())
    read = ""
    if profile.kind == ACTIVATIONS:
        read = f" The model read {profile.tokens:,} tokens of {_safe(profile.text)}."
    lines = [
        f"# {what} of {_safe(profile.model)}",
        "",
        f"Zero-mean Student's t and normal fitted by maximum likelihood to at most "
        f"{profile.cap:,} values of each tensor, drawn with seed {profile.seed}; kurtosis and "
        f"extremes are of all values.{read} {made}.",
        "",
        _safe(ks_sentence(profile)),
        "",
        *(f"- {_safe(note)}" for note in profile.notes),
        *([""] if profile.notes else []),
        markdown_table(summary_table(profile)),
        *(f"![{title}]({name})\n" for name, title in pictures.items()),
        "## Beside the paper's models",
        "",
        "Published means over layers; other models, and the paper does not say by which means its "
        "fits were made.",
        "",
        markdown_table(paper_table(profile)),
        "## Tensors",
        "",
        markdown_table(tensor_table(profile)),
        "## Files",
        "",
        *(f"- [{name}]({name})" for name in files),
    ]
    if profile.failures:
        lines += ["", "## What failed", "", *(f"- {_safe(text)}" for text in profile.failures)]
    return "\n".join(lines) + "\n"


def _safe(text: str) -> str:
    """Return one line of text in which names from files are no tags."""
    return " ".join(text.split()).replace("<", "&lt;")
