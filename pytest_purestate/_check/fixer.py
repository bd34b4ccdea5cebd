"""Applies the fixes of findings to a source text.

Fixes are text edits. A fix is applied as a whole or not at all: one whose edits overlap those of a
fix already taken is left for the next round. Equal edits of two fixes (both add the same import)
are made once.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from pytest_purestate._check.model import Applicability, Edit, Finding
from pytest_purestate._check.source import Source

__all__ = ["Fixed", "apply"]


class Fixed(Struct, frozen=True):
    """The changed text, and the findings whose fixes are in it."""

    text: str
    applied: tuple[Finding, ...]


def apply(source: Source, findings: Iterable[Finding], *, unsafe: bool = False) -> Fixed:
    """The text after the safe fixes of the findings; ``unsafe`` takes the unsafe ones too."""
    allowed = {Applicability.SAFE, Applicability.UNSAFE} if unsafe else {Applicability.SAFE}
    taken: set[Edit] = set()
    applied: list[Finding] = []
    for finding in findings:
        if finding.fix is None or finding.fix.applicability not in allowed:
            continue
        new = [edit for edit in finding.fix.edits if edit not in taken]
        if not any(_collide(edit, other) for edit in new for other in taken):
            taken.update(new)
            applied.append(finding)
    data = source.original.encode()
    for edit in sorted(taken, key=lambda edit: edit.span, reverse=True):
        data = data[: edit.span.start] + edit.replacement.encode() + data[edit.span.end :]
    return Fixed(data.decode(), tuple(applied))


def _collide(one: Edit, other: Edit) -> bool:
    # Two insertions at one place have no order, and an insertion at the edge of a change may belong on
    # either side of it: both wait.
    return one.span.start <= other.span.end and other.span.start <= one.span.end
