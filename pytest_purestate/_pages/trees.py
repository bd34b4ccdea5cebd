"""The lineage of the keys of one test, as an HTML tree.

Nested lists with the roles of a tree: without a script one reads them, with it one walks along them with the arrow keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_purestate._pages.markup import code, many, text
from pytest_purestate._pages.nodes import Node, pruned

__all__ = ["render"]

_KINDS = {
    "root": ("key", "key"),
    "stream": ("key", "key"),
    "out": ("key", "key"),
    "child": ("part", "key"),
    "fold": ("fold", "fold"),
    "split": ("split", "split"),
    "draw": ("draw", "draw"),
    "give": ("given", "draw"),
}
"""The word that a node begins with, and its colour."""
_SOURCES = frozenset(("root", "stream", "out", "child", "fold"))


def render(roots: Sequence[Node], label: str, limit: int) -> Iterator[str]:
    """A tree of at most ``limit`` nodes, but for those that lead to a mistake."""
    yield f'<ul role="tree" class="tree" aria-label="{text(label)}">'
    for place, node in enumerate(pruned(roots, limit)):
        yield from _item(node, first=place == 0)
    yield "</ul>\n"


def _item(node: Node, *, first: bool = False) -> Iterator[str]:
    kids: Sequence[Node] = node.get("kids", ())
    row = _row(node)
    bad = bool(node.get("bad"))
    if node["is"] in _SOURCES and len(kids) == 1 and _is_leaf(kids[0]):
        (only,) = kids  # what became of a key that was used for one thing stands beside it
        row += f' <span class="to" aria-hidden="true">→</span> {_row(only)}'
        bad = bad or bool(only.get("bad"))
        kids = ()
    state = ' aria-expanded="true"' if kids else ""
    yield f'<li role="treeitem"{state} tabindex="{0 if first else -1}"><div class="row{" bad" if bad else ""}">{row}</div>'
    if kids:
        yield '<ul role="group">'
        for kid in kids:
            yield from _item(kid)
        yield "</ul>"
    yield "</li>"


def _is_leaf(node: Node) -> bool:
    return node["is"] in ("draw", "give") and not node.get("kids")


def _row(node: Node) -> str:
    kind, times = node["is"], int(node.get("times", 1))
    if kind == "more":
        return f'<span class="dim">… {many(times, "more node")}, not shown</span>'
    if kind == "unused":
        what = "folded key" if node.get("text") == "fold" else "key"
        return f'<span class="dim">{many(times, what)} of it never used</span>'
    if kind == "again":
        return f'<span class="tag split">loop</span> these steps, one after the other <b>× {times}</b>'
    word, colour = _KINDS[kind]
    parts = [f'<span class="tag {colour}">{word}</span> {code(node["text"])}']
    if times > 1:
        parts.append(f'<b title="{times} times">× {times}</b>')
    if node.get("bad"):
        told = "used here first" if node["bad"] == "first" else "REUSED"
        parts.append(f'<strong class="reused"><span aria-hidden="true">✖</span> {told}</strong>')
    if node.get("loop"):
        parts.append("in each pass of a loop")
    if "carried" in node:
        parts.append(f"and on with {code('[' + str(node['carried']) + ']')}")
    parts.append(_place(node))
    return " ".join(part for part in parts if part)


def _place(node: Node) -> str:
    if not node.get("at"):
        return ""
    within, function = node.get("within", ""), node.get("in", "")
    if within and within != function:
        where = (
            f" in {code(function)}, compiled as {code(within)}"
            if function
            else f" in compiled {code(within)}"
        )
    elif within:
        where = f" in compiled {code(within)}"
    else:
        where = f" in {code(function)}" if function else ""
    return f'<span class="at">{text(node["at"])}{where}</span>'
