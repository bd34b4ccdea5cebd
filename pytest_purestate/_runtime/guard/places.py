"""Where something happened: lines of the user's code, and the call of the test that it happened below.

A test may replay a key, the code under test may not. What tells the two apart is the frame that the test's own frame
called: it is one object for all that happens below one call, and another one for the next call, also in a loop.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import CodeType, FrameType

__all__ = ["ORDERING", "Activity", "Kind", "Place", "Where"]


@dataclass(frozen=True, slots=True)
class Place:
    """A line of somebody's code."""

    file: str
    line: int
    function: str = field(default="", compare=False)
    """Its name, with its class where that is known: older versions of JAX do not keep it."""
    called: str = field(default="", compare=False)
    """The function that is called there, where that is known."""
    data: object = field(default=None, compare=False, repr=False)
    """What a function that orders data is given to order, while it runs."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Kind(Enum):
    """Whose code a frame runs."""

    TEST = 1
    """A test, a fixture, a helper beside them."""
    OURS = 5
    """An assertion of this package, which runs a step again and again for the test that asks for it."""
    TOOL = 2
    """What stands between a test and its parts, and says nothing: the runner, hypothesis, transforms of JAX."""
    LIBRARY = 3
    """JAX and what is built on it: a line there is nobody's mistake."""
    CODE = 4
    """The code under test."""


@dataclass(frozen=True, slots=True, eq=False)
class Activity:
    """One call that a test makes. The frame is kept, since another one would take its address."""

    frame: FrameType | None

    @property
    def resumes(self) -> bool:
        """Whether the call can go on after another one, as a generator does."""
        return self.frame is not None and bool(self.frame.f_code.co_flags & 0x2A0)


ORDERING = {"permutation": "x", "choice": "a", "shuffle": "x"}
"""Functions of ``jax.random`` that order data, and what they call it."""

_TOOLS = frozenset(
    "_pytest pluggy hypothesis unittest absl xdist pytest_asyncio anyio chex jax jaxlib".split()
)
_TYPED = ("<ipython", "<python-input", "<stdin>", "<doctest", "<console>")
"""What people type in, in a shell, a notebook, a docstring."""
_LIBRARIES = frozenset("flax optax haiku equinox numpy scipy".split())
_STANDARD = str(Path(threading.__file__).parent)
_OURS = str(Path(__file__).parents[2])
_GUARD = tuple(str(Path(_OURS, name)) for name in ("_guard.py", "_runtime/guard", "_runtime/_compat"))


class Where:
    """Tells places. ``is_test`` says of a file whether what it holds is test code."""

    def __init__(self, is_test: Callable[[str], bool]) -> None:
        self._is_test = is_test
        self._kinds: dict[CodeType, Kind] = {}
        self._files: dict[str, Kind] = {}

    def kind_of(self, file: str) -> Kind:
        """Whose code a file holds."""
        known = self._files.get(file)
        if known is None:
            known = self._files[file] = self._judged(file)
        return known

    def _judged(self, file: str) -> Kind:
        if file.startswith("<") and not file.startswith(_TYPED):
            return Kind.TOOL  # made by the standard library: dataclasses, namedtuple, frozen importlib
        if self._is_test(file):
            return Kind.TEST
        if file.startswith(_GUARD):
            return Kind.TOOL
        if file.startswith(_OURS):
            return Kind.OURS
        parts = Path(file).parts
        for installed in ("site-packages", "dist-packages"):
            if installed in parts:
                top = parts[parts.index(installed) + 1].removesuffix(".py")
                return Kind.TOOL if top in _TOOLS else Kind.LIBRARY if top in _LIBRARIES else Kind.CODE
        return Kind.TOOL if file.startswith(_STANDARD) else Kind.CODE

    def now(self, depth: int = 2, past: Callable[[CodeType], bool] | None = None) -> tuple[Place, Activity]:
        """The line of the user's code that runs, and the call of the test that it belongs to.

        With ``past``, the line is that which called the innermost function of which ``past`` is true, if there is one.
        """
        kinds = self._kinds
        place: FrameType | None = None
        called: FrameType | None = None  # the frame that the frame looked at called
        entered: FrameType | None = None  # the one that the place called
        activity: FrameType | None = None
        frame: FrameType | None = sys._getframe(depth)
        broken = False
        while frame is not None:
            code = frame.f_code
            kind = kinds.get(code)
            if kind is None:
                kind = kinds[code] = self.kind_of(code.co_filename)
            if past is not None and past(code):
                place, past = None, None
            if kind is Kind.TEST or kind is Kind.OURS:
                if place is None and kind is Kind.TEST:
                    place, entered = frame, called
                # The last frame of tests before other code: what stands further out may change that.
                if broken or activity is None:
                    activity, broken = called or frame, False
            elif kind is Kind.CODE:
                if place is None:
                    place, entered = frame, called
                broken = True
            elif kind is Kind.LIBRARY:
                broken = True
            called = frame
            frame = frame.f_back
        if activity is None:
            activity = called
        return _place(place, entered), Activity(activity)

    def first(self, frames: Iterable[tuple[str, int, str]]) -> Place | None:
        """The first of some frames (file, line, function), innermost first, that is the user's code."""
        called = ""
        for file, line, function in frames:
            if self.kind_of(file) in (Kind.TEST, Kind.CODE):
                return Place(file, line, _name(function), called)
            called = function
        return None


def _place(frame: FrameType | None, called: FrameType | None) -> Place:
    if frame is None:
        return Place("", 0)
    name = called.f_code.co_name if called is not None else ""
    data = called.f_locals.get(ORDERING[name]) if called is not None and name in ORDERING else None
    return Place(frame.f_code.co_filename, frame.f_lineno, _name(frame.f_code.co_qualname), name, data)


def _name(qualified: str) -> str:
    """The name of a function as one reads it in its source, of that which JAX and Python keep."""
    return qualified.rpartition("<locals>.")[2]
