"""What a function remembered, put back to what it was: as it would be in a process that starts now."""

from __future__ import annotations

import collections
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import jax
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.graph import Node, iter_nodes
from pytest_purestate._runtime.hidden import HiddenState

__all__ = ["Memory"]

PutBack = Callable[[], None]
_KINDS = (dict, list, set, collections.deque)


class Memory:
    """The state that a function hides, at one moment, to which it can be taken back for a while.

    Of everything that `HiddenState` sees: the variables of closures, globals by name, attributes, and the content
    of containers and numpy arrays. Each object keeps its identity. Random generators and iterators go on from where they are.

    Args:
        hidden: of the function, taken at the moment to come back to.
    """

    def __init__(self, hidden: HiddenState) -> None:
        self._roots = hidden.roots()
        self._first = self._snapshot()

    @contextmanager
    def as_at_first(self) -> Iterator[None]:
        """Let the function remember what it did at first, and compile anew; what it remembers now comes back after the block."""
        if any(map(_is_gone, self._roots.items())):
            yield  # what it remembered at first was donated: nothing can be as it was
            return
        now = self._snapshot()
        with ExitStack() as stack:
            for put_back in now:
                stack.callback(put_back)
            for put_back in self._first:
                put_back()
            with _compat.fresh_compilations():
                yield

    def _snapshot(self) -> list[PutBack]:
        found: list[PutBack] = []
        seen: set[int] = set()
        for name, root in self._roots.items():
            found += _binding(name)
            for _, node in iter_nodes(root, name):
                if id(node.value) not in seen:
                    seen.add(id(node.value))
                    found += _of_object(node)
        return found


def _is_gone(root: tuple[str, Node]) -> bool:
    arrays = (node.value for _, node in iter_nodes(root[1], root[0]) if isinstance(node.value, jax.Array))
    return any(not _compat.is_tracer(array) and array.is_deleted() for array in arrays)


def _binding(name: str) -> Iterator[PutBack]:
    """A global, by the name that `HiddenState` has for it."""
    module, _, last = name.rpartition(".")
    space = vars(sys.modules[module]) if module in sys.modules else {}
    if last in space:
        yield _assigned(space, last, space[last])


def _assigned(space: dict[str, Any], name: str, value: object) -> PutBack:
    return lambda: space.__setitem__(name, value)


def _of_object(node: Node) -> Iterator[PutBack]:
    value = node.value
    if isinstance(value, types.FunctionType):
        for cell in value.__closure__ or ():
            yield from _cell(cell)
        yield _content(vars(value), dict(vars(value)))
    if isinstance(value, np.ndarray):
        if value.flags.writeable:
            yield _array(value, value.copy())
    elif isinstance(value, _KINDS):
        yield _content(value, dict(value) if isinstance(value, dict) else list(value))
    if node.mutable and isinstance(storage := getattr(value, "__dict__", None), dict):
        yield _content(storage, dict(storage))


def _cell(cell: types.CellType) -> Iterator[PutBack]:
    try:
        held = cell.cell_contents
    except ValueError:
        return  # not assigned yet
    yield lambda: setattr(cell, "cell_contents", held)


def _array(array: np.ndarray, held: np.ndarray) -> PutBack:
    return lambda: np.copyto(array, held)


def _content(container: Any, held: Any) -> PutBack:
    def put_back() -> None:
        container.clear()
        (container.update if isinstance(container, dict | set) else container.extend)(held)

    return put_back
