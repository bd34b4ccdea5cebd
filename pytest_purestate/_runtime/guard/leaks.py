"""Tracers that outlive their trace, by JAX's own check, told in our words and without its false alarms.

JAX looks for tracers that are still alive as soon as a trace completes, and raises from the call that traced. A
tracer that only a frame keeps is no leak of the program: a debugger holds frames, and so does an exception that
was kept. JAX passes its caches by while it checks, so this is for those who ask for it.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType

import jax

from pytest_purestate._runtime.failures import Problem, PurityError

__all__ = ["LeakCheck", "SpuriousLeak"]

_TRACED = re.compile(r"while tracing the function (.+?) at (.+?):(\d+)(?::\d+)? for ")
_CREATED = re.compile(r"was created on line:?\s+(.+?):(\d+)(?::\d+)? \((.+?)\)")
_LINK = re.compile(r"^(<\w*Tracer \d+>|<.*?>) is referred to by (.*)$")
_VARIABLE = re.compile(r"(?:closed-over variable |^the local variable ')(\w+)")
_NUMBER = re.compile(r" \d{6,}(?=>)")
_HELP = (
    "return the value from the function instead of storing it in something that outlives the call; "
    "for a value that a cache keeps, compute it outside the function"
)


class SpuriousLeak(Exception):  # noqa: N818 - it is no error of the code under test
    """JAX reported a leak that is none, and could not go on: the block has to be run without the check."""


@dataclass(frozen=True, slots=True)
class _Tracer:
    """One tracer as JAX's report has it.

    Attributes:
        text: what it stands for, ``JitTracer(float32[3])``.
        function: the traced function; empty if the report does not say.
        place: a line, ``train.py:12``: where the function is defined, or else where the tracer was made.
        chain: who refers to it, and who to that, from the tracer on: pairs of texts.
    """

    text: str
    function: str
    place: str
    chain: tuple[tuple[str, str], ...]

    @property
    def derived(self) -> bool:
        """Whether another tracer that was computed from it is what is kept."""
        return any("Tracer" in owner.partition(" ")[0] for owner, _ in self.chain[1:])

    @property
    def holders(self) -> tuple[str, ...]:
        """What keeps the tracer, or the one computed from it, from the nearest on."""
        last = max(
            (i for i, (kept, _) in enumerate(self.chain) if "Tracer" in kept.partition(" ")[0]), default=0
        )
        return tuple(holder for _, holder in self.chain[last:])

    @property
    def spurious(self) -> bool:
        """Whether only a frame keeps it, which no code under test can get at."""
        return bool(self.holders) and self.holders[0].startswith("<frame ")


class LeakCheck:
    """Turns JAX's leak check on for the block, and its report into a `PurityError`.

    >>> with LeakCheck() as check:
    ...     _ = jax.jit(lambda x: x + 1)(1.0)
    >>> check.skipped
    ''

    Attributes:
        skipped: why the check is not on: a debugger, which keeps frames alive; empty otherwise.

    Raises:
        PurityError: from the end of the block, in place of JAX's exception.
        SpuriousLeak: what JAX took for a leak is none. JAX left the block all the same, so the rest of it has
            not run: run it again without the check, or leave it open.
    """

    def __init__(self) -> None:
        self.skipped = ""
        self._check: AbstractContextManager[object] | None = None

    def __enter__(self) -> LeakCheck:
        self.skipped = _debugger()
        if not self.skipped:
            self._check = jax.checking_leaks()
            self._check.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        check, self._check = self._check, None
        if check is None:
            return
        check.__exit__(kind, error, traceback)
        # JAX raises no class of its own, and has said so in these words since the check exists.
        if type(error) is not Exception or not str(error).startswith("Leaked "):
            return
        tracers = tuple(_tracers(str(error)))
        leaked = [tracer for tracer in tracers if not tracer.spurious]
        if tracers and not leaked:
            raise SpuriousLeak(
                f"JAX reported a leak of {_where(tracers[0])}, but only a frame keeps the tracer, as a debugger "
                "or an exception that was kept does: run it without the check"
            ) from error
        # What was computed on the way to a tracer that is kept says nothing new.
        leaked = [tracer for tracer in leaked if not tracer.derived] or leaked
        raise _failure(leaked, str(error)).with_traceback(error.__traceback__) from None


def _debugger() -> str:
    """What is said about a debugger that watches this thread, if there is one."""
    trace = sys.gettrace()
    tool = getattr(trace, "__module__", None) or type(trace).__module__
    if trace is not None and str(tool).partition(".")[0] != "coverage":
        return f"a debugger (`{tool}`) keeps tracers alive"
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is not None and (name := monitoring.get_tool(monitoring.DEBUGGER_ID)) is not None:
        return f"a debugger (`{name}`) keeps tracers alive"
    if not getattr(threading.current_thread(), "pydev_do_not_trace", True):
        return "a debugger (`pydevd`) keeps tracers alive"
    return ""


def _tracers(report: str) -> Iterator[_Tracer]:
    """Read JAX's report: paragraphs, one for each tracer."""
    for part in report.split("\n\n")[1:]:
        text = part.strip()
        if not text:
            continue
        links = [found for line in text.splitlines() if (found := _LINK.match(line))]
        chain = tuple((found[1], found[2]) for found in links)
        function = place = ""
        if (traced := _TRACED.search(text)) is not None:
            function, place = traced[1], f"{traced[2]}:{traced[3]}"
        elif (created := _CREATED.search(text)) is not None:
            function, place = created[3] if created[3] != "<module>" else "", f"{created[1]}:{created[2]}"
        yield _Tracer(text.partition("\n")[0], function, place, chain)


def _failure(tracers: list[_Tracer], report: str) -> PurityError:
    if not tracers:
        return PurityError("a tracer outlives its trace", notes=tuple(report.splitlines()), help=_HELP)
    problems = [
        Problem("leak", tracer.function or tracer.place, f"{tracer.text} is kept by {_holder(tracer)}")
        for tracer in tracers
    ]
    return PurityError(f"{_where(tracers[0])} leaks a tracer", dict.fromkeys(problems), help=_HELP)


def _where(tracer: _Tracer) -> str:
    if not tracer.function:
        return f"the code at {tracer.place}" if tracer.place else "a function"
    return f"`{tracer.function}` ({tracer.place})"


def _holder(tracer: _Tracer) -> str:
    """The first holder that has a name in the program; otherwise the nearest, by its class."""
    for holder in tracer.holders:
        if (closed := _VARIABLE.search(holder)) is not None:
            return f"the variable `{closed[1]}`"
        if (attribute := re.fullmatch(r"<(\w+) \d+>(\.\w+)", holder)) is not None:
            return f"the attribute `{attribute[1]}{attribute[2]}`"
        if re.fullmatch(r"[\w.]+", holder):
            return f"`{holder}`"
    return _NUMBER.sub("", tracer.holders[0]) if tracer.holders else "something"
