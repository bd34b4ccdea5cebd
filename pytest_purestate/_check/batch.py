"""One check in an interpreter of its own, for callers such as pytest whose process is not for forking.

The caller's process may have threads and JAX in it, and a native crash must not end it. So it starts
``python -m pytest_purestate._check.batch``, writes a `Request` to its standard input as JSON, and reads a
`Reply` from its standard output.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TypedDict

from pytest_purestate._check.trees import prefer_light

__all__ = ["BatchError", "Group", "Reply", "Request", "run_batch"]


class BatchError(Exception):
    """The check could not run: a path or a setting is wrong, or the checker itself failed."""


class Request(TypedDict):
    """What to check: ``paths`` relative to the working directory; if ``within`` is not None, only what
    lies in one of these files and directories too."""

    paths: list[str]
    within: list[str] | None


class Group(TypedDict):
    """The findings of one rule in one file; ``line`` and ``headline`` are those of the first."""

    path: str
    file: str
    code: str
    line: int
    headline: str
    text: str


class Reply(TypedDict):
    """The findings by file and rule, and the lines that sum it up; or what was wrong with the request."""

    groups: list[Group]
    summary: str
    error: str


def run_batch(paths: Sequence[Path], within: Sequence[Path] | None, directory: Path) -> Reply:
    """Check ``paths`` in a fresh interpreter that works in ``directory``.

    Raises:
        BatchError: with one line for the user.
    """
    request: Request = {
        "paths": [str(path) for path in paths],
        "within": None if within is None else [str(path) for path in within],
    }
    # -P: a `types.py` in the user's project must not replace the standard library's.
    command = [sys.executable, "-P", "-m", __spec__.name]
    done = subprocess.run(
        command, input=json.dumps(request), capture_output=True, text=True, encoding="utf-8", cwd=directory
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no output"]
        raise BatchError(f"the checker ended with exit status {done.returncode}: {last[0]}")
    reply: Reply = json.loads(done.stdout)
    if reply["error"]:
        raise BatchError(reply["error"])
    return reply


def _answer(request: Request) -> Reply:
    from pytest_purestate._check.cache import Cache, folder_of
    from pytest_purestate._check.discovery import MissingPathError, discover
    from pytest_purestate._check.engine import check_targets
    from pytest_purestate.config import ConfigError, ConfigFinder

    try:
        finder = ConfigFinder()
        targets = discover([Path(path) for path in request["paths"]], finder)
        if request["within"] is not None:
            kept = [Path(path).absolute() for path in request["within"]]
            targets = [t for t in targets if any(t.file.is_relative_to(path) for path in kept)]
        prefer_light(len(targets))
        run = check_targets(targets, finder.overrides, cache=Cache(folder_of(targets, None)))
    except (ConfigError, MissingPathError) as error:
        return {"groups": [], "summary": "", "error": str(error)}

    from pytest_purestate._check.report.sources import Sources
    from pytest_purestate._check.report.text import render_finding

    sources = Sources({target.path: target.file for target in targets})
    groups: list[Group] = []
    for result in run.results:
        ordered = sorted(result.findings, key=lambda finding: finding.code)
        for code, equal in groupby(ordered, key=lambda finding: finding.code):
            findings = list(equal)
            source = sources(result.path)
            first = findings[0]
            groups.append(
                {
                    "path": result.path,
                    "file": str(result.file),
                    "code": code,
                    "line": source.place(first.primary.span.start)[1] if source else 1,
                    "headline": first.message,
                    "text": "\n\n".join(render_finding(finding, sources) for finding in findings),
                }
            )
    return {"groups": groups, "summary": "\n".join((*run.notes, run.summary())), "error": ""}


if __name__ == "__main__":
    json.dump(_answer(json.loads(sys.stdin.buffer.read())), sys.stdout)
