"""What formats are judged on, and seeded samples of it: normal, Student's t, Laplace."""

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .derive import DEFAULT_NU, MAX_NU
from .errors import UsageError
from .exact import shown

if TYPE_CHECKING:
    from torch import Tensor

_NAME = re.compile(r"t[:(]?(?P<nu>\d{1,4}(?:\.\d{1,4})?)\)?", re.ASCII | re.IGNORECASE)


class Family(enum.StrEnum):
    """The kinds of distribution."""

    NORMAL = "normal"
    STUDENT = "t"
    LAPLACE = "laplace"


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """The standard normal, Student's t with ``nu`` degrees of freedom, or Laplace, of scale 1.

    Without ``family`` it is a t where ``nu`` is given, and the normal otherwise. Raises
    :class:`UsageError` for ``nu`` of another family than t, a t without it, or ``nu`` that is not
    above 2, where the variance is finite, and at most 1000.
    """

    nu: float | None = None
    family: Family | None = None

    def __post_init__(self) -> None:
        nu = self.nu
        if self.family is None:
            object.__setattr__(self, "family", Family.NORMAL if nu is None else Family.STUDENT)
        if (self.family is Family.STUDENT) != (nu is not None):
            raise UsageError(
                f"The distribution {self.family} with nu {shown(nu)} does not exist: Student's t, "
                "and no other, has degrees of freedom."
            )
        if nu is None:
            return
        if isinstance(nu, bool) or not isinstance(nu, (int, float)) or not 2 < nu <= MAX_NU:
            raise UsageError(
                f"Student's t: nu is {shown(nu)}; the degrees of freedom must be above 2, for a "
                f"finite variance, and at most {MAX_NU}."
            )

    @property
    def name(self) -> str:
        """``normal``, ``laplace`` or, for example, ``t(5)``."""
        return str(self.family) if self.nu is None else f"t({self.nu:g})"

    def sample(self, rows: int, length: int, *, seed: int = 0) -> "Tensor":
        """Return independent samples, float32 of shape (rows, length), on the CPU.

        The same seed gives the same samples on the same version of NumPy.
        """
        import numpy as np  # noqa: PLC0415 - with torch over a second to import
        import torch  # noqa: PLC0415

        generator = np.random.Generator(np.random.PCG64(seed))
        shape = (rows, length)
        if self.nu is not None:
            drawn = generator.standard_t(self.nu, shape)
        elif self.family is Family.LAPLACE:
            drawn = generator.laplace(size=shape)
        else:
            drawn = generator.standard_normal(shape)
        return torch.from_numpy(drawn.astype(np.float32))


NORMAL = Distribution()
STUDENT_5 = Distribution(nu=DEFAULT_NU)
LAPLACE = Distribution(family=Family.LAPLACE)


def find_distribution(name: str) -> Distribution:
    """Return the distribution called ``normal``, ``laplace``, or ``t5``, ``t:5`` or ``t(5)``.

    Any nu above 2 will do. Raises :class:`UsageError` for any other name.
    """
    folded = name.strip().casefold()
    for known in (NORMAL, LAPLACE):
        if folded == known.name:
            return known
    match = _NAME.fullmatch(name.strip())
    if match is None:
        raise UsageError(
            f"The distribution {shown(name)} is unknown; give normal, laplace, or t with its "
            "degrees of freedom, as in t5 or t:2.5."
        )
    return Distribution(nu=float(match["nu"]))
