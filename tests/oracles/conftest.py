"""Counts what each oracle was asked, and says so at the end: ``oracles: N comparisons``."""

from collections import Counter
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add up what passing tests compared, by the file that names the oracle."""
    found: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", ()):
        oracle = report.nodeid.partition("::")[0].rpartition("test_oracle_")[2].removesuffix(".py")
        for name, value in report.user_properties:
            if name == _PROPERTY:
                found[oracle] += value
    if found:
        terminalreporter.section("oracles")
        for oracle, number in sorted(found.items()):
            terminalreporter.write_line(f"{oracle}: {number:,} comparisons")
        terminalreporter.write_line(f"oracles: {found.total():,} comparisons")
