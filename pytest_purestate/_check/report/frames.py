"""Code frames: the user's own lines with the places of a finding underlined and labelled.

Columns are counted as a terminal shows them: tabs are expanded, wide characters take two cells,
combining ones none, and control characters are replaced so that source code cannot steer the terminal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from msgspec import Struct

from pytest_purestate._check.model import Label
from pytest_purestate._check.report.style import Style, printable
from pytest_purestate._check.source import Source

__all__ = ["frame"]

TAB = 4
WIDTH = 140  # longer lines are cut around their labels
MARGIN = 20  # cells kept beside a label where a line is cut
TALL = 6  # a label over more lines shows its first and last lines only


class _Mark(Struct, frozen=True):
    """An underlined stretch of one line, in terminal cells, half open."""

    start: int
    end: int
    text: str
    primary: bool


def frame(source: Source, labels: Sequence[tuple[Label, bool]], gutter: int, style: Style) -> Iterator[str]:
    """The lines of the frame for labels of one file, given as (label, whether it is the primary one)."""
    marks: dict[int, list[_Mark]] = {}
    for label, primary in labels:
        for line, mark in _marks(source, label, primary):
            marks.setdefault(line, []).append(mark)
    before = 0
    for line in sorted(marks):
        if before and line > before + 1 and _is_left_out(source, labels, line - 1):
            yield style.gutter("...".rjust(gutter))
        before = line
        text, found = _crop(_expand(source.line(line)), marks[line])
        number = line - source.cell(line)[1]
        yield f"{style.gutter(f'{number:>{gutter}} |')} {text}".rstrip()
        for under in _underlines(found, style):
            yield f"{style.gutter(' ' * gutter + ' |')} {under}"


def last_line(source: Source, labels: Sequence[Label]) -> int:
    """The greatest line number in a frame, for the width of its gutter."""
    return max(source.place(max(label.span.start, label.span.end - 1))[1] for label in labels)


def _is_left_out(source: Source, labels: Sequence[tuple[Label, bool]], line: int) -> bool:
    """Whether a line is one of the middle lines of a tall label."""
    places = [
        (source.position(label.span.start)[0], source.position(label.span.end)[0]) for label, _ in labels
    ]
    return any(start < line < end and end - start >= TALL for start, end in places)


def _marks(source: Source, label: Label, primary: bool) -> Iterator[tuple[int, _Mark]]:
    (first, column), (last, end) = source.position(label.span.start), source.position(label.span.end)
    if last > first and end == 1:  # a span that takes its line ending along
        last, end = last - 1, len(source.line(last - 1)) + 1
    shown = range(first, last + 1) if last - first < TALL else (first, first + 1, last - 1, last)
    for line in shown:
        text = source.line(line)
        begin = column - 1 if line == first else len(text) - len(text.lstrip())
        stop = end - 1 if line == last else len(text.rstrip())
        left = _width(text[:begin])
        right = max(left + 1, left + _width(text[begin:stop], left))
        if text.strip() or first == last:
            yield line, _Mark(left, right, printable(label.text) if line == last else "", primary)


def _underlines(marks: Sequence[_Mark], style: Style) -> Iterator[str]:
    """The lines below a code line: all underlines, then the label texts, the rightmost one in line."""
    cells = [" "] * max(mark.end for mark in marks)
    owner: list[bool | None] = [None] * len(cells)
    for mark in sorted(marks, key=lambda mark: mark.primary):
        for cell in range(mark.start, mark.end):
            cells[cell], owner[cell] = "^" if mark.primary else "-", mark.primary
    texts = sorted((mark for mark in marks if mark.text), key=lambda mark: (mark.start, mark.end))
    line = _paint(cells, owner, style)
    if texts and texts[-1].end >= len(cells):
        last = texts.pop()
        line += " " + style.mark(last.text, last.primary)
    yield line
    if texts:
        yield _hang(texts, None, style)
    while texts:
        yield _hang(texts[:-1], texts[-1], style)
        texts.pop()


def _hang(waiting: Sequence[_Mark], written: _Mark | None, style: Style) -> str:
    """A line of ``|`` under the labels that wait for their text, and the text of the one that is next."""
    line, at = "", 0
    for mark in waiting:
        if mark.start >= at and not (written and mark.start == written.start):
            line += " " * (mark.start - at) + style.mark("|", mark.primary)
            at = mark.start + 1
    if written:
        line += " " * (written.start - at) + style.mark(written.text, written.primary)
    return line


def _paint(cells: Sequence[str], owner: Sequence[bool | None], style: Style) -> str:
    line, start = "", 0
    for end in range(1, len(cells) + 1):
        if end == len(cells) or owner[end] != owner[start]:
            piece, primary = "".join(cells[start:end]), owner[start]
            line += piece if primary is None else style.mark(piece, primary)
            start = end
    return line


def _crop(text: str, marks: Sequence[_Mark]) -> tuple[str, list[_Mark]]:
    """Cut a long line to the stretch around its marks."""
    if _width(text) <= WIDTH:
        return text, list(marks)
    left = max(0, min(mark.start for mark in marks) - MARGIN)
    right = max(left + WIDTH, min(max(mark.end for mark in marks), left + 2 * WIDTH))
    shift = left - 1 if left else 0
    kept, at = "…" if left else "", 0
    for char in text:
        if left <= at < right:
            kept += char
        at += _width(char, at)
    kept += "…" if at > right else ""
    limit = right - shift
    moved = [
        _Mark(min(mark.start - shift, limit), min(mark.end - shift, limit + 1), mark.text, mark.primary)
        for mark in marks
    ]
    return kept, moved


def _expand(text: str) -> str:
    """The text as it is printed: tabs as spaces, control characters as visible stand-ins."""
    out, at = [], 0
    for char in text:
        width = _width(char, at)
        if char == "\t":
            char = " " * width
        elif unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            char = chr(0x2400 + ord(char)) if ord(char) < 32 else "\ufffd"
        out.append(char)
        at += width
    return "".join(out)


def _width(text: str, at: int = 0) -> int:
    """Terminal cells of a text that begins in cell ``at``."""
    if text.isascii() and "\t" not in text:
        return len(text)
    start = at
    for char in text:
        if char == "\t":
            at += TAB - at % TAB
        elif unicodedata.category(char) in ("Mn", "Me"):
            pass
        else:
            at += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return at - start
