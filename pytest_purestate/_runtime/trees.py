"""Comparison of two values, place by place; every assertion prints what this finds."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_purestate._runtime.arrays import ArrayContent, array_problems
from pytest_purestate._runtime.describe import Opaque
from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.graph import Node, take_picture

__all__ = ["TreeDiff", "compare", "diff", "equal", "text_of"]

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class TreeDiff:
    """Every place where two values differ, in the order of the first one; false where they are equal."""

    problems: tuple[Problem, ...]

    def __bool__(self) -> bool:
        return bool(self.problems)


def diff(before: object, after: object, name: str = "tree") -> TreeDiff:
    """Compare two values by content: types, structure, and every leaf bit by bit (any NaN equals any other).

    >>> [p.path for p in diff({"a": [1, 2]}, {"a": [1, 3]}).problems]
    ["tree['a'][1]"]
    """
    return compare(take_picture(before), take_picture(after), name)


def compare(
    before: Node,
    after: Node,
    path: str,
    *,
    identity: bool = False,
    placement: bool = True,
    max_ulp: int = 0,
) -> TreeDiff:
    """Compare two pictures.

    Args:
        before: the first picture.
        after: the second one.
        path: what to call the roots.
        identity: the pictures are of one value at two moments, so mutable objects and arrays must be the same
            objects, not only equal ones; otherwise they are of two values.
        placement: whether the sharding of arrays counts.
        max_ulp: how far apart two finite floats may be, in units in the last place.
    """
    return TreeDiff(tuple(_Comparison(identity, identity, placement, max_ulp).run(before, after, path)))


@dataclass(frozen=True, slots=True)
class _Comparison:
    moments: bool  # decides the words: something changed, or two things differ
    identity: bool
    placement: bool
    max_ulp: int

    def run(self, before: Node, after: Node, path: str) -> Iterator[Problem]:
        seen: set[tuple[int, int]] = set()
        stack = [(path, before, after)]
        while stack:
            path, one, other = stack.pop()
            # What two places share is told once; but not that both hold a 0, which is one object for Python.
            if one.children or one.mutable or other.children or other.mutable:
                if (id(one), id(other)) in seen:
                    continue
                seen.add((id(one), id(other)))
            if self.identity and (one.mutable or other.mutable) and one.value is not other.value:
                yield from self._replaced(one, other, path)
                continue
            own = tuple(self._own(one, other, path))
            yield from own
            if one.type != other.type:
                continue
            yield from _structure(one, other, path)
            shared = [label for label in one.children if label in other.children]
            stack += [
                (path + label, one.children[label], other.children[label]) for label in reversed(shared)
            ]

    def _replaced(self, one: Node, other: Node, path: str) -> Iterator[Problem]:
        """Another object is in the place: how it differs, or else only that it is another one."""
        inner = _Comparison(self.moments, False, self.placement, self.max_ulp).run(one, other, path)
        found = False
        for problem in inner:
            found = True
            yield problem
        if not found:
            message = f"was replaced by another {_kind(one)} with the same content"
            yield Problem("identity", path, message, text_of(one), text_of(other))

    def _own(self, one: Node, other: Node, path: str) -> Iterator[Problem]:
        """How the two differ themselves, without their children."""
        if one.type != other.type:
            names = (one.type, other.type)
            short = [name.rpartition(".")[2] for name in names]
            shown = short if short[0] != short[1] else names
            verb = "changed" if self.moments else "differs"
            message = f"the type {verb}: {shown[0]}, {shown[1]}"
            yield Problem("type", path, message, text_of(one), text_of(other))
        elif isinstance(one.content, ArrayContent) and isinstance(other.content, ArrayContent):
            yield from array_problems(
                path,
                one.content,
                other.content,
                changed=self.moments,
                max_ulp=self.max_ulp,
                placement=self.placement,
            )
        elif not self._same_content(one, other):
            message = "was changed" if self.moments else "the value differs"
            yield Problem("value", path, message, *_apart(text_of(one), text_of(other)))

    def _same_content(self, one: Node, other: Node) -> bool:
        a, b = one.content, other.content
        if isinstance(a, Opaque) and isinstance(b, Opaque):
            if one.value is other.value or one.value is None or other.value is None:
                return a.token == b.token  # one object at two moments, or one of another process
            if a.by_value and b.by_value:
                return equal(one.value, other.value)
            # Two results can hold two functions of one name, made anew by each call.
            return equal(one.value, other.value) if self.identity else a.token == b.token
        if type(a) is not type(b):
            return False
        if isinstance(a, float) and isinstance(b, float):
            return struct.pack("d", a) == struct.pack("d", b) or (math.isnan(a) and math.isnan(b))
        if isinstance(a, complex) and isinstance(b, complex):
            pairs = ((a.real, b.real), (a.imag, b.imag))
            return all(x == y or (math.isnan(x) and math.isnan(y)) for x, y in pairs)
        return equal(a, b)


def _structure(one: Node, other: Node, path: str) -> Iterator[Problem]:
    for label, child in one.children.items():
        if label not in other.children:
            yield Problem("removed", path + label, "was removed", text_of(child), "")
    for label, child in other.children.items():
        if label not in one.children:
            yield Problem("added", path + label, "was added", "", text_of(child))
    if one.ordered:
        orders = [
            [label for label in a.children if label in b.children] for a, b in ((one, other), (other, one))
        ]
        if orders[0] != orders[1]:
            texts = [" ".join(order) for order in orders]
            yield Problem("order", path, "the keys are in another order", texts[0], texts[1])


def text_of(node: Node) -> str:
    """A value on one line: a scalar as it is, an array by dtype and shape, a container by class and size."""
    content = node.content
    if isinstance(content, ArrayContent):
        if content.host is not None and content.host.size == 1 and not content.dtype.startswith("key<"):
            return str(content.host.reshape(())[()])
        return str(content)
    if isinstance(content, Opaque):
        return _cut(content.token)
    if content is None and node.type != "builtins.NoneType":
        count = len(node.children)
        return f"{_kind(node)} with {count} {'entry' if count == 1 else 'entries'}"
    if isinstance(content, frozenset):
        return _cut("{" + ", ".join(sorted(map(repr, content))) + "}")
    return _cut(content if isinstance(content, str) and node.type != "builtins.str" else repr(content))


def _kind(node: Node) -> str:
    return "array" if isinstance(node.content, ArrayContent) else node.type.rpartition(".")[2]


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}... ({len(text)} characters)"


def _apart(one: str, other: str) -> tuple[str, str]:
    """Say so where two texts cannot show in what the values differ."""
    return (one, other) if one != other else (one, f"{other} (another object)")


def equal(one: object, other: object) -> bool:
    """Whether two values say of each other that they are equal."""
    if one is other:
        return True
    try:
        return bool(one == other)
    except Exception:
        return False  # an __eq__ that raises or gives an array does not call them equal
