"""The code of a cell: IPython's magics and shell lines become statements that do nothing; what is no Python is told."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from functools import partial

__all__ = ["blank", "plain", "problem"]

_CELL_MAGIC = re.compile(r"\s*%%(\w+)")
_RUNS_PYTHON = frozenset("time timeit capture prun px".split())
"""The magics of a whole cell whose body is Python."""

_REST = r"(?:[^\n]*\\\n)*[^\n]*"  # a backslash joins lines
_LINE = re.compile(
    rf"^(?P<indent>[ \t]*)(?P<magic>[%!?]{_REST}|[\w.]+(?:\[[^\]\n]*\])?\?{{1,2}}[ \t]*)$", re.MULTILINE
)
_ASSIGNED = re.compile(rf"^(?P<target>[ \t]*[\w.,\[\]'\" \t]+=[ \t]*)(?P<magic>[%!]{_REST})$", re.MULTILINE)
_INDENT = re.compile(r"\n*([ \t]+)")
_FLAGS = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def blank(text: str) -> str:
    """A text of the same length in UTF-8 in which nothing stands but line ends."""
    return "".join(char if char in "\r\n" else " " * len(char.encode()) for char in text)


def plain(code: str) -> str:
    """The code of a cell as Python of the same length; all of it blank where the cell is in another language."""
    whole = _CELL_MAGIC.match(code)
    if whole is not None and whole[1] not in _RUNS_PYTHON:
        return blank(code)
    if problem(code) is None:
        return code  # a line of a string may begin with a percent sign
    indent = _INDENT.match(code)
    if indent is not None and problem(re.sub(f"^{indent[1]}", "", code, flags=re.MULTILINE)) is None:
        return blank(code)  # IPython takes the indentation off, and lines would not be as long as they are
    code = _ASSIGNED.sub(_assigned, code)
    ways = [_LINE.sub(partial(_passed, way), code) for way in _WAYS]
    return next((way for way in ways if problem(way) is None), ways[0])


def _passed(way: Callable[[str], str], match: re.Match[str]) -> str:
    """A magic as something that does nothing, and the lines that belong to it as comments."""
    first, *rest = match["magic"].split("\n")
    return match["indent"] + "\n".join((way(first), *map(_comment, rest)))


def _statement(magic: str) -> str:
    """A statement of the same length, since a block may hold nothing else."""
    if not magic:
        return ""
    return "pass #" + magic[6:] if len(magic) > 5 and magic[:6].isascii() else _after("0", magic)


def _comment(magic: str) -> str:
    """A comment of the same length, which may be indented as it likes."""
    return f"#{blank(magic[0])[1:]}{magic[1:]}" if magic else ""


_WAYS = (_statement, _comment)


def _assigned(match: re.Match[str]) -> str:
    first, *rest = match["magic"].split("\n")
    return match["target"] + "\n".join((_value(first), *map(_comment, rest)))


def _after(first: str, magic: str) -> str:
    return first + blank(magic)[1:]


def _value(magic: str) -> str:
    """Something of the same length to assign."""
    return "0" + (" #" + magic[3:] if len(magic) > 2 and magic[:3].isascii() else blank(magic)[1:])


def problem(code: str) -> tuple[int, int, str] | None:
    """The 1-based line and column at which code stops being Python, and why; None where it is Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the user's code deserves is not said here
            compile(code, "<cell>", "exec", _FLAGS, dont_inherit=True)
    except SyntaxError as error:
        return error.lineno or 1, error.offset or 1, error.msg
    except (ValueError, RecursionError, MemoryError) as error:
        return 1, 1, str(error)
    return None
