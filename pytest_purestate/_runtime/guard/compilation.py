"""How often functions were traced and compiled, and how long that took, as JAX itself reports it.

One listener for the whole process, which does nothing while nobody records: JAX before 0.7 cannot take a listener
back. It is called only when something is traced or compiled, so a cached call costs nothing more.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

import jax
import jax.monitoring

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.failures import Problem

__all__ = ["Compilations", "Counts", "exceeded", "slowest"]

_TRACE = "/jax/core/compile/jaxpr_trace_duration"
_LOWERING = "/jax/core/compile/jaxpr_to_mlir_module_duration"
_COMPILE = "/jax/core/compile/backend_compile_duration"
_EVENTS = frozenset({_TRACE, _LOWERING, _COMPILE})

_BUILDERS = frozenset(
    {"jax", "jaxlib", "flax", "optax", "chex", "equinox", "haiku", "contextlib", "functools"}
)
"""Packages whose frames stand between a user's call and what is compiled for it."""
_OWN = tuple(f"jax._src.{name}" for name in ("image", "lax", "nn", "numpy", "ops", "prng", "random", "scipy"))
"""The parts of JAX that call compiled functions of their own: ``jnp.where`` makes ``_where``."""
_NAMESPACES = ("lax", "nn", "numpy", "numpy.fft", "numpy.linalg", "random", "scipy.linalg", "scipy.special")
_ANONYMOUS = frozenset({"", "_fun", "wrapped", "wrapper"})
"""Names that many functions have. Those of lambdas and of callable objects start with ``<``."""
_WRAPPED = re.compile(r"(?:jit|pjit|pmap|shard_map)(?:\((.*)\)|_(.*))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Counts:
    """What was done for the functions of one name.

    Attributes:
        traces: how often their Python code was traced. Of functions traced inside another one only older
            versions of JAX tell (before 0.9), and the seconds count for both then.
        compiles: how often XLA compiled them.
        seconds: what tracing, lowering and compiling took together.
        library: whether all of this was for functions of JAX, such as an operation that runs without ``jit``:
            it is compiled once for each shape, as it must be.
        place: the line of the user's code that it was traced for last, ``train.py:33``; may be empty.
    """

    traces: int = 0
    compiles: int = 0
    seconds: float = 0.0
    library: bool = False
    place: str = ""

    def __add__(self, other: Counts) -> Counts:
        """The two together, as for a function that two tests use."""
        return Counts(
            self.traces + other.traces,
            self.compiles + other.compiles,
            self.seconds + other.seconds,
            self.library and other.library,
            other.place or self.place,
        )


class Compilations:
    """Counts the traces and compilations inside the block, of all threads.

    >>> with Compilations() as compilations:
    ...     _ = jax.jit(lambda x: x + 1)(1.0)
    >>> compilations.traces
    1

    Blocks can be nested, and each counts for itself. Names come from JAX 0.7 on; before that there are only
    totals, and `functions` has all of it under an empty name.
    """

    def __init__(self) -> None:
        self._functions: dict[str, Counts] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Compilations:
        _listen()
        with _lock:
            _active.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with _lock:
            _active[:] = [recorder for recorder in _active if recorder is not self]

    @property
    def functions(self) -> Mapping[str, Counts]:
        """The counts by the name of the function, ``train_step``, in the order of their first event."""
        with self._lock:
            return dict(self._functions)

    @property
    def total(self) -> Counts:
        """The counts of all functions together."""
        return sum(self.functions.values(), Counts())

    @property
    def traces(self) -> int:
        """How many traces there were."""
        return self.total.traces

    @property
    def compiles(self) -> int:
        """How many compilations there were."""
        return self.total.compiles

    @property
    def seconds(self) -> float:
        """How long all of it took."""
        return self.total.seconds

    def _record(self, name: str, counts: Counts) -> None:
        with self._lock:
            known = self._functions.get(name)
            if known is not None and not counts.traces:
                # Compiled again for what was traced before: by `vmap`, by the backward pass of `grad`.
                counts = dataclasses.replace(counts, library=known.library, place="")
            self._functions[name] = counts if known is None else known + counts


_active: list[Compilations] = []
_lock = threading.Lock()
_registered = False


def _listen() -> None:
    """Register the listener, once; anew where somebody removed it and JAX lets us see to that."""
    global _registered
    with _lock:
        remove = getattr(jax.monitoring, "unregister_event_duration_listener", None)
        if _registered and remove is None:
            return
        if _registered and remove is not None:
            # It may be gone: `jax.monitoring.clear_event_listeners()` removes everybody's.
            with contextlib.suppress(AssertionError, ValueError):
                remove(_listener)
        jax.monitoring.register_event_duration_secs_listener(_listener)
        _registered = True


def _listener(event: str, duration_secs: float, **details: Any) -> None:
    if not _active or event not in _EVENTS:
        return
    name = _plain(str(details.get("fun_name", "")))
    library, place = _caller(name)
    if library and event == _TRACE and _compat.tracing():
        return  # a part of the trace under way, which older versions of JAX report by itself
    counts = Counts(int(event == _TRACE), int(event == _COMPILE), duration_secs, library, place)
    for recorder in tuple(_active):
        recorder._record(name, counts)


def _plain(name: str) -> str:
    """A function's name without what stands for the transformation: ``jit(f)``, or ``jit_f`` in some versions."""
    found = _WRAPPED.fullmatch(name)
    return (found[1] or found[2]) if found else name


def _caller(name: str) -> tuple[bool, str]:
    """Whether JAX compiles a function of its own, and the line of the user's code that needs it."""
    library = name in _library_names()
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in _BUILDERS and module != __name__:
            return library, f"{frame.f_code.co_filename}:{frame.f_lineno}"
        library = library or module.startswith(_OWN)
        frame = frame.f_back
    return library, ""


@functools.cache
def _library_names() -> frozenset[str]:
    """The compiled functions that JAX offers: the user calls them with no frame of JAX's own code between."""
    modules = (sys.modules.get(f"jax.{name}") for name in _NAMESPACES)
    return frozenset(
        name
        for module in modules
        if module is not None
        for name, value in vars(module).items()
        if hasattr(value, "lower") and hasattr(value, "trace")
    )


def exceeded(counts: Mapping[str, Counts], limit: int) -> tuple[Problem, ...]:
    """The functions that were traced more often than a limit, as problems of the kind ``retrace``.

    Passed over are functions of JAX, which are compiled for each shape they meet, and lambdas, callable objects
    and functions that a decorator left nameless: one name stands for many of them.

    Args:
        counts: the `Compilations.functions` of a block.
        limit: how many traces of one function are fine; two for a step whose first call has a weak type.
    """
    if limit < 0:
        raise ValueError(f"the limit of traces is a count, and not {limit}")
    return tuple(
        Problem("retrace", name, _message(found, limit))
        for name, found in counts.items()
        if found.traces > limit and not found.library and name not in _ANONYMOUS and not name.startswith("<")
    )


def _message(found: Counts, limit: int) -> str:
    where = f", the last time for {found.place}" if found.place else ""
    return f"was traced {found.traces} times, and {limit} {'is' if limit == 1 else 'are'} allowed{where}"


def slowest(records: Mapping[str, Counts], count: int) -> tuple[tuple[str, Counts], ...]:
    """The names that took longest, longest first: functions, or tests with their `Compilations.total`.

    What took no time is left out.
    """
    spent = [(name, found) for name, found in records.items() if found.seconds > 0]
    return tuple(sorted(spent, key=lambda pair: -pair[1].seconds)[:count])
