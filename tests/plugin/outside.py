"""Runs pytest on a small project as its user does, in a process of its own."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

SPLIT = """\
import jax


def step(key):
    jax.random.split(key)
    return jax.random.normal(key)


def sample(key):
    jax.random.split(key)
    return jax.random.normal(key)
"""
"""Reported twice by PS103 and twice by PS105."""

REUSE = """\
import jax


def sample(key):
    return jax.random.normal(key) + jax.random.normal(key)
"""
"""Reported by PS101."""

PASSES = "def test_it():\n    pass\n"


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """The outcome of ``pytest ARGUMENTS`` in the working directory, with tests in the order of the files."""
    # Hypothesis has no part in this, and takes a third of the time that such a run takes.
    without = ("-p", "no:randomly", "-p", "no:hypothesispytest")
    return pytester.runpytest_subprocess(*without, *arguments, timeout=120)


def ids(result: pytest.RunResult) -> list[str]:
    """What ``--co -q`` lists, in its order."""
    return [line for line in result.outlines if re.fullmatch(r"\S+::\S+", line)]


def outcomes(result: pytest.RunResult) -> set[str]:
    """The lines of the short summary of ``-rA``, without messages."""
    found = (re.match(r"(PASSED|FAILED|ERROR) \S+", line) for line in result.outlines)
    return {match[0] for match in found if match}


def excerpt(result: pytest.RunResult, start: str, stop: str) -> list[str]:
    """The lines from the one that contains ``start`` to before the one that contains ``stop``."""
    lines = result.outlines
    first = next(number for number, line in enumerate(lines) if start in line)
    last = next(number for number, line in enumerate(lines) if number > first and stop in line)
    return lines[first:last]


def write(directory: Path, files: dict[str, str]) -> None:
    """Write files below a directory."""
    for name, text in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def at_start(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let every Python process that is started from here on run ``code`` first."""
    write(pytester.path / ".start", {"sitecustomize.py": code})
    monkeypatch.setenv("PYTHONPATH", str(pytester.path / ".start"), prepend=os.pathsep)
