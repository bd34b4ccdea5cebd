"""Comments that suppress findings.

    x = f(key)  # noqa                                   every rule, on this logical line
    x = f(key)  # noqa: PS101, PS104                     these rules (codes, or prefixes such as PS1)
    x = f(key)  # purestate: ignore[PS101] same bits on purpose
    x = f(key)  # purestate: ignore                      every rule
    # purestate: ignore-file[PS101]                      in the whole file, anywhere in it
    # purestate: ignore-file

A comment counts for the whole logical line it stands in: on any line of a statement that spans
several lines, for the header of a compound statement, and on a decorator for the definition below it.
Text that looks like such a comment inside a string does not count.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pytest_purestate._check import registry
from pytest_purestate._check.lexer import Kind, lex
from pytest_purestate._check.model import Finding
from pytest_purestate._check.source import Source

__all__ = ["Suppressions", "unsuppressed"]

_MENTION = re.compile(rb"noqa|purestate", re.IGNORECASE)

# ruff's grammar: any case, spaces before the colon, codes separated by commas or spaces. A colon without
# a code suppresses nothing, so that a slip of the pen does not silence every rule.
_NOQA = re.compile(
    r"#\s*noqa(?![\w-])(?P<colon>\s*:\s*(?P<codes>[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*)?)?", re.IGNORECASE
)
_IGNORE = re.compile(
    r"#\s*purestate:\s*ignore(?P<file>-file)?(?![\w-])(?P<bracket>\s*\[(?P<codes>[^\]]*)\])?(?P<open>\s*\[)?",
    re.IGNORECASE,
)


def unsuppressed(findings: Sequence[Finding], source: Source) -> list[Finding]:
    """The findings that no comment suppresses. Sources without such comments are not even lexed."""
    if not findings or not _MENTION.search(source.data):
        return list(findings)
    suppressions = Suppressions.of(source)
    return [finding for finding in findings if not suppressions.cover(finding)]


@dataclass(frozen=True, slots=True)
class Suppressions:
    """The suppressions of one file.

    ``starts`` holds the first offset of every logical line, ``lines`` the selectors that hold in it; an
    empty selector stands for every rule.
    """

    starts: list[int] = field(default_factory=list)
    lines: list[frozenset[str]] = field(default_factory=list)
    file: frozenset[str] = frozenset()

    @classmethod
    def of(cls, source: Source) -> Suppressions:
        """Read the comments of a source."""
        starts, lines, file = [0], list[frozenset[str]](), set[str]()
        here, group, first_word = set[str](), list[int](), b""
        for token in lex(source.data):
            word = source.data[token.start : token.end]
            if token.kind is Kind.COMMENT:
                line, whole = _selectors(word.decode("utf-8", "replace"))
                here |= line
                file |= whole
            elif token.kind in (Kind.NEWLINE, Kind.BLANK):
                lines.append(frozenset(here))
                starts.append(token.end)
                if token.kind is Kind.NEWLINE:
                    # Decorators and the header of what they decorate count as one line.
                    group.append(len(lines) - 1)
                    if first_word != b"@":
                        joint = frozenset[str]().union(*(lines[place] for place in group))
                        for place in group:
                            lines[place] = joint
                        group.clear()
                here, first_word = set(), b""
            elif not first_word:
                first_word = word
        lines.append(frozenset(here))
        return cls(starts, lines, frozenset(file))

    def cover(self, finding: Finding) -> bool:
        """Whether a comment suppresses a finding: by the logical lines of its primary span."""
        if _match(self.file, finding.code):
            return True
        span = finding.primary.span
        first = bisect_right(self.starts, span.start) - 1
        last = bisect_right(self.starts, max(span.start, span.end - 1)) - 1
        return any(_match(self.lines[line], finding.code) for line in {first, last})


def _match(selectors: Iterable[str], code: str) -> bool:
    return any(code.startswith(selector) for selector in selectors)


def _selectors(comment: str) -> tuple[set[str], set[str]]:
    """What a comment suppresses: on its line, and in the whole file."""
    line: set[str] = set()
    file: set[str] = set()
    for found in _NOQA.finditer(comment):
        if found["codes"]:
            line.update(code.upper() for code in re.split(r"[,\s]+", found["codes"]))
        elif not found["colon"]:
            line.add("")
    for found in _IGNORE.finditer(comment):
        if found["bracket"] is None and found["open"]:
            continue  # a bracket that never closes
        chosen = {""} if found["bracket"] is None else _codes(found["codes"])
        (file if found["file"] else line).update(chosen)
    return line, file


def _codes(text: str) -> set[str]:
    """Codes, prefixes and names of a bracket; ``ALL`` is every rule, an unknown word is none."""
    names = {rule.name: rule.code for rule in registry.rules()}
    words = [word.strip() for word in text.split(",") if word.strip()]
    return {"" if word == "ALL" else names.get(word, word.upper()) for word in words}
