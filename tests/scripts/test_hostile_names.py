"""Names and paths that would do harm if anybody took them for more than names and paths.

Each is either refused, in a sentence of ours and before anything is written, or harmless
everywhere: in Verilog, Yosys scripts, file names, tables and pages. Which of the two stands in the
lists below.
"""

import contextlib
import html
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from nibblemac.explore.verification import models_folder
from nibblemac.formats.errors import FormatError, NibblemacError
from nibblemac.formats.record import NAME_PATTERN, Format
from nibblemac.formats.user import load_format
from nibblemac.rtl import package
from nibblemac.scripts import main as command
from nibblemac.synth.cache import Cache
from nibblemac.synth.library import load_liberty
from nibblemac.synth.result import load_areas
from nibblemac.synth.yosys import Yosys

TINY = Path(__file__).parents[1] / "synth" / "data" / "tiny.lib"

REFUSED_NAMES = {
    "script": "x; exec -- touch p",
    "backticks": "`touch p`",
    "substitution": "$(touch p)",
    "variable": "${HOME}",
    "pipe": "x|touch p",
    "redirection": "x>p",
    "parent": "../../x",
    "dots": "..",
    "dot": ".",
    "root": "/etc/passwd",
    "home": "~root",
    "drive": "C:x",
    "element": "<script>alert(1)</script>",
    "entity": "&lt;b&gt;",
    "attribute": 'x" onload="alert(1)',
    "apostrophe": "x'y",
    "template": "{{ 7 * 7 }}",
    "statement": "{% raw %}",
    "backslash": "x\\y",
    "escaped identifier": "\\x ",
    "percent": "%s%n",
    "newline": "x\ny",
    "end of line": "x\n",
    "return": "x\ry",
    "tab": "x\ty",
    "NUL": "x\0y",
    "escape sequence": "\x1b[2J",
    "empty": "",
    "space": " ",
    "spaces": "   ",
    "inner space": "a b",
    "no-break space": "a\u00a0b",
    "300 characters": "x" * 300,
    "65 characters": "x" * 65,
    "64 characters, written out 100": "a" * 58 + "+" * 6,
    "right-to-left": "x\u202ey",
    "right-to-left mark": "x\u200f",
    "zero-width": "x\u200by",
    "byte-order mark": "\ufeffx",
    "emoji": "💥",
    "combining": "e\u0301",
    "umlaut": "ü",
    "homoglyph": "\u0406NT4",
    "full width": "ＩＮＴ４",
    "digits of another script": "٣",
    "dash only": "-",
    "signs only": "+-._",
    "comment": "x//y",
    "block comment": "x*/y",
    "preprocessor": "`include",
    "list": "a,b",
    "assignment": "=1+1",
    "mention": "@SUM(A1)",
    "glob": "*",
    "option with value": "--output=/x",
    "catalogue": "INT4",
    "catalogue in other case": "e2m1+sp",
    "derived": "NF4-top31",
    "baseline": "FP16",
    "baseline in other case": "bf16",
}

# Well known, and so refused for other levels only.
KNOWN = ("catalogue", "catalogue in other case", "derived")

HARMLESS_NAMES = {
    "Verilog's word": "module",
    "the end of a module": "endmodule",
    "a type": "reg",
    "SystemVerilog's word": "logic",
    "SystemVerilog's interface": "interface",
    "port": "clk",
    "register": "accumulator",
    "submodule": "multiplier",
    "bench": "nibblemac_bench",
    "option": "-o",
    "long option": "--help",
    "hidden": "..x",
    "number": "007",
    "negative number": "-1e400",
    "sum": "+1-2",
    "device": "CON",
    "null": "null",
    "Python's word": "__class__",
    "all": "all",
    "underscores": "____0",
    "64 characters": "Z" * 64,
    "written out 64 characters": "a" + "+" * 9 + "." + "b" * 4,
}
# Weight and activation of the MAC that goes through synthesis, simulation and plots; the others go
# through Verilog, which is where they could differ.
WEIGHT, ACTIVATION = "option", "Verilog's word"
MAC = "mac__o_x_module_n4_sign_magnitude"

TEXT = "'; exec -- touch p \\\" */ endmodule <script>alert(1)</script> ${HOME} `touch p` %s 💥"


def call(*arguments: object) -> tuple[int, str]:
    """Run the command line here; return its code and all that it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            code = command.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
    return code, printed.getvalue()


def write(path: Path, name: str, text: str = "") -> Path:
    """Write a format of two bits; JSON's strings are TOML's, but for escaped surrogates."""
    lines = [f"name = {json.dumps(name, ensure_ascii=False)}", "bits = 2", "levels = [0, 1, 2, -1]"]
    lines += [
        f"{key} = {json.dumps(text, ensure_ascii=False)}"
        for key in ("description", "source")
        if text
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def files(folder: Path) -> set[str]:
    """Return everything below a folder, hidden files too."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder two below another, in which all is done; ``p`` and ``../../x`` would show."""
    folder = tmp_path / "one" / "two"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("kind", REFUSED_NAMES)
def test_name_is_refused(kind: str, place: Path) -> None:
    name = REFUSED_NAMES[kind]
    path = write(place / "f.toml", name)
    before = files(place.parents[1])
    with pytest.raises(FormatError) as caught:
        load_format(path)
    for arguments in (
        ("formats", "f.toml", "--json", "f.json"),
        ("generate", "f.toml", "-o", "out"),
        ("area", "f.toml", "--recipe", "amap", "--csv", "a.csv", "--netlists", "out"),
        ("verify", "f.toml", "--level", "rtl", "--waves", "out"),
        ("pareto", "--format", "f.toml", "-o", "p.svg"),
        ("explore", "f.toml", "-o", "out"),
        ("generate", "INT3", "--activation", "f.toml", "-o", "out"),
    ):
        code, said = call(*arguments)
        assert code == FormatError.exit_code
        assert said.startswith("nibblemac: f.toml: ")
        assert said.rstrip("\n").isprintable()
        assert said.endswith(".\n")
        assert len(said) < 400
    assert str(caught.value).endswith(".")
    assert files(place.parents[1]) == before


@pytest.mark.parametrize("kind", [kind for kind in REFUSED_NAMES if kind not in KNOWN])
def test_name_is_refused_as_an_argument(kind: str, place: Path) -> None:
    name = REFUSED_NAMES[kind]
    before = files(place.parents[1])
    for arguments in (("generate", name, "-o", "out"), ("area", name, "--csv", "a.csv")):
        code, said = call(*arguments)
        assert code in {1, 2}
        assert said.startswith(("nibblemac: ", "usage: nibblemac "))
        assert "Traceback" not in said
        assert len(said) < 5000
    assert files(place.parents[1]) == before


@pytest.mark.parametrize("kind", REFUSED_NAMES)
def test_name_is_refused_in_a_record(kind: str) -> None:
    """A record checks its own name; whose name it is only the reader of files knows."""
    name = REFUSED_NAMES[kind]
    if kind.startswith(("catalogue", "derived", "baseline")):
        assert NAME_PATTERN.fullmatch(name)
        return
    record = {"name": name, "bits": 2, "grid": [0, 1, 2, -1], "unit": "1"}
    with pytest.raises(FormatError):
        Format.from_json(record)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What the commands left, and what they printed."""

    folder: Path
    outside: set[str]
    said: dict[str, str]

    def stems(self, folder: str, suffix: str) -> list[str]:
        return sorted(path.name for path in (self.folder / folder).glob(f"*{suffix}"))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> Iterator[Done]:
    """Take all harmless names through Verilog, and some through everything."""
    root = tmp_path_factory.mktemp("hostile")
    folder = root / "one" / "two"
    folder.mkdir(parents=True)
    paths = {
        kind: write(folder / f"f{number}.toml", name, TEXT).name
        for number, (kind, name) in enumerate(HARMLESS_NAMES.items())
    }
    few = [paths[WEIGHT], "--activation", paths[ACTIVATION]]
    same = ("--architecture", "sign-magnitude", "--terms", 4)
    (folder / "q.csv").write_text(f"format,accuracy\n{HARMLESS_NAMES[WEIGHT]},50\n")
    said = {}
    with contextlib.chdir(folder):
        for key, arguments in {
            "formats": ("formats", *paths.values(), "--json", "formats.json"),
            "generate": ("generate", *paths.values(), *same, "-o", "rtl"),
            "area": (
                "area", *few, *same, "--recipe", "amap", "--csv", "a.csv", "--json", "a.json",
                "--netlists", "netlists", "--jobs", 2,
            ),
            "verify": ("verify", *few, *same, "--level", "rtl"),
            "pareto": ("pareto", "q.csv", "--area", "a.csv", "-o", "p.html", "p.svg"),
        }.items():  # fmt: skip
            code, said[key] = call(*arguments)
            assert code == 0, said[key]
    written = files(root)
    yield Done(folder=folder, outside=written - files_below(root, folder), said=said)
    shutil.rmtree(root)


def files_below(root: Path, folder: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in folder.rglob("*")}


def test_nothing_is_written_elsewhere(done: Done) -> None:
    assert done.outside == {"one", "one/two"}
    there = {path.name for path in done.folder.iterdir()}
    assert {name for name in there if not name.endswith(".toml")} == {
        "formats.json", "rtl", "a.csv", "a.json", "netlists", "q.csv", "p.html", "p.svg",
    }  # fmt: skip


def test_files_have_plain_names(done: Done) -> None:
    for folder in ("rtl", "netlists"):
        for path in (done.folder / folder).iterdir():
            assert re.fullmatch(r"mac_[a-z0-9_.]+(-[a-z]+)*\.(v|json|core|ys)", path.name)
            assert path.is_file()


@pytest.mark.parametrize("kind", HARMLESS_NAMES)
def test_name_is_harmless_in_verilog(kind: str, done: Done) -> None:
    known = Format(name=HARMLESS_NAMES[kind], bits=2, grid=(0, 1, 2, -1), unit=Fraction(1))
    top = f"mac_{known.identifier}_n4_sign_magnitude"
    text = (done.folder / "rtl" / f"{top}.v").read_text()
    assert f"module {top}(" in text
    assert f"{HARMLESS_NAMES[kind]} x {HARMLESS_NAMES[kind]}" in text.partition("\n")[0]
    code = re.sub(r"//.*|/\*.*?\*/", "", text)
    assert "\\" not in code
    modules = re.findall(r"\bmodule (\S+?)\(", code)
    assert len(modules) >= 3
    assert all(re.fullmatch(r"mac_[a-z0-9_]+", module) for module in modules)
    assert not any(word in text for word in ("touch p", "alert", "HOME", "exec --"))
    manifest = json.loads((done.folder / "rtl" / f"{top}.json").read_text())
    assert manifest["formats"]["weight"]["name"] == HARMLESS_NAMES[kind]
    assert manifest["formats"]["weight"]["description"] == TEXT
    core = (done.folder / "rtl" / f"{top}.core").read_text()
    assert f"toplevel: {top}\n" in core


def test_yosys_reads_all_of_it(done: Done, yosys: Yosys, tmp_path: Path) -> None:
    """Both as Verilog and as SystemVerilog, which has more reserved words."""
    names = done.stems("rtl", ".v")
    assert len(names) == len(HARMLESS_NAMES)
    for name in names:
        shutil.copy(done.folder / "rtl" / name, tmp_path / name)
    lines = []
    for option in ("", "-sv "):
        lines += [f"read_verilog {option}{name}" for name in names]
        lines += [f"hierarchy -check -top {name.removesuffix('.v')}" for name in names[:1]]
        lines += ["check -assert", "design -reset"]
    (tmp_path / "read.ys").write_text("\n".join(lines) + "\n")
    yosys.run("read.ys", tmp_path)
    assert not (tmp_path / "p").exists()


def test_names_are_harmless_in_synthesis_and_tables(done: Done) -> None:
    names = HARMLESS_NAMES[WEIGHT], HARMLESS_NAMES[ACTIVATION]
    (area,) = load_areas(done.folder / "a.csv")
    assert (area.format, area.activation) == names
    assert area.area_um2 > 0
    (record,) = json.loads((done.folder / "a.json").read_text())
    assert (record["format"], record["activation"]) == names
    (script,) = (done.folder / "netlists").glob("*.ys")
    assert script.name.startswith(f"{MAC}.")
    assert f"hierarchy -check -top {MAC}\n" in script.read_text()
    for text in ("touch", "exec", "alert"):
        assert text not in script.read_text()
    assert "1 of 1 passed" in done.said["verify"]
    assert re.search(r" -o +50\.000 ", done.said["pareto"])


def test_texts_stay_texts_in_tables(done: Done) -> None:
    assert "<script>alert(1)</script>" in done.said["formats"]
    records = json.loads((done.folder / "formats.json").read_text())
    assert {record["description"] for record in records} == {TEXT}


Tag = tuple[str, tuple[str, ...]]


class Elements(HTMLParser):
    """Count elements and attributes of a page, and collect its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Tag] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def shapes(path: Path) -> set[str]:
    """Return the kinds of elements of a picture, which must be whole; text is drawn as paths."""
    root = ElementTree.parse(path).getroot()  # noqa: S314 - our own file
    for element in root.iter():
        assert not any(name.startswith("on") for name in element.attrib)
    return {element.tag.rpartition("}")[2] for element in root.iter()}


HOSTILE_TEXTS = {
    "element": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "attribute": '" onmouseover="alert(1)',
    "end of script": "</script><script>alert(1)//",
    "template": "{{ 7 * 7 }}{% raw %}",
    "mathematics": r"$\frac{1}{$ \[ _^",
    "markup": "[/bold][red]x[/red] [link=file:///]",
    "percent": "%s %(x)s {0} {x}",
    "formula": "=HYPERLINK(A1)",
    "unicode": "a\u0301 \u202e x ü",
}


def plotted(
    text: str, folder: Path, areas: str
) -> tuple[list[tuple[str, tuple[str, ...]]], set[str]]:
    """Plot figures in which all is called ``text``; return the elements of page and picture."""
    quoted = '"' + text.replace('"', '""') + '"'
    rows = [
        f"{quoted},{quoted},{name},{quoted},{quoted},true,{value}\n"
        for value, name in enumerate(("-o", quoted, "FP16"))
    ]
    header = "model,setting,format,metric,unit,higher_is_better,value\n"
    (folder / "q.csv").write_text(header + "".join(rows))
    header, row = areas.splitlines(keepends=True)
    row = row.replace(",sky130hd,", f",{quoted},")
    (folder / "a.csv").write_text(header + row + row.replace("-o,module", f"{quoted},{quoted}"))
    code, said = call("pareto", "q.csv", "--area", "a.csv", "-o", "p.html", "p.svg")
    assert code == 0, said
    assert text in said
    page = (folder / "p.html").read_text()
    assert html.escape(text) in page
    return Elements(page).found, shapes(folder / "p.svg")


@pytest.fixture(scope="module")
def plain_plot(done: Done, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("plain")
    with contextlib.chdir(folder):
        return plotted("plain", folder, (done.folder / "a.csv").read_text())


@pytest.mark.parametrize("kind", HOSTILE_TEXTS)
@pytest.mark.filterwarnings("ignore:Glyph")
def test_text_of_tables_is_harmless_in_plots(
    kind: str, place: Path, done: Done, plain_plot
) -> None:
    """Models, metrics, settings and names of formats come from CSV files that anybody may send."""
    found = plotted(HOSTILE_TEXTS[kind], place, (done.folder / "a.csv").read_text())
    assert found == plain_plot
    assert not found[1] & {"script", "image", "img", "a", "foreignObject"}
    assert {path.name for path in place.iterdir()} == {"q.csv", "a.csv", "p.html", "p.svg"}


HOSTILE_LIBRARY = "x; exec -- touch p <script>alert(1)</script>"


@pytest.mark.parametrize("name", [HOSTILE_LIBRARY, "../../x", "a`b${c}\\\\d", "é\u202e", "x" * 300])
def test_name_of_a_library_is_made_plain(name: str, place: Path) -> None:
    path = place / "x.lib"
    path.write_text(TINY.read_text().replace("library (tiny)", f'library ("{name}")'))
    library = load_liberty([path])
    assert re.fullmatch(r"[\w.+-]{1,64}", library.name)


@pytest.mark.parametrize("name", ["x; exec -- touch p", "../x", "a b", "$(touch p)", "é", "\\\\x"])
def test_cell_of_a_library_is_left_out(name: str, place: Path) -> None:
    path = place / "x.lib"
    path.write_text(TINY.read_text().replace("cell (NAND2X2)", f'cell ("{name}")'))
    library = load_liberty([path])
    assert name not in library.by_name
    assert sum(library.dropped.values()) == 1 + sum(load_liberty([TINY]).dropped.values())


PATHS = {
    "space": "a b",
    "quotes": "a'b\"c",
    "newline": "a\nb",
    "dash": "-rf",
    "option": "--help",
    "script": "x; exec -- touch p",
    "substitution": "$(touch p)`touch p`",
    "variable": "${HOME}",
    "percent": "%s%n",
    "backslash": "a\\b",
    "unicode": "ü 💥 e\u0301 \u202e",
    "element": "<img src=x onerror=alert(1)>",
    "hash": "#x",
    "colon": "a:b",
    "glob": "*?[a]",
    "255 bytes": "x" * 255,
}
IMPOSSIBLE_PATHS = {"NUL": "a\0b", "256 bytes": "x" * 256, "long": "x/" * 3000 + "x"}


@pytest.fixture
def no_yosys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a line in the place of Verilog: here paths alone are of interest."""
    monkeypatch.setattr(
        package, "to_verilog_many", lambda designs: [f"// {one[1]}\n" for one in designs]
    )


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.usefixtures("no_yosys")
def test_path_is_harmless(kind: str, place: Path) -> None:
    """Files in such a folder are read and written, and nothing else is."""
    name = PATHS[kind]
    folder = place / name
    folder.mkdir()
    write(folder / "f.toml", "Mine")
    shutil.copy(TINY, folder / "x.lib")
    (folder / "q.csv").write_text("format,accuracy\nINT3,50\nMine,49\n")
    code, said = call("formats", f"./{name}/f.toml", "--json", f"./{name}/f.json")
    assert (code, json.loads((folder / "f.json").read_text())[0]["name"]) == (0, "Mine"), said
    code, said = call("generate", f"./{name}/f.toml", f"--output={name}/rtl")
    assert code == 0, said
    assert len(list((folder / "rtl").iterdir())) == 3
    assert load_liberty([Path(name) / "x.lib"]).name == "tiny"
    code, said = call("pareto", f"./{name}/q.csv", f"--area=./{name}/none", f"-o=./{name}/p.svg")
    assert code == 1
    assert said.replace("\n", " ").isprintable()
    assert "does not exist" in said
    assert {path.name for path in place.iterdir()} == {name}
    assert {path.name for path in folder.iterdir()} == {
        "f.toml", "x.lib", "q.csv", "f.json", "rtl",
    }  # fmt: skip


@pytest.mark.parametrize("kind", PATHS)
def test_path_of_the_cache_is_harmless(kind: str, place: Path) -> None:
    cache = Cache(place / PATHS[kind])
    cache.put("0" * 64, {"a": 1})
    assert cache.get("0" * 64) == {"a": 1}
    with models_folder(cache) as folder:
        # Verilator's makefiles give white space and some signs a meaning.
        if kind in {"dash", "option", "percent", "255 bytes"}:
            assert folder == cache.folder / "simulation"
        else:
            assert place not in folder.parents
            assert re.fullmatch(r"[\w/.,+@%=~^-]+", str(folder))
    assert {path.name for path in place.iterdir()} == {PATHS[kind]}


@pytest.mark.parametrize("kind", IMPOSSIBLE_PATHS)
@pytest.mark.usefixtures("no_yosys")
def test_path_is_refused(kind: str, place: Path) -> None:
    name = IMPOSSIBLE_PATHS[kind]
    runs: list[Callable[[], tuple[int, str]]] = [
        lambda: call("generate", "INT3", "-o", name),
        lambda: call("formats", "INT3", "--json", f"{name}/f.json"),
        lambda: call("formats", f"{name}/f.toml"),
        lambda: call("area", "INT3", "--netlists", name),
        lambda: call("area", "INT3", "--csv", f"{name}/a.csv"),
        lambda: call("area", "INT3", "--liberty", name),
        lambda: call("report", "-o", name),
        lambda: call("pareto", f"{name}.csv", "--area", "x", "-o", "p.svg"),
        lambda: call("pareto", "-o", f"{name}.svg"),
    ]
    for run in runs:
        code, said = run()
        assert code == NibblemacError.exit_code, said[:300]
        assert said.startswith("nibblemac: ")
        assert said.rstrip("\n").isprintable()
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
@pytest.mark.usefixtures("no_yosys")
def test_path_that_is_no_text_is_printed(
    encoding: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that are no UTF-8, on a terminal that refuses what it cannot show."""
    name = os.fsdecode(b"o\xff\xce\xbc")
    printed = {}
    for stream in ("stdout", "stderr"):
        printed[stream] = io.BytesIO()
        wrapped = io.TextIOWrapper(printed[stream], encoding, errors="strict")
        monkeypatch.setattr(sys, stream, wrapped)
    assert command.main(["generate", "INT3", "-o", name]) == 0
    assert command.main(["generate", name, "-o", "x"]) == FormatError.exit_code
    sys.stdout.flush()
    sys.stderr.flush()
    shown = b"o\\udcff" + ("μ".encode() if encoding == "utf-8" else b"\\u03bc")
    assert printed["stdout"].getvalue().count(shown) == 3
    assert shown in printed["stderr"].getvalue()
    assert len(list((place / name).iterdir())) == 3
