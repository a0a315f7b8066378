"""The pictures of a survey of formats' quality, as files in a folder."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..formats.files import write_bytes
from ..formats.record import Format
from .quality import QualitySurvey
from .quality_block_plot import render_blocks
from .quality_level_plot import render_levels

_KINDS = ("png", "svg")


def write_pictures(
    survey: QualitySurvey, formats: Sequence[Format], folder: Path
) -> Iterator[Path]:
    """Write levels over the density for each block, and SQNR by block where there are several.

    Yields each file's path when it is written. Raises :class:`OutputError` where it cannot be.
    """
    data = _file_name(survey.data)
    whole = survey.whole
    for shape in survey.shapes:
        here = [one for one in whole if one.block == shape.block]
        # With several rules for scales, the first one's SQNR stands beside the levels.
        here = [one for one in here if one.scale == here[0].scale]
        names = {one.format for one in here}
        members = [item for item in formats if item.name in names]
        drawn = render_levels(shape, members, here, survey.data, *_KINDS)
        yield from _write(folder / f"levels-{data}-block{shape.block}", drawn)
    for bits in sorted({one.bits for one in whole}):
        for scale in dict.fromkeys(one.scale for one in whole):
            found = [one for one in whole if (one.bits, one.scale) == (bits, scale)]
            if len({one.block for one in found}) > 1 and len(found) > len(
                {o.format for o in found}
            ):
                drawn = render_blocks(found, survey.data, *_KINDS)
                yield from _write(folder / f"sqnr-{data}-{bits}bit-{scale}", drawn)


def _write(stem: Path, drawn: Sequence[bytes]) -> Iterator[Path]:
    for kind, data in zip(_KINDS, drawn, strict=True):
        path = stem.with_name(f"{stem.name}.{kind}")
        write_bytes(path, data)
        yield path


def _file_name(name: str) -> str:
    """Return a name with nothing in it that a path could mind."""
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", name.removesuffix(".safetensors")).strip("-.")
    return plain[:60] or "data"
