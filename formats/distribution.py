"""Seeded samples of the distributions that formats are judged on: normal and Student's t."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .derive import DEFAULT_NU, MAX_NU
from .errors import UsageError
from .exact import shown

if TYPE_CHECKING:
    from torch import Tensor

_NAME = re.compile(r"t\(?(?P<nu>\d{1,4}(?:\.\d{1,4})?)\)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """The standard normal, or Student's t with ``nu`` degrees of freedom (scale 1).

    Raises :class:`UsageError` unless ``nu`` is None or above 2, where the variance is finite, and
    at most 1000.
    """

    nu: float | None = None

    def __post_init__(self) -> None:
        nu = self.nu
        if nu is None:
            return
        if isinstance(nu, bool) or not isinstance(nu, (int, float)) or not 2 < nu <= MAX_NU:
            raise UsageError(
                f"Student's t: nu is {shown(nu)}; the degrees of freedom must be above 2, for a "
                f"finite variance, and at most {MAX_NU}."
            )

    @property
    def name(self) -> str:
        """``normal`` or, for example, ``t(5)``."""
        return "normal" if self.nu is None else f"t({self.nu:g})"

    def sample(self, rows: int, length: int, *, seed: int = 0) -> "Tensor":
        """Return independent samples, float32 of shape (rows, length), on the CPU.

        The same seed gives the same samples on the same version of NumPy.
        """
        import numpy as np  # noqa: PLC0415 - with torch over a second to import
        import torch  # noqa: PLC0415

        generator = np.random.Generator(np.random.PCG64(seed))
        shape = (rows, length)
        drawn = (
            generator.standard_normal(shape)
            if self.nu is None
            else generator.standard_t(self.nu, shape)
        )
        return torch.from_numpy(drawn.astype(np.float32))


NORMAL = Distribution()
STUDENT_5 = Distribution(nu=DEFAULT_NU)


def find_distribution(name: str) -> Distribution:
    """Return the distribution called ``normal``, ``t5`` or ``t(5)``, for any nu above 2.

    Raises :class:`UsageError` for any other name.
    """
    if name.strip().casefold() == NORMAL.name:
        return NORMAL
    match = _NAME.fullmatch(name.strip())
    if match is None:
        raise UsageError(
            f"The distribution {shown(name)} is unknown; give normal, or t with its degrees of "
            "freedom, as in t5 or t(2.5)."
        )
    return Distribution(nu=float(match["nu"]))
