"""How often functions were traced and compiled, for which arguments, and how long that took.

Counted is where JAX begins to trace (`_compat.jit.watch_traces`) and where it tells of a compilation (`jax.monitoring`);
both happen only then, so a call that hits JAX's caches costs nothing more. One listener for the whole process, which
does nothing while nobody records: JAX before 0.7 cannot take a listener back.

A function is counted by itself, not by its name: two lambdas are two functions. One made anew in the place of another
that is gone, as by ``jax.jit(lambda x: ...)`` in a loop, is the same one, traced again.

To name the argument that a function is traced again for is an idea of ``equinox.debug.assert_max_traces``, for which the
code under test has to be changed, and of ``jax_explain_cache_misses``, which tells it to a log.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any

import jax
import jax.monitoring

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime._compat import jit as _compat_jit
from pytest_purestate._runtime._compat.jit import JitCall
from pytest_purestate._runtime.counts import Compiled, Counts, Function, Trace, by_name
from pytest_purestate._runtime.hidden import name_of
from pytest_purestate._runtime.signatures import Signature, signature_of

__all__ = ["Compilations", "Function"]

_TRACE = "/jax/core/compile/jaxpr_trace_duration"
_LOWERING = "/jax/core/compile/jaxpr_to_mlir_module_duration"
_COMPILE = "/jax/core/compile/backend_compile_duration"
_EVENTS = frozenset({_TRACE, _LOWERING, _COMPILE})

_BUILDERS = frozenset(
    {
        "jax",
        "jaxlib",
        "flax",
        "optax",
        "chex",
        "equinox",
        "haiku",
        "contextlib",
        "functools",
        "pytest_purestate",
    }
)
"""Packages whose frames stand between a user's call and what is compiled for it."""
_WRAPPED = re.compile(r"(?:jit|pjit|pmap|shard_map)(?:\((.*)\)|_(.*))", re.DOTALL)


class Compilations:
    """Counts the traces and compilations inside the block, of all threads.

    >>> with Compilations() as compilations:
    ...     _ = jax.jit(lambda x: x + 1)(1.0)
    >>> compilations.traces
    1

    Blocks can be nested, and each counts for itself.

    Args:
        explain: record what functions are traced and compiled for: `Trace.signature`.
        apart: function objects of which each is counted by itself, also in the place of one that is gone, and whosever
            it is.
    """

    def __init__(self, *, explain: bool = False, apart: tuple[Any, ...] = ()) -> None:
        self.explains = explain
        self._apart = apart
        self._found: dict[object, list[Function]] = {}
        self._lock = threading.RLock()  # a finalizer of the user's may call a jitted function at any time

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
        _unlisten()

    @property
    def found(self) -> tuple[Function, ...]:
        """Every function that something was done for, those of JAX too."""
        with self._lock:
            return tuple(each for functions in self._found.values() for each in functions)

    @property
    def functions(self) -> Mapping[str, Counts]:
        """The counts by the name of the function, ``train_step``; with its line where several have one name."""
        return by_name(self.found, lambda function: function.counts)

    @property
    def total(self) -> Counts:
        """The counts of all functions together."""
        return sum((each.counts for each in self.found), Counts())

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

    def _function(self, call: JitCall | None, name: str) -> Function:
        """The one that a call is of; by name alone where JAX does not show the call."""
        if call is None:
            known = [
                each for functions in self._found.values() for each in functions if _is_called(each, name)
            ]
            return known[-1] if known else self._new(name, Function(name, library=_is_jax(name)))
        apart = self.is_apart(call)
        if not apart and _is_library(call):
            name = name_of(call.target)
            return next(iter(self._found.get(("library", name), ())), None) or self._new(
                ("library", name), Function(name, library=True)
            )
        code = getattr(call.target, "__code__", None)
        key = code if code is not None else type(call.target)
        functions = self._found.get(key, [])
        for each in functions:
            if any(seen() is call.function for seen in each.objects):
                return each
        for each in functions if not apart else ():
            if all(seen() is None for seen in each.objects):
                each.objects.append(_reference(call.function))
                return each
        where = f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""
        new = Function(name_of(call.target), where, objects=[_reference(call.function)])
        return self._new(key, new)

    def is_apart(self, call: JitCall) -> bool:
        """Whether a call is one of the functions in ``apart``."""
        return any(call.function is one for one in self._apart)

    def _new(self, key: object, function: Function) -> Function:
        self._found.setdefault(key, []).append(function)
        return function

    def _traced(self, call: JitCall, place: str, signature: Signature | None, within: int) -> None:
        with self._lock:
            function = self._function(call, "")
            before = function.traces[-1] if function.traces else None
            if call.nested and before is not None and before.within == within:
                return
            renewed = before is not None and len(function.objects) > function.known
            function.known = len(function.objects)
            function.traces.append(Trace(place, signature, renewed, within, call.nested))

    def _compiled(
        self, event: str, call: JitCall | None, name: str, seconds: float, compiled: Compiled
    ) -> None:
        with self._lock:
            function = self._function(call, name)
            function.seconds += seconds
            if event == _COMPILE:
                function.compiles += 1
                if call is not None and not (compiled.signature is not None and compiled.signature.traced):
                    function.compiled.append(compiled)
            elif event == _TRACE and call is None:
                function.traces.append(Trace(compiled.place, None, False, next(_numbers), False))


def _reference(function: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(function)
    except TypeError:
        return lambda: function


_active: list[Compilations] = []
_lock = threading.Lock()
_registered = False
_undo: Callable[[], None] | None = None
_numbers = itertools.count(1)
_thread = threading.local()


def _listen() -> None:
    """Register the listeners, once; anew where somebody removed one and JAX lets us see to that."""
    global _registered, _undo
    with _lock:
        if _undo is not None:
            _undo()
        _undo = _compat_jit.watch_traces(_begun)
        remove = getattr(jax.monitoring, "unregister_event_duration_listener", None)
        if _registered and remove is None:
            return
        if _registered and remove is not None:
            # It may be gone: `jax.monitoring.clear_event_listeners()` removes everybody's.
            with contextlib.suppress(AssertionError, ValueError):
                remove(_listener)
        jax.monitoring.register_event_duration_secs_listener(_listener)
        _registered = True


def _unlisten() -> None:
    global _undo
    with _lock:
        if not _active and _undo is not None:
            _undo()
            _undo = None


def _begun(frame: FrameType) -> None:
    """JAX begins to trace a function."""
    if not _active:
        return
    call = _compat_jit.jit_call(frame)
    if call is None:
        return
    asked_for = _is_asked_for(call)
    if call.nested and not asked_for:
        return
    if not call.nested:
        _thread.number = next(_numbers)
    explain = any(recorder.explains for recorder in _active) and asked_for
    signature = signature_of(call) if explain else None
    place = _place(call.caller)
    for recorder in tuple(_active):
        recorder._traced(call, place, signature, getattr(_thread, "number", 0))


def _listener(event: str, duration_secs: float, **details: Any) -> None:
    if not _active or event not in _EVENTS:
        return
    call = _compat_jit.jit_call(sys._getframe(1))
    if call is None and event == _TRACE and _undo is not None:
        return
    if event == _TRACE and (call.nested if call is not None else _compat.tracing()):
        return  # a part of the trace under way, which older versions of JAX report by itself
    if event == _TRACE and _undo is None and call is not None:
        _begun(sys._getframe(1))
    explain = event == _COMPILE and any(recorder.explains for recorder in _active)
    signature = signature_of(call) if explain and call is not None and _is_asked_for(call) else None
    name = _plain(str(details.get("fun_name") or _compat_jit.compiled_name(sys._getframe(1))))
    compiled = Compiled(_place(call.caller if call is not None else sys._getframe(1)), signature)
    for recorder in tuple(_active):
        recorder._compiled(event, call, name, duration_secs, compiled)


def _plain(name: str) -> str:
    """A function's name without what stands for the transformation: ``jit(f)``, or ``jit_f`` in some versions."""
    found = _WRAPPED.fullmatch(name)
    return (found[1] or found[2]) if found else name


def _place(frame: FrameType | None) -> str:
    """The line of the user's code that something is done for."""
    while frame is not None:
        if _root(frame.f_globals.get("__name__")) not in _BUILDERS:
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _is_library(call: JitCall) -> bool:
    """Whether JAX, or a library by itself, compiles a function of its own."""
    root = _root(getattr(call.target, "__module__", None) or type(call.target).__module__)
    if root in ("jax", "jaxlib"):
        return True
    caller = call.caller
    return root in _BUILDERS and caller is not None and _root(caller.f_globals.get("__name__")) in _BUILDERS


def _is_asked_for(call: JitCall) -> bool:
    """Whether somebody wants to know what a call is for."""
    return not _is_library(call) or any(recorder.is_apart(call) for recorder in _active)


def _is_called(function: Function, name: str) -> bool:
    return function.name.rpartition(".")[2] == name.rpartition(".")[2]


def _is_jax(name: str) -> bool:
    """Whether a function of which only the name is known is one that JAX offers, or nobody knows whose it is."""
    return not name or any(hasattr(module, name) for module in (jax.numpy, jax.lax, jax.random, jax.nn))


def _root(module: object) -> str:
    return str(module).partition(".")[0]
