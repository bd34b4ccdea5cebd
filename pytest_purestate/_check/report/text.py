"""The reports for people: ``full`` with code frames, ``concise`` with a line a finding.

PS103 key `key` is used again after `split` consumed it
  --> train.py:14:31
   |
12 |     k1, k2 = jax.random.split(key)
   |                               --- first consumed here
14 |     noise = jax.random.normal(key, x.shape)
   |                               ^^^ used again here
   = help: draw from `k1` or `k2`
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from pytest_purestate._check.model import Finding, Label, Span
from pytest_purestate._check.report import Report
from pytest_purestate._check.report.frames import frame, last_line
from pytest_purestate._check.report.style import Style, printable
from pytest_purestate._check.source import Source

__all__ = ["render", "render_finding", "render_lines", "render_statistics"]

WHOLE_FILE = Span(0, 0)  # the place of a finding about a file as a whole, which has no code to show

Sources = Callable[[str], Source | None]


def render(report: Report) -> Iterator[str]:
    """Every finding with its code frames, an empty line after each."""
    for finding in report.findings:
        yield render_finding(finding, report.sources, report.style) + "\n\n"


def render_lines(report: Report) -> Iterator[str]:
    """One line a finding: ``train.py:14:31: PS103 message``."""
    style = report.style
    for finding in report.findings:
        place = _place(finding.primary, report.sources)
        code = style.code(finding.code, finding.severity)
        yield f"{style.strong(place)}: {code} {printable(finding.message)}\n"


def render_finding(finding: Finding, sources: Sources, style: Style | None = None) -> str:
    """One finding: headline, the frame of each file it touches, help."""
    style = style or Style()
    labels = [(finding.primary, True), *((label, False) for label in finding.related)]
    files: dict[tuple[str, int | None], list[tuple[Label, bool]]] = {}
    for label, primary in labels:
        files.setdefault((label.path, _cell(label, sources)), []).append((label, primary))
    found = {place: source for place in files if (source := sources(place[0])) is not None}
    numbers = [last_line(found[place], [label for label, _ in files[place]]) for place in found]
    gutter = max(2, len(str(max(numbers, default=0))))
    lines = [f"{style.code(finding.code, finding.severity)} {style.strong(printable(finding.message))}"]
    main = next(iter(files))
    for place, here in files.items():
        arrow = "-->" if place == main else ":::"
        lines.append(f"{' ' * gutter}{style.gutter(arrow)} {_place(here[0][0], sources)}")
        if place in found and any(label.span != WHOLE_FILE for label, _ in here):
            lines.append(style.gutter(" " * gutter + " |"))
            lines.extend(frame(found[place], here, gutter, style))
    if finding.help:
        prefix = " " * (gutter + 1)
        said, *rest = finding.help.splitlines()
        lines.append(f"{prefix}{style.gutter('=')} {style.strong('help:')} {printable(said)}")
        lines.extend(f"{prefix}        {printable(line)}" for line in rest)
    return "\n".join(lines)


def render_statistics(report: Report) -> Iterator[str]:
    """How many findings each rule has, most first."""
    counts = Counter(finding.code for finding in report.findings)
    width = max((len(str(count)) for count in counts.values()), default=0)
    for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        yield f"{count:>{width}}  {code}  {report.rules[code].name}\n"


def _cell(label: Label, sources: Sources) -> int | None:
    source = sources(label.path)
    return source.place(label.span.start)[0] if source is not None else None


def _place(label: Label, sources: Sources) -> str:
    source = sources(label.path)
    return f"{printable(label.path)}:{source.spot(label.span.start) if source else '1:1'}"
