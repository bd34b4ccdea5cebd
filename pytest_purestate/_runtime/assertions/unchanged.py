"""Asserts that a block of code leaves what it was given alone."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from types import TracebackType

import jax

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.arrays import is_array
from pytest_purestate._runtime.describe import Policy, is_function
from pytest_purestate._runtime.failures import Problem, PurityError
from pytest_purestate._runtime.graph import Node, take_picture
from pytest_purestate._runtime.naming import name_trees
from pytest_purestate._runtime.recording import watched
from pytest_purestate._runtime.trees import compare

__all__ = ["assert_unchanged"]

_HELP = {
    "deleted": (
        "a donated argument must not be used again: pass a copy, "
        "`jax.tree.map(jnp.copy, state)`, or compile without `donate_argnums`"
    ),
    "identity": "return the new value instead of putting it into the argument",
    "hidden": (
        "make what the object remembers an argument and a result, `action(state, input) -> (output, state)`, "
        "and let the caller keep the state"
    ),
    "nnx": (
        "an nnx module keeps its state inside; call a copy, `nnx.clone(model)`, or carry the state outside: "
        "`graphdef, state = nnx.split(model)`, then `nnx.clone(nnx.merge(graphdef, state))` in the function"
    ),
    "edited": (
        "build a new value instead of editing the argument: `state.replace(...)`, `{**params, name: value}`, "
        "`x.at[i].set(v)`, a copy of a numpy array"
    ),
}


class assert_unchanged:  # noqa: N801 - reads as the function it is used as
    """Assert that the block changes nothing in the given values.

    >>> params = {"w": [1.0, 2.0]}
    >>> with assert_unchanged(params):
    ...     total = sum(params["w"])

    Looks at more than JAX does: structure, identity and content of every leaf and container, with dicts in
    insertion order, numpy buffers, attributes of plain objects (also private ones and slots), fields marked
    static, nnx modules and their variables, sets, key arrays bit by bit, the state of random generators and
    iterators. Cycles are fine. A function or method that is passed itself is looked into: its closure, its
    defaults, the object it is bound to. Elsewhere functions count by identity. Not looked into: classes,
    modules, linen modules beyond their fields, objects of the standard library, whose values are compared
    with ``==`` if they can be.

    A value put back is no change. Scalars, strings and tuples count by value; arrays, containers and objects
    must also stay the same objects, so a list replaced by an equal list is reported.

    An error that the block raises itself passes through; nothing is compared then.

    To name the leaf that differs is the idea of ``chex.assert_trees_all_equal``, which compares two trees.

    Args:
        *trees: what must not change. In the report they are called what the caller calls them.
        **named: the same, with names of your choice: ``assert_unchanged(state=make_state())``.

    Raises:
        PurityError: something changed. The text names the place (``state.params['dense']['kernel'][3, 1]``),
            shows both values and says what to do; `PurityError.problems` has every place.
        TypeError: nothing was given to watch.
    """

    def __init__(self, *trees: object, **named: object) -> None:
        if not trees and not named:
            raise TypeError(
                "assert_unchanged needs at least one value to watch: `with assert_unchanged(state):`"
            )
        self._watched = name_trees(trees, named)
        self._before: dict[str, Node] | None = None
        self._entered = False

    def __enter__(self) -> None:
        self._entered = True
        self._before = _pictures(self._watched)
        watched("assert_unchanged", self._before)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        before, self._before = self._before, None
        if error is not None or before is None:
            return
        after = _pictures(self._watched)
        found = {
            name: compare(one, after[name], name, identity=True).problems for name, one in before.items()
        }
        found = {name: problems for name, problems in found.items() if problems}
        if found:
            # Two values can share a part, and two names be one: say the same thing once.
            problems = tuple(dict.fromkeys(problem for problems in found.values() for problem in problems))
            raise PurityError(
                _headline(found), problems, help=_help(problems, before[next(iter(found))].value)
            )

    def __del__(self) -> None:
        if not getattr(self, "_entered", True):
            warnings.warn(
                "assert_unchanged(...) alone does nothing: write `with assert_unchanged(...):`",
                RuntimeWarning,
                stacklevel=2,
            )


def _pictures(watched: Mapping[str, object]) -> dict[str, Node]:
    return {
        name: take_picture(value, Policy(functions=is_function(value))) for name, value in watched.items()
    }


def _headline(found: Mapping[str, tuple[Problem, ...]]) -> str:
    text = " and ".join(f"`{name}`" for name in found)
    if all(problem.kind == "deleted" for problems in found.values() for problem in problems):
        return f"{text} cannot be used any more after the block"
    return f"{text} {'was' if len(found) == 1 else 'were'} changed in the block"


def _help(problems: tuple[Problem, ...], culprit: object) -> str:
    kinds = {problem.kind for problem in problems}
    if "deleted" in kinds:
        return _HELP["deleted"]
    if kinds == {"identity"}:
        return _HELP["identity"]
    if _compat.is_nnx_object(culprit):
        return _HELP["nnx"]
    return _HELP["edited" if _is_data(culprit) else "hidden"]


def _is_data(value: object) -> bool:
    """Whether this is what functions take and return, unlike an object with a memory of its own."""
    if is_array(value) or isinstance(value, dict | list | tuple | set | bytearray):
        return True
    # JAX warns about iterators among leaves; they are no data in any case.
    return not isinstance(value, Iterator) and (
        dataclasses.is_dataclass(value) or not jax.tree_util.all_leaves([value])
    )
