"""Files that hold Python beside other things: notebooks, Markdown, MyST.

A document is seen as one Python module, its *view*. The view is as long as the text that it stands for, byte for byte:
what is no Python is blanked, so an edit of the view is an edit of the text, and the rest of the file stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

__all__ = ["SUFFIXES", "DocumentError", "Part", "View", "view_of"]

_NOTEBOOK = (".ipynb",)
_MARKDOWN = (".md", ".markdown", ".myst")

SUFFIXES = (*_NOTEBOOK, *_MARKDOWN)


class DocumentError(Exception):
    """A file that is not what its name says; the text says why."""


class Part(Struct, frozen=True):
    """A cell of a notebook: where it begins in the view (in bytes), and its number, counted from 1 with all cells."""

    start: int
    number: int


class View(Struct, frozen=True):
    """A document as a Python module.

    ``text`` is what edits are applied to, ``python`` the module, as long as it. ``parts`` are the cells of a notebook, and
    ``problems`` code that cannot be parsed: where in the view, and why. ``restore`` makes the file of a changed text.
    """

    text: str
    python: str
    restore: Callable[[str], bytes]
    parts: tuple[Part, ...] = ()
    problems: tuple[tuple[int, str], ...] = ()


def view_of(path: str, raw: bytes) -> View | None:
    """The view of a file, None for Python's own.

    Raises:
        DocumentError: the file is not what its name says.
    """
    name = path.lower()
    if name.endswith(_NOTEBOOK):
        from pytest_purestate._check.documents import notebook

        return notebook.view(raw)
    if name.endswith(_MARKDOWN):
        from pytest_purestate._check.documents import markdown

        return markdown.view(raw)
    return None
