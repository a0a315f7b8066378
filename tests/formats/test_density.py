"""Closed forms of densities against quadrature, SciPy's distributions and each other."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.formats.density import density_of
from nibblemac.formats.distribution import (
    LAPLACE,
    NORMAL,
    STUDENT_5,
    Distribution,
    Family,
    find_distribution,
)
from nibblemac.formats.errors import UsageError
from scipy import integrate, stats

DISTRIBUTIONS = (
    NORMAL,
    LAPLACE,
    *(Distribution(nu=nu) for nu in (2.001, 2.1, 3, 4.5, 5, 30, 1000)),
)
ALL = pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda one: one.name)


def foreign(distribution: Distribution):
    if distribution.nu is not None:
        return stats.t(distribution.nu)
    return stats.laplace() if distribution.family is Family.LAPLACE else stats.norm()


@ALL
def test_density_and_variance_are_scipys(distribution) -> None:
    density, other = density_of(distribution), foreign(distribution)
    x = np.linspace(-12, 12, 97)
    assert density.at(x) == pytest.approx(other.pdf(x), rel=1e-11)
    assert density.variance == pytest.approx(other.var(), rel=1e-9)


@ALL
@pytest.mark.parametrize("power", [0, 1, 2])
def test_tails_are_integrals_of_the_density(distribution, power: int) -> None:
    density = density_of(distribution)
    # Between finite ends, where quadrature can be trusted for any tail.
    ends = np.array([0.0, 0.3, 1.0, 2.5, 8.0])
    tails = density.tails(ends)[power]
    for index, (low, high) in enumerate(itertools.pairwise(ends)):
        exact, _ = integrate.quad(
            lambda x: x**power * float(density.at(np.array(x))), low, high, epsabs=0, epsrel=1e-12
        )
        # A difference of two numbers of the tails' size.
        assert tails[index] - tails[index + 1] == pytest.approx(
            exact, rel=1e-10, abs=1e-12 * tails[0]
        )


@ALL
def test_tails_at_zero_and_at_infinity(distribution) -> None:
    density = density_of(distribution)
    zeroth, first, second = density.tails(np.array([0.0, math.inf]))
    assert zeroth.tolist() == pytest.approx([0.5, 0])
    assert 2 * second[0] == pytest.approx(density.variance, rel=1e-9)
    assert (first[1], second[1]) == (0, 0)
    assert 2 * first[0] == pytest.approx(float(foreign(distribution).expect(abs)), rel=1e-6)


@pytest.mark.parametrize("nu", [2.1, 3, 5])
def test_far_tails_of_t_keep_their_digits(nu: float) -> None:
    # For x → ∞ the density is c·x^(−ν−1), and S_j = c·x^(j−ν) ÷ (ν − j).
    density = density_of(Distribution(nu=nu))
    x = np.array([1e6])
    constant = float(density.at(x)[0]) * 1e6 ** (nu + 1)
    for power, tail in enumerate(density.tails(x)):
        assert float(tail[0]) == pytest.approx(
            constant * 1e6 ** (power - nu) / (nu - power), rel=1e-9
        )


@ALL
@given(exponent=st.floats(-28, 0))
def test_magnitude_is_the_inverse_of_the_tail(distribution, exponent: float) -> None:
    density = density_of(distribution)
    exceeded = np.array([10.0**exponent])
    m = density.magnitude(exceeded)
    assert m[0] >= 0
    # Close to 0 the magnitude's own rounding counts.
    assert 2 * density.tails(m)[0][0] == pytest.approx(exceeded[0], rel=1e-9, abs=1e-30)


@pytest.mark.parametrize("name", ["t:5", "T5", "t(5)", " t5 "])
def test_students_t_by_name(name: str) -> None:
    assert find_distribution(name) == STUDENT_5


def test_laplace_by_name_and_samples() -> None:
    assert find_distribution(" Laplace") == LAPLACE
    assert find_distribution(LAPLACE.name) is LAPLACE
    sample = LAPLACE.sample(400, 256, seed=1)
    assert float(sample.double().var()) == pytest.approx(2, abs=0.05)
    # P(|X| > ln 100) = 0.01.
    assert float((sample.abs() > math.log(100)).double().mean()) == pytest.approx(0.01, abs=0.002)


@pytest.mark.parametrize(
    ("nu", "family"), [(5, Family.NORMAL), (None, Family.STUDENT), (3, Family.LAPLACE)]
)
def test_degrees_of_freedom_are_students_alone(nu, family) -> None:
    with pytest.raises(UsageError, match="degrees of freedom"):
        Distribution(nu=nu, family=family)
