"""A model's profile in few figures: by kind of layer and by role, as the paper's Table 1."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ..student_fit import NU_BOUNDS
from ..tensor_profile import TensorProfile
from .layers import KINDS, ROLES
from .model_profile import ModelProfile

ALL = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileSummary:
    """The tensors of one group: ``all``, a kind of layer, or ``linear attention`` and the like.

    ``nu_spread`` is the standard deviation of ν over the tensors (their own, not a sample's), as
    the paper's subscripts appear to be; ``normal`` tensors have a ν at its upper bound, 200, which
    a mean is full of and a median is not. ``ks_delta_positive`` counts the tensors that a t fits
    better than a normal. Kurtosis is the tensors' median, ``minimum`` and ``maximum`` are of all.
    """

    group: str
    tensors: int
    elements: int
    nu_mean: float
    nu_spread: float
    nu_median: float
    normal: int
    ks_t_mean: float
    ks_normal_mean: float
    ks_delta_mean: float
    ks_delta_positive: int
    kurtosis_median: float
    minimum: float
    maximum: float


def summarise(profile: ModelProfile) -> tuple[ProfileSummary, ...]:
    """Return the summary of all tensors, and of each kind and role that there is more than one of.

    The first is the group ``all``.
    """
    tensors = profile.tensors
    found = [summary_of(ALL, tensors)]
    kinds = [kind for kind in KINDS if any(one.kind == kind for one in tensors)]
    for kind in kinds:
        group = [one for one in tensors if one.kind == kind]
        if len(kinds) > 1:
            found.append(summary_of(kind, group))
        roles = [role for role in ROLES if any(one.role == role for one in group)]
        if len(roles) > 1:
            found += [
                summary_of(f"{kind} {role}", [one for one in group if one.role == role])
                for role in roles
            ]
    return tuple(found)


def summary_of(group: str, tensors: Sequence[TensorProfile]) -> ProfileSummary:
    """Return the summary of at least one tensor."""
    nus = [one.nu for one in tensors]
    return ProfileSummary(
        group=group,
        tensors=len(tensors),
        elements=sum(one.elements for one in tensors),
        nu_mean=statistics.fmean(nus),
        nu_spread=statistics.pstdev(nus),
        nu_median=statistics.median(nus),
        normal=sum(nu >= NU_BOUNDS[1] for nu in nus),
        ks_t_mean=statistics.fmean(one.ks_t for one in tensors),
        ks_normal_mean=statistics.fmean(one.ks_normal for one in tensors),
        ks_delta_mean=statistics.fmean(one.ks_delta for one in tensors),
        ks_delta_positive=sum(one.ks_delta > 0 for one in tensors),
        kurtosis_median=statistics.median(one.kurtosis for one in tensors),
        minimum=min(one.minimum for one in tensors),
        maximum=max(one.maximum for one in tensors),
    )


def ks_sentence(profile: ModelProfile) -> str:
    """Return in words for how many tensors a t fits better than a normal."""
    whole = summary_of(ALL, profile.tensors)
    already = f"; {profile.quantized}" if profile.quantized else ""
    return (
        f"KS-Δ is positive, so that a Student's t fits better than a normal, for "
        f"{whole.ks_delta_positive} of {whole.tensors} tensors of {profile.model} "
        f"({profile.kind}{already}); its mean is {whole.ks_delta_mean:+.4f}, the median ν "
        f"{whole.nu_median:.2f}."
    )
