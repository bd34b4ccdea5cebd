"""What a function can remember between two calls: the first suspects when it does not repeat itself."""

from __future__ import annotations

import functools
import random
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pytest_purestate._runtime.describe import Policy, digest
from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.graph import Node, iter_tracers, take_picture
from pytest_purestate._runtime.reached import named_data
from pytest_purestate._runtime.trees import compare

__all__ = ["GENERATORS", "HiddenState", "name_of"]

_POLICY = Policy(functions=True, max_bytes=1 << 20)
GENERATORS: dict[str, Callable[[], object]] = {
    "random": random.getstate,
    "numpy.random": functools.partial(np.random.get_state, legacy=False),
}
"""The generators that a whole process shares, and how to read their state."""


class HiddenState:
    """A picture of where a function could hide state, to be compared with a later moment.

    The object a method is bound to, closures, defaults, bound arguments, attributes of the function, what it and
    the functions that it calls name (`reached`), and the global generators of ``random`` and ``numpy.random``.
    Everything is read; nothing is seeded or drawn from.

    Args:
        function: a function, a method, a partial, a callable object, or one of them in a wrapper such as
            `jax.jit`.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._places = dict(_places(function))
        self._before = self._take()

    def _take(self) -> dict[str, Node]:
        found = {name: take_picture(read(), _POLICY) for name, read in self._places.items()}
        return found | {name: take_picture(digest(read())) for name, read in GENERATORS.items()}

    def roots(self) -> dict[str, Node]:
        """The pictures that were taken, by the names of the places."""
        return self._before

    def changes(self) -> tuple[Problem, ...]:
        """What is another now than when the picture was taken, as problems of the kind ``hidden-state``."""
        found = []
        for name, after in self._take().items():
            for problem in compare(self._before[name], after, name, identity=True).problems:
                if name in GENERATORS:
                    found.append(Problem("hidden-state", name, "hidden state: its global generator was used"))
                else:
                    text = f"hidden state: {problem.message}"
                    found.append(Problem("hidden-state", problem.path, text, problem.before, problem.after))
        return tuple(found)

    def tracers(self) -> tuple[tuple[str, str], ...]:
        """Path and type of each tracer that is in one of these places now."""
        return tuple(
            dict.fromkeys(found for name, node in self._take().items() for found in iter_tracers(node, name))
        )


def name_of(function: object) -> str:
    """What to call a function in a message: its qualified name, without what it was defined in locally."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return str(name).rpartition("<locals>.")[2]


def _places(target: Any) -> Iterator[tuple[str, Callable[[], object]]]:
    """Names, and how to read what they stand for now: changing a global often means binding it anew."""
    name = name_of(target)
    owner: type | None = None
    while not isinstance(target, types.FunctionType):
        if isinstance(target, functools.partial):
            yield f"{name}.args", functools.partial(getattr, target, "args")
            yield f"{name}.keywords", functools.partial(getattr, target, "keywords")
            target = target.func
        elif isinstance(target, types.MethodType):
            yield "self", functools.partial(getattr, target, "__self__")
            owner = target.__self__ if isinstance(target.__self__, type) else type(target.__self__)
            target = target.__func__
        elif (wrapped := getattr(target, "__wrapped__", None)) is not None:
            target = wrapped
        else:
            yield "self", functools.partial(_same, target)
            owner = type(target)
            target = getattr(owner, "__call__", None)  # noqa: B004 - that of the class, not of the object
            if not isinstance(target, types.FunctionType):
                return
    yield name, functools.partial(_same, target)
    yield from named_data(target, owner)


def _same(value: object) -> object:
    return value
