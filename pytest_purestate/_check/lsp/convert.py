"""Findings in the terms of the protocol: ranges, diagnostics, edits."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from lsprotocol import types
from pygls.workspace import PositionCodec

from pytest_purestate._check.model import Applicability, Edit, Finding, Label, Severity, Span
from pytest_purestate._check.registry import rules_by_code
from pytest_purestate._check.source import Source

__all__ = ["SOURCE", "Places", "diagnostic", "line_edits", "text_edits"]

SOURCE = "purestate"

_LEVELS = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.INFO: types.DiagnosticSeverity.Information,
}
_UNNECESSARY = frozenset(("PS002", "PS105", "PS106"))
"""Rules that find what can go: editors fade it out."""


class Places:
    """Where spans are in the documents of the editor, in its units."""

    def __init__(
        self,
        codec: PositionCodec,
        sources: Callable[[str], Source | None],
        uri: Callable[[str, int | None], str],
    ) -> None:
        self._codec = codec
        self._sources = sources
        self._uri = uri

    def of(self, path: str, span: Span) -> tuple[str, types.Range]:
        """The document and the range of a span."""
        source = self._sources(path)
        if source is None:
            start = types.Position(0, 0)
            return self._uri(path, None), types.Range(start, start)
        cell, _, _ = source.place(span.start)
        begin, end = (self._position(source, offset) for offset in (span.start, span.end))
        return self._uri(path, cell), types.Range(begin, end)

    def _position(self, source: Source, offset: int) -> types.Position:
        line, column = source.position(offset)
        _, before = source.cell(line)
        units = self._codec.position_to_client_units([source.line(line)], types.Position(0, column - 1))
        return types.Position(line - before - 1, units.character)


def diagnostic(finding: Finding, places: Places) -> tuple[str, types.Diagnostic]:
    """A finding as a diagnostic, and the document that it belongs to."""
    rule = rules_by_code()[finding.code]
    uri, where = places.of(finding.path, finding.primary.span)
    text = finding.message + (f"\nhelp: {finding.help}" if finding.help else "")
    return uri, types.Diagnostic(
        range=where,
        message=text,
        severity=_LEVELS[finding.severity or rule.severity],
        code=finding.code,
        source=SOURCE,
        tags=[types.DiagnosticTag.Unnecessary] if finding.code in _UNNECESSARY else None,
        related_information=[_related(label, places) for label in finding.related] or None,
    )


def _related(label: Label, places: Places) -> types.DiagnosticRelatedInformation:
    uri, where = places.of(label.path, label.span)
    return types.DiagnosticRelatedInformation(types.Location(uri, where), label.text or "here")


def text_edits(path: str, edits: Iterable[Edit], places: Places) -> dict[str, Sequence[types.TextEdit]]:
    """Edits of a file by document."""
    found: dict[str, list[types.TextEdit]] = {}
    for edit in edits:
        uri, where = places.of(path, edit.span)
        found.setdefault(uri, []).append(types.TextEdit(where, edit.replacement))
    return dict(found)


def is_preferred(finding: Finding) -> bool:
    """Whether the fix is one to take without a second look."""
    return finding.fix is not None and finding.fix.applicability is Applicability.SAFE


def line_edits(before: str, after: str) -> Iterator[types.TextEdit]:
    """The lines that differ, as edits of whole lines."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    for tag, first, last, begin, end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            where = types.Range(types.Position(first, 0), types.Position(last, 0))
            yield types.TextEdit(where, "".join(new[begin:end]))


def path_of(uri: str) -> Path | None:
    """The file behind the address of a document, None for one that is on no disk."""
    from pygls.uris import to_fs_path

    path = to_fs_path(uri) if uri.startswith("file:") else None
    return Path(path) if path else None
