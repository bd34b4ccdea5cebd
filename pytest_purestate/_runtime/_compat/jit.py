"""The part of `_compat` about ``jax.jit``: what is traced, for which call, and under which settings.

JAX tells what it traces and compiles by name at best, and not for which arguments. Its own frames know both, and are
looked at only when something is traced or compiled: a call that hits JAX's caches costs nothing more.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType, FunctionType, MethodType
from typing import Any

import jax

__all__ = ["JitCall", "compiled_name", "jit_call", "jit_of", "trace_settings", "watch_traces"]

_JIT = type(jax.jit(lambda: None))


def jit_of(value: object) -> Any:
    """The function compiled by ``jax.jit`` that a value is, or calls as `nnx.jit` and `eqx.filter_jit` do; else None."""
    if isinstance(value, _JIT):
        return value
    if _root_module(value) not in _JIT_WRAPPERS:
        return None
    kept = (getattr(value, name, None) for name in ("jitted_fn", "inner", "_cached"))
    return next((each for each in kept if isinstance(each, _JIT)), None)


@dataclass(frozen=True, slots=True, eq=False)
class JitCall:
    """A call of a jitted function that is under way.

    Attributes:
        function: what was given to ``jax.jit``; for `nnx.jit` and `eqx.filter_jit` what the user has: their result.
        target: the function that the user wrote, or as near to it as the wrappers tell.
        args: what it was called with, as the user passed it.
        kwargs: the same, by keyword.
        static_argnums: which of ``args`` are static.
        static_argnames: which arguments are static, by name.
        filtered: whether everything but an array is static, as with `eqx.filter_jit`.
        caller: the frame outside of JAX and of the wrapper that made the call.
        nested: whether it is made while another jitted function is traced.
    """

    function: Any
    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    static_argnums: tuple[int, ...]
    static_argnames: tuple[str, ...]
    filtered: bool
    caller: FrameType | None
    nested: bool


def jit_call(frame: FrameType | None) -> JitCall | None:
    """The call of a jitted function that a frame inside of JAX belongs to; None where JAX does not show it."""
    try:
        return _jit_call(frame)
    except (
        Exception
    ):  # attributes of what is jitted can run any code, and the call under way must not fail for this
        return None


def _jit_call(frame: FrameType | None) -> JitCall | None:
    found: dict[str, Any] = {}
    while frame is not None:
        if frame.f_globals.get("__name__") == "jax._src.pjit":
            names = frame.f_code.co_varnames + frame.f_code.co_freevars
            if "fun" in names and "args" in names and ("ji" in names or "jit_info" in names):
                found = dict(frame.f_locals)  # `args` is deleted on the way in some versions
                if found.keys() >= {"fun", "args", "kwargs"}:
                    break
        frame = frame.f_back
    if frame is None:
        return None
    info = found.get("ji", found.get("jit_info"))
    function, args, kwargs = found["fun"], tuple(found["args"]), dict(found["kwargs"])
    outside = _outside(frame, ("jax", "jaxlib"))
    library = _root_module(function)
    if library in _JIT_WRAPPERS and outside is not None and _frame_root(outside) == library:
        wrapper, outer = _wrapper_call(outside, library)
        if wrapper is not None:
            function, args, kwargs = wrapper
            outside = outer
    return JitCall(
        function,
        _unwrapped(function),
        args,
        kwargs,
        tuple(getattr(info, "static_argnums", None) or ()),
        tuple(getattr(info, "static_argnames", None) or ()),
        library == "equinox",
        outside,
        _is_nested(frame.f_back),
    )


_JIT_WRAPPERS = ("flax", "equinox")
"""Packages with a ``jit`` of their own, which hands other arguments to JAX than it got."""


def _wrapper_call(
    frame: FrameType, library: str
) -> tuple[tuple[Any, tuple[Any, ...], dict[str, Any]] | None, FrameType | None]:
    """What the ``jit`` of a library was called with, and who called it."""
    found = None
    step: FrameType | None = frame
    while step is not None and _frame_root(step) in (library, "contextlib"):
        names = step.f_code.co_varnames + step.f_code.co_freevars
        if "args" in names and ("self" in names or "jit_wrapper" in names):
            held = step.f_locals
            owner = held.get("jit_wrapper", held.get("self"))
            if jit_of(owner) is not None and "args" in held:
                found = owner, tuple(held["args"]), dict(held.get("kwargs", {}))
        step = step.f_back
    return found, step


def _frame_root(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def compiled_name(frame: FrameType | None) -> str:
    """The name of what is compiled, where a frame inside of JAX shows it: before 0.7 the events do not tell."""
    while frame is not None and _frame_root(frame) in ("jax", "jaxlib"):
        if "name" in frame.f_code.co_varnames and isinstance(name := frame.f_locals.get("name"), str):
            return name
        frame = frame.f_back
    return ""


def _outside(frame: FrameType, packages: tuple[str, ...]) -> FrameType | None:
    step: FrameType | None = frame
    while step is not None and _frame_root(step) in packages:
        step = step.f_back
    return step


def _root_module(value: object) -> str:
    # Not by its `__module__`: a wrapper takes over that of what it wraps.
    if isinstance(value, FunctionType):
        return str(value.__globals__.get("__name__", "")).partition(".")[0]
    return type(value).__module__.partition(".")[0]


def _unwrapped(value: Any) -> Any:
    for _ in range(100):  # a chain that leads in a circle is no reason to hang
        if isinstance(value, functools.partial):
            value = value.func
        elif isinstance(value, MethodType):
            value = value.__func__
        elif (inner := getattr(value, "__wrapped__", None)) is not None:
            value = inner
        else:
            break
    return value


_TRACE_FRAMES = ("_trace_for_jit", "_infer_params_impl", "_create_pjit_jaxpr")


def _is_nested(frame: FrameType | None) -> bool:
    """Whether a jitted function is being traced further out, beyond the frames of the call itself."""
    while frame is not None and frame.f_globals.get("__name__") == "jax._src.pjit":
        frame = frame.f_back
    while frame is not None:
        if frame.f_code.co_name in _TRACE_FRAMES and frame.f_globals.get("__name__") == "jax._src.pjit":
            return True
        frame = frame.f_back
    return False


_TRACE_EVENTS = ("trace_to_jaxpr", "create_pjit_jaxpr")


def watch_traces(begun: Callable[[FrameType], None]) -> Callable[[], None] | None:
    """Call ``begun(frame)`` when ``jax.jit`` begins to trace a function, also inside of another trace.

    The public events tell less: from 0.9 on nothing of what is traced inside of a trace, and they tell of a trace
    where only another wrapper of a known function is called. Gives what undoes it, or None where JAX has no such place.
    """
    try:
        from jax._src import util
    except ImportError:
        return None
    before = getattr(util, "test_event_listener", _absent)
    if before is _absent:
        return None

    def listener(name: str, *details: Any) -> None:
        if name in _TRACE_EVENTS:
            frame = _traced_by_jit_call(sys._getframe(1))
            if frame is not None:
                begun(frame)
        if before is not None:
            before(name, *details)

    util.test_event_listener = listener

    def undo() -> None:
        if util.test_event_listener is listener:
            util.test_event_listener = before

    return undo


_absent: Any = object()


def _traced_by_jit_call(frame: FrameType) -> FrameType | None:
    """The frame of ``jax.jit`` that a trace is made for; None for the body of a scan and the like."""
    step: FrameType | None = frame
    for _ in range(5):  # caches stand between in some versions
        if step is None:
            return None
        if step.f_globals.get("__name__") == "jax._src.pjit" and step.f_code.co_name in _TRACE_FRAMES[:2]:
            return step
        step = step.f_back
    return None


def trace_settings() -> dict[str, Any]:
    """What else than the arguments decides whether a function is traced again: settings and meshes in force, by name."""
    try:
        from jax._src import config

        values = config.trace_context()
        tell = getattr(config, "trace_context_names", None)
        names = tell() if tell is not None else _read_in(config.trace_context)
    except (ImportError, AttributeError, NotImplementedError):
        names, values = (), ()
    if not names or len(names) != len(values):
        names = [
            name for name in ("jax_enable_x64", "jax_default_matmul_precision") if hasattr(jax.config, name)
        ]
        values = [getattr(jax.config, name) for name in names]
    return {_setting(name): value for name, value in zip(names, values, strict=True)}


def _read_in(function: Any) -> list[str]:
    """The objects whose value a function of the 0.6 kind reads, in that order."""
    code = getattr(function, "__code__", None)
    return [name for name in code.co_names if name != "value"] if code is not None else []


def _setting(name: str) -> str:
    public = next((each for each in (name, f"jax_{name}") if hasattr(jax.config, each)), "")
    return (
        f"jax.config.{public}" if public else name.removesuffix("_context_manager").replace("_", " ").strip()
    )
