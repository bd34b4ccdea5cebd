"""The JSON contract: one object a finding, in an array (``json``) or one a line (``json-lines``).

The names are stable. Lines and columns are 1-based; columns count code points.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypedDict

from pytest_purestate._check.model import Edit, Finding, Fix, Rule, Span
from pytest_purestate._check.report import Report
from pytest_purestate._check.report.fingerprint import Fingerprints
from pytest_purestate._check.source import Source

__all__ = [
    "EditObject",
    "FindingObject",
    "FixObject",
    "objects",
    "render",
    "render_lines",
    "render_statistics",
    "to_objects",
]


class RelatedObject(TypedDict):
    """A second place of a finding."""

    path: str
    line: int
    column: int
    message: str


class EditObject(TypedDict):
    """Replace a range by ``replacement``."""

    line: int
    column: int
    end_line: int
    end_column: int
    replacement: str


class FixObject(TypedDict):
    """Edits that repair a finding; ``applicability`` is safe, unsafe or display-only."""

    title: str
    applicability: str
    edits: list[EditObject]


class FindingObject(TypedDict):
    """One finding as JSON."""

    code: str
    name: str
    message: str
    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    confidence: str
    severity: str
    related: list[RelatedObject]
    help: str
    fix: FixObject | None
    cell: int | None
    fingerprint: str


Sources = Callable[[str], Source | None]


def render(report: Report) -> Iterator[str]:
    """The findings as one JSON array, an object a line, ready to be written piece by piece."""
    before = "["
    for item in objects(report):
        yield f"{before}\n  {json.dumps(item)}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def render_lines(report: Report) -> Iterator[str]:
    """The findings as JSON lines."""
    for item in objects(report):
        yield json.dumps(item) + "\n"


def render_statistics(report: Report) -> Iterator[str]:
    """How many findings each rule has, most first, as a JSON array."""
    counts = Counter(finding.code for finding in report.findings)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows = [{"code": code, "name": report.rules[code].name, "count": count} for code, count in ordered]
    yield json.dumps(rows) + "\n"


def objects(report: Report) -> Iterator[FindingObject]:
    """The findings of a report as plain objects, which other formats are made of, too."""
    return to_objects(report.findings, report.rules, report.sources)


def to_objects(
    findings: Iterable[Finding], rules: Mapping[str, Rule], sources: Sources
) -> Iterator[FindingObject]:
    """The findings as plain objects, in the order given."""
    fingerprints = Fingerprints(sources)
    for finding in findings:
        rule = rules[finding.code]
        cell, line, column, end_line, end_column = _range(finding.path, finding.primary.span, sources)
        yield {
            "code": finding.code,
            "name": rule.name,
            "message": finding.message,
            "path": finding.path,
            "line": line,
            "column": column,
            "end_line": end_line,
            "end_column": end_column,
            "confidence": finding.confidence.label,
            "severity": (finding.severity or rule.severity).value,
            "related": [
                {"path": label.path, "line": place[1], "column": place[2], "message": label.text}
                for label in finding.related
                for place in (_range(label.path, label.span, sources),)
            ],
            "help": finding.help,
            "fix": _fix(finding.fix, finding.path, sources) if finding.fix else None,
            "cell": cell,
            "fingerprint": fingerprints.of(finding),
        }


def _fix(fix: Fix, path: str, sources: Sources) -> FixObject:
    return {
        "title": fix.title,
        "applicability": fix.applicability.value,
        "edits": [_edit(edit, path, sources) for edit in fix.edits],
    }


def _edit(edit: Edit, path: str, sources: Sources) -> EditObject:
    _, line, column, end_line, end_column = _range(path, edit.span, sources)
    return {
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "replacement": edit.replacement,
    }


def _range(path: str, span: Span, sources: Sources) -> tuple[int | None, int, int, int, int]:
    """The cell of a notebook, and the range in it, or in the file."""
    source = sources(path)
    if source is None:  # the finding is that the file cannot be read
        return None, 1, 1, 1, 1
    cell, line, column = source.place(span.start)
    _, end_line, end_column = source.place(span.end)
    return cell, line, column, end_line, end_column
