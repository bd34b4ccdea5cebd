"""Compiled programs that outlive a test: the same work for another test finds them again.

They are compiled ahead of time, so neither ``jax.clear_caches()`` nor a setting that another test changed touches them. What is
kept are programs and shapes, and never a value.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import jax

from pytest_purestate._runtime._compat.seam import know_program

__all__ = ["Cache", "Program", "compiled"]


@dataclass(slots=True)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    made: list[Any] = field(default_factory=list)


class Cache:
    """What was made, by key; the ones that were asked for last.

    Two threads that ask for one key wait for each other, and those that ask for others do not.

    >>> cache = Cache(2)
    >>> [cache.get("a", lambda: 1), cache.get("a", lambda: 2), cache.get(None, lambda: 3)]
    [1, 1, 3]

    Args:
        size: how many are kept.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable | None, make: Callable[[], Any]) -> Any:
        """What was made for the key, or is made now; always anew for None, and after a failure."""
        if key is None:
            return make()
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            while len(self._entries) > self.size:
                self._entries.popitem(last=False)
        with entry.lock:
            if not entry.made:
                entry.made.append(make())
            return entry.made[0]

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._entries.clear()


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A compiled function of one pytree of arrays."""

    run: Callable[..., Any]
    tree: Any

    def __call__(self, argument: Any) -> Any:
        """Run it; every array of the result has a buffer of its own."""
        leaves = jax.tree.leaves(argument)
        return jax.tree.unflatten(self.tree, self.run(*leaves))


def compiled(function: Callable[[Any], Any], argument: Any, shardings: Any = None) -> Program:
    """Compile a function of one pytree for arguments like this one.

    Args:
        function: what to compile.
        argument: arrays, of which shapes, dtypes and places count.
        shardings: for the leaves of the result, in their order; None leaves it to JAX.
    """
    leaves, structure = jax.tree.flatten(argument)
    tree = None

    def flat(*leaves: Any) -> tuple[Any, ...]:
        nonlocal tree
        outputs, tree = jax.tree.flatten(function(jax.tree.unflatten(structure, leaves)))
        return tuple(outputs)

    options: dict[str, Any] = {} if shardings is None else {"out_shardings": tuple(shardings)}
    traced = jax.jit(flat, **options).trace(*leaves)
    program = traced.lower().compile()
    know_program(program, traced.jaxpr)
    return Program(program, tree)
