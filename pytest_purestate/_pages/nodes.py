"""Trees of keys as plain data: how many nodes there are, and how to leave some out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["Node", "count", "is_bad", "pruned"]

Node = dict[str, Any]
"""What `pytest_purestate._runtime.guard.branches` makes."""


def pruned(nodes: Sequence[Node], limit: int) -> list[Node]:
    """As many nodes as there is room for, and all that lead to a mistake; what is left out is counted by one more."""
    return _pruned(nodes, [limit])


def _pruned(nodes: Sequence[Node], room: list[int]) -> list[Node]:
    kept: list[Node] = []
    left = 0
    for node in nodes:
        if room[0] <= 0 and not is_bad(node):
            left += count(node)
            continue
        room[0] -= 1
        kids = node.get("kids")
        kept.append({**node, "kids": _pruned(kids, room)} if kids else node)
    if left:
        kept.append({"is": "more", "times": left})
    return kept


def is_bad(node: Node) -> bool:
    """Whether a key is used once too often there, or below."""
    return bool(node.get("bad")) or any(map(is_bad, node.get("kids", ())))


def count(node: Node) -> int:
    """How many nodes there are, this one included."""
    if node["is"] == "more":
        return int(node["times"])
    return 1 + sum(map(count, node.get("kids", ())))
