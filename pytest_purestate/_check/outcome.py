"""What became of the files of a run."""

from __future__ import annotations

import enum
import hashlib
from pathlib import Path

from msgspec import Struct

from pytest_purestate._check.model import Finding
from pytest_purestate._check.report.summary import summary

__all__ = ["FileResult", "Run", "Status", "Trace", "digest"]


def digest(raw: bytes) -> str:
    """The name of a content, by which it is known again."""
    return hashlib.sha256(raw).hexdigest()


class Status(enum.Enum):
    """What became of a file: looked at in full, passed over by the text prefilter, or not checkable."""

    CHECKED = "checked"
    SKIPPED = "skipped"
    FAILED = "failed"


class Trace(Struct, frozen=True):
    """What a result rests on: the digest of the file, those of the files that it imports, directly or through others
    (empty for one that cannot be read), and the names that no file was found for, each with the file that imports it."""

    digest: str
    files: tuple[tuple[str, str], ...] = ()
    missing: tuple[tuple[str, str], ...] = ()


class FileResult(Struct, frozen=True):
    """One file of a run. ``internal`` is set where the checker itself failed on it; ``trace`` says what it rests on."""

    path: str
    file: Path
    status: Status
    findings: tuple[Finding, ...] = ()
    suppressed: int = 0
    internal: bool = False
    trace: Trace | None = None


class Run(Struct, frozen=True):
    """All files of a run, in order of discovery.

    ``baselined`` counts the findings that a baseline hides; ``notes`` are lines about the run as a whole.
    """

    results: tuple[FileResult, ...]
    baselined: int = 0
    notes: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all files."""
        return tuple(finding for result in self.results for finding in result.findings)

    @property
    def internal(self) -> bool:
        """Whether the checker itself failed somewhere."""
        return any(result.internal for result in self.results)

    def count(self, status: Status) -> int:
        """Number of files with a status."""
        return sum(result.status is status for result in self.results)

    def summary(self) -> str:
        """One line that says how much was found and what became of every file."""
        checked, skipped, failed = map(self.count, (Status.CHECKED, Status.SKIPPED, Status.FAILED))
        return summary(
            self.findings, checked=checked, skipped=skipped, failed=failed, baselined=self.baselined
        )
