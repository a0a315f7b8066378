"""The quantization error of a lookup format's versions, on normal and on t(5) data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

from ..formats.record import Format
from ..synth.cache import Cache, Record, cache_key

_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionError:
    """SQNR in dB on both data, and what is lost there against the real-valued levels."""

    sqnr_normal_db: float
    sqnr_t5_db: float
    sqnr_loss_normal_db: float
    sqnr_loss_t5_db: float


def version_errors(pairs: Sequence[tuple[Format, Format]], cache: Cache) -> list[VersionError]:
    """Return the error of each (version, real-valued format), from the cache where known.

    Blocks of 128 with absmax scales, as :mod:`~nibblemac.formats.tops` measures them.
    """
    packages = {name: version(name) for name in ("numpy", "torch")}
    keys = [
        cache_key(
            {
                "what": "lookup error",
                "version": _VERSION,
                "formats": [one.digest, real.digest],
                "packages": packages,
            }
        )
        for one, real in pairs
    ]
    found = {key: cache.read(key, _parse) for key in keys}
    waiting = {key: pair for key, pair in zip(keys, pairs, strict=True) if found[key] is None}
    if waiting:
        from ..formats.absmax_error import sampled_errors  # noqa: PLC0415 - imports torch
        from ..formats.distribution import NORMAL, STUDENT_5  # noqa: PLC0415
        from ..formats.quantization_error import ratio_db  # noqa: PLC0415

        samples = [sampled_errors(distribution) for distribution in (NORMAL, STUDENT_5)]
        for key, (one, real) in waiting.items():
            sqnr, losses = [], []
            if one.selector_bits:
                record = _of_blocks(one)
                found[key] = record
                cache.put(key, asdict(record))
                continue
            for sample in samples:
                noise = sample.noise(one)
                sqnr.append(round(sample.error_of(one.name, noise).sqnr_db, 6))
                losses.append(round(ratio_db(noise, sample.noise(real)).value, 6))
            record = VersionError(
                sqnr_normal_db=sqnr[0],
                sqnr_t5_db=sqnr[1],
                sqnr_loss_normal_db=losses[0],
                sqnr_loss_t5_db=losses[1],
            )
            found[key] = record
            cache.put(key, asdict(record))
    return [error for key in keys if (error := found[key]) is not None]


def _of_blocks(one: Format) -> VersionError:
    """Return the error of a format of which each block chooses a variant: it has no versions."""
    from ..formats.absmax_error import ELEMENTS  # noqa: PLC0415 - imports torch
    from ..formats.distribution import NORMAL, STUDENT_5  # noqa: PLC0415
    from ..formats.quantization_error import quantization_error  # noqa: PLC0415
    from ..formats.scale import PAPER_BLOCK  # noqa: PLC0415

    sqnr = [
        round(
            quantization_error(
                distribution.sample(ELEMENTS // PAPER_BLOCK, PAPER_BLOCK), one, data="samples"
            ).sqnr_db,
            6,
        )
        for distribution in (NORMAL, STUDENT_5)
    ]
    return VersionError(
        sqnr_normal_db=sqnr[0],
        sqnr_t5_db=sqnr[1],
        sqnr_loss_normal_db=0.0,
        sqnr_loss_t5_db=0.0,
    )


def _parse(record: Record) -> VersionError:
    if not all(type(value) is float for value in record.values()):
        raise TypeError("an error is no number")
    return VersionError(**record)  # type: ignore[arg-type]
