"""The part of `_compat` about what runs: the place in JAX that all of it goes through, and the ways past that place.

JAX's own checker of key reuse has a place of its own for every primitive that runs outside of a trace and for every
compiled call. While its flag is on, JAX leaves all of its fast paths, also for what has nothing to do with keys. Here
those calls stay on them: a compiled function that does not touch keys is called as if the flag were off.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any

import jax

from pytest_purestate._runtime._compat.swap import Undo, swap

__all__ = ["Concerned", "Seam", "know_program", "replace_seam"]

Seam = Callable[..., Any]
Concerned = Callable[[Any], bool]


def _everything(jaxpr: Any) -> bool:
    return True


def replace_seam(
    call: Seam, traced: Callable[[Any], None], *, concerned: Concerned = _everything, alone: bool = False
) -> Undo | None:
    """Let every primitive that runs outside of a trace, and every compiled call, go through ``call(primitive, run, ...)``, and
    every jaxpr that is traced for a compiled function through ``traced``.

    Compiled functions of whose jaxpr ``concerned`` is false need not go through; they do where JAX has no way around.
    It takes the place of JAX's own checker of key reuse, which has to be on for that. Gives what undoes it, or
    None where JAX has no such place, or somebody wants that checker itself; ``alone`` takes its place all the same.
    """
    try:
        from jax.experimental.key_reuse import _core
    except ImportError:
        return None
    refuse_tracers: Any
    try:
        from jax._src.core import check_eval_args as refuse_tracers
    except ImportError:
        refuse_tracers = None
    names = ("call_impl_with_key_reuse_checks", "check_key_reuse_jaxpr")
    if not all(hasattr(_core, name) for name in names) or not hasattr(jax.config, "jax_debug_key_reuse"):
        return None

    def checked(primitive: Any, run: Any, /, *args: Any, **params: Any) -> Any:
        if refuse_tracers is not None:
            refuse_tracers(args)  # as JAX does where the flag is off
        return call(primitive, run, *args, **params)

    was_on = bool(jax.config.jax_debug_key_reuse)
    if was_on and not alone:
        return None
    restore = swap((_core, names[0], checked), (_core, names[1], traced))
    if not was_on:
        jax.config.update("jax_debug_key_reuse", True)  # type: ignore[no-untyped-call]
    if not was_on and jax.__version_info__ < (0, 7):
        jax.clear_caches()  # type: ignore[no-untyped-call]  # what was compiled before goes by another way there
    changes = _shorten(checked, concerned), _keep_avals(), _watch_programs(call, concerned)

    def undo() -> None:
        for change in reversed(changes):
            if change is not None:
                change()
        if not was_on:
            jax.config.update("jax_debug_key_reuse", False)  # type: ignore[no-untyped-call]
        restore()

    return undo


def _shorten(call: Seam, concerned: Concerned) -> Undo | None:
    """Take the shortest way for compiled calls, where JAX has the function that decides about it (0.9 and newer).

    What is not concerned runs with the flag off, and JAX's fast path takes it from then on. What is concerned goes
    straight to ``call``, past the questions to its arguments that were asked already to find what is compiled for them.
    """
    try:
        from jax._src import config, dtypes, pjit, stages
        from jax._src.core import trace_state_clean

        original = pjit._run_python_pjit
        primitive, run = pjit.jit_p, pjit._pjit_call_impl
        off, careful = config.debug_key_reuse, (config.debug_nans, config.debug_infs)
        told_better = stages.DeviceAssignmentMismatchError, dtypes.InvalidInputException
    except (ImportError, AttributeError):
        return None

    def run_python_pjit(p: Any, flat: Any, *rest: Any) -> Any:
        closed = p.params["jaxpr"]
        if not trace_state_clean() or closed.jaxpr.is_high or not off.value:
            return original(p, flat, *rest)
        if not concerned(closed.jaxpr):
            with off(False):
                return original(p, flat, *rest)
        if any(flag.value for flag in careful):
            return original(p, flat, *rest)
        try:
            outputs = call(primitive, run, *flat, **p.params)
        except told_better:  # before anything ran
            with off(False):
                return original(p, flat, *rest)
        tree = p.out_tree
        return jax.tree.unflatten(tree, outputs), outputs, tree, flat, closed, None, None, []

    return swap((pjit, "_run_python_pjit", run_python_pjit))


_MANY_AVALS = 4096


def _keep_avals() -> Undo | None:
    """Keep the avals of typed keys: JAX works them out anew for every key and every question."""
    try:
        from jax._src.config import trace_context
        from jax._src.core import pytype_aval_mappings

        kind = next(kind for kind in pytype_aval_mappings if kind.__name__ == "PRNGKeyArray")
    except (ImportError, StopIteration):
        return None
    original = pytype_aval_mappings[kind]
    kept: dict[Any, Any] = {}

    def aval_of(key: Any) -> Any:
        base = key._base_array
        name = key._impl, base.aval, base.sharding, trace_context()
        found = kept.get(name)
        if found is None:
            if len(kept) >= _MANY_AVALS:
                kept.clear()
            found = kept[name] = original(key)
        return found

    pytype_aval_mappings[kind] = aval_of

    def undo() -> None:
        pytype_aval_mappings[kind] = original

    return undo


_programs: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
"""What was lowered and compiled ahead of time, and its closed jaxpr."""


def know_program(program: Any, jaxpr: Any) -> None:
    """Say of which jaxpr a program was compiled ahead of time; what is compiled while the seam is open is known anyway."""
    _programs[program] = jaxpr


def _watch_programs(call: Seam, concerned: Concerned) -> Undo | None:
    """Let programs that were compiled ahead of time go through ``call`` too: JAX runs them past its seam."""
    core = sys.modules["jax.experimental.key_reuse._core"]
    pjit = getattr(core, "pjit", None)
    primitive = getattr(pjit, "jit_p", None) or getattr(pjit, "pjit_p", None)
    if primitive is None:
        return None
    lower: Any = jax.stages.Traced.lower
    compile_: Any = jax.stages.Lowered.compile
    run: Any = jax.stages.Compiled.__call__

    def lowered(self: Any, *args: Any, **options: Any) -> Any:
        made = lower(self, *args, **options)
        know_program(made, self.jaxpr)
        return made

    def compiled(self: Any, *args: Any, **options: Any) -> Any:
        made = compile_(self, *args, **options)
        if (jaxpr := _programs.get(self)) is not None:
            know_program(made, jaxpr)
        return made

    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        closed = _programs.get(self)
        if closed is None or not concerned(closed.jaxpr):
            return run(self, *args, **kwargs)
        flat = jax.tree.leaves((args, kwargs))
        if len(flat) != len(closed.jaxpr.invars):
            return run(self, *args, **kwargs)  # which says what is wrong with the arguments
        result = None

        def run_flat(*flat: Any, **params: Any) -> list[Any]:
            nonlocal result
            result = run(self, *args, **kwargs)
            return jax.tree.leaves(result)

        call(primitive, run_flat, *flat, jaxpr=closed)
        return result

    return swap(
        (jax.stages.Traced, "lower", lowered),
        (jax.stages.Lowered, "compile", compiled),
        (jax.stages.Compiled, "__call__", called),
    )
