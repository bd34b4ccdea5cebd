"""A call as JAX traces it: its arrays are inputs, and all else that it is given stays what it is.

What `jax.jit` wants to be told by ``static_argnums`` is found out here, leaf by leaf, as ``equinox.filter_jit`` does.
"""

from __future__ import annotations

import enum
import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.failures import Problem, PurityError
from pytest_purestate._runtime.graph import iter_tracers, take_picture
from pytest_purestate._runtime.guard.leaks import LeakCheck, SpuriousLeak
from pytest_purestate._runtime.hidden import name_of

__all__ = ["TRACED", "Trace", "as_compiled", "leak_problems", "trace_call"]


class Array(enum.Enum):
    """The one class of `TRACED`: a message names it."""

    TRACED = "an array"

    def __repr__(self) -> str:
        return self.value


TRACED = Array.TRACED
"""Stands for an array in what a trace returned."""


@dataclass(slots=True, eq=False)
class Trace:
    """One trace of a call.

    Attributes:
        jaxpr: the closed jaxpr.
        output: what the function returned, with `TRACED` in the place of each array.
        inputs: the arrays of the arguments.
        args: the arguments, which the trace may have edited.
        leaked: whether a tracer of it is still alive.
    """

    jaxpr: Any
    output: Any
    inputs: list[Any]
    args: tuple[Any, ...]
    leaked: bool
    _traced: Any = field(repr=False)

    def run(self) -> Any:
        """Compile what was traced, and run it."""
        arrays = iter(self._traced.lower().compile()(*self.inputs))
        leaves, tree = jax.tree.flatten(self.output)
        return jax.tree.unflatten(tree, [next(arrays) if leaf is TRACED else leaf for leaf in leaves])


def trace_call(fn: Callable[..., Any], fresh: Callable[[], tuple[Any, ...]], *, anew: bool = True) -> Trace:
    """Trace ``fn(*fresh())``.

    Python numbers are inputs, as for `jax.jit`; where the function needs to know them, they are not.

    Args:
        fn: the function.
        fresh: makes the arguments.
        anew: whether compiled functions that it calls are traced again, too.

    Raises:
        Exception: whatever the function raises while it is traced.
    """
    args = fresh()
    try:
        return _trace(fn, args, anew, numbers=True)
    except Exception as error:
        # Of the error only the class and the text are kept: its frames hold tracers.
        if not any(type(leaf) in (int, float, complex) for leaf in jax.tree.leaves(args)):
            raise
        first = error.with_traceback(None)
    try:
        return _trace(fn, fresh(), anew, numbers=False)
    except Exception:
        raise first from None


def _trace(fn: Callable[..., Any], args: tuple[Any, ...], anew: bool, *, numbers: bool) -> Trace:
    leaves, tree = jax.tree.flatten(args)
    traced = [_is_input(leaf, numbers) for leaf in leaves]
    inputs = [leaf for leaf, is_input in zip(leaves, traced, strict=True) if is_input]
    kept: list[Any] = []
    alive: list[weakref.ref[Any]] = []

    def call(*arrays: Any) -> list[Any]:
        if arrays and (trace := _compat.trace_of(arrays[0])) is not None:
            alive.append(trace)  # purestate: ignore[PS301] what a trace has is wanted
        given = iter(arrays)
        own = [next(given) if is_input else leaf for leaf, is_input in zip(leaves, traced, strict=True)]
        output, shape = jax.tree.flatten(fn(*jax.tree.unflatten(tree, own)))
        arrays_out = [leaf for leaf in output if isinstance(leaf, jax.Array)]
        kept.append(
            (shape, [TRACED if isinstance(leaf, jax.Array) else leaf for leaf in output])
        )  # purestate: ignore[PS301] the same
        return arrays_out

    call.__name__ = call.__qualname__ = name_of(fn)
    if anew:
        with _compat.fresh_traces():
            found = jax.jit(call).trace(*inputs)
    else:
        found = jax.jit(call).trace(*inputs)
    shape, output = kept[-1]
    result = jax.tree.unflatten(shape, output)
    if (inside := next(iter_tracers(take_picture(result), "output"), None)) is not None:
        raise TypeError(f"`{inside[0]}` is an array in an object that is no pytree, which cannot be returned")
    if leaked := any(trace() is not None for trace in alive):
        gc.collect()  # a cycle of Python objects is no leak
        leaked = any(trace() is not None for trace in alive)
    return Trace(found.jaxpr, result, inputs, args, leaked, found)


def _is_input(leaf: Any, numbers: bool) -> bool:
    """Whether a leaf is data to JAX: an array, or a Python number. Flags are not: they are there to branch on."""
    if isinstance(leaf, np.ndarray | np.generic):
        return bool(jnp.issubdtype(leaf.dtype, np.number) or leaf.dtype == bool)
    if type(leaf) in (int, float, complex):
        return numbers
    return isinstance(leaf, jax.Array) or _compat.is_ref(leaf)


def as_compiled(output: Any, compiled: Any) -> Any:
    """What a function returned as its compiled form gives it: arrays of JAX for those of numpy, and for Python numbers.

    Dicts come out of a compiled function in the order of their keys, so they have that order here, too. What has another
    structure stays as it is.
    """
    if jax.tree.structure(output) != jax.tree.structure(compiled):  # type: ignore[operator]
        return output

    def convert(leaf: Any, array: Any) -> Any:
        plain = _is_input(leaf, True) and not isinstance(leaf, jax.Array)
        return jnp.asarray(leaf) if plain and isinstance(array, jax.Array) else leaf

    return jax.tree.map(convert, output, compiled)


def leak_problems(fn: Callable[..., Any], fresh: Callable[[], tuple[Any, ...]]) -> list[Problem]:
    """Who keeps a tracer behind the trace, by JAX's own check; the function is traced once more for it."""
    try:
        with LeakCheck():
            _trace(fn, fresh(), False, numbers=True)
    except PurityError as error:
        return [Problem("leak", problem.path, problem.message) for problem in error.problems]
    except SpuriousLeak:
        return []
    except Exception:  # what was traced before does not trace now: the tracer is in the way
        return [Problem("leak", name_of(fn), "a tracer outlives the trace")]
    return []  # a cache of a library keeps it, which the check passes by
