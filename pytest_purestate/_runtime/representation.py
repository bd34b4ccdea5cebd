"""Differences between two values that are none of content: what a leaf is an array of, weak types, the order of keys.

A checkpoint gives numpy arrays back for arrays of JAX, and an array for a Python number. That costs a compilation, but no result.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pytest_purestate._runtime.arrays import ArrayContent
from pytest_purestate._runtime.graph import Node
from pytest_purestate._runtime.trees import TreeDiff, compare, text_of

__all__ = ["compare_content", "settle"]

_ARRAYS = frozenset({"jax.Array", "numpy.ndarray"})
_NUMBERS = (bool, int, float, complex)


def compare_content(before: Node, after: Node, path: str) -> TreeDiff:
    """Compare two pictures by structure, dtypes, shapes and bits; the second one is made like the first elsewhere."""
    settle(before, after)
    found = compare(before, after, path, placement=False).problems
    return TreeDiff(tuple(problem for problem in found if problem.kind != "order"))


def settle(one: Node, other: Node, path: str = "") -> list[str]:
    """Give leaves of the second picture the representation of the first one, where their content is the same.

    Returns:
        What was given, for each place: a path, a colon, and a text such as ``weak int32, now int32``.
    """
    notes: list[str] = []
    seen: set[tuple[int, int]] = set()
    stack = [(one, other, path)]
    while stack:
        one, other, path = stack.pop()
        if (id(one), id(other)) in seen:
            continue
        seen.add((id(one), id(other)))
        before = _told(other)
        if _settle_leaf(one, other):
            notes.append(f"{path}: {_told(one)}, now {before}")
        shared = [label for label in one.children if label in other.children]
        stack += [(one.children[label], other.children[label], path + label) for label in reversed(shared)]
    return notes


def _settle_leaf(one: Node, other: Node) -> bool:
    a, b = one.content, other.content
    if isinstance(a, ArrayContent) and isinstance(b, ArrayContent):
        if not (_is_array(one) and _is_array(other)) or (
            one.type == other.type and a.weak_type == b.weak_type
        ):
            return False
        other.content = dataclasses.replace(b, weak_type=a.weak_type)
    elif isinstance(a, ArrayContent) and isinstance(b, _NUMBERS):
        if a.shape or not _exact(b, a.dtype):
            return False
        other.content = dataclasses.replace(a, host=np.asarray(b, a.dtype), gone="")
    elif isinstance(a, _NUMBERS) and isinstance(b, ArrayContent):
        if b.shape or b.host is None or not _is_array(other) or not _exact(a, b.dtype):
            return False
        other.content = type(a)(b.host.item())
    else:
        return False
    other.type = one.type
    return True


def _is_array(node: Node) -> bool:
    content = node.content
    scalar = isinstance(content, ArrayContent) and node.type.startswith("numpy.") and content.shape == ()
    return node.type in _ARRAYS or scalar


def _exact(number: Any, dtype: str) -> bool:
    """Whether a Python number can be one of a dtype and still be the same kind of number."""
    try:
        known = np.dtype(dtype)
    except TypeError:
        return False
    kinds = {bool: "b", int: "iu", float: "f", complex: "c"}
    return type(number) in kinds and known.kind in kinds[type(number)]


def _told(node: Node) -> str:
    content = node.content
    if not isinstance(content, ArrayContent):
        return node.type.rpartition(".")[2] if content is not None else text_of(node)
    kind = "" if node.type == "jax.Array" else " of numpy"
    return f"{'weak ' if content.weak_type else ''}{content}{kind}"
