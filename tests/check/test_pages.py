"""docs/configuration.md and docs/suppression.md say what is: every key, every default, every example."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pytest_purestate._check.settings import Settings
from pytest_purestate.cli import _parser
from pytest_purestate.config import DEFAULT_EXCLUDE, Config, Overrides, load_config, option_names

DOCS = Path(__file__).resolve().parents[2] / "docs"
CONFIGURATION = (DOCS / "configuration.md").read_text(encoding="utf-8")
SUPPRESSION = (DOCS / "suppression.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### `([\w-]+)`\n(.*?)(?=^##|\Z)", CONFIGURATION, re.MULTILINE | re.DOTALL))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_every_key_has_a_section_and_every_section_a_key() -> None:
    assert list(SECTIONS) == list(option_names())


@pytest.mark.parametrize("key", option_names())
def test_a_section_has_the_default_and_an_example(key: str) -> None:
    field = {f.name: f for f in dataclasses.fields(Config)}[option_names()[key]]
    said = re.search(r"^Default: (.*?)\n\n", SECTIONS[key], re.MULTILINE | re.DOTALL)
    assert said is not None
    if field.default is None:
        assert said[1].startswith("not set")
    elif field.default == DEFAULT_EXCLUDE:
        assert tuple(re.findall(r"`([^`]+)`", said[1])) == DEFAULT_EXCLUDE
    else:
        value = tomllib.loads(f"x = {said[1].strip('`')}")["x"]
        parsed = field.metadata["parse"](value)
        assert parsed == field.default
    (example,) = blocks(SECTIONS[key], "toml")
    assert key in tomllib.loads(example)["tool"]["purestate"]


@pytest.mark.parametrize("example", blocks(CONFIGURATION, "toml"))
def test_an_example_is_valid(example: str, tmp_path: Path) -> None:
    (tmp_path / "purestate.toml").touch()
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "pyproject.toml"
    file.write_text(example, encoding="utf-8")
    Settings.of(load_config(file), Overrides())


def test_the_error_that_it_shows(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.purestate]\nselct = []\n", encoding="utf-8")
    (shown,) = blocks(CONFIGURATION, "console")
    command, expected = shown.split("\n", 1)
    status, out, err = run(tmp_path, command)
    assert (status, out, err) == (2, "", expected)


def test_every_option_that_it_names_is_one_and_none_is_left_out() -> None:
    table = CONFIGURATION.partition("## On the command line")[2].partition("\n## ")[0]
    named = set(re.findall(r"--[a-z][\w-]+", table))
    usage = subprocess.run(
        [sys.executable, "-m", "pytest_purestate", "check", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    known = set(re.findall(r"--[a-z][\w-]+", usage))
    assert named <= known
    for key in option_names():
        if f"--{key}" in known:
            assert f"--{key}" in named
    assert _parser().prog == "purestate"


def run(directory: Path, command: str) -> tuple[int, str, str]:
    assert command.startswith("$ purestate ")
    arguments = command.removeprefix("$ purestate ").split()
    done = subprocess.run(
        [sys.executable, "-m", "pytest_purestate", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_examples_of_suppression_print_what_is_shown(tmp_path: Path) -> None:
    for block in blocks(SUPPRESSION, "python"):
        named = re.match(r"# (\w+\.py)\n", block)
        assert named is not None
        (tmp_path / named[1]).write_text(block, encoding="utf-8")
    shown = blocks(SUPPRESSION, "console")
    assert len(shown) == 3
    for block in shown:
        for command, expected in re.findall(r"^(\$ .*)\n((?:[^$].*\n)*)", block, re.MULTILINE):
            _, out, _ = run(tmp_path, command)
            assert out == expected


def test_ruff_leaves_our_codes_alone_with_the_line_that_is_shown(tmp_path: Path) -> None:
    (toml,) = blocks(SUPPRESSION, "toml")
    (tmp_path / "a.py").write_text("x = 1  # noqa: PS101\n", encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select=RUF100,RUF102", "a.py"]

    def status() -> int:
        return subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False).returncode

    assert status() == 1
    (tmp_path / "pyproject.toml").write_text(toml, encoding="utf-8")
    assert status() == 0
