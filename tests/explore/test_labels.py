"""Label placement: no overlaps where there is room, and the geometry under it."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibblemac.explore.labels import (
    Box,
    place_labels,
    segment_meets_box,
    segments_cross,
    step_corners,
)

FRAME = Box(0, 0, 1000, 600)
COORDINATE = st.integers(-20, 20).map(float)
POINT = st.tuples(COORDINATE, COORDINATE)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(100, 900).map(float), st.integers(100, 500).map(float)),
        min_size=1,
        max_size=9,
        unique=True,
    )
)
def test_labels_stay_apart_and_inside(points):
    boxes = place_labels(points, [(60.0, 14.0)] * len(points), FRAME)
    assert len(boxes) == len(points)
    for one, two in itertools.combinations(boxes, 2):
        assert one.overlap(two) == 0
    for box in boxes:
        assert FRAME.overlap(box) == pytest.approx(60 * 14)
        assert (box.right - box.left, box.top - box.bottom) == pytest.approx((60, 14))


def test_a_lone_label_stands_close():
    (box,) = place_labels([(500.0, 300.0)], [(60.0, 14.0)], FRAME)
    assert math.dist(box.nearest((500, 300)), (500, 300)) < 20


def test_twelve_points_in_one_place_still_get_labels_of_their_own():
    boxes = place_labels([(500.0, 300.0)] * 12, [(70.0, 14.0)] * 12, FRAME)
    assert all(one.overlap(two) == 0 for one, two in itertools.combinations(boxes, 2))


def test_nothing_to_place():
    assert place_labels([], [], FRAME) == ()


@given(POINT, POINT, POINT, POINT)
def test_a_segment_meets_a_box_where_a_fine_walk_does(start, end, corner, other):
    box = Box(
        min(corner[0], other[0]),
        min(corner[1], other[1]),
        max(corner[0], other[0]),
        max(corner[1], other[1]),
    )
    steps = [i / 400 for i in range(401)]
    walked = any(
        box.left <= start[0] + t * (end[0] - start[0]) <= box.right
        and box.bottom <= start[1] + t * (end[1] - start[1]) <= box.top
        for t in steps
    )
    # The walk can miss a touched corner, never invent a hit (but for rounding, which grows allows).
    if walked:
        assert segment_meets_box((start, end), box.grown(1e-9))
    if segment_meets_box((start, end), box) and not walked:
        assert not any(
            box.grown(-1).left < start[0] + t * (end[0] - start[0]) < box.grown(-1).right
            and box.grown(-1).bottom < start[1] + t * (end[1] - start[1]) < box.grown(-1).top
            for t in steps
        )


@pytest.mark.parametrize(
    ("one", "two", "crosses"),
    [
        (((0, 0), (2, 2)), ((0, 2), (2, 0)), True),
        (((0, 0), (1, 1)), ((2, 0), (2, 5)), False),
        (((0, 0), (1, 0)), ((0, 1), (1, 1)), False),
        (((0, 0), (1, 0)), ((1, 0), (1, 1)), False),
    ],
)
def test_segments_cross(one, two, crosses):
    assert segments_cross(one, two) is crosses
    assert segments_cross(two, one) is crosses


def test_the_frontiers_line_goes_level_then_up():
    assert step_corners([(1, 1), (2, 5)]) == [(1, 1), (2, 1), (2, 5)]
