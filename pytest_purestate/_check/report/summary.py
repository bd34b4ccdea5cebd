"""The line that ends a report: how much was found, and what became of every file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pytest_purestate._check.model import Finding

__all__ = ["summary"]


def summary(
    findings: Sequence[Finding], *, checked: int, skipped: int, failed: int, baselined: int = 0
) -> str:
    """One line: findings by rule, files checked, skipped by the text prefilter, not checkable, hidden by a baseline."""
    if findings:
        counts = Counter(finding.code for finding in findings)
        rules = ", ".join(f"{code} {count}" for code, count in sorted(counts.items()))
        files = len({finding.path for finding in findings})
        found = f"{_many(len(findings), 'finding')} in {_many(files, 'file')} ({rules})"
    else:
        found = "no findings"
    parts = [found]
    if baselined:
        parts.append(f"{baselined} in the baseline")
    parts.append(f"{_many(checked, 'file')} checked")
    if skipped:
        parts.append(f"{skipped} skipped that never mention JAX")
    if failed:
        parts.append(f"{failed} could not be checked")
    return "; ".join(parts)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
