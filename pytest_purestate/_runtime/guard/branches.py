"""A lineage as a tree that somebody can read: nested plain data, with what repeats itself told once.

A loop that carries a key on is a chain of a thousand splits, and would be a tree of that depth. It is told as a row of
steps instead, and steps that are alike are one with a count, as are children of a split that were treated alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pytest_purestate._runtime.guard.lineage import Key, Lineage, Use
from pytest_purestate._runtime.guard.places import Place

__all__ = ["Node", "tree"]

_DEEP = 24
_CHAIN = 3
"""From so many splits on, each of a child of the one before, they are told as a row."""
_GROUP = 3
"""So many that are alike are told once."""
_PERIODS = 8
"""So many steps may make up what is repeated."""

Node = dict[str, Any]
"""``is``: the kind: those of `Key` and `Use`, or ``unused`` (``times`` keys of a split or of folds), ``again`` (its ``kids`` happened ``times`` times), ``more``
(``times`` nodes are left out). ``text``; ``at`` and ``in``: place and function; ``within``: the compiled function; ``loop``: in
each pass of a loop; ``times``, if not once; ``carried``: the child that the next step goes on with; ``bad``: ``first`` or ``again``, of a use too many;
``kids``."""


def tree(lineage: Lineage, shown: Callable[[Place], str]) -> Node:
    """The ``roots``, how many ``keys`` and ``uses`` there are, how many are ``bad``, and how many were ``left_out``.

    Args:
        lineage: that of one test.
        shown: what a place is called.
    """
    roots = _alike([_key(key, shown, 0) for key in lineage.roots if key.then or key.how == "stream"])
    keys = list(lineage.all_keys())
    uses = [use for key in keys for use in key.uses.values()]
    return {
        "roots": roots,
        "keys": len(keys),
        "uses": len(uses),
        "bad": sum(bool(use.reused) for use in uses),
        "left_out": lineage.left_out,
    }


def _key(key: Key, shown: Callable[[Place], str], deep: int) -> Node:
    node = _node(key.how, key.label, key.place, shown)
    if deep >= _DEEP and key.then:
        node["kids"] = [{"is": "more", "times": _size(key)}]
        return node
    kids: list[Node] = []
    chain = _chain(key)
    if len(chain) >= _CHAIN:
        for before, use, carried in chain:
            kids += _kids(before, shown, deep)
            kids.append(_use(use, shown, deep, carried))
        kids = _rounds(_rounds(kids, range(1, 2)), range(2, _PERIODS + 1))
    else:
        kids = _alike(_kids(key.then, shown, deep))
    # Flax makes a key for every parameter, also for those that start as zeros.
    if unused := sum(not each.then for each in key.folds.values()):
        kids.append({"is": "unused", "times": unused, "text": "fold"})
    if kids:
        node["kids"] = kids
    return node


def _kids(then: Iterable[Use | Key], shown: Callable[[Place], str], deep: int) -> list[Node]:
    return [
        _use(each, shown, deep) if isinstance(each, Use) else _key(each, shown, deep + 1)
        for each in then
        if isinstance(each, Use) or each.then
    ]


def _use(use: Use, shown: Callable[[Place], str], deep: int, carried: int | None = None) -> Node:
    node = _node(use.what, use.label, use.place, shown)
    if use.within:
        node["within"] = use.within
    if use.looped:
        node["loop"] = True
    if use.times > 1:
        node["times"] = use.times
    if use.reused:
        node["bad"] = use.reused
    if carried is not None:
        node["carried"] = carried
    used = [index for index in sorted(use.children) if use.children[index].then and index != carried]
    kids = _alike([_key(use.children[index], shown, deep + 1) for index in used])
    unused = use.total - len(used) - (carried is not None)
    if unused > 0 and not use.looped:
        kids.append({"is": "unused", "times": unused})
    if kids:
        node["kids"] = kids
    return node


def _node(kind: str, text: str, place: Place | None, shown: Callable[[Place], str]) -> Node:
    node: Node = {"is": kind, "text": text}
    if place is not None and place.file:
        node["at"] = shown(place)
        if place.function and place.function != "<module>":
            node["in"] = place.function
    return node


# --- what repeats itself -------------------------------------------------------------------------


def _chain(key: Key) -> list[tuple[list[Use | Key], Use, int | None]]:
    """The splits of a key, of one of the keys that gave, and so on: what was done before, the split, and which child it
    goes on with.
    """
    found: list[tuple[list[Use | Key], Use, int | None]] = []
    use = _last_split(key)
    while use is not None:
        carried = _carrier(use)
        found.append((key.then[:-1], use, carried))
        if carried is None:
            break
        key = use.children[carried]
        use = _last_split(key)
    return found


def _last_split(key: Key) -> Use | None:
    """The split that a key ends with: what is done with it afterwards is another story, and mostly a mistake."""
    uses = [each for each in key.then if isinstance(each, Use)]
    last = key.then[-1] if key.then else None
    return last if isinstance(last, Use) and last.what == "split" and uses == [last] else None


def _carrier(use: Use) -> int | None:
    split = {index: then for index, child in use.children.items() if (then := _last_split(child)) is not None}
    same = [
        index for index, then in split.items() if (then.place, then.label) == (use.place, use.label)
    ] or list(split)
    return same[0] if len(same) == 1 else None


def _rounds(steps: Sequence[Node], periods: Iterable[int]) -> list[Node]:
    """Steps in a row; a group of them that follows upon itself is told once."""
    out: list[Node] = []
    shapes = [_apart(step) if step["is"] == "fold" else step for step in steps]
    at = 0
    while at < len(steps):
        for period in periods:
            block, times = shapes[at : at + period], 1
            while shapes[at + times * period : at + (times + 1) * period] == block:
                times += 1
            if times > 1:
                rounds = [steps[at + each * period : at + (each + 1) * period] for each in range(times)]
                merged = [_merged(each) for each in zip(*rounds, strict=True)]
                if period == 1:
                    merged[0]["times"] = times * block[0].get("times", 1)
                    out.append(merged[0])
                else:
                    out.append({"is": "again", "times": times, "kids": merged})
                at += times * period
                break
        else:
            out.append(steps[at])
            at += 1
    return out


def _merged(steps: Sequence[Node]) -> Node:
    """One for all of some steps, which may fold other numbers in."""
    first = steps[0]
    if all(step.get("text") == first.get("text") for step in steps):
        return dict(first)
    return {**first, "text": f"{str(first['text']).rstrip(')')}, …)"}


def _alike(nodes: Sequence[Node]) -> list[Node]:
    """Nodes in a row; those that are alike but for their number or name are told once."""
    out: list[list[Node]] = []
    for node in nodes:
        if out and node["is"] in ("root", "child", "fold", "stream") and _apart(out[-1][-1]) == _apart(node):
            out[-1].append(node)
        else:
            out.append([node])
    return [node for group in out for node in ([_group(group)] if len(group) >= _GROUP else group)]


def _apart(node: Node) -> Node:
    """A node without what tells it from its like."""
    rest = {name: value for name, value in node.items() if name != "text"}
    text = str(node.get("text", ""))
    rest["text"] = text.rstrip("0123456789)]").rstrip("0123456789")
    return rest


def _group(nodes: Sequence[Node]) -> Node:
    first, last = str(nodes[0]["text"]), str(nodes[-1]["text"])
    if first == last:
        return {**nodes[0], "times": len(nodes)}
    start = len(str(_apart(nodes[0])["text"]))
    end = last[start:]
    return {**nodes[0], "text": f"{first.rstrip(')]')} … {end}", "times": len(nodes)}


# --- what is too much ----------------------------------------------------------------------------


def _size(key: Key) -> int:
    todo: list[Key | Use] = list(key.then)
    count = 0
    while todo:
        each = todo.pop()
        count += 1
        todo.extend(each.then if isinstance(each, Key) else each.children.values())
    return count
