"""The new state in what a step returned: alone, first, second, spread over several results, or edited in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.stepping import holds_nnx

__all__ = ["new_parts"]

_ENOUGH = 0.5


def new_parts(result: Any, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The parts of the state that a step returned, by the names of those that it was given; None if one is not there.

    A part is what has most of the paths and shapes of the one that was given, so a state that lost a field is
    still found. Where the result has no other of its kind, an nnx object is its own new state.
    """
    candidates = _candidates(result, 2)
    found: dict[str, Any] = {}
    for name, part in given.items():
        scores = [_likeness(candidate, part) for candidate in candidates]
        best = max(range(len(scores)), key=scores.__getitem__, default=-1)
        if best >= 0 and scores[best] > _ENOUGH:
            found[name] = candidates.pop(best)
        elif holds_nnx(part):
            found[name] = part
        else:
            return None
    return found


def _candidates(value: Any, depth: int) -> list[Any]:
    """A result and what is in it, the outer ones first: of two that are alike the outer one is meant."""
    found = layer = [value]
    for _ in range(depth):
        layer = [item for one in layer for item in _items(one)]
        found = found + layer
    return found


def _items(value: Any) -> list[Any]:
    if type(value) in (tuple, list):
        return list(value)
    return list(value.values()) if type(value) is dict else []


def _likeness(value: Any, given: Any) -> float:
    """From 0 to 2: which share of the leaves of both has the same path, and which the same shape too."""
    if value is given:
        return 2.0
    one, other = _shapes(value), _shapes(given)
    every = one.keys() | other.keys()
    if not every:
        return (
            float(type(value) is type(given)) * 2
        )  # an optimizer without state, (EmptyState(), EmptyState())
    # Two objects of nnx are alike in their class, and no array is like them.
    shared = [
        path
        for path in one.keys() & other.keys()
        if one[path] == other[path] or not isinstance(one[path], type) | isinstance(other[path], type)
    ]
    alike = sum(one[path] == other[path] for path in shared)
    return (len(shared) + alike) / len(every)


def _shapes(value: Any) -> dict[str, tuple[int, ...] | type]:
    flat, _ = jax.tree_util.tree_flatten_with_path(value, is_leaf=_compat.is_nnx_object)
    found: dict[str, tuple[int, ...] | type] = {}
    for keys, leaf in flat:
        if _compat.is_nnx_object(leaf):
            found[jax.tree_util.keystr(keys)] = type(leaf)
        else:
            found[jax.tree_util.keystr(keys)] = tuple(getattr(leaf, "shape", np.shape(())))
    return found
