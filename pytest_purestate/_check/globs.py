"""The path patterns of the settings, as ruff reads them.

A pattern without ``/`` fits names anywhere, one with ``/`` fits paths below its root. ``*``, ``?`` and ``**``
cross directories: ``tests/*`` is all below ``tests``.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

__all__ = ["Globs"]


class Globs(Struct, frozen=True):
    """Some patterns of one settings file, ready to match."""

    names: re.Pattern[str]
    paths: re.Pattern[str]

    @classmethod
    def of(cls, patterns: Iterable[str], root: Path) -> Globs:
        """Patterns that are relative to ``root``."""
        written = [pattern.replace(os.sep, "/") for pattern in patterns]
        names = [p.rstrip("/") for p in written if "/" not in p.rstrip("/")]
        paths = [(root / p).as_posix() for p in written if "/" in p.rstrip("/")]
        return cls(_compile(tuple(names)), _compile(tuple(paths)))

    def match(self, path: str, name: str) -> bool:
        """Whether one of them fits the file with this absolute path and this name."""
        return bool(self.names.fullmatch(name) or self.paths.fullmatch(path.replace(os.sep, "/")))


@functools.lru_cache(maxsize=256)
def _compile(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(_translate(pattern) for pattern in patterns) or r"(?!)", re.DOTALL)


def _translate(pattern: str) -> str:
    parts = []
    for token in re.findall(r"\*\*/?|\[!?[^\]]+\]|\{[^{}]*\}|.", pattern, re.DOTALL):
        if token == "**/":
            parts.append("(?:.*/)?")
        elif token in ("**", "*"):
            parts.append(".*")
        elif token == "?":
            parts.append(".")
        elif token.startswith("{") and len(token) > 1:
            parts.append(f"(?:{'|'.join(_translate(each) for each in token[1:-1].split(','))})")
        elif len(token) > 1:
            parts.append(_character_set(token))
        else:
            parts.append(re.escape(token))
    return "".join(parts)


def _character_set(token: str) -> str:
    body = token[1:-1].replace("\\", "\\\\").replace("[", "\\[")
    regex = f"[{'^' + body[1:] if body.startswith('!') else body}]"
    try:
        re.compile(regex)
    except re.error:  # a range that runs backwards: then it can only mean itself
        return re.escape(token)
    return regex
