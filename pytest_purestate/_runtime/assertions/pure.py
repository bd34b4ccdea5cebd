"""Asserts that a function does nothing but compute its result from its arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pytest_purestate._runtime.closeness import Tolerance
from pytest_purestate._runtime.effects import call_observed, observed
from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.graph import Node, iter_tracers, take_picture
from pytest_purestate._runtime.hidden import HiddenState, name_of
from pytest_purestate._runtime.impurity import EAGER_AND_JITTED, TWO_CALLS, impurity
from pytest_purestate._runtime.inputs import Inputs, check_function, check_output, take_inputs
from pytest_purestate._runtime.jaxprs import jaxpr_problems, side_effect_problems
from pytest_purestate._runtime.tracing import Trace, as_compiled, leak_problems, trace_call
from pytest_purestate._runtime.trees import compare

__all__ = ["assert_pure"]

R = TypeVar("R")


def assert_pure(
    fn: Callable[..., R],
    *args: Any,
    jit: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
) -> R:
    """Assert that a function does nothing but compute its result from its arguments.

    >>> import jax.numpy as jnp
    >>> float(assert_pure(lambda params, x: (params["w"] * x).sum(), {"w": jnp.ones(3)}, 2.0))
    6.0

    It is called as it is, traced twice, and run as compiled. All that it did besides is one failure:

    - it changed its arguments: containers, numpy buffers, attributes of plain objects, nnx modules;
    - it changed what it can reach: the object that it is bound to, closures, globals, class variables, also of the
      functions that it calls, or it drew from ``random`` or ``numpy.random``;
    - it printed (to ``sys.stdout``, in the call or while it was traced), or has side effects that are compiled into
      it, as ``jax.debug.print`` and ``io_callback`` are;
    - it stored a tracer somewhere;
    - the two jaxprs differ: in a constant (the clock, a random number, a counter), or in what they compute;
    - the compiled function returns something else: types, structure, shapes, dtypes or numbers.

    Every call and trace gets its own copy of the arguments, and the caller's stay as they are. What a compiled
    function deletes because it was donated is no change. Arrays and numbers are traced; what else is in the
    arguments (flags, strings, functions, modules, a number that Python branches on) is static, nobody needs to say so.
    What is compiled may round otherwise than what runs operation by operation, so inexact numbers need not be the
    same to the last bit.

    Not seen: what is the same in both traces, such as an environment variable, or ``time.time()`` as a float32, which
    stays one number for two minutes; output to other streams than ``sys.stdout``; state of libraries.

    Cost: a call as it is, two traces for which nothing is cached, one compilation, one compiled call.

    That leaves which are no arrays are static without saying so is the idea of ``equinox.filter_jit``.

    Args:
        fn: the function, or a method, a partial (to bind keywords), a jitted function.
        *args: its arguments.
        jit: whether it can be traced. With False it is only called twice as it is, and must repeat itself exactly.
        rtol: how far apart two inexact numbers may be, as in ``numpy.allclose``; by default the machine epsilon of
            their dtype to the power of 2/3, which is 2.4e-5 for float32.
        atol: the same, absolute; by default ``rtol`` of the largest number in the array, and 0 where ``rtol`` is given.

    Returns:
        What the first call returned.

    Raises:
        PurityError: it did something else. The text names every place, and shows both values.
        TypeError: ``fn`` is not callable or cannot be traced, an argument is a tracer or an iterator, the call is made
            inside a transformation, an option is of another type, or the output is an iterator.
        ValueError: a tolerance is negative, or an argument was deleted.
    """
    __tracebackhide__ = True
    check_function("assert_pure", fn)
    _check_options(jit, rtol, atol)
    inputs = take_inputs("assert_pure", fn, args)
    output: R
    output, problems = call_observed(fn, inputs, "the call")
    first = take_picture(output)
    check_output(first)
    if not jit:
        again, more = call_observed(fn, inputs, "the call")
        exact = rtol is None and atol is None
        tolerance = None if exact else Tolerance(rtol, atol)
        problems += [*more, *_differences(first, take_picture(again), tolerance, TWO_CALLS)]
        notes: tuple[str, ...] = ()
    else:
        more, notes = _traced(fn, inputs, output, Tolerance(rtol, atol), bool(problems))
        problems += more
    if problems:
        raise impurity(fn, inputs, problems, notes)
    return output


def _check_options(jit: object, rtol: object, atol: object) -> None:
    __tracebackhide__ = True
    if not isinstance(jit, bool):
        raise TypeError(f"jit must be True or False, not {jit!r}")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} must be a number, not {value!r}")
        if not value >= 0 or math.isinf(value):
            raise ValueError(f"{name} must be finite and not negative: {value}")


def _traced(
    fn: Callable[..., Any], inputs: Inputs, output: Any, tolerance: Tolerance, guilty: bool
) -> tuple[list[Problem], tuple[str, ...]]:
    """What two traces and a compiled run have to tell, and notes about it."""
    __tracebackhide__ = True
    name, hidden = name_of(fn), HiddenState(fn)
    try:
        with observed(fn, "tracing") as problems:
            one = trace_call(fn, inputs.fresh)
        leaks = _leaks(fn, inputs, hidden, one)
        other: Trace | None = None
        if not leaks:
            other = _again(fn, inputs, problems)
        kept = {leak.path for leak in leaks}
        problems = [problem for problem in problems if problem.path not in kept]
        result = (other or one).run()
    except Exception as error:
        why = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        if guilty:
            return problems, (f"`{name}` cannot be jitted, so this is what it does as it is: {why}",)
        raise TypeError(
            f"`{name}` cannot be jitted: {why}; pass `jit=False` to check only how it behaves as it is"
        ) from error
    problems += [*leaks, *side_effect_problems(one.jaxpr, name)]
    if other is not None:
        problems += jaxpr_problems(one.jaxpr, other.jaxpr, name)
        problems += [
            Problem(
                "trace", found.path, found.message, found.before, found.after, labels=("trace 1", "trace 2")
            )
            for found in _differences(
                take_picture(one.output), take_picture(other.output), None, ("trace 1", "trace 2")
            )
        ]
    eager = as_compiled(output, result)
    problems += _differences(take_picture(eager), take_picture(result), tolerance, EAGER_AND_JITTED)
    return problems, ()


def _again(fn: Callable[..., Any], inputs: Inputs, problems: list[Problem]) -> Trace | None:
    """The second trace; that only this one raises is a problem as well."""
    try:
        return trace_call(fn, inputs.fresh)
    except Exception as error:
        text = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        problems.append(Problem("trace", name_of(fn), "only the second trace raises", "", text))
        return None


def _leaks(fn: Callable[..., Any], inputs: Inputs, hidden: HiddenState, trace: Trace) -> list[Problem]:
    if not trace.leaked:
        return []
    found = [
        *hidden.tracers(),
        *(
            place
            for name, arg in zip(inputs.names, trace.args, strict=True)
            for place in iter_tracers(take_picture(arg), name)
        ),
    ]
    if not found:
        return leak_problems(fn, inputs.fresh)
    return [Problem("leak", path, f"keeps a tracer of {kind} behind the trace") for path, kind in found]


def _differences(
    one: Node, other: Node, tolerance: Tolerance | None, labels: tuple[str, str]
) -> Iterator[Problem]:
    if tolerance is not None:
        tolerance.settle(one, other)
    for found in compare(one, other, "output", placement=False).problems:
        yield Problem(found.kind, found.path, found.message, found.before, found.after, labels=labels)
