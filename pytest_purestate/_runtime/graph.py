"""A picture of a value: every container, attribute and array below it, copied at one moment.

Wider than a pytree. JAX sees the leaves that a type registers; hidden state lies just where it does not look:
in an attribute of a plain object, in a field marked static, in the cell of a closure, in a numpy buffer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_purestate._runtime.arrays import ArrayContent
from pytest_purestate._runtime.describe import Policy, describe, type_name

__all__ = ["Node", "Policy", "iter_nodes", "iter_tracers", "take_picture"]


@dataclass(slots=True, eq=False)
class Node:
    """One value in a picture.

    Attributes:
        value: the object itself. Holding it keeps its `id` from being given to another object.
        type: the qualified name of its class.
        content: an `ArrayContent`, an `Opaque`, or a plain immutable value; None for what only has children.
        mutable: whether it matters that it is the same object, and not another that looks the same.
        ordered: whether the order of the children counts.
        children: what it holds, by the text that leads there: ``['a']``, ``[0]``, ``.step``.
    """

    value: Any
    type: str
    content: object = None
    mutable: bool = False
    ordered: bool = False
    children: dict[str, Node] = field(default_factory=dict)


def take_picture(value: object, policy: Policy | None = None) -> Node:
    """Copy what is below ``value``. Cycles and shared parts are taken once, and depth is no limit."""
    policy = policy or Policy()
    seen: dict[int, Node] = {}
    stack: list[tuple[Node, Iterator[tuple[str, object]]]] = []

    def visit(value: object) -> Node:
        if (known := seen.get(id(value))) is not None:
            return known
        shape = describe(value, policy)
        node = Node(value, type_name(value), shape.content, shape.mutable, shape.ordered)
        seen[id(value)] = node
        stack.append((node, iter(shape.children)))
        return node

    root = visit(value)
    while stack:
        node, children = stack.pop()
        for label, child in children:
            node.children[_unique(label, node.children)] = visit(child)
    return root


def iter_nodes(root: Node, path: str) -> Iterator[tuple[str, Node]]:
    """Every node once, with the first path that leads to it."""
    seen = {id(root)}
    stack = [(path, root)]
    while stack:
        path, node = stack.pop()
        yield path, node
        for label, child in reversed(node.children.items()):
            if id(child) not in seen:
                seen.add(id(child))
                stack.append((path + label, child))


def iter_tracers(root: Node, path: str) -> Iterator[tuple[str, str]]:
    """Path and type, ``float32[3]``, of each tracer in a picture."""
    for place, node in iter_nodes(root, path):
        if isinstance(node.content, ArrayContent) and node.content.gone == "tracer":
            yield place, str(node.content)


def _unique(label: str, taken: Mapping[str, object]) -> str:
    """The label, or one like it: two keys of a dict can have one `repr`."""
    if label not in taken:
        return label
    return next(text for n in itertools.count(2) if (text := f"{label}#{n}") not in taken)
