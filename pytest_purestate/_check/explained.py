"""The command ``purestate explain``: finds the line that is meant, and shows the explanation as text or JSON."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from pytest_purestate._check import bounds
from pytest_purestate._check.analysis import SyntaxProblem
from pytest_purestate._check.discovery import display_path
from pytest_purestate._check.explain import Call, Explanation, Item, explain
from pytest_purestate._check.model import Label
from pytest_purestate._check.report.sources import Sources
from pytest_purestate._check.report.style import Style, wants_colour
from pytest_purestate._check.source import Source, UnreadableSourceError
from pytest_purestate.config import ConfigFinder

__all__ = ["ExplainError", "explain_place", "render_full", "render_json"]

TABLE = "tool.purestate.signatures"

_PLACE = re.compile(r"(?P<file>.+?):(cell (?P<cell>\d+):)?(?P<line>\d+)(:(?P<column>\d+))?")


class ExplainError(Exception):
    """A place that cannot be explained; the text says why."""


def explain_place(place: str, finder: ConfigFinder, form: str, stream: TextIO) -> Iterator[str]:
    """The explanation of ``FILE:LINE`` or ``FILE:LINE:COLUMN``, in pieces of text for ``stream``.

    Of a notebook, ``LINE`` stands behind the cell that it is in, as reports write it: ``FILE:cell 3:LINE``.

    Raises:
        ExplainError: there is no such place, or the file cannot be read or parsed.
        ConfigError: the settings that hold for the file are not valid.
    """
    found = _PLACE.fullmatch(place)
    if found is None:
        raise ExplainError(f"`{place}` is not of the form FILE:LINE or FILE:LINE:COLUMN")
    file = Path(found["file"]).absolute()
    path = display_path(file, Path.cwd())
    try:
        source = Source.read(file, path)
    except UnreadableSourceError as error:
        raise ExplainError(f"{path}: cannot be read: {error}") from error
    line = _line(source, found["cell"], int(found["line"]))
    column = int(found["column"] or 0)
    if problem := bounds.problem(source.data):
        raise ExplainError(f"{path}: not parsed: {problem.message}")
    try:
        explanation = explain(source, line, column, finder.of(file.parent), finder.overrides)
    except SyntaxProblem as error:
        raise ExplainError(
            f"{path}:{error.line}:{error.column}: cannot be parsed: {error.message}"
        ) from error
    sources = Sources({path: file})
    if form == "json":
        return render_json(explanation, sources)
    return render_full(explanation, sources, Style(wants_colour(stream, os.environ)))


def _line(source: Source, cell: str | None, line: int) -> int:
    """The line of a text that is meant."""
    numbers = [part.number for part in source.document.parts] if source.document is not None else []
    if cell is None and numbers:
        raise ExplainError(
            f"{source.path} is a notebook, of which a line is in a cell: `{source.path}:cell {numbers[0]}:{line}`"
        )
    if cell is not None:
        inside = source.line_in(int(cell), line)
        if inside is None:
            known = (
                f"cell {cell} has no line {line}" if int(cell) in numbers else f"there is no code cell {cell}"
            )
            raise ExplainError(f"{source.path}: {known}")
        return inside
    if not 1 <= line <= source.line_count:
        lines = "1 line" if source.line_count == 1 else f"{source.line_count} lines"
        raise ExplainError(f"{source.path} has {lines}, so there is no line {line}")
    return line


def render_full(found: Explanation, sources: Sources, style: Style) -> Iterator[str]:
    """An explanation as text, a line at a time."""
    source = sources(found.path)
    line = source.spot(source.offset(found.line, 1)).rpartition(":")[0] if source is not None else found.line
    yield f"{style.strong(f'{found.path}:{line}')}  {found.code}\n"
    where = f"in `{found.function}`" if found.function else "at module level"
    if found.trace is not None:
        yield f"{where}, which `{found.traced}` traces: {_at(found.trace, sources)}\n"
    else:
        yield f"{where}, {'which nothing traces' if found.function else 'not traced'}\n"
    for item in found.items:
        yield f"\n{style.strong(' '.join(item.text.split()))}\n"
        yield f"  {f'is {item.what}' if item.what else 'nothing is known of its value'}\n"
        for reason in item.reasons:
            place = f": {_at(reason.place, sources)}" if reason.place is not None else ""
            yield f"    {reason.text}{place}\n"
        if item.call is not None:
            yield from _of_call(item.call)
    if not found.items:
        yield "\nno value here is looked at\n"


def _of_call(call: Call) -> Iterator[str]:
    if call.by == "declared":
        yield f"  called as {call.declared} declares: {call.override}\n"
        return
    how = {"known": "signature: ", "followed": f"followed `{call.name}`: ", "unknown": f"`{call.name}` is "}
    yield f"  {how[call.by]}{call.does}\n"
    if call.override:
        yield f"  to declare it otherwise, under [{TABLE}]: {call.override}\n"


def render_json(found: Explanation, sources: Sources) -> Iterator[str]:
    """An explanation as one JSON object; places are ``path``, ``cell``, ``line`` and ``column``, 1-based."""
    source = sources(found.path)
    cell, before = source.cell(found.line) if source is not None else (None, 0)
    yield json.dumps(
        {
            "path": found.path,
            "cell": cell,
            "line": found.line - before,
            "code": found.code,
            "function": found.function or None,
            "traced_by": found.traced or None,
            "traced_at": _object(found.trace, sources),
            "items": [_item(item, found.path, sources) for item in found.items],
        },
        indent=2,
    ) + "\n"  # fmt: skip


def _item(item: Item, path: str, sources: Sources) -> Mapping[str, object]:
    call = item.call
    return {
        "text": item.text,
        "at": _object(Label(item.span, "", path), sources),
        "is": item.what or None,
        "reasons": [{"text": each.text, "at": _object(each.place, sources)} for each in item.reasons],
        "call": None
        if call is None
        else {
            "name": call.name,
            "by": call.by,
            "does": call.does,
            "declared_at": call.declared or None,
            "override": call.override or None,
        },
    }


def _object(label: Label | None, sources: Sources) -> Mapping[str, object] | None:
    source = sources(label.path) if label is not None else None
    if label is None or source is None:
        return None
    cell, line, column = source.place(label.span.start)
    return {"path": label.path, "cell": cell, "line": line, "column": column}


def _at(label: Label, sources: Sources) -> str:
    source = sources(label.path)
    if source is None:
        return label.path
    return f"{label.path}:{source.spot(label.span.start)}"
