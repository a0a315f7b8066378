"""The system overhead of a MAC: the footnote to the paper's Table 10."""

import math

from ..formats.errors import UsageError

MAC_SHARE = 0.10
MEMORY_SHARE = 0.60


def chip_overhead(
    mac_area: float,
    int4_area: float,
    bits: int,
    *,
    mac_share: float = MAC_SHARE,
    memory_share: float = MEMORY_SHARE,
) -> float:
    """Return the relative chip area over INT4's, as a fraction.

    ``mac_share × (mac_area ÷ int4_area − 1) + memory_share × (bits ÷ 4 − 1)``. Raises
    :class:`UsageError` for areas that are not positive, shares outside 0 to 1, or shares that
    add up to more than 1.
    """
    for name, area in (("MAC", mac_area), ("INT4's MAC", int4_area)):
        if not (math.isfinite(area) and area > 0):
            raise UsageError(f"The area of {name} is {area!r}; it must be a positive number.")
    for name, share in (("mac_share", mac_share), ("memory_share", memory_share)):
        if not 0 <= share <= 1:
            raise UsageError(f"{name} is {share!r}; it must be from 0 to 1.")
    if mac_share + memory_share > 1:
        raise UsageError(
            f"mac_share {mac_share} and memory_share {memory_share} add up to more than the chip."
        )
    return mac_share * (mac_area / int4_area - 1) + memory_share * (bits / 4 - 1)
