"""Reports: what was found, in the form that a reader asks for.

`FORMATS` names them all; a new one is a module here and a line there. Nothing is imported before a report is written.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pytest_purestate._check.model import Finding, Rule
    from pytest_purestate._check.report.style import Style
    from pytest_purestate._check.source import Source

__all__ = ["FORMATS", "Format", "Report", "render"]


class Report(NamedTuple):
    """What a report is made of.

    ``files`` are the paths of all files that were checked, those without findings included; ``sources`` gives the text
    behind a path.
    """

    findings: Sequence[Finding]
    rules: Mapping[str, Rule]
    sources: Callable[[str], Source | None]
    style: Style
    files: Sequence[str] = ()


class Format(NamedTuple):
    """A module below this one with a function ``render(report)``, or another one of that name.

    ``machine``: programs read it, so nothing else may stand in the same stream.
    """

    module: str
    machine: bool = True
    function: str = "render"


FORMATS: Mapping[str, Format] = {
    "full": Format("text", machine=False),
    "concise": Format("text", machine=False, function="render_lines"),
    "json": Format("json"),
    "json-lines": Format("json", function="render_lines"),
    "sarif": Format("sarif"),
    "github": Format("github"),
    "gitlab": Format("gitlab"),
    "junit": Format("junit"),
}
"""Every ``--output-format``."""


def render(name: str, report: Report, *, statistics: bool = False) -> Iterable[str]:
    """The pieces of a report, in order. ``statistics``: findings are counted by rule."""
    known = FORMATS[name]
    function = known.function
    if statistics:
        known = FORMATS["json" if known.machine else "full"]
        function = "render_statistics"
    module = importlib.import_module(f"{__name__}.{known.module}")
    pieces: Iterator[str] = getattr(module, function)(report)
    return pieces
