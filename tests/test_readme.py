"""What the README prints is what a user can run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from nibblemac.formats.user import load_format
from nibblemac.scripts.main import build_parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
PROGRAMS = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [
    line
    for language, text in BLOCKS
    if not language
    for line in text.splitlines()
    if line.startswith("nibblemac ")
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_run(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str) -> None:
    args = build_parser().parse_args(shlex.split(command)[1:])
    assert args.command == shlex.split(command)[1]
    for name in shlex.split(command):
        if name.endswith(".toml"):
            assert load_format(ROOT / name).bits == 4


def test_readme_has_programs_and_every_command() -> None:
    assert len(PROGRAMS) >= 2
    assert {command.split()[1] for command in COMMANDS} >= {
        "formats", "generate", "area", "verify", "pareto", "explore",
    }  # fmt: skip


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)]+)\)", README))
def test_links_lead_somewhere(target: str) -> None:
    assert target.startswith("https://arxiv.org/") or (ROOT / target).exists()
