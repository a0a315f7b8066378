"""Counts what each oracle was asked; the run's summary says so: ``oracles: N comparisons``."""

from collections.abc import Callable

import pytest

_PROPERTY = "comparisons"

#: Call it with the number of values, codes or levels that were held against a foreign one.
Compared = Callable[[int], None]


@pytest.fixture
def compared(record_property: Callable[[str, object], None]) -> Compared:
    def add(number: int) -> None:
        assert number > 0
        record_property(_PROPERTY, number)

    return add
