"""Transfers between the device and Python: noticed, and told by the line of code that asked for them.

JAX's guard forbids them, and leaves two gaps. It raises at the first one; and on CPU it sees only those to the device, since
reading an array of the CPU copies nothing, so there is nothing to forbid. The same code waits for the device on a GPU. So
reads are noticed here, by what Python and numpy call for them, and a list of them is kept.
"""

from __future__ import annotations

import builtins
import inspect
import itertools
import linecache
import os
import re
import sys
import sysconfig
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

import jax
import jaxlib
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.frames import is_ours

__all__ = ["CONSTANT", "Transfer", "Watch", "blocked"]

_FORBIDDEN = re.compile(
    r"Disallowed (host-to-device|device-to-host) transfer(?:: aval=ShapedArray\((\w+\[[\d,]*\]))?"
)
_OWN = (__file__, _compat.__file__)
_MACHINERY = (*(str(Path(str(each.__file__)).parent) + os.sep for each in (jax, jaxlib, np)), *_OWN)
_LIBRARIES = tuple({sysconfig.get_path(name) + os.sep for name in ("purelib", "platlib", "stdlib")})
_CALLBACKS = tuple(str(Path(jax.__file__).parent / "_src" / name) for name in ("callback.py", "debugging.py"))
# What moves an array to other devices may take the way over the host.
_EXPLICIT: dict[CodeType, str] = {
    inspect.unwrap(function).__code__: f"jax.{function.__name__}(...)"
    for function in (jax.device_get, jax.device_put)
}
_LOWERING = str(Path(jax.__file__).parent / "_src" / "interpreters" / "mlir.py")
CONSTANT = "a compiled function that closes over it"


@dataclass(frozen=True, slots=True)
class Transfer:
    """Something that is moved between the device and Python at one line, however often.

    Attributes:
        place: file and line of the user's code.
        line: the text there.
        what: dtype and shape; empty where JAX does not say.
        how: who reads it, ``float(...)`` or `CONSTANT`; empty where it is not known.
        to_host: which way.
        through: file and line of a library that did it for the user; empty if the user's own line did.
    """

    place: str
    line: str
    what: str
    how: str
    to_host: bool
    through: str


Line = tuple[CodeType, int]


@dataclass(frozen=True, slots=True)
class _Read:
    """What there is to know of a read, before it is worth any text."""

    user: Line
    outside: Line
    dtype: Any
    shape: tuple[int, ...]
    how: str


@dataclass(slots=True, eq=False)
class Watch:
    """Reads in one block of code, in the thread that runs it."""

    counts: Counter[_Read] = field(default_factory=Counter)

    def start(self) -> None:
        """Begin; of several, the one that began last is told."""
        global _undo, _users
        with _LOCK:
            _users += 1
            if _users == 1:
                _undo = _compat.watch_host_reads(_decide)
        _watches().append(self)

    def stop(self) -> None:
        """End. With the last one, in any thread, everything is as it was before the first."""
        global _undo, _users
        _watches().remove(self)
        with _LOCK:
            _users -= 1
            if not _users and _undo is not None:
                _undo()
                _undo = None

    def transfers(self) -> dict[Transfer, int]:
        """What was read, and how often, in the order of the first times."""
        found: Counter[Transfer] = Counter()
        for read, count in self.counts.items():
            what = f"{read.dtype}[{','.join(map(str, read.shape))}]"
            found[_transfer(read.user, read.outside, what, read.how, True)] += count
        return dict(found)


_LOCK = threading.Lock()
_LOCAL = threading.local()
_users = 0
_undo: Callable[[], None] | None = None


def _watches() -> list[Watch]:
    if not hasattr(_LOCAL, "watches"):
        _LOCAL.watches = []
    watches: list[Watch] = _LOCAL.watches
    return watches


def _decide(array: Any, how: str) -> Callable[[], None] | None:
    """See `_compat.watch_host_reads`."""
    watches = _watches()
    # What is in force decides, also where a `with jax.transfer_guard(...)` of the user is further in.
    level = jax.config.jax_transfer_guard_device_to_host  # type: ignore[attr-defined]
    if not watches or level not in ("disallow", "disallow_explicit"):
        return None
    frames = list(_outwards(sys._getframe(1)))
    machinery = list(itertools.takewhile(_is_machinery, frames))
    explicit = any(frame.f_code in _EXPLICIT for frame in machinery)
    places = _places(frames, lambda frame: (frame.f_code, frame.f_lineno))
    if (explicit and level == "disallow") or places is None or any(map(_is_callback, frames)):
        return _nothing
    read = _Read(*places, array.dtype, array.shape, _how(machinery, type(array)) or how)
    counts = watches[-1].counts

    def note() -> None:
        counts[read] += 1

    return note


def _nothing() -> None:
    """For reads that are let through without a word."""


def blocked(error: BaseException, traceback: TracebackType | None) -> Transfer | None:
    """The transfer that JAX's guard forbade, if the error is of that kind."""
    found = _FORBIDDEN.search(str(error)) if isinstance(error, RuntimeError) else None
    if found is None:
        return None
    lines: dict[FrameType, Line] = {}
    while traceback is not None:
        lines[traceback.tb_frame] = (traceback.tb_frame.f_code, traceback.tb_lineno)
        traceback = traceback.tb_next
    places = _places(list(reversed(lines)), lines.__getitem__)
    to_host, what = found[1] == "device-to-host", found[2] or ""
    return (
        _transfer(*places, what, "", to_host) if places else Transfer("the block", "", what, "", to_host, "")
    )


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_machinery(frame: FrameType) -> bool:
    """Whether a frame is of JAX or numpy, or of what watches them."""
    return frame.f_code.co_filename.startswith(_MACHINERY)


def _is_callback(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_CALLBACKS)


def _places(frames: list[FrameType], line: Callable[[FrameType], Line]) -> tuple[Line, Line] | None:
    """The innermost line of the user's own code, and of any code but JAX's; None where this package is the user."""
    outside = list(itertools.dropwhile(_is_machinery, frames))
    user = next((frame for frame in outside if not frame.f_code.co_filename.startswith(_LIBRARIES)), None)
    if not outside or is_ours(user or outside[0]):
        return None
    return line(user or outside[0]), line(outside[0])


def _transfer(user: Line, outside: Line, what: str, how: str, to_host: bool) -> Transfer:
    text = linecache.getline(user[0].co_filename, user[1]).strip()
    return Transfer(_place(user), text, what, how, to_host, _place(outside) if outside != user else "")


def _place(line: Line) -> str:
    """File and line, short below the working directory."""
    return f"{line[0].co_filename.removeprefix(f'{Path.cwd()}{os.sep}')}:{line[1]}"


def _how(machinery: list[FrameType], kind: type) -> str:
    """What the user called, by the function of JAX that was entered first; empty for what has no name in their code."""
    codes = [frame.f_code for frame in machinery if not frame.f_code.co_filename.startswith(_OWN)]
    if named := next((_EXPLICIT[code] for code in codes if code in _EXPLICIT), ""):
        return named
    if any(code.co_filename == _LOWERING for code in codes):
        return CONSTANT
    name = codes[-1].co_name if codes else ""
    plain = name.strip("_")
    if name == f"__{plain}__":
        return f"{plain}(...)" if hasattr(builtins, plain) else name
    return f".{plain}()" if hasattr(kind, plain) else ""
