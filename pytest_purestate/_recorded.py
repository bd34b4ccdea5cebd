"""What is recorded of a test, as plain data: places, changes, checks, compilations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_purestate._runtime.events import Checked
    from pytest_purestate._runtime.failures import Problem

__all__ = [
    "MANY",
    "TEXT",
    "Places",
    "Recorded",
    "change_facts",
    "check_facts",
    "function_facts",
    "stream_label",
]

TEXT = 20_000
"""Characters of one text."""
MANY = 50
"""Findings, changes, checks and functions of one test."""
_KEY_FIXTURE = "key"

Recorded = dict[str, Any]


class Places:
    """What places are called: below the root of the tests by their path there, and without what is of no interest."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, str] = {}

    def __call__(self, file: str, line: int) -> str:
        if file not in self._known:
            self._known[file] = self._named(Path(file)) if file else ""
        return f"{self._known[file]}:{line}" if file else ""

    def _named(self, path: Path) -> str:
        if path.is_relative_to(self._root):
            return path.relative_to(self._root).as_posix()
        parts = path.parts
        for installed in ("site-packages", "dist-packages"):
            if installed in parts:
                return "/".join(parts[parts.index(installed) + 1 :])
        return "/".join(["…", *parts[-3:]]) if len(parts) > 4 else path.as_posix()


def stream_label(name: str, index: int) -> str:
    if name == _KEY_FIXTURE and index == 0:
        return "key"
    return f"keys({name!r})[{index}]" if name else f"keys()[{index}]"


def check_facts(check: Checked, shown: Places) -> Recorded:
    return {
        "assertion": check.assertion,
        "function": check.function,
        "ways": list(check.ways),
        "failed": check.failed,
        "runs": check.runs,
        "at": shown(*check.place),
        "problems": len(check.problems),
    }


def change_facts(source: str, problem: Problem) -> Recorded:
    known = {
        "source": source,
        "kind": problem.kind,
        "path": problem.path,
        "message": problem.message,
        "before": problem.before,
        "after": problem.after,
        "labels": list(getattr(problem, "labels", None) or ()),
    }
    return {name: value[:TEXT] if isinstance(value, str) else value for name, value in known.items() if value}


def function_facts(functions: Any, shown: Places) -> list[Recorded]:
    """Counts by function, longest first; what JAX compiles of its own is one line."""
    own = [found for found in functions.values() if found.library]
    rows = [
        _function(name or "(no name)", [found], shown)
        for name, found in functions.items()
        if not found.library
    ]
    if own:
        rows.append({**_function("", own, shown), "library": len(own), "at": ""})
    rows.sort(key=lambda row: -float(row["seconds"]))
    return rows[:MANY]


def _function(name: str, counts: Iterable[Any], shown: Callable[[str, int], str]) -> Recorded:
    counts = list(counts)
    file, _, line = counts[0].place.rpartition(":")
    return {
        "name": name,
        "traces": sum(found.traces for found in counts),
        "compiles": sum(found.compiles for found in counts),
        "seconds": round(sum(found.seconds for found in counts), 4),
        "at": shown(file, int(line)) if line.isdecimal() else "",
    }
