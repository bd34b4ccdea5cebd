"""Asserts that a function uses no key twice."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from pytest_purestate._runtime.failures import Problem, PurityError
from pytest_purestate._runtime.guard.keys import KeyReuse
from pytest_purestate._runtime.guard.lineage_watch import LineageWatch
from pytest_purestate._runtime.hidden import name_of
from pytest_purestate._runtime.inputs import Inputs, check_function, take_inputs
from pytest_purestate._runtime.jaxprs import WHERE, shown
from pytest_purestate._runtime.key_paths import keys_in, name_of_reuse
from pytest_purestate._runtime.tracing import trace_call

__all__ = ["assert_no_key_reuse"]

R = TypeVar("R")

_HELP = "split it first, `key_a, key_b = jax.random.split(key)`, and use each part once"


def assert_no_key_reuse(fn: Callable[..., R], *args: Any) -> R:
    """Assert that a function uses no key twice, for these arguments.

    >>> import jax
    >>> def noise(key):
    ...     one, other = jax.random.split(key)
    ...     return jax.random.normal(one) - jax.random.normal(other)
    >>> assert_no_key_reuse(noise, jax.random.key(0)).shape
    ()

    It is run once while its keys are watched, and traced once. Keys are known by their values, so typed and raw
    ones, copies, and a key that is made twice of one seed are seen; what compiled code does is read off its jaxpr,
    with the bodies of jit, scan, while, cond, vmap, remat, custom_jvp and custom_vjp. Keys that are given to linen and
    nnx modules count as used. That a key which was drawn from is folded into (``fold_in``) is no reuse, and neither
    is a use in another branch. A key that the caller used before is the caller's business.

    It works inside ``pytest --purestate`` and under ``jax_debug_key_reuse``, neither of which sees anything of this call.

    Cost: a call, in which everything compiled takes 20 to 90 us more, and a trace for which nothing is cached.

    The model of sinks and sources is that of JAX's own checker, `jax.experimental.key_reuse`, which sees typed keys only.

    Args:
        fn: the function, or a method, a partial (to bind keywords), a jitted function. What cannot be traced is
            only run.
        *args: its arguments.

    Returns:
        What the call returned.

    Raises:
        PurityError: keys were used twice: all of them, with the lines of both uses, and the argument that the key
            comes from, where that is known (``jax.random.split(state.key)[0]``).
        TypeError: ``fn`` is not callable or a coroutine function, an argument is a tracer or an iterator, or the call
            is made inside a transformation.
        ValueError: an argument was deleted.
    """
    __tracebackhide__ = True
    check_function("assert_no_key_reuse", fn)
    inputs = take_inputs("assert_no_key_reuse", fn, args)
    found: list[KeyReuse] = []
    watch = LineageWatch(WHERE, found.append)
    given = [keys for name, arg in zip(inputs.names, inputs.args, strict=True) for keys in keys_in(arg, name)]
    watch.start(alone=True)
    try:
        for names, keys in given:
            watch.handed(names, keys, ("", 0))
        output = fn(*inputs.fresh())
        _trace(fn, inputs, watch)
        watch.finish()
        problems = [_problem(watch, reuse) for reuse in found]
    finally:
        watch.stop()
    if watch.problem:
        warnings.warn(
            f"a mistake of ours, please report it; what it was about is not judged: {watch.problem}",
            RuntimeWarning,
            stacklevel=2,
        )
    if problems:
        many = "a key" if len(problems) == 1 else f"keys in {len(problems)} places"
        raise PurityError(f"`{name_of(fn)}` uses {many} twice", problems, ("first", "again"), help=_HELP)
    return output


def _trace(fn: Callable[..., Any], inputs: Inputs, watch: LineageWatch) -> None:
    """What a run does not tell: what a compiled function that was traced before gives to modules of Flax."""
    try:
        trace = trace_call(fn, inputs.fresh)
    except Exception:
        return  # it can only be run
    watch.look_at(trace.jaxpr)


def _problem(watch: LineageWatch, reuse: KeyReuse) -> Problem:
    path = name_of_reuse(watch.lineage, reuse.first, reuse.second) or shown(reuse.second)
    texts = (f"{shown(reuse.first)}: {reuse.first_use}", f"{shown(reuse.second)}: {reuse.second_use}")
    if reuse.first == reuse.second:
        text = f"is {reuse.second_use} {reuse.why or 'again and again'}, and is the same each time"
        return Problem("key-reuse", path, text, "", texts[1], labels=("first", "each time"))
    return Problem("key-reuse", path, f"is {reuse.second_use} after it was {reuse.first_use}", *texts)
