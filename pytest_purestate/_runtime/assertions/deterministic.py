"""Asserts that a function gives one result, bit for bit, however often and in whichever way it is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax

from pytest_purestate._runtime import events
from pytest_purestate._runtime.assertions.modes import MODES, Again
from pytest_purestate._runtime.causes import help_on_gpu
from pytest_purestate._runtime.failures import Problem, PurityError
from pytest_purestate._runtime.frames import user_place
from pytest_purestate._runtime.graph import take_picture
from pytest_purestate._runtime.hidden import GENERATORS, HiddenState, name_of
from pytest_purestate._runtime.inputs import Inputs, check_function, check_output, take_inputs
from pytest_purestate._runtime.settings import settings_in_force
from pytest_purestate._runtime.trees import compare

__all__ = ["assert_deterministic"]

R = TypeVar("R")

_RANDOM_HELP = (
    "random numbers of the host are hidden state: take a key as an argument and draw with `jax.random`, "
    "or take the generator itself as an argument"
)
_HIDDEN_HELP = (
    "make what the function remembers an argument and a result, `action(state, input) -> (output, state)`, "
    "and let the caller keep the state"
)


def assert_deterministic(
    fn: Callable[..., R],
    *args: Any,
    runs: int = 3,
    across: Sequence[str] = ("calls", "recompile"),
    max_ulp: int = 0,
) -> R:
    """Assert that a function repeats itself: each call returns what the first one returned, bit for bit.

    >>> import jax
    >>> assert_deterministic(jax.random.uniform, jax.random.key(0)).shape
    ()

    Every call gets its own copy of the arguments as they were at first, so a function that edits or donates
    them is not blamed for that (`assert_unchanged` is there for it), and the caller's stay as they are. What
    the function remembers elsewhere is not reset: the object that a method is bound to, a closure, a global.
    When the result changes, the report also says what of this changed.

    PyTorch has ``use_deterministic_algorithms``, which forbids what may differ; JAX has no such switch, so this
    compares what came out.

    Compared are types, structure, dtypes, shapes, weak types, sharding and the bits of every element, key
    arrays included; one NaN equals any other NaN.

    Args:
        fn: the function, or a method, a partial (to bind keywords), a jitted function.
        *args: its arguments.
        runs: how many calls each way in ``across`` compares, the first call included: 2 or more.
        across: what may differ between the calls. ``"calls"``: nothing. ``"recompile"``: caches are cleared,
            in memory and on disk, so the function is traced and compiled again. ``"eager"``: it runs under
            ``jax.disable_jit``. ``"devices"``: once on each other local device, arguments moved there.
            ``"process"``: a fresh Python process, for a function at the top level of a module and arguments
            that can be pickled. The first call is one as it is; each way adds ``runs - 1`` calls to it.
        max_ulp: how far apart finite floats may be, in units in the last place; by default not at all.

    Returns:
        What the first call returned.

    Raises:
        PurityError: a call returned something else. The text names the place in the output, how many elements
            differ and by how many ULP, the first of them in both calls, and the settings in force.
        TypeError: ``fn`` is not callable, an argument is a tracer or an iterator, the call is made inside a
            transformation, or the output is an iterator, which cannot be compared.
        ValueError: ``runs``, ``across`` or ``max_ulp`` is not one of the values above, an argument was
            deleted, or there is only one device for ``"devices"``.
    """
    __tracebackhide__ = True
    check_function("assert_deterministic", fn)
    _check_options(runs, across, max_ulp)
    inputs = take_inputs("assert_deterministic", fn, args)
    plans = [(way, MODES[way].plan(fn, inputs.args, runs - 1)) for way in dict.fromkeys(across)]
    hidden = HiddenState(fn)
    output = fn(*inputs.fresh())
    first = take_picture(output)
    check_output(first)
    number = 1
    for way, plan in plans:
        for again in plan:
            number += 1
            other = again.run()
            found = compare(first, other, "output", placement=again.placement, max_ulp=max_ulp)
            if found:
                error = _failure(fn, inputs, way, number, again, found.problems, hidden.changes())
                _tell(fn, across, runs, error.problems, way)
                raise error
    _tell(fn, across, runs)
    return output


def _tell(
    fn: Callable[..., Any],
    across: Sequence[str],
    runs: int,
    problems: tuple[Problem, ...] = (),
    failed: str = "",
) -> None:
    if events.listeners:
        ways = tuple(dict.fromkeys(across))
        name = "assert_deterministic"
        events.tell(events.Checked(name, name_of(fn), problems, ways, failed, runs, user_place()))


def _check_options(runs: object, across: object, max_ulp: object) -> None:
    __tracebackhide__ = True
    if isinstance(runs, bool) or not isinstance(runs, int):
        raise TypeError(f"runs must be an integer, not {runs!r}")
    if runs < 2:
        raise ValueError(f"runs must be 2 or more, to have something to compare: {runs}")
    if isinstance(max_ulp, bool) or not isinstance(max_ulp, int):
        raise TypeError(f"max_ulp must be an integer, not {max_ulp!r}")
    if max_ulp < 0:
        raise ValueError(f"max_ulp must not be negative: {max_ulp}")
    if isinstance(across, str) or not isinstance(across, Sequence):
        raise TypeError(f"across must be a tuple of names, such as ('calls', 'recompile'), not {across!r}")
    if unknown := [way for way in across if way not in MODES]:
        raise ValueError(f"across has no {unknown[0]!r}; it takes {', '.join(map(repr, MODES))}")
    if not across:
        raise ValueError(f"across is empty; it takes {', '.join(map(repr, MODES))}")


def _failure(
    fn: Callable[..., Any],
    inputs: Inputs,
    way: str,
    number: int,
    again: Again,
    problems: tuple[Problem, ...],
    hidden: tuple[Problem, ...],
) -> PurityError:
    special = f" ({again.label})" if again.label else ""
    on_gpu = way in ("calls", "recompile") and jax.default_backend() == "gpu"
    help = (help_on_gpu(fn, inputs.args) if on_gpu else "") or MODES[way].help
    if hidden:
        by_random = all(problem.path in GENERATORS for problem in hidden)
        help = _RANDOM_HELP if by_random else _HIDDEN_HELP
    return PurityError(
        f"`{name_of(fn)}` is not deterministic: call {number}{special} returned something else than call 1",
        (*problems, *hidden),
        ("call 1", f"call {number}"),
        (f"settings: {settings_in_force()}",),
        help,
    )
