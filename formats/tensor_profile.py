"""The distribution of one tensor's values as a record: the row of a model's profile."""

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from .errors import DataError, TensorError, UsageError
from .exact import shown

if TYPE_CHECKING:
    from torch import Tensor

    from .moments import Moments

MIN_ELEMENTS = 16
SAMPLE_CAP = 2**18


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorProfile:
    """How one tensor's values are distributed.

    ``kind`` says what the tensor is, such as linear or activation, and ``role`` what the layer is
    for, such as attention, where that is known. ``minimum``, ``maximum`` and the excess
    ``kurtosis`` are over all ``elements``; the maximum-likelihood zero-mean Student's t (``nu``,
    ``scale``) and the Kolmogorov-Smirnov distances to it and to the likeliest zero-mean normal are
    over ``sampled`` of them. ``ks_delta`` is ``ks_normal`` − ``ks_t``, positive where the t fits
    better. A ``nu`` of 200, the upper bound, stands for a normal. ``zeros`` is the share of exact
    zeros that were drawn but left out of ``sampled``, of a tensor with so many that no t fits.
    """

    name: str
    kind: str
    elements: int
    sampled: int
    nu: float
    scale: float
    ks_t: float
    ks_normal: float
    ks_delta: float
    kurtosis: float
    minimum: float
    maximum: float
    role: str = ""
    zeros: float = 0.0

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types; :meth:`from_json` is the inverse."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def from_json(cls, record: object, where: str = "the tensor's profile") -> "TensorProfile":
        """Rebuild a profile; ``where`` names the record in the error.

        Raises :class:`DataError` for a missing key, a value of the wrong type or not finite, and
        for figures that no tensor has.
        """
        if not isinstance(record, dict):
            raise DataError(f"{where} is {shown(record)}; it must be a JSON object.")
        values: dict[str, object] = {}
        for item in fields(cls):
            if item.name not in record:
                raise DataError(f"{where} lacks the key {item.name!r}.")
            value = record[item.name]
            if item.type is float and type(value) is int and abs(value) < 2**53:
                value = float(value)
            if type(value) is not item.type or (type(value) is float and not math.isfinite(value)):
                raise DataError(
                    f"{where}: {item.name} is {shown(value)}, of the wrong type or not finite."
                )
            values[item.name] = value
        profile = cls(**values)  # type: ignore[arg-type]
        profile._check(where)
        return profile

    def _check(self, where: str) -> None:
        wrong = (
            ("sampled", self.sampled, 0 < self.sampled <= self.elements),
            ("nu", self.nu, self.nu > 0),
            ("scale", self.scale, self.scale > 0),
            ("ks_t", self.ks_t, 0 <= self.ks_t <= 1),
            ("ks_normal", self.ks_normal, 0 <= self.ks_normal <= 1),
            ("ks_delta", self.ks_delta, abs(self.ks_normal - self.ks_t - self.ks_delta) < 1e-9),
            ("maximum", self.maximum, self.minimum < self.maximum),
            ("zeros", self.zeros, 0 <= self.zeros < 1),
        )
        for name, value, is_right in wrong:
            if not is_right:
                raise DataError(
                    f"{where}: {name} is {shown(value)}, which no tensor's profile has."
                )


def profile_tensor(
    tensor: "Tensor", *, name: str, kind: str, cap: int = SAMPLE_CAP, seed: int = 0
) -> TensorProfile:
    """Fit a t and a normal to a tensor's values, and measure both fits.

    ``tensor`` has any shape, floating-point dtype and device; distributions are fitted to at most
    ``cap`` elements, drawn with ``seed``. Memory beside the tensor does not grow with it.

    Raises :class:`TensorError`, naming the tensor, for what is no dense floating-point tensor, has
    fewer than 16 elements, NaN or infinities, a single value, or exact zeros as a third or more of
    its sample; :class:`UsageError` for a cap below 16.
    """
    from .codec import check_tensor  # noqa: PLC0415 - imports torch
    from .moments import moments  # noqa: PLC0415
    from .student_fit import sample_elements  # noqa: PLC0415

    if cap < MIN_ELEMENTS:
        raise UsageError(f"The sample's cap is {shown(cap)}; it must be at least {MIN_ELEMENTS}.")
    check_tensor(tensor, f"The tensor {shown(name)}")
    if tensor.numel() < MIN_ELEMENTS:
        raise TensorError(
            f"The tensor {shown(name)} has {tensor.numel()} elements; to fit a distribution it "
            f"takes at least {MIN_ELEMENTS}."
        )
    whole = moments(tensor, name)
    sample = sample_elements(tensor, cap, seed)
    return profile_sample(sample, whole, name=name, kind=kind, elements=tensor.numel())


def profile_sample(
    sample: "Tensor",
    whole: "Moments",
    *,
    name: str,
    kind: str,
    elements: int,
    role: str = "",
    leave_out_zeros: bool = False,
) -> TensorProfile:
    """Return the profile of a tensor of which a sample, shape (samples,), and moments are known.

    With ``leave_out_zeros``, where a third or more of the sample is exactly 0, as after a ReLU,
    distributions are fitted to the rest. Raises :class:`TensorError` where none can be fitted, as
    :func:`profile_tensor`.
    """
    from .fit_distance import fit_distance  # noqa: PLC0415
    from .student_fit import NU_BOUNDS, fit_student  # noqa: PLC0415

    fitted = sample
    if leave_out_zeros:
        others = sample[sample != 0]
        most = NU_BOUNDS[0] / (NU_BOUNDS[0] + 1)
        if len(sample) - len(others) >= most * len(sample) and len(others) >= MIN_ELEMENTS:
            fitted = others
    fit = fit_student(fitted, name=name)
    nu, scale = float(fit.nu), float(fit.scale)
    distance = fit_distance(fitted, nu, scale)
    return TensorProfile(
        name=name,
        kind=kind,
        elements=elements,
        sampled=len(fitted),
        nu=nu,
        scale=scale,
        ks_t=distance.ks_t,
        ks_normal=distance.ks_normal,
        ks_delta=distance.ks_delta,
        kurtosis=whole.kurtosis,
        minimum=whole.minimum,
        maximum=whole.maximum,
        role=role,
        zeros=1 - len(fitted) / len(sample),
    )
