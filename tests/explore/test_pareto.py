"""The non-dominated set against its definition."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.explore.pareto import pareto_front
from nibblemac.formats.errors import DataError

# Few distinct values, so that ties in one and in both figures are common.
POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(-3, 3)), max_size=25)
REALS = st.floats(allow_nan=False)


def brute_force(points, *, higher_is_better):
    def dominates(one, two):
        better = one[1] > two[1] if higher_is_better else one[1] < two[1]
        return one[0] <= two[0] and (better or one[1] == two[1]) and (one[0] < two[0] or better)

    return tuple(not any(dominates(other, point) for other in points) for point in points)


@given(POINTS, st.booleans())
def test_many_ties_agree_with_the_definition(points, higher):
    assert pareto_front(points, higher_is_better=higher) == brute_force(
        points, higher_is_better=higher
    )


@given(st.lists(st.tuples(REALS, REALS), max_size=25), st.booleans())
def test_any_real_points_agree_with_the_definition(points, higher):
    assert pareto_front(points, higher_is_better=higher) == brute_force(
        points, higher_is_better=higher
    )


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], ()),
        ([(1, 1)], (True,)),
        ([(1, 1), (1, 1)], (True, True)),
        ([(1, 1), (2, 1)], (True, False)),
        ([(1, 1), (1, 2)], (False, True)),
        ([(3, 9), (1, 1), (2, 5), (2, 4), (4, 8)], (True, True, True, False, False)),
    ],
)
def test_small_cases(points, expected):
    assert pareto_front(points, higher_is_better=True) == expected
    mirrored = [(area, -quality) for area, quality in points]
    assert pareto_front(mirrored, higher_is_better=False) == expected


@pytest.mark.parametrize("point", [(math.nan, 1.0), (1.0, math.nan)])
def test_nan_is_refused_by_number(point):
    with pytest.raises(DataError, match="Point 1 "):
        pareto_front([(1.0, 1.0), point], higher_is_better=True)
