"""A model's profile as tables: by group of layers, by tensor, and beside the paper's models."""

from ..formats.models.model_profile import ModelProfile
from ..formats.models.profile_summary import ALL, summarise, summary_of
from ..formats.published_profiles import published_profiles
from .text_table import Column, TextTable, number

_FIGURES = (
    ("KS t", "Kolmogorov-Smirnov distance to the best Student's t"),
    ("KS normal", "Kolmogorov-Smirnov distance to the best normal"),
    ("KS-Δ", "KS normal − KS t, positive where the t fits better"),
)


def summary_table(profile: ModelProfile) -> TextTable:
    """Return one row a group of layers, the first that of all."""
    columns = (
        Column(label="layers", numeric=False),
        Column(label="tensors"),
        Column(label="ν mean"),
        Column(label="± spread"),
        Column(label="ν median"),
        *(Column(label=label, meaning=meaning) for label, meaning in _FIGURES),
        Column(label="KS-Δ > 0"),
        Column(label="kurtosis", meaning="excess kurtosis, the median of the tensors"),
        Column(label="min"),
        Column(label="max"),
    )
    rows = tuple(
        (
            one.group,
            str(one.tensors),
            number(one.nu_mean, 2),
            number(one.nu_spread, 2),
            number(one.nu_median, 2),
            number(one.ks_t_mean, 4),
            number(one.ks_normal_mean, 4),
            number(one.ks_delta_mean, 4),
            f"{one.ks_delta_positive} of {one.tensors}",
            number(one.kurtosis_median, 2),
            f"{one.minimum:.4g}",
            f"{one.maximum:.4g}",
        )
        for one in summarise(profile)
    )
    return TextTable(columns=columns, rows=rows)


def tensor_table(profile: ModelProfile) -> TextTable:
    """Return one row a tensor, in the model's order."""
    columns = (
        Column(label="tensor", numeric=False),
        Column(label="kind", numeric=False),
        Column(label="role", numeric=False),
        Column(label="elements"),
        Column(label="ν"),
        Column(label="scale"),
        *(Column(label=label, meaning=meaning) for label, meaning in _FIGURES),
        Column(label="kurtosis"),
        Column(label="min"),
        Column(label="max"),
    )
    rows = tuple(
        (
            one.name,
            one.kind,
            one.role,
            f"{one.elements:,}",
            number(one.nu, 2),
            f"{one.scale:.4g}",
            number(one.ks_t, 4),
            number(one.ks_normal, 4),
            number(one.ks_delta, 4),
            number(one.kurtosis, 2),
            f"{one.minimum:.4g}",
            f"{one.maximum:.4g}",
        )
        for one in profile.tensors
    )
    return TextTable(columns=columns, rows=rows)


def paper_table(profile: ModelProfile) -> TextTable:
    """Return this model's ν and KS-Δ, and below it the published ones of the paper's models."""
    columns = (
        Column(label="model", numeric=False),
        Column(label="ν mean"),
        Column(label="± spread"),
        Column(label="KS-Δ"),
        Column(label="from", numeric=False),
    )
    ours = summary_of(ALL, profile.tensors)
    rows = [
        (
            profile.model,
            number(ours.nu_mean, 2),
            number(ours.nu_spread, 2),
            number(ours.ks_delta_mean, 3),
            "measured here" + (f" ({profile.quantized})" if profile.quantized else ""),
        )
    ]
    rows += [
        (
            one.model,
            number(one.nu_mean, 2),
            number(one.nu_spread, 2),
            number(one.ks_delta, 3),
            one.source + (f" ({one.note})" if one.note else ""),
        )
        for one in published_profiles()
        if one.kind == profile.kind
    ]
    return TextTable(columns=columns, rows=tuple(rows), marked=frozenset({0}))
