"""Which tensors of a model belong together: those of the same place in each of its blocks."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..formats.tensor_profile import TensorProfile

MOST_SERIES = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """Tensors to draw in one colour, each with its place along the model.

    ``in_blocks`` says that a place is the number of a block.
    """

    label: str
    places: tuple[int, ...]
    tensors: tuple[TensorProfile, ...]
    in_blocks: bool = False


def series_of(tensors: Sequence[TensorProfile]) -> tuple[tuple[Series, ...], bool]:
    """Return the series of a model's tensors, and whether places are numbers of blocks.

    That is so where blocks are alike: a block's number is the first in its tensors' names, and what
    has no block comes after the last. Otherwise series are kinds and roles, and places the order.
    """
    blocks: dict[str, list[tuple[int, TensorProfile]]] = {}
    single: list[TensorProfile] = []
    for one in tensors:
        found = re.search(r"(?<![^.])\d{1,6}(?![^.])", one.name)
        if found is None:
            single.append(one)
        else:
            template = f"{one.name[: found.start()]}*{one.name[found.end() :]}"
            blocks.setdefault(template, []).append((int(found[0]), one))
    alike = blocks and min(map(len, blocks.values())) > 1 and len(blocks) <= MOST_SERIES
    if not alike or len(single) > MOST_SERIES:
        return _by_role(tensors), False
    labels = short_labels(list(blocks))
    series = _merged(
        Series(
            label=labels[template],
            places=tuple(place for place, _ in members),
            tensors=tuple(one for _, one in members),
            in_blocks=True,
        )
        for template, members in blocks.items()
    )
    last = max(max(one.places) for one in series)
    if single:
        names = ", ".join(short_labels([one.name for one in single], fewest=2).values())
        series.append(
            Series(
                label=f"no block: {names}",
                places=tuple(range(last + 1, last + 1 + len(single))),
                tensors=tuple(single),
            )
        )
    return tuple(series), True


def short_labels(names: Sequence[str], fewest: int = 1) -> dict[str, str]:
    """Return each name's last parts, ``fewest`` or more, that no other name ends with.

    ``weight`` and a block's place are left out.
    """
    parts = {name: name.removesuffix(".weight").split(".") for name in names}
    labels = {}
    for name, own in parts.items():
        others = [other for key, other in parts.items() if key != name]
        length = next(
            (n for n in range(fewest, len(own)) if all(other[-n:] != own[-n:] for other in others)),
            len(own),
        )
        labels[name] = ".".join(own[-length:]).removeprefix("*.")
    return labels


def _merged(series: Iterable[Series]) -> list[Series]:
    """Return the series, as one those that would hide each other: they have the same figures."""
    found: dict[object, Series] = {}
    for one in series:
        key = (one.places, tuple((tensor.nu, tensor.ks_delta) for tensor in one.tensors))
        if key in found:
            one = replace(found[key], label=f"{found[key].label}, {one.label}")  # noqa: PLW2901
        found[key] = one
    return list(found.values())


def _by_role(tensors: Sequence[TensorProfile]) -> tuple[Series, ...]:
    groups: dict[str, list[tuple[int, TensorProfile]]] = {}
    for place, one in enumerate(tensors):
        groups.setdefault(f"{one.kind} {one.role}".strip(), []).append((place, one))
    return tuple(
        Series(
            label=label,
            places=tuple(place for place, _ in members),
            tensors=tuple(one for _, one in members),
        )
        for label, members in groups.items()
    )
