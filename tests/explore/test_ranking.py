"""Ranks against scipy's, and pairs that swap against a count of all pairs."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibblemac.explore.ranking import rank_correlation, ranks, swaps
from scipy.stats import rankdata, spearmanr

# Few different figures, so that many are equal.
FIGURES = st.lists(st.integers(1, 6).map(float), min_size=1, max_size=9)
PAIRS = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=9)


def named(figures) -> dict[str, float]:
    return {f"F{index}": float(figure) for index, figure in enumerate(figures)}


@given(FIGURES)
def test_ranks_are_scipys(figures: list[float]) -> None:
    assert ranks(figures) == list(rankdata(figures))


@given(PAIRS)
def test_correlation_is_scipys(pairs: list[tuple[int, int]]) -> None:
    one, other = zip(*pairs, strict=True)
    found = rank_correlation(named(one), named(other))
    if len(pairs) < 3 or len(set(one)) == 1 or len(set(other)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(one, other).statistic, abs=1e-12)


def test_only_formats_of_both_are_compared() -> None:
    one = {"A": 1.0, "B": 2.0, "C": 3.0, "X": 0.1}
    other = {"Y": 9.0, "C": 30.0, "B": 20.0, "A": 10.0}
    assert rank_correlation(one, other) == 1
    assert swaps(one, other) == []
    assert rank_correlation(one, {"A": 1.0, "B": 2.0}) is None


def sign(value: float) -> int:
    return (value > 0) - (value < 0)


@given(PAIRS)
def test_every_pair_in_another_order_is_found_once(pairs: list[tuple[int, int]]) -> None:
    one, other = (named(figures) for figures in zip(*pairs, strict=True))
    expected = {
        frozenset(names)
        for names in itertools.combinations(one, 2)
        if sign(one[names[0]] - one[names[1]]) != sign(other[names[0]] - other[names[1]])
    }
    found = swaps(one, other)
    assert {frozenset((swap.first, swap.second)) for swap in found} == expected
    assert len(found) == len(expected)
    for swap in found:
        assert swap.here == one[swap.first] / one[swap.second] <= 1
        assert swap.there == other[swap.first] / other[swap.second] >= 1
        assert swap.swing > 0
    assert sorted((swap.swing for swap in found), reverse=True) == [s.swing for s in found]


def test_swing_of_a_swap_and_of_a_tie() -> None:
    (swap,) = swaps({"A": 100.0, "B": 102.0}, {"A": 103.0, "B": 100.0})
    assert (swap.first, swap.second) == ("A", "B")
    assert swap.swing == pytest.approx(1.02 * 1.03 - 1)
    (tie,) = swaps({"A": 100.0, "B": 100.0}, {"A": 100.0, "B": 104.0})
    assert (tie.first, tie.second) == ("B", "A")
    assert tie.swing == pytest.approx(0.04)
