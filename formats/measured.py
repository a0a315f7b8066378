"""The quality figures that this project measured itself and ships; ``data/README.md`` says how."""

from functools import cache
from importlib.resources import files
from pathlib import Path

from .accuracy import AccuracyTable, read_accuracy

FILE = "measured_quality.csv"


def measured_path() -> Path:
    """Return where the figures lie."""
    return Path(str(files(__package__).joinpath("data", FILE)))


@cache
def measured_quality() -> AccuracyTable:
    """Return all models' figures, as ``nibblemac evaluate`` wrote them."""
    return read_accuracy(measured_path())
