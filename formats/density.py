"""Densities in closed form: tails, partial moments and quantiles of symmetric distributions.

Everything is for the standard scale and for x ≥ 0; the densities are even. The partial moments
S_j(x) = ∫_x^∞ t^j f(t) dt for j = 0, 1, 2:

- normal, φ its density: S0 = erfc(x/√2)/2, S1 = φ(x), S2 = x·φ(x) + S0.
- Student's t: S1 = (ν + x²)/(ν − 1)·f(x). With t² = ν·((1 + t²/ν) − 1), and since (1 + t²/ν)·f is
  a multiple of the density with ν − 2 degrees of freedom, stretched by √(ν/(ν − 2)):
  S2 = ν·((ν − 1)/(ν − 2)·S0 of t(ν − 2) at x·√((ν − 2)/ν) − S0), for ν > 2.
- Laplace, f = e^(−|x|)/2: S0 = f, S1 = (x + 1)·f, S2 = (x² + 2x + 2)·f.

Tails and not distribution functions, since differences of tails keep their digits far out.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy import special

from .distribution import Distribution, Family

Array = npt.NDArray[np.float64]


class Density(Protocol):
    """A symmetric density of standard scale with a finite variance."""

    @property
    def variance(self) -> float:
        """E[X²]."""

    def at(self, x: Array) -> Array:
        """Return the density at each x."""

    def tails(self, x: Array) -> tuple[Array, Array, Array]:
        """Return S0, S1 and S2 at each x ≥ 0, infinity included; shapes as of ``x``."""

    def magnitude(self, exceeded: Array) -> Array:
        """Return the m ≥ 0 with P(|X| > m) = ``exceeded``, probabilities from 0 to 1."""


def density_of(distribution: Distribution) -> Density:
    """Return a distribution's density."""
    if distribution.nu is not None:
        return StudentDensity(nu=distribution.nu)
    return LaplaceDensity() if distribution.family is Family.LAPLACE else NormalDensity()


@dataclass(frozen=True, kw_only=True, slots=True)
class NormalDensity:
    """The standard normal."""

    @property
    def variance(self) -> float:
        """1."""
        return 1.0

    def at(self, x: Array) -> Array:
        """See :class:`Density`."""
        return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)

    def tails(self, x: Array) -> tuple[Array, Array, Array]:
        """See :class:`Density`."""
        beyond = special.ndtr(-x)
        first = self.at(x)
        # At infinity 0 × ∞ has no value; the product's limit is 0.
        return beyond, first, np.where(np.isinf(x), 0.0, x) * first + beyond

    def magnitude(self, exceeded: Array) -> Array:
        """See :class:`Density`."""
        return -special.ndtri(exceeded / 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class StudentDensity:
    """Student's t with ``nu`` > 2 degrees of freedom and scale 1."""

    nu: float

    @property
    def variance(self) -> float:
        """ν/(ν − 2)."""
        return self.nu / (self.nu - 2)

    def at(self, x: Array) -> Array:
        """See :class:`Density`."""
        nu = self.nu
        log_peak = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - math.log(nu * math.pi) / 2
        return np.exp(log_peak - (nu + 1) / 2 * np.log1p(x * x / nu))

    def tails(self, x: Array) -> tuple[Array, Array, Array]:
        """See :class:`Density`."""
        nu = self.nu
        beyond = _student_below(nu, -x)
        finite = np.where(np.isinf(x), 0.0, x)
        first = np.where(np.isinf(x), 0.0, (nu + finite * finite) / (nu - 1) * self.at(finite))
        wider = _student_below(nu - 2, -x * math.sqrt((nu - 2) / nu))
        return beyond, first, nu * ((nu - 1) / (nu - 2) * wider - beyond)

    def magnitude(self, exceeded: Array) -> Array:
        """See :class:`Density`."""
        return -np.asarray(special.stdtrit(self.nu, exceeded / 2), dtype=np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class LaplaceDensity:
    """The two-sided exponential with scale 1."""

    @property
    def variance(self) -> float:
        """2."""
        return 2.0

    def at(self, x: Array) -> Array:
        """See :class:`Density`."""
        return np.exp(-np.abs(x)) / 2

    def tails(self, x: Array) -> tuple[Array, Array, Array]:
        """See :class:`Density`."""
        beyond = self.at(x)
        finite = np.where(np.isinf(x), 0.0, x)
        return beyond, (finite + 1) * beyond, (finite * finite + 2 * finite + 2) * beyond

    def magnitude(self, exceeded: Array) -> Array:
        """See :class:`Density`."""
        return -np.log(exceeded)


def _student_below(nu: float, x: Array) -> Array:
    return np.asarray(special.stdtr(nu, x), dtype=np.float64)
