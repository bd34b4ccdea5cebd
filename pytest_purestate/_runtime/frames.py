"""Where the user is: the nearest frame that is not ours, and what an argument was called there."""

from __future__ import annotations

import ast
import linecache
import sys
from itertools import islice
from pathlib import Path
from types import FrameType

__all__ = ["argument_names", "is_ours", "shown_place", "user_frame", "user_place"]

_OURS = str(Path(__file__).resolve().parents[1]) + "/"


def user_frame() -> FrameType | None:
    """The innermost frame outside this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_ours(frame):
        frame = frame.f_back
    return frame


def is_ours(frame: FrameType) -> bool:
    """Whether a frame runs code of this package."""
    return frame.f_code.co_filename.replace("\\", "/").startswith(_OURS)


def user_place() -> tuple[str, int]:
    """File and line of the caller outside this package; ``("", 0)`` where there is none."""
    frame = user_frame()
    return (frame.f_code.co_filename, frame.f_lineno) if frame is not None else ("", 0)


def shown_place(place: str) -> str:
    """A file and line as people write it: relative to the current directory where it is below that."""
    file, _, line = place.rpartition(":")
    path, here = Path(file), Path.cwd()
    return f"{path.relative_to(here)}:{line}" if path.is_relative_to(here) else place


def argument_names(count: int) -> tuple[str, ...] | None:
    """The positional arguments of the call under way in the user's frame, as written there.

    A name, an attribute or an item counts; anything longer would not read well in front of a path.

    Args:
        count: how many positional arguments arrived.

    Returns:
        One text for each argument, empty for one without a short name. None where the source is not
        there, or does not show ``count`` arguments (``f(*trees)``).
    """
    frame = user_frame()
    call = _call_under_way(frame) if frame is not None else None
    if call is None or len(call.args) != count or any(isinstance(arg, ast.Starred) for arg in call.args):
        return None
    return tuple(ast.unparse(arg) if _is_place(arg) else "" for arg in call.args)


def _call_under_way(frame: FrameType) -> ast.Call | None:
    # The position table (PEP 657) gives the exact text of the call, also where a line has several.
    position = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None), None)
    if position is None or None in position:
        return None
    first, last, start, end = (value or 0 for value in position)
    lines = [line.encode("utf-8") for line in linecache.getlines(frame.f_code.co_filename)[first - 1 : last]]
    if len(lines) != last - first + 1:
        return None
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    try:
        call = ast.parse(b"(" + b"".join(lines) + b")", mode="eval").body
    except (SyntaxError, ValueError):
        return None  # the file changed since it was imported
    return call if isinstance(call, ast.Call) else None


def _is_place(node: ast.expr) -> bool:
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant | ast.Name) and _is_place(node.value)
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_place(node.value))
