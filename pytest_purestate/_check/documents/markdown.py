"""Markdown and MyST: the Python blocks of a page as one module, in order.

Everything else is blanked. A block that stands in a list or a quotation is indented, so its opening fence becomes an
``if 1:``. Blocks that are no Python (an output, a sketch with dots) are passed over.
"""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

from pytest_purestate._check.documents import DocumentError, View
from pytest_purestate._check.documents.cells import blank, plain, problem

__all__ = ["view"]

_PYTHON = frozenset("python python3 py py3 ipython ipython3 {python}".split())
_DIRECTIVE = re.compile(r"\{(?P<name>[\w:-]+)\}[ \t]*(?P<argument>[\w+-]*)")
_CODE = ("code-cell", "code", "code-block", "sourcecode", "jupyter-execute", "ipython3")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_OPTION = re.compile(r"[ \t]*:[\w-]+:")
_OPENS = "if 1:"


def view(raw: bytes) -> View:
    """The view of a page.

    Raises:
        DocumentError: it is not UTF-8.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"is not utf-8: {error.reason} at byte {error.start}") from error
    lines = _LINE.findall(text)
    shown = [blank(line) for line in lines]
    for token in MarkdownIt("commonmark").parse(text.replace("\r\n", " \n").replace("\r", " ")):
        if token.type == "fence" and token.map is not None and _is_python(token.info.strip()):
            _show(token, lines, shown)
    return View(text, "".join(shown), str.encode)


def _is_python(info: str) -> bool:
    directive = _DIRECTIVE.match(info)
    if directive is not None and directive["name"] in _CODE:
        argument = directive["argument"].lower()
        return argument in _PYTHON or (not argument and directive["name"] in ("code-cell", "ipython3"))
    return info.split(maxsplit=1)[:1] != [] and info.split()[0].lower() in _PYTHON


def _show(token: Token, lines: list[str], shown: list[str]) -> None:
    """Put the code of one block into the lines that are shown, if it is Python."""
    assert token.map is not None
    first = token.map[0] + 1
    code = _without_options(token.content).splitlines(keepends=True)
    cut: list[tuple[str, str]] = []
    for line, content in zip(lines[first : first + len(code)], code, strict=False):
        body, stripped = line.rstrip("\r\n"), content.rstrip("\r\n").rstrip(" ")
        bare = body.rstrip(" ")
        if stripped and not bare.endswith(stripped):
            return  # a tab was expanded, or the like
        prefix = body[: len(bare) - len(stripped)] if stripped else ""
        cut.append((prefix, line[len(prefix) :] if stripped else blank(line)))
    python = plain("".join(content for _, content in cut))
    if not python.strip() or problem(python) is not None:
        return
    contents = python.splitlines(keepends=True)
    widths = {
        len(blank(prefix)) for (prefix, _), content in zip(cut, contents, strict=True) if content.strip()
    }
    if len(widths) != 1:
        return
    (width,) = widths
    if width:
        fence = lines[first - 1]
        shown[first - 1] = _OPENS + blank(fence)[len(_OPENS) :]
    for number, ((prefix, _), content) in enumerate(zip(cut, contents, strict=True)):
        shown[first + number] = blank(prefix) + content


def _without_options(content: str) -> str:
    """The content of a block without the options of a directive at its beginning, whose lines become blank."""
    lines = content.splitlines(keepends=True)
    at = 0
    if lines and lines[0].strip() == "---":
        end = next((number for number, line in enumerate(lines[1:], start=1) if line.strip() == "---"), 0)
        at = end + 1 if end else 0
    while at < len(lines) and _OPTION.match(lines[at]):
        at += 1
    return "".join(blank(line) for line in lines[:at]) + "".join(lines[at:])
