"""The same steps given to others: each function raises an `AssertionError` (or what its library raises) if it objects.

What a column is given is the most that its library has to say of a train step, used as its documentation does.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import chex  # type: ignore[import-untyped]
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import pytest_purestate
from benchmarks.assertions.cases import Case
from pytest_purestate._runtime.copies import copy_value
from pytest_purestate._runtime.steps.results import new_parts

__all__ = ["PEERS", "NotComparableError"]


class NotComparableError(Exception):
    """The library has nothing to ask this step with."""


def _compiled(case: Case) -> Callable[..., Any]:
    return case.compiled(case.step)


def _state(case: Case, result: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The parts of the new state."""
    count = len(case.state) if case.spread else 1
    given = {str(i): part for i, part in enumerate(args[:count])}
    found = new_parts(result, given)
    if found is None:
        raise AssertionError("no state was returned")  # any test stumbles over that
    return tuple(found.values())


def _chain(case: Case, step: Callable[..., Any], count: int) -> list[tuple[Any, ...]]:
    """The state at first and after each of some calls in a row."""
    args = copy_value(case.arguments())
    states = [copy_value(args[: len(case.state) if case.spread else 1])]
    for _ in range(count):
        args = copy_value((*states[-1], *args[len(states[-1]) :]))
        states.append(copy_value(_state(case, step(*args), args)))
    return states


# A test of ten lines, as one finds in training code


def plain(case: Case) -> None:
    """Params move, the counter counts, the loss is finite, and the same call gives the same result."""
    step = _compiled(case)
    old, new, _ = _chain(case, step, 2)
    before: Any
    after: Any
    before, after = ((state if case.spread else state[0]) for state in (old, new))
    params = [jax.tree.leaves(case.get(state, "params")) for state in (before, after)]
    assert any(not np.array_equal(a, b) for a, b in zip(*params, strict=True) if hasattr(a, "shape"))
    if hasattr(before, "step"):
        assert after.step == before.step + 1
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in params[1] if hasattr(leaf, "shape"))
    again = _chain(case, step, 1)[-1]
    for one, other in zip(jax.tree.leaves(new), jax.tree.leaves(again), strict=True):
        if hasattr(one, "dtype") and not jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
            np.testing.assert_array_equal(one, other)


# chex


def with_chex(case: Case) -> None:
    """`assert_max_traces`, and trees compared: the arguments with themselves, the new state with the old one."""
    chex.clear_trace_counter()
    step = case.compiled(chex.assert_max_traces(case.step, n=1))
    old, new, _ = _chain(case, step, 2)
    chex.assert_trees_all_equal_shapes_and_dtypes(_arrays(old), _arrays(new))
    chex.assert_tree_all_finite(_arrays(new))
    args = copy_value(case.arguments())
    given = copy_value(args)
    step(*args)
    count = len(old)
    chex.assert_trees_all_equal(_arrays(args[count:]), _arrays(given[count:]))
    if not any(leaf.is_deleted() for leaf in jax.tree.leaves(args) if isinstance(leaf, jax.Array)):
        chex.assert_trees_all_equal(_arrays(args[:count]), _arrays(given[:count]))
    chex.assert_trees_all_equal(_arrays(new), _arrays(_chain(case, step, 1)[-1]))


def _arrays(tree: Any) -> Any:
    """Words in place of typed keys, which chex cannot compare, and arrays in place of numbers of Python."""

    def plain(leaf: Any) -> Any:
        if not hasattr(leaf, "dtype"):
            return jnp.asarray(leaf)
        return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf

    return [plain(leaf) for leaf in jax.tree.leaves(tree) if not callable(leaf)]


# equinox


def with_equinox(case: Case) -> None:
    """`debug.assert_max_traces`, and `tree_equal` with types for arguments and results."""
    step = case.compiled(eqx.debug.assert_max_traces(max_traces=1)(case.step))
    old, new, _ = _chain(case, step, 2)
    args = copy_value(case.arguments())
    given = copy_value(args)
    step(*args)
    count = len(old)
    assert eqx.tree_equal(args[count:], given[count:])
    if not any(leaf.is_deleted() for leaf in jax.tree.leaves(args) if isinstance(leaf, jax.Array)):
        assert eqx.tree_equal(args[:count], given[:count])
    forms: list[Any] = [jax.tree.structure(state) for state in (old, new)]
    assert forms[0] == forms[1]
    assert eqx.tree_equal(new, _chain(case, step, 1)[-1], typematch=True)


# The other assertions of this package


def _own(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] | None = getattr(pytest_purestate, name, None)
    if found is None:
        raise NotComparableError("not there")
    return found


def unchanged(case: Case) -> None:
    args = copy_value(case.arguments())
    with _own("assert_unchanged")(args):
        _compiled(case)(*args)


def on_call(name: str, case: Case) -> None:
    try:
        _own(name)(_compiled(case), *case.arguments())
    except (TypeError, ValueError) as error:
        raise NotComparableError(str(error)) from error


def no_retrace(case: Case) -> None:
    step = _compiled(case)
    with _own("assert_no_retrace")():
        _chain(case, step, 3)


def resumable(case: Case) -> None:
    if case.spread or case.args:
        raise NotComparableError("takes step(state, batch)")
    _own("assert_resumable")(
        _compiled(case), case.state, [copy.deepcopy(case.batch) for _ in range(3)], "npz"
    )


PEERS: dict[str, Callable[[Case], None]] = {
    "plain pytest": plain,
    "chex": with_chex,
    "equinox": with_equinox,
    "unchanged": unchanged,
    "pure": functools.partial(on_call, "assert_pure"),
    "deterministic": functools.partial(on_call, "assert_deterministic"),
    "no_key_reuse": functools.partial(on_call, "assert_no_key_reuse"),
    "donated": functools.partial(on_call, "assert_donated"),
    "no_retrace": no_retrace,
    "resumable": resumable,
}
