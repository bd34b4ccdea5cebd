"""Names for findings that survive moved lines, for baselines and code-scanning services.

A fingerprint hashes the rule, the file's path inside its project, the enclosing function or class,
the code text of the finding, and its ordinal among findings equal in all of these: never a line
number, so that code inserted above leaves it as it is.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pytest_purestate._check.model import Finding
from pytest_purestate._check.source import Source

__all__ = ["Fingerprints"]


class Fingerprints:
    """Hands out the fingerprints of one run; findings of a file must come in source order."""

    def __init__(self, sources: Callable[[str], Source | None]) -> None:
        self._sources = sources
        self._seen: Counter[tuple[str, ...]] = Counter()
        self._roots: dict[Path, Path | None] = {}

    def of(self, finding: Finding) -> str:
        """32 hexadecimal digits; counts the finding, so ask once for each."""
        source = self._sources(finding.path)
        code = " ".join(source.slice(finding.primary.span).split()) if source else finding.message
        parts = (finding.code, self._path(finding.path, source), finding.scope, code)
        ordinal = self._seen[parts]
        self._seen[parts] += 1
        joined = "\0".join((*parts, str(ordinal))).encode("utf-8", "backslashreplace")
        return hashlib.sha256(joined).hexdigest()[:32]

    def _path(self, shown: str, source: Source | None) -> str:
        """The path from the project's root, so that the directory the command ran in does not matter."""
        file = source.file if source else None
        root = self._root(file.parent) if file else None
        return file.relative_to(root).as_posix() if file and root else shown

    def _root(self, directory: Path) -> Path | None:
        if directory not in self._roots:
            chain = (directory, *directory.parents)
            marked = [d for d in chain if (d / "pyproject.toml").is_file()]
            repository = next((d for d in chain if (d / ".git").exists()), None)
            self._roots[directory] = repository or (marked[-1] if marked else None)
        return self._roots[directory]
