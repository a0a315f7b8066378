"""The published figures that ship with the project: typed, each with its source.

``data/README.md`` lists what each file holds and the known faults of the sources.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from .accuracy import AccuracyTable, read_accuracy
from .errors import DataError

PAPER = "Dotzel et al., ICML 2024, arXiv 2405.03103"

DATA_FILES = {
    "dotzel-quality": "dotzel_icml2024_quality.csv",
    "dotzel-quality-derived": "dotzel_icml2024_quality_derived.csv",
    "dotzel-hardware": "dotzel_icml2024_hardware.csv",
    "dotzel-levels": "dotzel_icml2024_levels.csv",
    "dotzel-profiling": "dotzel_icml2024_profiling.csv",
    "bitmod-quality": "bitmod_hpca2025_quality.csv",
    "readme": "README.md",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedHardware:
    """A row of the paper's Table 10 (TSMC 28 nm, Design Compiler).

    Areas in µm², power in µW, overhead in percent of the chip.
    """

    format: str
    accumulator_bits: int
    multiplier_um2: float
    accumulator_um2: float
    mac_um2: float
    power_uw: float
    chip_overhead_pct: float
    source: str


def published_path(name: str) -> Path:
    """Return where a published file lies; the names are the keys of ``DATA_FILES``.

    Raises :class:`DataError` for another name.
    """
    if name not in DATA_FILES:
        raise DataError(
            f"There is no published file {name!r}; there are " + ", ".join(DATA_FILES) + "."
        )
    return Path(str(files(__package__).joinpath("data", DATA_FILES[name])))


@cache
def published_hardware() -> dict[str, PublishedHardware]:
    """Return the paper's Table 10, by format name, in the table's order."""
    with published_path("dotzel-hardware").open(encoding="utf-8", newline="") as stream:
        return {
            row["format"]: PublishedHardware(
                format=row["format"],
                accumulator_bits=int(row["accumulator_bits"]),
                multiplier_um2=float(row["multiplier_um2"]),
                accumulator_um2=float(row["accumulator_um2"]),
                mac_um2=float(row["mac_um2"]),
                power_uw=float(row["power_uw"]),
                chip_overhead_pct=float(row["rel_chip_overhead_pct"]),
                source=row["source"],
            )
            for row in csv.DictReader(stream)
        }


@cache
def published_quality() -> AccuracyTable:
    """Return the paper's quality figures: 1944 rows of Tables 2 to 9, 14, 16 to 28."""
    return read_accuracy(published_path("dotzel-quality"))


@cache
def published_bitmod_quality() -> AccuracyTable:
    """Return BitMoD's quality figures; names that are no catalogue formats are left out.

    Their baselines differ from the paper's: never mix the two in one comparison.
    """
    return read_accuracy(published_path("bitmod-quality"), skip_unknown=True)
