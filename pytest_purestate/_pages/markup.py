"""Text as HTML."""

from __future__ import annotations

import hashlib
import html
import re
from typing import Any

__all__ = ["anchor", "code", "many", "seconds", "text"]

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def text(value: Any) -> str:
    """Anything, such that it is shown and never read as markup; control characters as their pictures."""
    shown = _CONTROLS.sub(
        lambda found: chr(0x2400 + ord(found[0]) if found[0] != "\x7f" else 0x2421), str(value)
    )
    return html.escape(shown)


def code(value: Any) -> str:
    """Something that stands in the user's code, or came out of it."""
    return f"<code>{text(value)}</code>"


def anchor(*parts: str) -> str:
    """An id that is the same in every run."""
    return "t-" + hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def many(number: int, one: str, more: str = "") -> str:
    """``1 test``, ``2 tests``."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def seconds(value: float) -> str:
    """A time that is easy to compare with others."""
    if value >= 60:
        return f"{int(value // 60)} min {value % 60:.0f} s"
    return f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.0f} ms"
