"""Gives the reports the source text behind a path, so that a finding needs to hold only spans."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytest_purestate._check.source import Source, UnreadableSourceError

__all__ = ["Sources"]

_KEEP = 64


class Sources:
    """Looks sources up by display path; remembers the last few, because findings come file by file.

    Args:
        files: where display paths lie, for those that cannot be opened as they stand.
        texts: the bytes of what is on no disk (standard input).
    """

    def __init__(
        self, files: Mapping[str, Path] | None = None, texts: Mapping[str, bytes] | None = None
    ) -> None:
        self._files = files or {}
        self._texts = texts or {}
        self._recent: dict[str, Source | None] = {}

    def __call__(self, path: str) -> Source | None:
        """The source of a display path; None where it cannot be read."""
        if path not in self._recent:
            if len(self._recent) >= _KEEP:
                self._recent.pop(next(iter(self._recent)))
            self._recent[path] = self._read(path)
        return self._recent[path]

    def _read(self, path: str) -> Source | None:
        try:
            file = self._files.get(path, Path(path).absolute())
            if path in self._texts:
                return Source.from_bytes(self._texts[path], path, file)
            return Source.read(file, path) if file.is_file() else None
        except (UnreadableSourceError, ValueError, OSError):
            return None
