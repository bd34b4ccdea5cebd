"""Comments that suppress findings (`comments` reads them), and whether each of them does something.

A comment counts for the whole logical line it stands in: on any line of a statement that spans
several lines, for the header of a compound statement, and on a decorator for the definition below it.
Text that looks like such a comment inside a string does not count.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from pytest_purestate._check.comments import Broken, Directive, Scope, read, removal
from pytest_purestate._check.lexer import Kind, lex
from pytest_purestate._check.model import Applicability, Finding, Fix, Label, Rule, Span
from pytest_purestate._check.source import Source

__all__ = ["Suppressions", "mentions_rules"]

UNUSED, INVALID = "PS002", "PS005"

_MENTION = re.compile(rb"#\s*(?:noqa|purestate)", re.IGNORECASE)
_OURS = re.compile(rb"#\s*(?:noqa\s*:[^\r\n]*(?:PS|[a-z]-[a-z])|purestate)", re.IGNORECASE)


class _Comments(Struct):
    """What the comments of a file say.

    ``starts`` holds the first offset of every logical line, ``lines`` the directives that hold in it.
    """

    starts: list[int] = field(default_factory=lambda: [0])
    lines: list[tuple[Directive, ...]] = field(default_factory=list)
    file: list[Directive] = field(default_factory=list)
    all: list[tuple[Span, Directive]] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)

    @classmethod
    def of(cls, data: bytes) -> _Comments:
        found = cls()
        here, group, first_word = list[Directive](), list[int](), b""
        for token in lex(data):
            if token.kind is Kind.COMMENT:
                comment = Span(token.start, token.end)
                directives, broken = read(data, comment)
                found.all.extend((comment, each) for each in directives)
                found.broken.extend(broken)
                here.extend(each for each in directives if each.scope is not Scope.FILE)
                found.file.extend(each for each in directives if each.scope is Scope.FILE)
            elif token.kind in (Kind.NEWLINE, Kind.BLANK):
                found.lines.append(tuple(here))
                found.starts.append(token.end)
                if token.kind is Kind.NEWLINE:
                    # Decorators and the header of what they decorate count as one line.
                    group.append(len(found.lines) - 1)
                    if first_word != b"@":
                        joint = tuple(each for place in group for each in found.lines[place])
                        for place in group:
                            found.lines[place] = joint
                        group.clear()
                here, first_word = [], b""
            elif not first_word:
                first_word = data[token.start : token.end]
        found.lines.append(tuple(here))
        return found


def mentions_rules(raw: bytes) -> bool:
    """Whether a file may have suppressions of this checker, which are there to be judged."""
    return (b"PS" in raw or b"purestate" in raw) and _OURS.search(raw) is not None


class Suppressions:
    """The suppressions of one file. One without such comments is not even lexed."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._names_ours = bool(_OURS.search(source.data))

    @functools.cached_property
    def _comments(self) -> _Comments:
        data = self._source.data
        return _Comments.of(data if self._names_ours or _MENTION.search(data) else b"")

    def cover(self, finding: Finding) -> bool:
        """Whether a comment suppresses a finding: by the logical lines of its primary span.

        What is said about the comments themselves is suppressed only by one that names the rule: an unused
        comment for every rule would otherwise hide that it is unused.
        """
        named = finding.code in (UNUSED, INVALID)
        return any(
            finding.code.startswith(selector) and (selector or not named)
            for directive in self._around(finding)
            for selector in directive.selectors
        )

    def judge(self, rules: Sequence[Rule]) -> bool:
        """Whether a comment is to be called unused where it is: then all rules have to look at the file."""
        return (
            self._names_ours
            and any(rule.code == UNUSED for rule in rules)
            and any(
                _judged(directive, number)
                for _, directive in self._comments.all
                for number in range(max(1, len(directive.items)))
            )
        )

    def problems(self, found: Sequence[Finding], rules: Sequence[Rule]) -> Iterator[Finding]:
        """The findings about the comments, when ``found`` is what all rules find in the file."""
        codes = {rule.code for rule in rules} if self._names_ours else ()
        if INVALID in codes:
            yield from map(self._invalid, self._comments.broken)
        if UNUSED in codes:
            used = {
                (directive.span, number)
                for finding in found
                for directive in self._around(finding)
                for number, selector in _numbered(directive)
                if finding.code.startswith(selector)
            }
            for comment, directive in self._comments.all:
                unused = [
                    number
                    for number, selector in _numbered(directive)
                    if _judged(directive, number)
                    and ((directive.span, number) not in used or (number and _repeated(directive, number)))
                ]
                if unused:
                    yield self._unused(comment, directive, unused)

    def _around(self, finding: Finding) -> Iterator[Directive]:
        comments = self._comments
        yield from comments.file
        if comments.all:
            span = finding.primary.span
            first = bisect_right(comments.starts, span.start) - 1
            last = bisect_right(comments.starts, max(span.start, span.end - 1)) - 1
            for line in {first, last}:
                yield from comments.lines[line]

    def _invalid(self, broken: Broken) -> Finding:
        label = Label(broken.span, "suppresses nothing", self._source.path)
        message = f"suppression that cannot be read: {broken.message}"
        return Finding(INVALID, self._source.path, message, label, help=broken.help)

    def _unused(self, comment: Span, directive: Directive, unused: list[int]) -> Finding:
        whole = len(unused) == max(1, len(directive.items))
        names = " and ".join(f"`{directive.items[number].text}`" for number in unused if directive.items)
        span = directive.head if whole else directive.items[unused[0]].span
        edit = removal(self._source.data, comment, directive, frozenset(unused))
        fix = Fix("remove the comment" if whole else f"remove {names}", (edit,), Applicability.SAFE)
        # What cannot be read is told by itself, and must not go unseen with the rest.
        torn = any(edit.span.start <= broken.span.start < edit.span.end for broken in self._comments.broken)
        return Finding(
            UNUSED,
            self._source.path,
            f"unused suppression of {names}" if names else "unused suppression",
            Label(span, "suppresses nothing", self._source.path),
            help="remove the comment" if whole else f"remove {names}",
            fix=None if torn else fix,
        )


def _numbered(directive: Directive) -> list[tuple[int, str]]:
    """The selectors of a directive with the numbers of their items; one for every rule has number 0."""
    if directive.blanket:
        return [(0, "")]
    return [(number, i.selector) for number, i in enumerate(directive.items) if i.selector is not None]


def _judged(directive: Directive, number: int) -> bool:
    """Whether an item may be called unused. ``# noqa`` alone and the codes of others are for other linters,
    and what suppresses the findings about comments is not itself asked for a use."""
    if directive.blanket:
        return directive.scope is not Scope.NOQA
    selector = directive.items[number].selector
    return selector is not None and not (selector and (UNUSED.startswith(selector) or selector == INVALID))


def _repeated(directive: Directive, number: int) -> bool:
    return any(each.selector == directive.items[number].selector for each in directive.items[:number])
