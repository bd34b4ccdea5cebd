"""Adds ``# noqa: CODES`` to lines with findings, for ``--add-noqa``.

A comment is added behind the line in which a finding begins, or where none may stand there (inside a string,
before a backslash that joins lines) behind the next line of the same statement. Codes join a ``# noqa: CODES``
that the statement has already. Nothing else changes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from pytest_purestate._check.comments import Directive, Scope, read
from pytest_purestate._check.lexer import Kind, Token, lex
from pytest_purestate._check.model import Edit, Finding, Span
from pytest_purestate._check.source import Source

__all__ = ["Added", "add_noqa"]

_LINE_END = re.compile(rb"\r\n?|\n|\Z")


class Added(Struct, frozen=True):
    """The changed text, the number of comments that were added or changed, and the findings that stay
    because no comment can stand near them. ``edits`` are what was done, in the text as it was."""

    text: str
    count: int
    left: tuple[Finding, ...] = ()
    edits: tuple[Edit, ...] = ()


class _Statement(Struct):
    """A logical line: its comments, and the ranges in which a line's end is no place for a comment."""

    start: int
    end: int = 0
    comments: list[Token] = field(default_factory=list)
    closed: list[Span] = field(default_factory=list)


def add_noqa(source: Source, findings: Sequence[Finding]) -> Added:
    """The text of a source in which comments suppress the findings."""
    statements = list(_statements(source.data))
    starts = [statement.start for statement in statements]
    wanted: dict[tuple[int, int], set[str]] = {}
    for finding in findings:
        where = bisect_right(starts, finding.primary.span.start) - 1
        directive = _existing(source.data, statements[where])
        place = (
            directive.items[-1].span.end
            if directive
            else _place(source.data, statements[where], finding.primary.span.start)
        )
        wanted.setdefault((where, place), set()).add(finding.code)
    edits = [
        _edit(source.data, statements[where], place, sorted(codes))
        for (where, place), codes in wanted.items()
    ]
    data = source.original.encode()
    for edit in sorted(edits, key=lambda edit: edit.span, reverse=True):
        data = data[: edit.span.start] + edit.replacement.encode() + data[edit.span.end :]
    if source.document is None and _code(data) != _code(
        source.data
    ):  # a comment that would not be one: better none at all
        return Added(source.original, 0, tuple(findings))
    return Added(data.decode(), len(edits), edits=tuple(edits))


def _edit(data: bytes, statement: _Statement, place: int, codes: list[str]) -> Edit:
    directive = _existing(data, statement)
    if directive:
        items = directive.items
        known = {item.text.upper() for item in items}
        comma = data[items[-2].span.end : items[-1].span.start].decode() if len(items) > 1 else ", "
        return Edit(Span(place, place), "".join(comma + code for code in codes if code not in known))
    line = data[:place]
    start = len(line.rstrip(b" \t\f"))
    gap = "" if start == 0 or data[start - 1 : start] in (b"\n", b"\r") else "  "
    return Edit(Span(start, place), f"{gap}# noqa: {', '.join(codes)}")


def _place(data: bytes, statement: _Statement, start: int) -> int:
    """The end of the first line from ``start`` on behind which a comment may stand."""
    position = start
    while True:
        ending = _LINE_END.search(data, position)
        assert ending is not None  # the end of the text is one
        at = ending.start()
        inside = any(span.start <= at < span.end for span in statement.closed)
        commented = any(token.end == at for token in statement.comments)
        joined = data[at - 1 : at] == b"\\" and not commented
        if at >= statement.end or not (inside or joined):
            return at
        position = ending.end()


def _existing(data: bytes, statement: _Statement) -> Directive | None:
    """The first ``# noqa`` with codes of a statement."""
    for token in statement.comments:
        for directive in read(data, Span(token.start, token.end))[0]:
            if directive.scope is Scope.NOQA and directive.items:
                return directive
    return None


def _statements(data: bytes) -> Iterator[_Statement]:
    statement = _Statement(0)
    before: Token | None = None
    opened: list[int | None] = []  # where an f-string began for each of its open fields, None for brackets
    for token in lex(data):
        if token.kind is Kind.OPEN:
            field_of = before if _opens_field(data, before, token) else None
            began = field_of.start if field_of else None
            opened.append(began)
        elif token.kind is Kind.CLOSE and opened:
            began = opened.pop()
            if began is not None:
                statement.closed.append(Span(began, token.end))
        elif token.kind is Kind.STRING:
            statement.closed.append(Span(token.start, token.end))
        elif token.kind is Kind.COMMENT:
            statement.comments.append(token)
        elif token.kind in (Kind.NEWLINE, Kind.BLANK):
            statement.end = token.start
            yield statement
            statement = _Statement(token.end)
            opened.clear()
        before = token
    statement.end = len(data)
    yield statement


def _opens_field(data: bytes, before: Token | None, token: Token) -> bool:
    """Whether a brace opens a field of an f-string: then it follows a part of the string at once."""
    return (
        before is not None
        and before.kind is Kind.STRING
        and before.end == token.start
        and data[token.start : token.end] == b"{"
    )


def _code(data: bytes) -> list[bytes]:
    """The text of all that is not a comment, nor an empty line."""
    return [
        b"\n" if token.kind is Kind.NEWLINE else data[token.start : token.end]
        for token in lex(data)
        if token.kind not in (Kind.COMMENT, Kind.BLANK)
    ]
