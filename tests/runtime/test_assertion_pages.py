"""The pages on the runtime half show programs that run, and what they print."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("assertions.md", "guard.md")


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def written(page: Path, folder: Path) -> list[str]:
    """The files that a page shows, each named in the first line of its block."""
    names = []
    for block in blocks(page, "python"):
        if named := re.match(r"# (\w+\.py)\n", block):
            (folder / named[1]).write_text(block, encoding="utf-8")
            names.append(named[1])
    return names


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_shows_happens(name: str, tmp_path: Path) -> None:
    page = DOCS / name
    files = written(page, tmp_path)
    shown = [block for block in blocks(page, "console") if block.startswith("$ pytest ")]
    tests = [file for file in files if file.startswith("test_")]
    assert tests
    for block in shown:
        command, *expected = block.rstrip().split("\n")
        (test,) = (word for word in command.split() if word.startswith("test_"))
        if test not in tests:
            continue  # the page leaves that file to the reader
        tests.remove(test)
        lines = run(tmp_path, *command.split()[2:]).split("\n")
        at = 0
        for line in expected:
            if line != "..." and not line.startswith("___"):
                assert line in lines[at:], line
                at = lines.index(line, at) + 1
    if tests:
        assert " failed" not in run(tmp_path, "--purestate", *tests).splitlines()[-1]
