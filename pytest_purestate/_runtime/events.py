"""What happened, for whoever wants to write it down: nobody, unless a report was asked for.

Assertions tell how they ended, and key streams which key they gave. A listener is called in the thread that tells, and must not
raise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_purestate._runtime.failures import Problem

__all__ = ["Checked", "Handed", "listeners", "tell"]


@dataclass(frozen=True, slots=True)
class Checked:
    """An assertion came to an end.

    Attributes:
        assertion: its name, ``assert_deterministic``.
        function: what it was asked about, by name.
        problems: what it found; none where it passed.
        ways: what it tried, in that order, ``("calls", "recompile")``.
        failed: the way that it failed in; empty where it passed.
        runs: how many calls each way compares.
        place: file and line of the user's call.
    """

    assertion: str
    function: str
    problems: tuple[Problem, ...] = ()
    ways: tuple[str, ...] = ()
    failed: str = ""
    runs: int = 0
    place: tuple[str, int] = ("", 0)


@dataclass(frozen=True, slots=True, eq=False)
class Handed:
    """A key stream gave a key: number ``index`` of the stream ``name``, or an array of them that starts with that number. Keys
    are raw where the stream gives raw ones.
    """

    name: str
    index: int
    key: Any
    place: tuple[str, int]


listeners: list[Callable[[Checked | Handed], None]] = []
"""Who is told. Ask whether there is anybody before you make an event."""


def tell(event: Checked | Handed) -> None:
    """Tell everybody."""
    for listener in tuple(listeners):
        listener(event)
