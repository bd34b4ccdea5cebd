"""Asserts that a block of code traces and compiles functions no more than it must."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

import jax

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime._compat import jit as _compat_jit
from pytest_purestate._runtime.compilations import Compilations
from pytest_purestate._runtime.counts import Counts, Function, by_name
from pytest_purestate._runtime.failures import PurityError
from pytest_purestate._runtime.hidden import name_of
from pytest_purestate._runtime.recording import watched
from pytest_purestate._runtime.retraces import Change, changes_of, help_for, problems_of, verdict

__all__ = ["assert_no_retrace"]


class Record:
    """What was traced and compiled in a block of `assert_no_retrace`; it can be read inside of the block too.

    Of the functions that were given to the assertion, or of all that are not JAX's own.
    """

    def __init__(self, compilations: Compilations, given: tuple[Any, ...]) -> None:
        self._compilations = compilations
        self._given = given

    @property
    def found(self) -> tuple[Function, ...]:
        """The functions, with every trace."""
        every = self._compilations.found
        if not self._given:
            return tuple(each for each in every if not each.library)
        return tuple(
            each for each in every if any(seen() is one for seen in each.objects for one in self._given)
        )

    @property
    def functions(self) -> Mapping[str, Counts]:
        """Traces, compilations and seconds by the name of the function."""
        return by_name(self.found, self._counts)

    @property
    def traces(self) -> int:
        """How many traces there were."""
        return sum(self._counts(each).traces for each in self.found)

    @property
    def compilations(self) -> int:
        """How many compilations there were, those for `vmap` and the backward pass of `grad` included."""
        return sum(each.compiles for each in self.found)

    @property
    def seconds(self) -> float:
        """How long tracing, lowering and compiling took."""
        return sum(each.seconds for each in self.found)

    @property
    def changes(self) -> tuple[Change, ...]:
        """What made JAX trace or compile a function again, in the order of the traces of each function."""
        return tuple(change for each in self.found for change in changes_of(each))

    def __repr__(self) -> str:
        numbers = f"traces={self.traces}, compilations={self.compilations}, seconds={self.seconds:.3f}"
        return f"Record({numbers})"

    def _counts(self, function: Function) -> Counts:
        counts = function.counts
        if not self._given:
            return counts
        place = function.traces[-1].place if function.traces else ""
        return Counts(len(function.traces), counts.compiles, counts.seconds, False, place, counts.defined)


class assert_no_retrace:  # noqa: N801 - reads as the function it is used as
    """Assert that the block traces and compiles no function more often than allowed.

    >>> import jax
    >>> step = jax.jit(lambda x: x + 1)
    >>> with assert_no_retrace(step) as record:
    ...     for x in (1.0, 2.0, 3.0):
    ...         y = step(x)
    >>> record.traces, record.compilations
    (1, 1)

    The code under test stays as it is. On a retrace the failure names the argument that changed, with the old and
    the new form: shape, dtype, weak type, a static value, the structure, another function object, a setting of JAX.
    A trace can be compiled more than once, where the sharding or the device of an argument changes: that counts
    against the same limit.

    The first call in the block is a trace, unless the function was called before the block: ``max_traces=1`` allows
    it. After a call before the block, ``max_traces=0`` asserts that there is nothing left to trace.

    What a function traces inside (the body of a scan, a `custom_vjp`, a jitted function for several shapes) is a part
    of its one trace: a jitted function that is traced inside of another counts once for each trace of that. `vmap` and
    `grad` of a jitted function compile it again; this is counted (`Record.compilations`), and is no failure.

    Without functions, every function is watched that is not JAX's own and not traced inside of another one. One made
    anew for each call, as by ``jax.jit(lambda x: ...)`` in a loop, is one function there.

    Cost: nothing for a call that JAX has compiled. For a trace, a look at each leaf of the arguments.

    ``chex.assert_max_traces`` and ``equinox.debug.assert_max_traces`` wrap the function in the code under test, and
    tell of traces only; the latter names the argument too.

    Args:
        *fns: the functions, as the code calls them: of `jax.jit`, `nnx.jit` or `eqx.filter_jit`, also a method or a
            partial of one. None: every function.
        max_traces: how often each may be traced, and compiled, in the block.

    Raises:
        PurityError: a function was traced or compiled more often. An error that the block raises passes through.
        TypeError: something in ``fns`` is not jitted, ``max_traces`` is no integer, or the block is entered inside of a
            transformation.
        ValueError: ``max_traces`` is negative, the block was entered before, or jit is off or its caches are.
    """

    def __init__(self, *fns: Callable[..., Any], max_traces: int = 1) -> None:
        self._entered = True  # nothing to warn of where this raises
        _check_limit(max_traces)
        self._given = tuple(identity for fn in fns for identity in _identities(fn))
        self._limit = max_traces
        self._compilations = Compilations(explain=True, apart=self._given)
        self._record = Record(self._compilations, self._given)
        self._entered = False

    def __enter__(self) -> Record:
        if self._entered:
            raise ValueError(
                "this assert_no_retrace was entered before: make a new one, `with assert_no_retrace(...):`"
            )
        self._entered = True
        _check_surroundings()
        watched("assert_no_retrace", {})
        self._compilations.__enter__()
        return self._record

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self._compilations.__exit__(kind, error, traceback)
        if error is not None:
            return
        every = [(each, verdict(each, self._limit, nested=bool(self._given))) for each in self._record.found]
        if wrong := [(each, text) for each, text in every if text]:
            raise _failure(wrong)

    def __del__(self) -> None:
        if not getattr(self, "_entered", True):
            warnings.warn(
                "assert_no_retrace(...) alone does nothing: write `with assert_no_retrace(...):`",
                RuntimeWarning,
                stacklevel=2,
            )


def _failure(wrong: list[tuple[Function, str]]) -> PurityError:
    problems = tuple(problem for function, text in wrong for problem in problems_of(function, text))
    help = help_for(problems)
    if len(wrong) > 1:
        names = ", ".join(f"`{function.name}`" for function, _ in wrong)
        return PurityError(f"{len(wrong)} functions were compiled too often: {names}", problems, help=help)
    ((function, text),) = wrong
    if len(problems) > 1:  # the first one says what the headline says
        problems = problems[1:]
    return PurityError(f"`{function.name}` {text}", problems, help=help)


def _check_limit(limit: object) -> None:
    __tracebackhide__ = True
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"max_traces must be an integer, not {limit!r}")
    if limit < 0:
        raise ValueError(f"max_traces must not be negative: {limit}")


def _check_surroundings() -> None:
    __tracebackhide__ = True
    if _compat.tracing():
        raise TypeError("assert_no_retrace watches calls; enter it outside of jit, grad, vmap and scan")
    if getattr(jax.config, "jax_disable_jit", False):
        raise ValueError("jit is off (`jax.disable_jit`): nothing is traced")
    if getattr(jax.config, "jax_check_tracer_leaks", False):
        raise ValueError("JAX's caches are off (`jax.checking_leaks`): every call is traced")


def _identities(fn: Any) -> tuple[Any, ...]:
    """The objects by which JAX knows a function: what is jitted, and for another library's jit that itself."""
    __tracebackhide__ = True
    for each in _layers(fn):
        jitted = _compat_jit.jit_of(each)
        if jitted is not None:
            return (jitted.__wrapped__,) if jitted is each else (each,)
    text = name_of(fn) if callable(fn) else repr(fn)
    if isinstance(fn, jax.stages.Compiled):
        raise TypeError(
            "a function that was compiled ahead of time is never traced again; pass the jitted one"
        )
    raise TypeError(
        f"`{text}` is not jitted, so it is traced by nothing: pass what `jax.jit({text})` returns and the code calls"
    )


def _layers(fn: Any) -> Iterator[Any]:
    """A function and what it stands for: a partial, a method, a wrapper, a callable object."""
    for _ in range(100):  # a chain that leads in a circle is no reason to hang
        yield fn
        if isinstance(fn, functools.partial):
            fn = fn.func
        elif (inner := getattr(fn, "__func__", None)) is not None or (
            inner := getattr(fn, "__wrapped__", None)
        ) is not None:
            fn = inner
        elif _compat_jit.jit_of(called := inspect.getattr_static(type(fn), "__call__", None)) is not None:
            fn = called
        else:
            return
