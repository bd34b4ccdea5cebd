"""What a run recorded, as a file: written by the run, read by ``purestate report``.

The file is JSON, ``{"format": 1, "run": {...}, "tests": [...]}``. Everything in a test but ``id`` and ``outcome`` may be missing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["FORMAT", "HOME", "NAME", "DataError", "Recorded", "find", "load", "save", "write"]

FORMAT = 1
HOME, NAME = ".purestate", "report.json"
OUTCOMES = ("failed", "error", "xpassed", "passed", "xfailed", "skipped")

Recorded = dict[str, Any]


class DataError(Exception):
    """There is nothing recorded, or it cannot be read."""


def find(start: Path) -> Path:
    """What the last run recorded, in a folder or one further up.

    Raises:
        DataError: no run recorded anything there.
    """
    for folder in (start, *start.parents):
        if (file := folder / HOME / NAME).is_file():
            return file
    raise DataError(f"no run left a {HOME}/{NAME} here or further up; `pytest --purestate` does")


def load(file: Path) -> Recorded:
    """Read what a run recorded.

    Raises:
        DataError: it cannot be read, or is something else, or of another version.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: {error}") from error
    if not isinstance(data, dict) or "format" not in data:
        raise DataError(f"{file}: not what a run of `pytest --purestate` records")
    if data["format"] != FORMAT:
        raise DataError(f"{file}: format {data['format']}, and this version reads format {FORMAT}")
    run, tests = data.get("run"), data.get("tests")
    if not isinstance(run, dict) or not isinstance(tests, list):
        raise DataError(f"{file}: the run or its tests are missing")
    for test in tests:
        known = isinstance(test, dict) and isinstance(test.get("id"), str)
        if not known or test.get("outcome") not in OUTCOMES:
            raise DataError(f"{file}: a test without an id, or with an outcome that is none")
    return data


def save(root: Path, run: Recorded, tests: list[Recorded]) -> Path:
    """Keep what a run recorded below the root of its tests.

    Raises:
        OSError: it cannot be written.
    """
    home = root / HOME
    if home.is_symlink():
        raise OSError(f"{home} is a symbolic link")
    home.mkdir(exist_ok=True)
    if not (home / ".gitignore").exists():
        (home / ".gitignore").write_text("*\n", encoding="utf-8")
    data = {"format": FORMAT, "run": run, "tests": tests}
    write(home / NAME, json.dumps(data, separators=(",", ":")))
    return home / NAME


def write(file: Path, text: str) -> None:
    """Write a file whole, or not at all.

    Raises:
        OSError: it cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        new.write_text(text, encoding="utf-8", errors="backslashreplace")
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
