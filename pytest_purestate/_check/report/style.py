"""Colours for the text report, and when to use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from msgspec import Struct

from pytest_purestate._check.model import Severity

__all__ = ["Style", "printable", "wants_colour"]


_COLOURS: Mapping[Severity | None, str] = {Severity.WARNING: "1;33", Severity.INFO: "1;36"}


class Style(Struct, frozen=True):
    """Paints the parts of a report; without colour every method gives its text back."""

    colour: bool = False

    def code(self, text: str, severity: Severity | None = None) -> str:
        return self._paint(_COLOURS.get(severity, "1;31"), text)

    def strong(self, text: str) -> str:
        return self._paint("1", text)

    def gutter(self, text: str) -> str:
        return self._paint("1;34", text)

    def mark(self, text: str, primary: bool) -> str:
        return self._paint("1;31" if primary else "1;34", text)

    def _paint(self, codes: str, text: str) -> str:
        return f"\x1b[{codes}m{text}\x1b[0m" if self.colour and text else text


def wants_colour(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR is set; FORCE_COLOR asks for it anywhere."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return environment["FORCE_COLOR"] != "0"
    return stream.isatty() and environment.get("TERM") != "dumb"


def printable(text: str) -> str:
    """The text on one line with control characters escaped: names and paths come from the user's files."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
