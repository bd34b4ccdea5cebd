"""What an assertion was given: checked, kept as it was at first, and handed out as copies.

A function is called several times by most assertions, and may edit or donate what it gets. So every call gets a copy of
its own, and what the caller holds stays alive and as it is.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.copies import copy_value
from pytest_purestate._runtime.donation import donation_flags
from pytest_purestate._runtime.frames import argument_names
from pytest_purestate._runtime.graph import Node, iter_nodes
from pytest_purestate._runtime.hidden import name_of
from pytest_purestate._runtime.recording import received

__all__ = ["Inputs", "check_function", "check_output", "declared_donations", "take_inputs"]


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """The arguments of a function under test.

    Attributes:
        names: what to call each of them, as the caller wrote it, or ``args[0]``.
        args: as they were at first. They are never handed to the function.
    """

    names: tuple[str, ...]
    args: tuple[Any, ...]

    def fresh(self) -> tuple[Any, ...]:
        """A copy of the arguments, for one call."""
        copies: tuple[Any, ...] = copy_value(self.args)
        return copies


def take_inputs(assertion: str, fn: object, args: tuple[Any, ...]) -> Inputs:
    """Check and copy what a public assertion ``assertion(fn, *args)`` was called with, from the user's frame.

    Raises:
        TypeError: ``fn`` is not callable or a coroutine function, an argument is a tracer or an iterator, or the
            call is made inside a transformation.
        ValueError: an array was deleted.
    """
    __tracebackhide__ = True
    check_function(assertion, fn)
    texts = argument_names(len(args) + 1)
    names = tuple((texts[i + 1] if texts else "") or f"args[{i}]" for i in range(len(args)))
    own = tuple(copy_value(arg, name, array=_checked_copy) for arg, name in zip(args, names, strict=True))
    labels = names if len(set(names)) == len(names) else tuple(f"args[{i}]" for i in range(len(args)))
    other = received(assertion, fn, name_of(fn), dict(zip(labels, own, strict=True)))
    return Inputs(names, own if other is None else other)


def check_function(assertion: str, fn: object) -> None:
    """Refuse what is no function that can be called here and now.

    Raises:
        TypeError: as in `take_inputs`.
    """
    __tracebackhide__ = True
    if not callable(fn):
        raise TypeError(f"{assertion} needs a function and its arguments, not the value {fn!r}")
    if inspect.iscoroutinefunction(fn):
        raise TypeError(
            f"`{name_of(fn)}` is a coroutine function; its result cannot be compared before it is awaited"
        )
    if _compat.tracing():
        raise TypeError(f"{assertion} runs its function; call it outside of jit, grad, vmap and scan")


def _checked_copy(array: jax.Array, path: str) -> jax.Array:
    if _compat.is_tracer(array):
        raise TypeError(f"`{path}` is a tracer that left its transformation; pass an array")
    if array.is_deleted():
        raise ValueError(
            f"`{path}` was deleted: it was donated to a function before; pass an array that is alive"
        )
    return array.copy()


def check_output(picture: Node) -> None:
    """Refuse a result that cannot be compared.

    Raises:
        TypeError: there is a generator or another iterator in it.
    """
    __tracebackhide__ = True
    for path, node in iter_nodes(picture, "output"):
        if isinstance(node.value, types.GeneratorType | types.CoroutineType | types.AsyncGeneratorType) or (
            isinstance(node.value, Iterator) and type(node.value).__module__ in ("builtins", "itertools")
        ):
            kind = type(node.value).__name__
            raise TypeError(
                f"`{path}` is a {kind}, which cannot be compared; return a list or an array of its items"
            )


def declared_donations(fn: Callable[..., Any], args: tuple[Any, ...]) -> tuple[bool, ...] | None:
    """Which leaves of ``jax.tree.leaves(args)`` a jitted function says that it donates; it is traced for that, not run.

    None for a function that is not jitted, or that does not say it for each leaf.
    """
    return donation_flags(fn, args)
