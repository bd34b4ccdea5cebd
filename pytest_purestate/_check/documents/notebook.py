"""Jupyter notebooks: all code cells as one module, in order.

A changed cell is written back where it stood in the JSON text, in the form that it had there; outputs, metadata and
formatting are not even parsed a second time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from pytest_purestate._check.documents import DocumentError, Part, View
from pytest_purestate._check.documents.cells import blank, plain, problem

__all__ = ["cells_of", "of_cells", "view", "view_of_cells"]

_RECORD = "\x1e"
_END = f"\n{_RECORD}\n"
"""What stands behind each cell in the text; blank in the view."""

_BOM = "\ufeff"
_SPACE = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"[^,\]}\s]+")
_LANGUAGES = ("python", "ipython", "python3", "ipython3")


@dataclass(frozen=True, slots=True)
class _Node:
    """A value in a JSON text: what it is, and from where to where it stands."""

    value: Any
    start: int
    end: int


def view(raw: bytes) -> View:
    """The view of a notebook.

    Raises:
        DocumentError: it is no notebook, or one of a format that is not known.
    """
    try:
        text = raw.decode("utf-8")
        node = _read(text, 1 if text.startswith(_BOM) else 0)
        content = node.value
        json.loads(text.removeprefix(_BOM))
    except (ValueError, RecursionError, IndexError) as error:
        raise DocumentError(f"is not a notebook: {error}") from error
    if not isinstance(content, dict) or "cells" not in content:
        if isinstance(content, dict) and "worksheets" in content:
            raise DocumentError(
                "is a notebook of format 3; `jupyter nbconvert --to notebook` makes a newer one"
            )
        raise DocumentError("is not a notebook: it has no cells")
    cells = _code_cells(content)
    sources = [_joined(source) for _, source in cells]
    restore = partial(_restored, text, [source for _, source in cells], sources)
    return view_of_cells(
        [(number, source) for (number, _), source in zip(cells, sources, strict=True)], restore
    )


def of_cells(cells: Sequence[str]) -> bytes:
    """A notebook of these code cells, for those who hold no file."""
    return json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]}).encode()


def cells_of(raw: bytes) -> list[str]:
    """The texts of the cells of such a notebook."""
    return [cell["source"] for cell in json.loads(raw)["cells"]]


def view_of_cells(cells: Sequence[tuple[int, str]], restore: Callable[[str], bytes]) -> View:
    """The view of code cells, given as their numbers and texts.

    Raises:
        DocumentError: a cell holds what no text holds.
    """
    sources = [source for _, source in cells]
    if any(_RECORD in source for source in sources):
        raise DocumentError("is not a notebook of Python: a cell has a record separator in it")
    if any("\ud800" <= char <= "\udfff" for source in sources for char in source):
        raise DocumentError("is not a notebook of Python: a cell has a lone surrogate, which is not text")
    python, parts, problems, start = "", [], [], 0
    for number, source in cells:
        code = plain(source)
        wrong = problem(code)
        if wrong is not None:
            line, column, message = wrong
            before = "".join(source.splitlines(keepends=True)[: line - 1])
            problems.append((start + len(before.encode()) + column - 1, message))
            code = blank(code)
        parts.append(Part(start, number))
        python += code + blank(_END)
        start += len(source.encode()) + len(_END)
    joined = "".join(source + _END for source in sources)
    return View(joined, python, restore, tuple(parts), tuple(problems))


def _code_cells(content: Mapping[str, _Node]) -> list[tuple[int, _Node]]:
    """The number and the source of each code cell; none in a notebook of another language."""
    language = _language(content)
    if language and language.lower() not in _LANGUAGES:
        return []
    cells = content["cells"].value
    if not isinstance(cells, list):
        raise DocumentError("is not a notebook: its cells are no list")
    found = []
    for number, cell in enumerate(cells, start=1):
        known = cell.value if isinstance(cell.value, dict) else {}
        kind, source = known.get("cell_type"), known.get("source")
        if kind is not None and kind.value == "code" and source is not None and _is_text(source):
            found.append((number, source))
    return found


def _language(content: Mapping[str, _Node]) -> str:
    metadata = content.get("metadata")
    for outer, inner in (("language_info", "name"), ("kernelspec", "language")):
        node = (
            metadata.value.get(outer) if metadata is not None and isinstance(metadata.value, dict) else None
        )
        name = node.value.get(inner) if node is not None and isinstance(node.value, dict) else None
        if name is not None and isinstance(name.value, str):
            return name.value
    return ""


def _is_text(source: _Node) -> bool:
    if isinstance(source.value, list):
        return all(isinstance(line.value, str) for line in source.value)
    return isinstance(source.value, str)


def _joined(source: _Node) -> str:
    if isinstance(source.value, list):
        return "".join(line.value for line in source.value)
    return str(source.value)


def _restored(text: str, nodes: list[_Node], sources: list[str], changed: str) -> bytes:
    """The notebook with a changed text in the place of the cells'."""
    cells = changed.split(_END)[:-1]
    assert len(cells) == len(nodes), "an edit reached into the next cell"
    for node, before, after in reversed(list(zip(nodes, sources, cells, strict=True))):
        if before != after:
            text = text[: node.start] + _written(text, node, after) + text[node.end :]
    return text.encode()


def _written(text: str, node: _Node, after: str) -> str:
    """A source as JSON, in the form that the one at ``node`` has; lines that stay keep their spelling."""
    old = text[node.start : node.end]
    escapes = old.isascii() and not _joined(node).isascii()
    if not isinstance(node.value, list):
        return json.dumps(after, ensure_ascii=escapes)
    spelled = {line.value: text[line.start : line.end] for line in node.value}
    lines = [line for line in re.split(r"(?<=\n)", after) if line]
    items = [spelled.get(line) or json.dumps(line, ensure_ascii=escapes) for line in lines]
    if not node.value:
        return f"[{', '.join(items)}]"
    first, last = node.value[0], node.value[-1]
    before, behind = text[node.start : first.start], text[last.end : node.end]
    between = text[first.end : node.value[1].start] if len(node.value) > 1 else f",{before[1:]}"
    return before + between.join(items) + behind


def _read(text: str, at: int) -> _Node:
    """The JSON value at a place, with the places of all that is in it."""
    at = _skip(text, at)
    char = text[at]
    if char == '"':
        value, end = scanstring(text, at + 1, False)
        return _Node(value, at, end)
    if char == "[":
        items: list[_Node] = []
        end = _skip(text, at + 1)
        while text[end] != "]":
            items.append(_read(text, end))
            end = _skip(text, items[-1].end)
            end = _skip(text, end + 1) if text[end] == "," else end
        return _Node(items, at, end + 1)
    if char == "{":
        members: dict[str, _Node] = {}
        end = _skip(text, at + 1)
        while text[end] != "}":
            name = _read(text, end)
            value_at = text.index(":", name.end) + 1
            members[str(name.value)] = node = _read(text, value_at)
            end = _skip(text, node.end)
            end = _skip(text, end + 1) if text[end] == "," else end
        return _Node(members, at, end + 1)
    scalar = _SCALAR.match(text, at)
    if scalar is None:
        raise ValueError(f"unexpected {char!r}")
    return _Node(None, at, scalar.end())


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space is not None else at
