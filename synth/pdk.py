"""Where installed PDKs keep the Liberty files of their standard cells."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..formats.errors import LibraryError


@dataclass(frozen=True, slots=True)
class Layout:
    """A PDK: its folders under the root, in order of preference, and its Liberty files.

    ``folders`` are names, as open_pdks installs the variants; ``family`` is how ciel and volare
    call the PDK in ``<root>/ciel/<family>/versions/<hash>/<folder>``. ``files`` are patterns
    below the folder; the first that matches anything counts, the first file of it in order.
    """

    folders: tuple[str, ...]
    family: str
    files: tuple[str, ...]


_SKY130 = ("libs.ref/sky130_fd_sc_hd/lib/sky130_fd_sc_hd__tt_025C_1v80.lib",)
_GF180 = tuple(
    f"libs.ref/gf180mcu_fd_sc_mcu{tracks}t5v0/{folder}/gf180mcu_fd_sc_mcu{tracks}t5v0__{corner}.lib"
    for tracks in (7, 9)
    for folder in ("lib", "liberty")
    for corner in ("tt_025C_5v00", "tt_025C_3v30")
)

LAYOUTS: Mapping[str, Layout] = {
    "sky130": Layout(("sky130A", "sky130B"), "sky130", _SKY130),
    "sky130A": Layout(("sky130A",), "sky130", _SKY130),
    "sky130B": Layout(("sky130B",), "sky130", _SKY130),
    "gf180mcu": Layout(("gf180mcuD", "gf180mcuC", "gf180mcuB", "gf180mcuA"), "gf180mcu", _GF180),
    **{f"gf180mcu{v}": Layout((f"gf180mcu{v}",), "gf180mcu", _GF180) for v in "ABCD"},
    "ihp-sg13g2": Layout(
        ("ihp-sg13g2",),
        "ihp-sg13g2",
        ("libs.ref/sg13g2_stdcell/lib/sg13g2_stdcell_typ_1p20V_25C.lib",),
    ),
}
#: Debian's qflow-tech packages: the folder under /usr/share/qflow/tech and its Liberty file.
QFLOW: Mapping[str, str] = {
    "osu018": "osu018/osu018_stdcells.lib",
    "osu035": "osu035/osu035_stdcells.lib",
    "osu050": "osu050/osu05_stdcells.lib",
}
QFLOW_ROOT = Path("/usr/share/qflow/tech")


def pdk_names() -> tuple[str, ...]:
    """Return the names that :func:`find_pdk` knows."""
    return (*LAYOUTS, *QFLOW)


def find_pdk(
    name: str, environment: Mapping[str, str] = os.environ, qflow_root: Path = QFLOW_ROOT
) -> tuple[Path, ...]:
    """Return the Liberty files of an installed PDK's standard cells at its typical corner.

    Looks under ``PDK_ROOT`` (without it, where ciel, volare and open_pdks install by default);
    qflow's technologies under ``/usr/share/qflow/tech``. Raises :class:`LibraryError` for an
    unknown name, and where nothing is found, with the places that were searched.
    """
    if name in QFLOW:
        path = qflow_root / QFLOW[name]
        if _is_file(path):
            return (path,)
        raise LibraryError(
            f"The library {name} is not installed: there is no {path}. Debian's package "
            f"qflow-tech-{name} installs it."
        )
    layout = LAYOUTS.get(name)
    if layout is None:
        raise LibraryError(
            f"The PDK {str(name)[:60]!r} is unknown; known are {', '.join(pdk_names())}."
        )
    searched: list[str] = []
    for root in _roots(environment):
        for folder in _folders(root, layout):
            searched.append(str(folder))
            for pattern in layout.files:
                for suffix in ("", ".gz"):
                    path = folder / (pattern + suffix)
                    if _is_file(path):
                        return (path,)
    raise LibraryError(
        f"The PDK {name} was not found: none of {', '.join(searched)} holds {layout.files[0]}. Set "
        f"PDK_ROOT to the folder that holds {layout.folders[0]}."
    )


def _roots(environment: Mapping[str, str]) -> Iterator[Path]:
    given = environment.get("PDK_ROOT", "")
    if given:
        yield Path(given)
        return
    home = environment.get("HOME", "")
    if home:
        yield Path(home) / ".ciel"
        yield Path(home) / ".volare"
    yield Path("/usr/local/share/pdk")
    yield Path("/usr/share/pdk")


def _folders(root: Path, layout: Layout) -> Iterator[Path]:
    """Return the folders a PDK may lie in: below the root, the root itself, a manager's newest."""
    for folder in layout.folders:
        yield root / folder
        if root.name == folder:
            yield root
    for manager in ("ciel", "volare"):
        versions = root / manager / layout.family / "versions"
        try:
            found = sorted(versions.iterdir(), key=lambda path: (-path.stat().st_mtime, path.name))
        except OSError:
            continue
        for version in found:
            for folder in layout.folders:
                yield version / folder


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
