"""Attributes of others that are replaced for a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Undo", "swap"]

Undo = Callable[[], None]


def swap(*replacements: tuple[Any, str, Any]) -> Undo:
    """Replace attributes, each given as holder, name and new value. Gives what puts the old ones back."""
    before = [(holder, name, getattr(holder, name)) for holder, name, _ in replacements]
    for holder, name, new in replacements:
        setattr(holder, name, new)

    def undo() -> None:
        for holder, name, original in before:
            setattr(holder, name, original)

    return undo
